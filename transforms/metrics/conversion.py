"""Conversion of miners' power to AI: contracts, power switched on, hash rate displaced, as known up to the day."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from schemas.metric import Example, Given, metric
from schemas.registry import (
    BACKSTOP,
    CUSTOMER_CONTRACT,
    IMPUTED,
    MINED,
    NEVER_MINED,
    PARTLY_MINED,
    UNVERIFIED,
    VERIFIED,
)
from schemas.registry_rules import GPU_CLOUD
from schemas.units import PERCENT, Unit
from transforms.windows import ratio

KNOWN: Final = (
    "A hand-kept registry: deals nobody found are missing, and of some only the month of announcement is sourced. A "
    "version of a deal counts from the day it was known; smaller corrections are entered without a version."
)
ANNOUNCED: Final = f"Announced, not delivered. {KNOWN}"
LOWER_BOUND: Final = f"Lower bound: contracts that do not state it add nothing. {ANNOUNCED}"
SWITCHED_ON: Final = "Lower bound: deliveries are reported late, by company, and often without a day."
NO_DELIVERY: Final = "NULL while no verified delivery is known: nobody states that nothing was on."
BOUND_REASONS: Final = ("none_reported", "only_unverified", "unverified_left_out", "not_all_report")
DISPLACED: Final = (
    "A range, never a point: machines may move and mine elsewhere, and what mined at a site before is often unknown."
)
GUIDANCE: Final = (
    "Companies differ in what they count (leases, net or gross). Moves when a company is added, so read it beside "
    "capex_guidance_company_count. The registry begins in October 2025."
)
NO_GUIDANCE: Final = "NULL while no company of the registry guides for the year of the day."
NO_SPENDING: Final = "NULL while no company's last four quarters are known."
SPENDING: Final = (
    "Bases differ by company, see capex_quarter.basis. A company with a quarter missing is left out, so read it beside "
    "capex_trailing_12m_company_count."
)


GOOGLE: Final = "google"

CRITICAL_MW: Final = pl.col("critical_it_mw")
GROSS_MW: Final = pl.col("gross_mw")
TERM_YEARS: Final = pl.col("term_years")
VALUE_USD: Final = pl.col("contract_value_usd")
AMOUNT_USD: Final = pl.col("amount_usd")

SOURCED: Final = VERIFIED
SOURCE_CITED: Final = pl.col("source_url").is_not_null()
EVERY_CONTRACT: Final = pl.col("kind").is_in(CUSTOMER_CONTRACT)
CONTRACT: Final = EVERY_CONTRACT & SOURCED
GPU_CLOUD_DEAL: Final = pl.col("lease_type").eq_missing(pl.lit(GPU_CLOUD))
HAS_MINED: Final = pl.col("site_history").is_in([MINED, PARTLY_MINED])
BROWNFIELD: Final = CONTRACT & HAS_MINED
TERMED: Final = CONTRACT & CRITICAL_MW.is_not_null() & TERM_YEARS.is_not_null()
BACKSTOP_SOURCED: Final = pl.col("kind").is_in(BACKSTOP) & SOURCE_CITED


def count(which: pl.Expr) -> pl.Expr:
    """Rows of which `which` is true."""
    return which.sum().cast(pl.Int64)


def total(what: pl.Expr, which: pl.Expr) -> pl.Expr:
    """Sum of `what` over the rows of which `which` is true; 0 where there is none."""
    return what.filter(which).sum().cast(pl.Float64)


def total_if_any(what: pl.Expr) -> pl.Expr:
    """Sum of `what`, NULL where no row states it."""
    # Counted, because Polars takes "is not null" for true without looking where a column has no NULL, and no row.
    return pl.when(what.count() > 0).then(what.sum())


def _part(which: pl.Expr) -> pl.Expr:
    """Verified power of the deliveries of which `which` is true; NULL where no delivery is verified."""
    return pl.when(SOURCED.sum() > 0).then(total(CRITICAL_MW, SOURCED & which))


def _share() -> pl.Expr:
    return pl.col("amount") / pl.col("amount").sum()


def _hhi() -> pl.Expr:
    return total_if_any((PERCENT * _share()) ** 2)


def _taken_mw() -> pl.Expr:
    """Mining power that a deal takes: what mined there before, but no more than the deal draws."""
    prior = pl.col("prior_mining_mw")
    return pl.when(prior.is_not_null() | GROSS_MW.is_not_null()).then(pl.min_horizontal(prior, GROSS_MW))


# What never mined takes nothing away; where nobody states it, the most that could be taken is all of it.
_TAKEN: Final = CONTRACT & pl.col("site_history").ne_missing(pl.lit(NEVER_MINED))
# Only sites that mined as a whole count here: of the others no source states which part was switched on.
_LEFT: Final = SOURCED & (pl.col("site_history") == MINED) & pl.col("mining_stopped_on").is_null()
_GROSS_PER_CRITICAL: Final = GROSS_MW / pl.col("deal_mw")

SUMS: Final[Mapping[str, Mapping[str, pl.Expr]]] = {
    "conversion_deal": {
        "brownfield_stated_gross_mw": total(GROSS_MW, BROWNFIELD),
        "brownfield_bare_critical_mw": total(CRITICAL_MW, BROWNFIELD & GROSS_MW.is_null()),
        "taken_gross_mw": total(_taken_mw(), _TAKEN),
        "taken_bare_critical_mw": total(CRITICAL_MW, _TAKEN & GROSS_MW.is_null() & pl.col("prior_mining_mw").is_null()),
    },
    "deal_delivery": {
        "left_gross_mw": total(CRITICAL_MW * _GROSS_PER_CRITICAL, _LEFT),
        "left_bare_critical_mw": total(CRITICAL_MW, _LEFT & _GROSS_PER_CRITICAL.is_null()),
    },
    "stopped_site": {"stopped_mining_mw": total(_taken_mw(), SOURCED)},
}
"""Sums over the rows that stand on a day which are not published but read by several metrics, by whose rows."""


def columns_of(rows: Given, *names: str) -> dict[str, Any]:
    """The named columns of the `rows` of an example."""
    return {name: rows[name] for name in names}


DEALS: Final[Given] = {
    "kind": ["contract", "contract", "contract", "letter_of_intent"],
    "confidence": ["confirmed", "confirmed", UNVERIFIED, "reported"],
    "lease_type": ["nnn", GPU_CLOUD, "colo_other", None],
    "critical_it_mw": [245.0, 200.0, 70.0, 1_000.0],
    "gross_mw": [330.0, None, None, None],
    "term_years": [15.0, 5.0, 12.0, None],
    "contract_value_usd": [7_000_000_000, 9_700_000_000, 1_225_000_000, None],
    "site_history": [NEVER_MINED, PARTLY_MINED, None, MINED],
}
"""Hut 8 at River Bend, IREN for Microsoft, an unverified tranche of Core Scientific, and a letter of intent."""
DELIVERIES: Final[Given] = {
    "confidence": ["reported", "reported", UNVERIFIED],
    "split": [IMPUTED, "stated", IMPUTED],
    "site_history": [PARTLY_MINED, NEVER_MINED, PARTLY_MINED],
    "critical_it_mw": [60.0, 175.0, 102.0],
}
_URL: Final = "https://example.com/8-k"
SUPPORTS: Final[Given] = {
    "provider": [GOOGLE, GOOGLE, "amd", None, "microsoft", "amazon"],
    "kind": ["guarantee", "guarantee", "letter_of_credit", "letter_of_credit", "prepayment", "guarantee"],
    "source_url": [_URL, _URL, _URL, None, _URL, _URL],
    "amount_usd": [1_800_000_000, 1_400_000_000, 500_000_000, 1_300_000_000, 1_940_000_000, None],
}
BACKED: Final[dict[str, Any]] = {"kind": ["guarantee"], "source_url": [_URL], "deal_id": ["A"]}
GUIDANCE_ROWS: Final[Given] = {
    "company": ["amazon", "alphabet", "meta", "microsoft"],
    "source_url": [_URL, _URL, _URL, None],
    "low_usd": [200_000_000_000, 175_000_000_000, 115_000_000_000, 175_000_000_000],
    "high_usd": [200_000_000_000, 185_000_000_000, 135_000_000_000, 190_000_000_000],
}


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence"),
        gives=2,
        source="three contracts, one of them unverified, and a letter of intent",
    ),
    rows="conversion_deal",
    unit=Unit.COUNT,
    error=ANNOUNCED,
    null_rule=None,
    ge=0,
)
def deal_count() -> pl.Expr:
    """Contracts with a customer known on the day and not ended, unverified ones left out; a tranche is one."""
    return count(CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind"),
        gives=3,
        source="three contracts, one of them unverified, and a letter of intent",
    ),
    rows="conversion_deal",
    unit=Unit.COUNT,
    error=ANNOUNCED,
    null_rule=None,
    ge=0,
)
def deal_with_unverified_count() -> pl.Expr:
    """Number of contracts with those included that rest on memory or on a text without an address."""
    return count(EVERY_CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind"),
        gives=1,
        source="three contracts, one of them unverified, and a letter of intent",
    ),
    rows="conversion_deal",
    unit=Unit.COUNT,
    error=ANNOUNCED,
    null_rule=None,
    ge=0,
)
def other_announcement_count() -> pl.Expr:
    """Letters of intent, joint ventures and acquisitions standing on the day, which add neither power nor value."""
    return count(~EVERY_CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence", "critical_it_mw"),
        gives=445.0,
        source="245 MW at River Bend and 200 MW of IREN for Microsoft",
    ),
    rows="conversion_deal",
    unit=Unit.MEGAWATT,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def contracted_critical_it_mw() -> pl.Expr:
    """Power for servers, storage and network in the contracts of the day, unverified ones left out."""
    return total(CRITICAL_MW, CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind", "critical_it_mw"), gives=515.0, source="70 MW unverified on top of 245 and 200"
    ),
    rows="conversion_deal",
    unit=Unit.MEGAWATT,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def contracted_critical_it_with_unverified_mw() -> pl.Expr:
    """Critical power in all contracts of the day, those included that rest on memory or a text without an address."""
    return total(CRITICAL_MW, EVERY_CONTRACT)


@metric(
    Example(
        given={
            "kind": ["contract", "extension", "contract"],
            "confidence": ["reported"] * 3,
            "critical_it_mw": [None, None, 245.0],
        },
        gives=1,
        source="an extension adds years to power that is counted already",
    ),
    rows="conversion_deal",
    unit=Unit.COUNT,
    error=ANNOUNCED,
    null_rule=None,
    ge=0,
)
def critical_it_mw_undisclosed_count() -> pl.Expr:
    """Contracts standing on the day that do not state their critical power, extensions left out."""
    # An extension adds years to power that is counted already: its empty cell hides nothing.
    return count(CONTRACT & (pl.col("kind") == "contract") & CRITICAL_MW.is_null())


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence", "gross_mw"),
        gives=330.0,
        source="gross power is stated for River Bend only",
    ),
    rows="conversion_deal",
    unit=Unit.MEGAWATT,
    error=f"{LOWER_BOUND} Includes private former miners: Crusoe's Abilene alone is 2,100 MW.",
    null_rule=None,
    ge=0,
)
def contracted_gross_mw() -> pl.Expr:
    """Power drawn from the utility in the contracts of the day that state it; not to be added to critical."""
    return total(GROSS_MW, CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence", "contract_value_usd"),
        gives=16700000000.0,
        source="7.0 bn at River Bend and 9.7 bn of IREN for Microsoft",
    ),
    rows="conversion_deal",
    unit=Unit.USD,
    error=f"{LOWER_BOUND} Includes GPU cloud.",
    null_rule=None,
    ge=0,
)
def contracted_value_usd() -> pl.Expr:
    """Undiscounted revenue of the base terms of the contracts of the day, options and unverified ones left out."""
    return total(VALUE_USD, CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind", "contract_value_usd"), gives=17925000000.0, source="1.225 bn unverified on top"
    ),
    rows="conversion_deal",
    unit=Unit.USD,
    error=f"{LOWER_BOUND} Includes GPU cloud.",
    null_rule=None,
    ge=0,
)
def contracted_value_with_unverified_usd() -> pl.Expr:
    """Undiscounted revenue of all contracts of the day, unverified ones included."""
    return total(VALUE_USD, EVERY_CONTRACT)


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence") | {"contract_value_usd": [None, 9_700_000_000, None, None]},
        gives=1,
    ),
    rows="conversion_deal",
    unit=Unit.COUNT,
    error=ANNOUNCED,
    null_rule=None,
    ge=0,
)
def contract_value_undisclosed_count() -> pl.Expr:
    """Contracts standing on the day whose value is not disclosed."""
    return count(CONTRACT & VALUE_USD.is_null())


@metric(
    Example(given=columns_of(DEALS, "kind", "confidence", "lease_type", "critical_it_mw"), gives=245.0),
    rows="conversion_deal",
    unit=Unit.MEGAWATT,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def leased_critical_it_mw() -> pl.Expr:
    """Critical power let without servers: triple-net leases and other colocation."""
    return total(CRITICAL_MW, CONTRACT & ~GPU_CLOUD_DEAL)


@metric(
    Example(given=columns_of(DEALS, "kind", "confidence", "lease_type", "critical_it_mw"), gives=200.0),
    rows="conversion_deal",
    unit=Unit.MEGAWATT,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def gpu_cloud_critical_it_mw() -> pl.Expr:
    """Critical power sold as GPU cloud, the miner's own servers included."""
    return total(CRITICAL_MW, CONTRACT & GPU_CLOUD_DEAL)


@metric(
    Example(given=columns_of(DEALS, "kind", "confidence", "lease_type", "contract_value_usd"), gives=7000000000.0),
    rows="conversion_deal",
    unit=Unit.USD,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def leased_value_usd() -> pl.Expr:
    """Part of contracted_value_usd from triple-net leases and other colocation."""
    return total(VALUE_USD, CONTRACT & ~GPU_CLOUD_DEAL)


@metric(
    Example(given=columns_of(DEALS, "kind", "confidence", "lease_type", "contract_value_usd"), gives=9700000000.0),
    rows="conversion_deal",
    unit=Unit.USD,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def gpu_cloud_value_usd() -> pl.Expr:
    """Part of contracted_value_usd from GPU cloud, which pays for the servers too."""
    return total(VALUE_USD, CONTRACT & GPU_CLOUD_DEAL)


@metric(
    Example(given={"contracted_critical_it_mw": [100.0] * 30 + [345.0]}, gives=245.0),
    unit=Unit.MEGAWATT,
    error=f"Change of a sum in which undisclosed power is missing. {KNOWN}",
    null_rule="NULL in the first 30 days of the registry.",
    ge=-20_000,
    history_days=31,
)
def contracted_critical_it_added_30d_mw() -> pl.Expr:
    """Critical power that contracts of the last thirty days have added, less what has ended."""
    return pl.col("contracted_critical_it_mw") - pl.col("contracted_critical_it_mw").shift(30)


@metric(
    Example(given={"contracted_critical_it_mw": [100.0] + [100.0] * 89 + [345.0]}, gives=245.0),
    Example(given={"contracted_critical_it_mw": [100.0] * 90}, gives=None, source="90 days are too few"),
    unit=Unit.MEGAWATT,
    error=f"Change of a sum in which undisclosed power is missing. {KNOWN}",
    null_rule="NULL in the first 90 days of the registry.",
    ge=-20_000,
    history_days=91,
)
def contracted_critical_it_added_90d_mw() -> pl.Expr:
    """Critical power that contracts of the last ninety days have added, less what has ended."""
    return pl.col("contracted_critical_it_mw") - pl.col("contracted_critical_it_mw").shift(90)


@metric(
    Example(
        given=columns_of(DELIVERIES, "confidence", "critical_it_mw"),
        gives=235.0,
        source="60 MW and 175 MW; 102 MW are unverified",
    ),
    Example(given={"confidence": [UNVERIFIED], "critical_it_mw": [102.0]}, gives=None, source="not 0"),
    rows="deal_delivery",
    unit=Unit.MEGAWATT,
    error=SWITCHED_ON,
    null_rule=NO_DELIVERY,
    ge=0,
)
def energised_critical_it_mw() -> pl.Expr:
    """Critical power known to be switched on for customers, unverified steps left out; see energised_bound_reason."""
    return total_if_any(CRITICAL_MW.filter(SOURCED))


@metric(
    Example(given=columns_of(DELIVERIES, "critical_it_mw"), gives=337.0),
    rows="deal_delivery",
    unit=Unit.MEGAWATT,
    error=SWITCHED_ON,
    null_rule="NULL while no delivery is known: nobody states that nothing was on.",
    ge=0,
)
def energised_critical_it_with_unverified_mw() -> pl.Expr:
    """Critical power known to be switched on for customers, unverified steps included."""
    return total_if_any(CRITICAL_MW)


@metric(
    Example(given={"confidence": ["reported", UNVERIFIED]}, gives="unverified_left_out"),
    Example(given={"confidence": ["reported"]}, gives="not_all_report"),
    Example(given={"confidence": [UNVERIFIED]}, gives="only_unverified"),
    rows="deal_delivery",
    unit=Unit.LABEL,
    error="Exact.",
    null_rule=None,
    labels=BOUND_REASONS,
)
def energised_bound_reason() -> pl.Expr:
    """Why energised_critical_it_mw is unknown, or a lower bound.

    Unknown: no delivery is reported, or only unverified ones. A lower bound: unverified ones are left out, or else that
    not every company reports.
    """
    none, only, left_out, others = (pl.lit(reason) for reason in BOUND_REASONS)
    verified = SOURCED.sum()
    return (
        pl.when(pl.len() == 0)
        .then(none)
        .when(verified == 0)
        .then(only)
        .when(verified < pl.len())
        .then(left_out)
        .otherwise(others)
    )


@metric(
    Example(
        given={"confidence": ["reported", UNVERIFIED], "known_at": [date(2026, 3, 2), date(2026, 8, 14)]},
        gives=date(2026, 3, 2),
    ),
    rows="deal_delivery",
    unit=Unit.DAY,
    error="Companies report by quarter: what was switched on since is not in it.",
    null_rule=NO_DELIVERY,
)
def energised_reported_on() -> pl.Expr:
    """Day of the newest verified report in energised_critical_it_mw."""
    return pl.col("known_at").filter(SOURCED).max()


@metric(
    Example(given=columns_of(DELIVERIES, "confidence", "split", "critical_it_mw"), gives=60.0),
    rows="deal_delivery",
    unit=Unit.MEGAWATT,
    error=SWITCHED_ON,
    null_rule=NO_DELIVERY,
    ge=0,
)
def energised_imputed_critical_it_mw() -> pl.Expr:
    """Part of energised_critical_it_mw whose day or share of a company's total is our own choice."""
    return _part(pl.col("split") == IMPUTED)


@metric(
    Example(given=columns_of(DELIVERIES, "confidence", "site_history", "critical_it_mw"), gives=60.0),
    rows="deal_delivery",
    unit=Unit.MEGAWATT,
    error=f"{SWITCHED_ON} Sites of which it is not known whether they mined are not in it.",
    null_rule=NO_DELIVERY,
    ge=0,
)
def energised_brownfield_critical_it_mw() -> pl.Expr:
    """Part of energised_critical_it_mw at sites that mined before, wholly or in part."""
    return _part(HAS_MINED)


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence", "site_history", "critical_it_mw"),
        gives=200.0,
        source="River Bend never mined",
    ),
    rows="conversion_deal",
    unit=Unit.MEGAWATT,
    error=LOWER_BOUND,
    null_rule=None,
    ge=0,
)
def brownfield_critical_it_mw() -> pl.Expr:
    """Part of contracted_critical_it_mw at sites that mined before, wholly or in part."""
    return total(CRITICAL_MW, BROWNFIELD)


@metric(
    Example(
        given={
            "brownfield_stated_gross_mw": 244.0,
            "brownfield_bare_critical_mw": 100.0,
            "gross_to_critical_ratio": 1.35,
        },
        gives=379.0,
    ),
    unit=Unit.MEGAWATT,
    error=f"Where only critical power is stated, gross is that times an assumed ratio; 1.10 to 1.45 are seen. {KNOWN}",
    null_rule="NULL before the first dated assumption.",
    ge=0,
)
def brownfield_gross_mw() -> pl.Expr:
    """Gross power of the contracts of the day at sites that mined before, imputed where only critical is stated."""
    return pl.col("brownfield_stated_gross_mw") + pl.col("brownfield_bare_critical_mw") * pl.col(
        "gross_to_critical_ratio"
    )


@metric(
    Example(given={"brownfield_bare_critical_mw": 100.0, "gross_to_critical_ratio": 1.35}, gives=135.0),
    unit=Unit.MEGAWATT,
    error="The imputed part of a sum: ratios of 1.10 to 1.45 are seen.",
    null_rule="NULL before the first dated assumption.",
    ge=0,
)
def brownfield_gross_imputed_mw() -> pl.Expr:
    """Part of brownfield_gross_mw that is critical power times the assumed ratio."""
    return pl.col("brownfield_bare_critical_mw") * pl.col("gross_to_critical_ratio")


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence", "critical_it_mw", "term_years"),
        gives=4_675 / 445,
        source="a lease of 245 MW for 15 years and GPU cloud of 200 MW for 5",
    ),
    Example(given=columns_of(DEALS, "kind", "confidence", "critical_it_mw") | {"term_years": [None] * 4}, gives=None),
    unit=Unit.YEARS,
    error=f"Contracts that state only one of power and term are left out, extensions among them. {ANNOUNCED}",
    null_rule="NULL while no standing contract states both its critical power and its term.",
    ge=0,
    rows="conversion_deal",
)
def mean_term_years() -> pl.Expr:
    """Mean base term of the contracts standing on the day, weighted by their critical power."""
    return ratio(total(CRITICAL_MW * TERM_YEARS, TERMED), total(CRITICAL_MW, TERMED))


@metric(
    Example(
        given=columns_of(SUPPORTS, "kind", "source_url", "amount_usd"),
        gives=3700000000.0,
        source="1.8, 1.4 and 0.5 bn; a prepayment is no backstop",
    ),
    rows="credit_support",
    unit=Unit.USD,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def backstop_usd() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, unverified ones left out."""
    return total(AMOUNT_USD, BACKSTOP_SOURCED)


@metric(
    Example(
        given=columns_of(SUPPORTS, "kind", "amount_usd"), gives=5000000000.0, source="1.3 bn without an address on top"
    ),
    rows="credit_support",
    unit=Unit.USD,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def backstop_with_unverified_usd() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, those without an address to cite included."""
    return total(AMOUNT_USD, pl.col("kind").is_in(BACKSTOP))


@metric(
    Example(
        given=columns_of(SUPPORTS, "kind", "source_url", "provider", "amount_usd"),
        gives=3200000000.0,
        source="1.8 and 1.4 bn for TeraWulf",
    ),
    rows="credit_support",
    unit=Unit.USD,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def google_backstop_usd() -> pl.Expr:
    """Part of backstop_usd that Google gives."""
    return total(AMOUNT_USD, BACKSTOP_SOURCED & (pl.col("provider") == GOOGLE))


@metric(
    Example(given=columns_of(SUPPORTS, "kind", "source_url", "amount_usd"), gives=1),
    rows="credit_support",
    unit=Unit.COUNT,
    error=ANNOUNCED,
    null_rule=None,
    ge=0,
)
def backstop_undisclosed_count() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, announced without an amount."""
    return count(BACKSTOP_SOURCED & AMOUNT_USD.is_null())


@metric(
    Example(
        given={
            "kind": ["guarantee"] * 2,
            "source_url": [_URL] * 2,
            "deal_id": ["CB-3", "CB-5"],
            "amount_usd": [1_800_000_000, 1_400_000_000],
            "deal_value_usd": [3_700_000_000, 3_000_000_000],
        },
        gives=47.8,
        within=0.05,
        source="TeraWulf",
    ),
    Example(
        given=BACKED | {"amount_usd": [1_400_000_000], "deal_value_usd": [3_000_000_000]},
        gives=46.7,
        within=0.05,
        source="Cipher",
    ),
    Example(
        given=BACKED | {"amount_usd": [1_300_000_000], "deal_value_usd": [9_500_000_000]},
        gives=13.7,
        within=0.05,
        source="Abernathy",
    ),
    unit=Unit.PERCENT,
    error="Only contracts whose backstop and value are both disclosed. Caps need not cover the same years.",
    rows="credit_support",
    null_rule="NULL while no such contract stands.",
    ge=0,
)
def backstop_coverage_pct() -> pl.Expr:
    """Disclosed backstops as a share of the value of the contracts they stand behind."""
    # Several supports of one deal stand behind the same value.
    backed = BACKSTOP_SOURCED & AMOUNT_USD.is_not_null() & pl.col("deal_id").is_first_distinct()
    return PERCENT * ratio(total(AMOUNT_USD, BACKSTOP_SOURCED), total(pl.col("deal_value_usd"), backed))


@metric(
    Example(given={"amount": [5e9, 3e9, 2e9]}, gives=50.0),
    rows="tenant",
    unit=Unit.PERCENT,
    error="By value where it is disclosed; tenants that are not named count as one each.",
    null_rule="NULL while no contract with a value stands.",
    ge=0,
    le=100,
)
def top_tenant_share_pct() -> pl.Expr:
    """Largest tenant's share of contracted_value_usd."""
    return PERCENT * _share().max()


@metric(
    Example(given={"amount": [5e9, 3e9, 2e9]}, gives=3_800.0, source="50, 30 and 20 % squared"),
    rows="tenant",
    unit=Unit.INDEX,
    error="By value where it is disclosed; tenants that are not named count as one each, so it is a lower bound.",
    null_rule="NULL while no contract with a value stands.",
    ge=0,
    le=10_000,
)
def tenant_hhi_index() -> pl.Expr:
    """Concentration of contracted value on tenants: the sum of their squared percentage shares."""
    return _hhi()


@metric(
    Example(given={"amount": [5e9, 3e9, 2e9]}, gives=50.0),
    rows="guarantor",
    unit=Unit.PERCENT,
    error="Of disclosed amounts only: who guarantees without a cap is not in it.",
    null_rule="NULL while no backstop with an amount stands.",
    ge=0,
    le=100,
)
def top_guarantor_share_pct() -> pl.Expr:
    """Largest guarantor's share of backstop_usd."""
    return PERCENT * _share().max()


@metric(
    Example(given={"amount": [5e9, 3e9, 2e9]}, gives=3_800.0, source="50, 30 and 20 % squared"),
    rows="guarantor",
    unit=Unit.INDEX,
    error="Of disclosed amounts only: who guarantees without a cap is not in it.",
    null_rule="NULL while no backstop with an amount stands.",
    ge=0,
    le=10_000,
)
def guarantor_hhi_index() -> pl.Expr:
    """Concentration of backstop_usd on guarantors: the sum of their squared percentage shares."""
    return _hhi()


def _displaced(stated: str, bare: str, efficiency: str) -> pl.Expr:
    """Hash rate of a mining power; a megawatt over joules per terahash is an exahash per second."""
    power = pl.col(stated) + pl.col(bare) * pl.col("gross_to_critical_ratio")
    return ratio(power, pl.col(efficiency))


LOW_GIVEN: Final = {
    "stopped_mining_mw": 150.0,
    "left_gross_mw": 94.0,
    "left_bare_critical_mw": 0.0,
    "gross_to_critical_ratio": 1.35,
    "fleet_efficiency_j_per_th": 20.0,
}


@metric(
    Example(given=LOW_GIVEN, gives=12.2, source="244 MW that all mined, at 20 J/TH"),
    Example(given=LOW_GIVEN | {"left_bare_critical_mw": 100.0}, gives=18.95),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"{DISPLACED} Upper bound of what is known to have happened; at the mean fleet's efficiency.",
    null_rule="NULL when the fleet estimate is, or before the first dated assumption.",
    ge=0,
)
def displaced_hashrate_energised_ehs() -> pl.Expr:
    """Hash rate of the mining power that is known to have stopped or to be let and on, as if no machine had moved."""
    power = (
        pl.col("stopped_mining_mw")
        + pl.col("left_gross_mw")
        + pl.col("left_bare_critical_mw") * pl.col("gross_to_critical_ratio")
    )
    return ratio(power, pl.col("fleet_efficiency_j_per_th"))


@metric(
    Example(given={"displaced_hashrate_energised_ehs": 12.2, "relocated_ratio": 0.5}, gives=6.1),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"{DISPLACED} A low case; the strict lower bound is zero, because every machine may have moved.",
    null_rule="NULL when the fleet estimate is, or before the first dated assumption.",
    ge=0,
)
def displaced_hashrate_low_ehs() -> pl.Expr:
    """Hash rate gone from sites that stopped mining or serve AI, less the machines assumed to mine elsewhere."""
    return pl.col("displaced_hashrate_energised_ehs") * (1 - pl.col("relocated_ratio"))


@metric(
    Example(
        given={
            "taken_gross_mw": 244.0,
            "taken_bare_critical_mw": 100.0,
            "gross_to_critical_ratio": 1.35,
            "new_fleet_efficiency_j_per_th": 20.0,
        },
        gives=18.95,
        source="244 MW stated and 100 MW of critical power at 20 J/TH",
    ),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"{DISPLACED} Upper bound: sites that mined in part count whole, and those of unknown history count too.",
    null_rule="NULL before the first dated assumption.",
    ge=0,
)
def displaced_hashrate_high_ehs() -> pl.Expr:
    """Hash rate of all power under contract that has or may have mined, at the efficiency of recent machines."""
    return _displaced("taken_gross_mw", "taken_bare_critical_mw", "new_fleet_efficiency_j_per_th")


@metric(
    Example(given={"displaced_hashrate_low_ehs": 12.2, "hashrate_30d_ehs": 891.7}, gives=1.35, within=0.005),
    unit=Unit.PERCENT,
    error=DISPLACED,
    null_rule="NULL when the hash rate or the displaced one is.",
    ge=0,
    le=100,
)
def share_removed_low_pct() -> pl.Expr:
    """Low case of the displaced hash rate as a share of the hash rate that there would be with it."""
    low = pl.col("displaced_hashrate_low_ehs")
    return PERCENT * ratio(low, pl.col("hashrate_30d_ehs") + low)


@metric(
    Example(given={"displaced_hashrate_high_ehs": 99.0, "hashrate_30d_ehs": 891.0}, gives=10.0),
    unit=Unit.PERCENT,
    error=DISPLACED,
    null_rule="NULL when the hash rate or the displaced one is.",
    ge=0,
    le=100,
)
def share_removed_high_pct() -> pl.Expr:
    """High case of the displaced hash rate as a share of the hash rate that there would be with it."""
    high = pl.col("displaced_hashrate_high_ehs")
    return PERCENT * ratio(high, pl.col("hashrate_30d_ehs") + high)


@metric(
    Example(
        given=columns_of(GUIDANCE_ROWS, "source_url", "low_usd"),
        gives=490e9,
        source="Amazon 200, Alphabet 175 to 185 and Meta 115 to 135 bn; Microsoft without an address",
    ),
    Example(given=columns_of(GUIDANCE_ROWS, "low_usd") | {"source_url": [None] * 4}, gives=None),
    rows="capex_guidance",
    unit=Unit.USD,
    error=GUIDANCE,
    null_rule=NO_GUIDANCE,
    ge=0,
)
def capex_guidance_low_usd() -> pl.Expr:
    """Low ends of what large technology companies expect to spend in the calendar year of the day, summed."""
    return total_if_any(pl.col("low_usd").filter(SOURCE_CITED))


@metric(
    Example(
        given=columns_of(GUIDANCE_ROWS, "source_url", "high_usd"),
        gives=520e9,
        source="Amazon 200, Alphabet 175 to 185 and Meta 115 to 135 bn; Microsoft without an address",
    ),
    rows="capex_guidance",
    unit=Unit.USD,
    error=GUIDANCE,
    null_rule=NO_GUIDANCE,
    ge=0,
)
def capex_guidance_high_usd() -> pl.Expr:
    """High ends of what large technology companies expect to spend in the calendar year of the day, summed."""
    return total_if_any(pl.col("high_usd").filter(SOURCE_CITED))


@metric(
    Example(
        given={"capex_guidance_low_usd": 490e9, "capex_guidance_high_usd": 520e9},
        gives=505e9,
        source="Amazon 200, Alphabet 175 to 185 and Meta 115 to 135 bn, standing on 2026-02-05",
    ),
    Example(given={"capex_guidance_low_usd": None, "capex_guidance_high_usd": None}, gives=None),
    unit=Unit.USD,
    error=GUIDANCE,
    null_rule=NO_GUIDANCE,
    ge=0,
)
def capex_guidance_usd() -> pl.Expr:
    """Midpoints of the companies' own latest guidance for the calendar year of the day, unverified rows left out."""
    return (pl.col("capex_guidance_low_usd") + pl.col("capex_guidance_high_usd")) / 2


@metric(
    Example(
        given=columns_of(GUIDANCE_ROWS, "low_usd", "high_usd"),
        gives=687.5e9,
        source="a midpoint of 182.5 bn without an address on top of 505",
    ),
    rows="capex_guidance",
    unit=Unit.USD,
    error=GUIDANCE,
    null_rule=NO_GUIDANCE,
    ge=0,
)
def capex_guidance_with_unverified_usd() -> pl.Expr:
    """Midpoints of the companies' own latest guidance with rows without an address to cite."""
    return total_if_any((pl.col("low_usd") + pl.col("high_usd")) / 2)


@metric(
    Example(given=columns_of(GUIDANCE_ROWS, "source_url", "company"), gives=3),
    rows="capex_guidance",
    unit=Unit.COUNT,
    error=GUIDANCE,
    null_rule=None,
    ge=0,
)
def capex_guidance_company_count() -> pl.Expr:
    """Companies in capex_guidance_usd."""
    return pl.col("company").filter(SOURCE_CITED).n_unique()


@metric(
    Example(given={"year_usd": [131e9, 91e9]}, gives=222e9, source="two companies' last four quarters"),
    rows="capex_quarter",
    unit=Unit.USD,
    error=SPENDING,
    null_rule=NO_SPENDING,
    ge=0,
)
def capex_trailing_12m_usd() -> pl.Expr:
    """Capital expenditure of large technology companies in their last four quarters known on the day."""
    return total_if_any(pl.col("year_usd"))


@metric(
    Example(given={"unverified_usd": [31e9, 0.0]}, gives=31e9),
    rows="capex_quarter",
    unit=Unit.USD,
    error=SPENDING,
    null_rule=NO_SPENDING,
    ge=0,
)
def capex_trailing_12m_unverified_usd() -> pl.Expr:
    """Part of capex_trailing_12m_usd from quarters without an address to cite."""
    return total_if_any(pl.col("unverified_usd"))


@metric(
    Example(given={"company": ["amazon", "alphabet"]}, gives=2),
    rows="capex_quarter",
    unit=Unit.COUNT,
    error=SPENDING,
    null_rule=None,
    ge=0,
)
def capex_trailing_12m_company_count() -> pl.Expr:
    """Companies in capex_trailing_12m_usd."""
    return pl.col("company").count()


METRICS = (
    deal_count,
    deal_with_unverified_count,
    other_announcement_count,
    contracted_critical_it_mw,
    contracted_critical_it_with_unverified_mw,
    critical_it_mw_undisclosed_count,
    contracted_gross_mw,
    contracted_value_usd,
    contracted_value_with_unverified_usd,
    contract_value_undisclosed_count,
    leased_critical_it_mw,
    gpu_cloud_critical_it_mw,
    leased_value_usd,
    gpu_cloud_value_usd,
    contracted_critical_it_added_30d_mw,
    contracted_critical_it_added_90d_mw,
    energised_critical_it_mw,
    energised_critical_it_with_unverified_mw,
    energised_bound_reason,
    energised_reported_on,
    energised_imputed_critical_it_mw,
    energised_brownfield_critical_it_mw,
    brownfield_critical_it_mw,
    brownfield_gross_mw,
    brownfield_gross_imputed_mw,
    mean_term_years,
    backstop_usd,
    backstop_with_unverified_usd,
    google_backstop_usd,
    backstop_undisclosed_count,
    backstop_coverage_pct,
    top_tenant_share_pct,
    tenant_hhi_index,
    top_guarantor_share_pct,
    guarantor_hhi_index,
    displaced_hashrate_energised_ehs,
    displaced_hashrate_low_ehs,
    displaced_hashrate_high_ehs,
    share_removed_low_pct,
    share_removed_high_pct,
    capex_guidance_usd,
    capex_guidance_low_usd,
    capex_guidance_high_usd,
    capex_guidance_with_unverified_usd,
    capex_guidance_company_count,
    capex_trailing_12m_usd,
    capex_trailing_12m_unverified_usd,
    capex_trailing_12m_company_count,
)
