"""What a contract is worth to the miner: price per megawatt, net present value, return, payback, what backs it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.metric import Example, Scalar, metric
from schemas.registry import LEASE_TYPES
from schemas.registry_rules import GPU_CLOUD
from schemas.units import PERCENT, Aggregation, Unit
from transforms.metrics.economics import HOURS_PER_YEAR
from transforms.windows import ratio

HALF_YEAR: Final = 0.5
"""Payments of a year are taken in its middle."""
HASHPRICE_DOWN_RATIO: Final = 0.8
HASHPRICE_UP_RATIO: Final = 1.5
RETURN_LIMITS: Final = (0.0, 2.0)
BISECTIONS: Final = 60
"""Halves the limits down to rounding."""

STATED: Final = "As the registry has it: see conversion_deal for source and confidence."
ASSUMED: Final = (
    "On the assumptions of lease_assumption where the parties state no margin, escalator, cost or time to build. "
    "Debt, taxes, warrants and residual value are left out."
)
NO_VALUE: Final = "NULL when value, power or term is not stated, and for GPU cloud, whose servers cost unknown sums."
HUT: Final[dict[str, Scalar]] = {
    "first_year_noi_usd_year": 366e6,
    "escalator_used_pct": 3.0,
    "term_years": 15.0,
    "energise_lag_years": 1.5,
    "lease_type": "nnn",
}
"""A lease like Hut 8's at River Bend: 366 M USD in the first year, 3 % more each, for 15 years."""


@metric(unit=Unit.LABEL, error=STATED, null_rule=None)
def deal_id() -> pl.Expr:
    """Deal, in `conversion_deal`."""
    return pl.col("deal_id")


@metric(unit=Unit.LABEL, error=STATED, null_rule=None)
def miner() -> pl.Expr:
    """Company that supplies the power and the building."""
    return pl.col("miner")


@metric(
    unit=Unit.LABEL,
    error=STATED,
    null_rule="NULL where there is no name.",
)
def tenant() -> pl.Expr:
    """Party that signed the contract."""
    return pl.col("tenant")


@metric(unit=Unit.LABEL, error=STATED, null_rule=None, labels=LEASE_TYPES)
def lease_type() -> pl.Expr:
    """How the customer pays. GPU cloud includes the servers and is comparable with nothing else here."""
    return pl.col("lease_type")


@metric(unit=Unit.LABEL, error=STATED, null_rule=None)
def confidence() -> pl.Expr:
    """How well the deal is sourced; leave 'unverified' out of totals."""
    return pl.col("confidence")


@metric(unit=Unit.MEGAWATT, error=STATED, aggregation=Aggregation.SUM, null_rule="NULL where not stated.", ge=0)
def critical_it_mw() -> pl.Expr:
    """Power for servers, storage and network."""
    return pl.col("critical_it_mw")


@metric(unit=Unit.YEARS, error=STATED, null_rule="NULL where not stated.", ge=0)
def term_years() -> pl.Expr:
    """Base term."""
    return pl.col("term_years")


@metric(
    Example(given={"gross_mw": 330.0, "critical_it_mw": 245.0, "gross_to_critical_ratio": 1.35}, gives=330.0),
    Example(given={"gross_mw": None, "critical_it_mw": 200.0, "gross_to_critical_ratio": 1.35}, gives=270.0),
    unit=Unit.MEGAWATT,
    error="Imputed where gross_mw_is_imputed: ratios of 1.10 to 1.45 are seen.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when neither gross nor critical power is stated.",
    ge=0,
)
def drawn_gross_mw() -> pl.Expr:
    """Power the contract draws from the utility, imputed from the critical power where it is not stated."""
    return pl.coalesce("gross_mw", pl.col("critical_it_mw") * pl.col("gross_to_critical_ratio"))


@metric(
    Example(given={"gross_mw": None}, gives=True),
    Example(given={"gross_mw": 330.0}, gives=False),
    unit=Unit.YES_NO,
    error="Exact.",
    null_rule=None,
)
def gross_mw_is_imputed() -> pl.Expr:
    """Whether the gross power is not stated."""
    return pl.col("gross_mw").is_null()


@metric(
    Example(
        given={"contract_value_usd": 7_000_000_000, "critical_it_mw": 245.0, "term_years": 15.0},
        gives=1.90e6,
        within=0.005e6,
    ),
    Example(
        given={"contract_value_usd": 9_700_000_000, "critical_it_mw": 200.0, "term_years": 5.0},
        gives=9.70e6,
        source="GPU cloud",
    ),
    unit=Unit.USD_PER_MEGAWATT_YEAR,
    error=STATED,
    null_rule="NULL when value, critical power or term is not stated.",
    ge=0,
)
def contract_usd_per_mw_year() -> pl.Expr:
    """Value of the base term per critical megawatt and year."""
    return ratio(pl.col("contract_value_usd"), pl.col("critical_it_mw") * pl.col("term_years"))


@metric(
    Example(
        given={"contract_value_usd": 7_000_000_000, "drawn_gross_mw": 330.75, "term_years": 15.0},
        gives=1.41e6,
        within=0.005e6,
        source="1.90 M over 1.35",
    ),
    unit=Unit.USD_PER_MEGAWATT_YEAR,
    error="As good as the gross power.",
    null_rule="NULL when value, power or term is not stated.",
    ge=0,
)
def contract_gross_usd_per_mw_year() -> pl.Expr:
    """Value of the base term per megawatt drawn from the utility and year."""
    return ratio(pl.col("contract_value_usd"), pl.col("drawn_gross_mw") * pl.col("term_years"))


@metric(
    Example(
        given={"is_guaranteed": True, "guaranteed_discount_pct": 8.0, "unguaranteed_discount_pct": 10.0}, gives=8.0
    ),
    Example(
        given={"is_guaranteed": False, "guaranteed_discount_pct": 8.0, "unguaranteed_discount_pct": 10.0}, gives=10.0
    ),
    unit=Unit.PERCENT,
    error=ASSUMED,
    null_rule="NULL before the first dated assumption.",
    ge=0,
)
def discount_rate_pct() -> pl.Expr:
    """Rate at which the contract's payments are discounted: lower where a third party stands behind them."""
    return pl.when("is_guaranteed").then("guaranteed_discount_pct").otherwise("unguaranteed_discount_pct")


@metric(
    Example(given={"escalator_pct": None, "assumed_escalator_pct": 0.0}, gives=0.0),
    unit=Unit.PERCENT,
    error=ASSUMED,
    null_rule="NULL before the first dated assumption.",
    ge=0,
)
def escalator_used_pct() -> pl.Expr:
    """Rise of the rent a year, as stated or else as assumed."""
    return pl.coalesce("escalator_pct", "assumed_escalator_pct")


@metric(
    Example(
        given={
            "noi_usd": 6_810_000_000,
            "contract_value_usd": 7_000_000_000,
            "noi_margin_ratio": 0.85,
            "term_years": 15.0,
            "escalator_used_pct": 3.0,
        },
        gives=366e6,
        within=0.5e6,
        source="454 M a year on average over 15 years with 3 % more each year",
    ),
    Example(
        given={
            "noi_usd": None,
            "contract_value_usd": 1_000_000_000,
            "noi_margin_ratio": 0.85,
            "term_years": 10.0,
            "escalator_used_pct": 0.0,
        },
        gives=85e6,
    ),
    unit=Unit.USD_PER_YEAR,
    error=ASSUMED,
    null_rule="NULL when value or term is not stated.",
    ge=0,
)
def first_year_noi_usd_year() -> pl.Expr:
    """Net operating income of the first year of rent."""
    whole = pl.coalesce("noi_usd", pl.col("contract_value_usd") * pl.col("noi_margin_ratio"))
    growth, years = pl.col("escalator_used_pct") / PERCENT, pl.col("term_years")
    years_of_rent = pl.when(growth == 0).then(years).otherwise(((1 + growth).pow(years) - 1) / growth)
    return ratio(whole, years_of_rent)


def discounted_years(growth_pct: pl.Expr) -> pl.Expr:
    """Years of a first payment that one each year of the base term is worth today, `growth_pct` more each year.

    Each year's is taken in its middle, after the time to build, at the contract's rate of discount.
    """
    rate, years = pl.col("discount_rate_pct") / PERCENT, pl.col("term_years")
    step = (1 + growth_pct / PERCENT) / (1 + rate)
    summed = pl.when(step == 1).then(years).otherwise((1 - step.pow(years)) / (1 - step))
    return summed / (1 + rate).pow(pl.col("energise_lag_years") + HALF_YEAR)


def _comparable(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("lease_type") != GPU_CLOUD).then(value)


def _worth_less(cost: str) -> pl.Expr:
    worth = pl.col("first_year_noi_usd_year") * discounted_years(pl.col("escalator_used_pct"))
    return _comparable(worth - pl.col(cost))


@metric(
    Example(
        given=HUT | {"discount_rate_pct": 8.0, "miner_capex_usd": 2.45e9},
        gives=1.00e9,
        within=0.01e9,
        source="245 MW at 10 M each",
    ),
    Example(given=HUT | {"discount_rate_pct": 10.0, "miner_capex_usd": 2.45e9}, gives=0.53e9, within=0.005e9),
    Example(
        given=HUT | {"discount_rate_pct": 10.0, "miner_capex_usd": 2.695e9},
        gives=0.29e9,
        within=0.005e9,
        source="at 11 M each",
    ),
    Example(given=HUT | {"lease_type": "gpu_cloud", "discount_rate_pct": 8.0, "miner_capex_usd": 2.45e9}, gives=None),
    unit=Unit.USD,
    error=ASSUMED,
    aggregation=Aggregation.SUM,
    null_rule=NO_VALUE,
    ge=-1e12,
)
def npv_usd() -> pl.Expr:
    """Net present value of the lease: discounted net operating income of the base term less the miner's cost."""
    return _worth_less("miner_capex_usd")


@metric(
    Example(
        given=HUT | {"discount_rate_pct": 8.0, "miner_capex_high_usd": 3.675e9},
        gives=-0.225e9,
        within=0.0045e9,
        source="1.00 bn at 2.45 bn of cost, less 1.225 bn more",
    ),
    unit=Unit.USD,
    error=f"{ASSUMED} Only the cost is at its worst here.",
    aggregation=Aggregation.SUM,
    null_rule=NO_VALUE,
    ge=-1e12,
)
def npv_low_usd() -> pl.Expr:
    """Net present value at the most that the building may cost the miner."""
    return _worth_less("miner_capex_high_usd")


@metric(
    Example(given=HUT | {"discount_rate_pct": 8.0, "miner_capex_low_usd": 1.96e9}, gives=1.49e9, within=0.01e9),
    unit=Unit.USD,
    error=f"{ASSUMED} Only the cost is at its best here.",
    aggregation=Aggregation.SUM,
    null_rule=NO_VALUE,
    ge=-1e12,
)
def npv_high_usd() -> pl.Expr:
    """Net present value at the least that the building may cost the miner."""
    return _worth_less("miner_capex_low_usd")


def _forgone(hashprice_ratio: float) -> pl.Expr:
    margin = (hashprice_ratio * pl.col("revenue_usd_per_mwh") - pl.col("all_in_usd_per_mwh")).clip(0)
    return margin * HOURS_PER_YEAR * pl.col("mining_uptime_ratio") * pl.col("mined_mw")


@metric(
    Example(
        given={
            "revenue_usd_per_mwh": 60.0,
            "all_in_usd_per_mwh": 50.0,
            "mining_uptime_ratio": 1.0,
            "mined_mw": 100.0,
        },
        gives=8.76e6,
    ),
    Example(
        given={
            "revenue_usd_per_mwh": 49.2,
            "all_in_usd_per_mwh": 55.5,
            "mining_uptime_ratio": 0.95,
            "mined_mw": 100.0,
        },
        gives=0.0,
    ),
    unit=Unit.USD_PER_YEAR,
    error="At the hashprice of the newest day and the network's mean fleet; a mine that loses money is off, so 0.",
    null_rule="NULL where it is not known how much mined at the site, and without a hashprice.",
    ge=0,
)
def forgone_mining_usd_year() -> pl.Expr:
    """Margin that the power would earn in a year if it went on mining."""
    return _forgone(1.0)


def _worth_of_mining(margin: pl.Expr) -> pl.Expr:
    """What a yearly margin from today to the end of the lease is worth today, each year's in its middle."""
    rate = pl.col("discount_rate_pct") / PERCENT
    years = pl.col("energise_lag_years") + pl.col("term_years")
    annuity = pl.when(rate == 0).then(years).otherwise((1 - (1 + rate).pow(-years)) / rate)
    return margin * annuity * (1 + rate).pow(HALF_YEAR)


MINING: Final[dict[str, Scalar]] = {
    "npv_usd": 1.0e9,
    "discount_rate_pct": 0.0,
    "energise_lag_years": 0.0,
    "term_years": 10.0,
}
PRICES: Final[dict[str, Scalar]] = {
    "revenue_usd_per_mwh": 60.0,
    "all_in_usd_per_mwh": 50.0,
    "mining_uptime_ratio": 1.0,
    "mined_mw": 100.0,
}
NO_MINING: Final = "NULL when the value of the lease is, or where it is not known how much mined at the site."


@metric(
    Example(given=MINING | {"forgone_mining_usd_year": 8.76e6}, gives=0.9124e9),
    unit=Unit.USD,
    error=f"{ASSUMED} Hashprice stays as it is.",
    aggregation=Aggregation.SUM,
    null_rule=NO_MINING,
    ge=-1e12,
)
def npv_after_mining_usd() -> pl.Expr:
    """Net present value less that of the mining margin that is given up, at an unchanged hashprice."""
    return pl.col("npv_usd") - _worth_of_mining(pl.col("forgone_mining_usd_year"))


@metric(
    Example(given=MINING | PRICES, gives=1.0e9, source="at 48 USD/MWh the mine would be off"),
    unit=Unit.USD,
    error=ASSUMED,
    aggregation=Aggregation.SUM,
    null_rule=NO_MINING,
    ge=-1e12,
)
def npv_after_mining_hashprice_less_20_usd() -> pl.Expr:
    """Net present value less that of the forgone mining margin, if hashprice fell by a fifth and stayed there."""
    return pl.col("npv_usd") - _worth_of_mining(_forgone(HASHPRICE_DOWN_RATIO))


@metric(
    Example(given=MINING | PRICES, gives=0.6496e9, source="40 USD/MWh of margin on 100 MW for 10 years"),
    unit=Unit.USD,
    error=ASSUMED,
    aggregation=Aggregation.SUM,
    null_rule=NO_MINING,
    ge=-1e12,
)
def npv_after_mining_hashprice_plus_50_usd() -> pl.Expr:
    """Net present value less that of the forgone mining margin, if hashprice rose by half and stayed there."""
    return pl.col("npv_usd") - _worth_of_mining(_forgone(HASHPRICE_UP_RATIO))


def _returns(columns: Sequence[pl.Series]) -> pl.Series:
    """Rates at which rent and cost are worth the same, by halving the limits; NaN where there is none between."""
    rent, growth_pct, years, lag, cost = (column.cast(pl.Float64).to_numpy() for column in columns)
    growth = growth_pct / PERCENT

    def worth(rate: NDArray[np.float64]) -> NDArray[np.float64]:
        step = (1 + growth) / (1 + rate)
        flat = np.isclose(step, 1, rtol=0, atol=1e-12)
        summed = np.where(flat, years, (1 - step**years) / np.where(flat, 1, 1 - step))
        return np.asarray(rent * summed / (1 + rate) ** (lag + HALF_YEAR) - cost)

    low, high = (np.full(len(rent), limit) for limit in RETURN_LIMITS)
    inside = (worth(low) > 0) & (worth(high) < 0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = worth(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return pl.Series(np.where(inside, (low + high) / 2, np.nan))


@metric(
    Example(
        given={
            "first_year_noi_usd_year": 110.0,
            "escalator_used_pct": 0.0,
            "term_years": 1.0,
            "energise_lag_years": 0.5,
            "miner_capex_usd": 100.0,
            "lease_type": "nnn",
        },
        gives=10.0,
        source="110 after one year for 100",
    ),
    Example(
        given=HUT | {"miner_capex_usd": 2.45e9},
        gives=12.887,
        within=0.0005,
        source="where the net present value, 1.00 bn at 8 % and 0.53 at 10, comes to nothing",
    ),
    Example(given=HUT | {"miner_capex_usd": 1e15}, gives=None, source="never earned back"),
    unit=Unit.PERCENT,
    error=f"{ASSUMED} The cost is miner_capex_usd, a tenant's part of it at discount_rate_pct.",
    null_rule=NO_VALUE + " NULL too where it would lie outside of 0 to 200 %.",
    ge=0,
)
def irr_pct() -> pl.Expr:
    """Internal rate of return: the discount rate at which the lease is worth nothing."""
    found = pl.map_batches(
        [
            pl.col(name)
            for name in (
                "first_year_noi_usd_year",
                "escalator_used_pct",
                "term_years",
                "energise_lag_years",
                "miner_capex_usd",
            )
        ],
        _returns,
        return_dtype=pl.Float64,
    )
    return _comparable(PERCENT * found.fill_nan(None))


@metric(
    Example(given=HUT | {"escalator_used_pct": 0.0, "miner_capex_usd": 1_830e6}, gives=6.5, source="1.5 and 5 years"),
    Example(given=HUT | {"escalator_used_pct": 0.0, "miner_capex_usd": 6e9}, gives=None),
    Example(given=HUT | {"miner_capex_usd": 366e6 * 2.03}, gives=3.5, source="366 and 377 M in two years of rent"),
    unit=Unit.YEARS,
    error=f"{ASSUMED} The cost is miner_capex_usd, a tenant's part of it at discount_rate_pct.",
    null_rule=NO_VALUE + " NULL too when the base term does not earn the building back.",
    ge=0,
)
def payback_years() -> pl.Expr:
    """Years until the undiscounted net operating income has paid the miner's cost, the time to build included."""
    growth = pl.col("escalator_used_pct") / PERCENT
    cost_in_rents = ratio(pl.col("miner_capex_usd"), pl.col("first_year_noi_usd_year"))
    years = pl.when(growth == 0).then(cost_in_rents).otherwise((1 + cost_in_rents * growth).log() / (1 + growth).log())
    return _comparable(pl.when(years <= pl.col("term_years")).then(pl.col("energise_lag_years") + years))


@metric(
    Example(given={"listed_backstop_usd": 3.2e9, "contract_value_usd": 6_700_000_000}, gives=47.8, within=0.05),
    Example(given={"listed_backstop_usd": None, "contract_value_usd": 7_000_000_000}, gives=None, source="Hut 8"),
    unit=Unit.PERCENT,
    error="A cap need not cover the same years as the value.",
    null_rule="NULL when no amount or no value is disclosed. Not 0: 0 is a stated none.",
    ge=0,
)
def contract_backstop_coverage_pct() -> pl.Expr:
    """Guarantees and letters of credit as a share of the value of the base term."""
    return PERCENT * ratio(pl.col("listed_backstop_usd"), pl.col("contract_value_usd"))


@metric(
    Example(
        given={"listed_backstop_usd": 3.2e9, "contract_value_usd": 6_700_000_000, "term_years": 10.0},
        gives=4.78,
        within=0.005,
    ),
    unit=Unit.YEARS,
    error="At the mean rent of the base term.",
    null_rule="NULL when amount, value or term is not disclosed.",
    ge=0,
)
def contract_backstop_years() -> pl.Expr:
    """Years of mean rent that the guarantees and letters of credit would pay."""
    return ratio(pl.col("listed_backstop_usd") * pl.col("term_years"), pl.col("contract_value_usd"))


METRICS = (
    deal_id,
    miner,
    tenant,
    lease_type,
    confidence,
    critical_it_mw,
    term_years,
    drawn_gross_mw,
    gross_mw_is_imputed,
    contract_usd_per_mw_year,
    contract_gross_usd_per_mw_year,
    discount_rate_pct,
    escalator_used_pct,
    first_year_noi_usd_year,
    npv_low_usd,
    npv_usd,
    npv_high_usd,
    forgone_mining_usd_year,
    npv_after_mining_usd,
    npv_after_mining_hashprice_less_20_usd,
    npv_after_mining_hashprice_plus_50_usd,
    irr_pct,
    payback_years,
    contract_backstop_coverage_pct,
    contract_backstop_years,
)
