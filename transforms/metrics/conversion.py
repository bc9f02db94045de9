"""Conversion of miners' power to AI: contracts, power switched on, hash rate displaced, as known up to the day."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.windows import ratio

KNOWN: Final = (
    "A hand-kept registry: deals nobody found are missing, and of some only the month of announcement is sourced. A "
    "version of a deal counts from the day it was known; smaller corrections are entered without a version."
)
ANNOUNCED: Final = f"Announced, not delivered. {KNOWN}"
LOWER_BOUND: Final = f"Lower bound: contracts that do not state it add nothing. {ANNOUNCED}"
SWITCHED_ON: Final = "Lower bound: deliveries are told late, by company, and often without a day."
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


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def deal_count() -> pl.Expr:
    """Contracts with a customer known on the day and not ended, unverified ones left out; a tranche is one."""
    return pl.col("deal_count")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def deal_with_unverified_count() -> pl.Expr:
    """Number of contracts with those included that rest on memory or on a text without an address."""
    return pl.col("deal_with_unverified_count")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def other_announcement_count() -> pl.Expr:
    """Letters of intent, joint ventures and acquisitions standing on the day, which add neither power nor value."""
    return pl.col("other_announcement_count")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def contracted_critical_it_mw() -> pl.Expr:
    """Power for servers, storage and network in the contracts of the day, unverified ones left out."""
    return pl.col("contracted_critical_it_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def contracted_critical_it_with_unverified_mw() -> pl.Expr:
    """Critical power in all contracts of the day, those included that rest on memory or a text without an address."""
    return pl.col("contracted_critical_it_with_unverified_mw")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def critical_it_mw_undisclosed_count() -> pl.Expr:
    """Contracts standing on the day that do not state their critical power, extensions left out."""
    return pl.col("critical_it_mw_undisclosed_count")


@metric(
    unit=Unit.MEGAWATT,
    dtype=pl.Float64,
    error=f"{LOWER_BOUND} Includes private former miners: Crusoe's Abilene alone is 2,100 MW.",
    null_rule=None,
    ge=0,
)
def contracted_gross_mw() -> pl.Expr:
    """Power drawn from the utility in the contracts of the day that state it; not to be added to critical."""
    return pl.col("contracted_gross_mw")


@metric(unit=Unit.USD, dtype=pl.Float64, error=f"{LOWER_BOUND} Includes GPU cloud.", null_rule=None, ge=0)
def contracted_value_usd() -> pl.Expr:
    """Undiscounted revenue of the base terms of the contracts of the day, options and unverified ones left out."""
    return pl.col("contracted_value_usd")


@metric(unit=Unit.USD, dtype=pl.Float64, error=f"{LOWER_BOUND} Includes GPU cloud.", null_rule=None, ge=0)
def contracted_value_with_unverified_usd() -> pl.Expr:
    """Undiscounted revenue of all contracts of the day, unverified ones included."""
    return pl.col("contracted_value_with_unverified_usd")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def contract_value_undisclosed_count() -> pl.Expr:
    """Contracts standing on the day whose value is not disclosed."""
    return pl.col("contract_value_undisclosed_count")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def leased_critical_it_mw() -> pl.Expr:
    """Critical power let without servers: triple-net leases and other colocation."""
    return pl.col("leased_critical_it_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def gpu_cloud_critical_it_mw() -> pl.Expr:
    """Critical power sold as GPU cloud, the miner's own servers included."""
    return pl.col("gpu_cloud_critical_it_mw")


@metric(unit=Unit.USD, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def leased_value_usd() -> pl.Expr:
    """Part of contracted_value_usd from triple-net leases and other colocation."""
    return pl.col("leased_value_usd")


@metric(unit=Unit.USD, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def gpu_cloud_value_usd() -> pl.Expr:
    """Part of contracted_value_usd from GPU cloud, which pays for the servers too."""
    return pl.col("gpu_cloud_value_usd")


@metric(
    unit=Unit.MEGAWATT,
    dtype=pl.Float64,
    error=f"Change of a sum in which undisclosed power is missing. {KNOWN}",
    null_rule="NULL in the first 30 days of the registry.",
    ge=-20_000,
    history_days=31,
    examples=[Example(given={"contracted_critical_it_mw": [100.0] * 30 + [345.0]}, gives=245.0)],
)
def contracted_critical_it_added_30d_mw() -> pl.Expr:
    """Critical power that contracts of the last thirty days have added, less what has ended."""
    return pl.col("contracted_critical_it_mw") - pl.col("contracted_critical_it_mw").shift(30)


@metric(
    unit=Unit.MEGAWATT,
    dtype=pl.Float64,
    error=f"Change of a sum in which undisclosed power is missing. {KNOWN}",
    null_rule="NULL in the first 90 days of the registry.",
    ge=-20_000,
    history_days=91,
    examples=[
        Example(given={"contracted_critical_it_mw": [100.0] + [100.0] * 89 + [345.0]}, gives=245.0),
        Example(given={"contracted_critical_it_mw": [100.0] * 90}, gives=None, source="90 days are too few"),
    ],
)
def contracted_critical_it_added_90d_mw() -> pl.Expr:
    """Critical power that contracts of the last ninety days have added, less what has ended."""
    return pl.col("contracted_critical_it_mw") - pl.col("contracted_critical_it_mw").shift(90)


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=SWITCHED_ON, null_rule=None, ge=0)
def energised_critical_it_mw() -> pl.Expr:
    """Critical power known to be switched on for customers, unverified steps left out."""
    return pl.col("energised_critical_it_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=SWITCHED_ON, null_rule=None, ge=0)
def energised_critical_it_with_unverified_mw() -> pl.Expr:
    """Critical power known to be switched on for customers, unverified steps included."""
    return pl.col("energised_critical_it_with_unverified_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=SWITCHED_ON, null_rule=None, ge=0)
def energised_imputed_critical_it_mw() -> pl.Expr:
    """Part of energised_critical_it_mw whose day or share of a company's total is our own choice."""
    return pl.col("energised_imputed_critical_it_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=SWITCHED_ON, null_rule=None, ge=0)
def energised_brownfield_critical_it_mw() -> pl.Expr:
    """Part of energised_critical_it_mw at sites that mined before, wholly or in part."""
    return pl.col("energised_brownfield_critical_it_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def brownfield_critical_it_mw() -> pl.Expr:
    """Part of contracted_critical_it_mw at sites that mined before, wholly or in part."""
    return pl.col("brownfield_critical_it_mw")


@metric(
    unit=Unit.MEGAWATT,
    dtype=pl.Float64,
    error=f"Where only critical power is told, gross is that times an assumed ratio; 1.10 to 1.45 are seen. {KNOWN}",
    null_rule="NULL before the first dated assumption.",
    ge=0,
    examples=[
        Example(
            given={
                "brownfield_stated_gross_mw": 244.0,
                "brownfield_bare_critical_mw": 100.0,
                "gross_to_critical_ratio": 1.35,
            },
            gives=379.0,
        )
    ],
)
def brownfield_gross_mw() -> pl.Expr:
    """Gross power of the contracts of the day at sites that mined before, imputed where only critical is told."""
    return pl.col("brownfield_stated_gross_mw") + pl.col("brownfield_bare_critical_mw") * pl.col(
        "gross_to_critical_ratio"
    )


@metric(
    unit=Unit.MEGAWATT,
    dtype=pl.Float64,
    error="The imputed part of a sum: ratios of 1.10 to 1.45 are seen.",
    null_rule="NULL before the first dated assumption.",
    ge=0,
    examples=[
        Example(given={"brownfield_bare_critical_mw": 100.0, "gross_to_critical_ratio": 1.35}, gives=135.0),
    ],
)
def brownfield_gross_imputed_mw() -> pl.Expr:
    """Part of brownfield_gross_mw that is critical power times the assumed ratio."""
    return pl.col("brownfield_bare_critical_mw") * pl.col("gross_to_critical_ratio")


@metric(
    unit=Unit.YEARS,
    dtype=pl.Float64,
    error=f"Contracts that state only one of power and term are left out, extensions among them. {ANNOUNCED}",
    null_rule="NULL while no standing contract states both its critical power and its term.",
    ge=0,
    examples=[
        Example(
            given={"termed_mw_years": 245 * 15.0 + 200 * 5.0, "termed_mw": 445.0},
            gives=4_675 / 445,
            source="a lease of 245 MW for 15 years and one of 200 MW for 5",
        ),
        Example(given={"termed_mw_years": 0.0, "termed_mw": 0.0}, gives=None, source="nothing announced yet"),
    ],
)
def mean_term_years() -> pl.Expr:
    """Mean base term of the contracts standing on the day, weighted by their critical power."""
    return ratio(pl.col("termed_mw_years"), pl.col("termed_mw"))


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def backstop_usd() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, unverified ones left out."""
    return pl.col("backstop_usd")


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def backstop_with_unverified_usd() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, those without an address to cite included."""
    return pl.col("backstop_with_unverified_usd")


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def google_backstop_usd() -> pl.Expr:
    """Part of backstop_usd that Google gives."""
    return pl.col("google_backstop_usd")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def backstop_undisclosed_count() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, announced without an amount."""
    return pl.col("backstop_undisclosed_count")


@metric(
    unit=Unit.PERCENT,
    dtype=pl.Float64,
    error="Only contracts whose backstop and value are both disclosed. Caps need not cover the same years.",
    null_rule="NULL while no such contract stands.",
    ge=0,
    examples=[
        Example(given={"backstop_usd": 3.2e9, "backed_value_usd": 6.7e9}, gives=47.8, within=0.05, source="TeraWulf"),
        Example(given={"backstop_usd": 1.4e9, "backed_value_usd": 3.0e9}, gives=46.7, within=0.05, source="Cipher"),
        Example(given={"backstop_usd": 1.3e9, "backed_value_usd": 9.5e9}, gives=13.7, within=0.05, source="Abernathy"),
    ],
)
def backstop_coverage_pct() -> pl.Expr:
    """Disclosed backstops as a share of the value of the contracts they stand behind."""
    return PERCENT * ratio(pl.col("backstop_usd"), pl.col("backed_value_usd"))


@metric(
    unit=Unit.PERCENT,
    dtype=pl.Float64,
    error="By value where it is disclosed; tenants that are not named count as one each.",
    null_rule="NULL while no contract with a value stands.",
    ge=0,
    le=100,
)
def top_tenant_share_pct() -> pl.Expr:
    """Largest tenant's share of contracted_value_usd."""
    return pl.col("top_tenant_share_pct")


@metric(
    unit=Unit.INDEX,
    dtype=pl.Float64,
    error="By value where it is disclosed; tenants that are not named count as one each, so it is a lower bound.",
    null_rule="NULL while no contract with a value stands.",
    ge=0,
    le=10_000,
)
def tenant_hhi_index() -> pl.Expr:
    """Concentration of contracted value on tenants: the sum of their squared percentage shares."""
    return pl.col("tenant_hhi_index")


@metric(
    unit=Unit.PERCENT,
    dtype=pl.Float64,
    error="Of disclosed amounts only: who guarantees without a cap is not in it.",
    null_rule="NULL while no backstop with an amount stands.",
    ge=0,
    le=100,
)
def top_guarantor_share_pct() -> pl.Expr:
    """Largest guarantor's share of backstop_usd."""
    return pl.col("top_guarantor_share_pct")


@metric(
    unit=Unit.INDEX,
    dtype=pl.Float64,
    error="Of disclosed amounts only: who guarantees without a cap is not in it.",
    null_rule="NULL while no backstop with an amount stands.",
    ge=0,
    le=10_000,
)
def guarantor_hhi_index() -> pl.Expr:
    """Concentration of backstop_usd on guarantors: the sum of their squared percentage shares."""
    return pl.col("guarantor_hhi_index")


def _displaced(stated: str, bare: str, efficiency: str, pue: str) -> pl.Expr:
    """Hash rate of a mining power; a megawatt over joules per terahash is an exahash per second."""
    power = pl.col(stated) + pl.col(bare) * pl.col("gross_to_critical_ratio")
    return ratio(power, pl.col(efficiency) * pl.col(pue))


LOW_GIVEN: Final = {
    "stopped_mining_mw": 150.0,
    "left_gross_mw": 94.0,
    "left_bare_critical_mw": 0.0,
    "gross_to_critical_ratio": 1.35,
    "fleet_efficiency_j_per_th": 20.0,
    "fleet_pue_ratio": 1.0,
}


@metric(
    unit=Unit.EXAHASH_PER_SECOND,
    dtype=pl.Float64,
    error=f"{DISPLACED} Upper bound of what is known to have happened; at the mean fleet's efficiency.",
    null_rule="NULL when the fleet estimate is, or before the first dated assumption.",
    ge=0,
    examples=[
        Example(given=LOW_GIVEN, gives=12.2, source="244 MW that all mined, at 20 J/TH"),
        Example(given=LOW_GIVEN | {"left_bare_critical_mw": 100.0}, gives=18.95),
    ],
)
def displaced_hashrate_energised_ehs() -> pl.Expr:
    """Hash rate of the mining power that is known to have stopped or to be let and on, as if no machine had moved."""
    power = (
        pl.col("stopped_mining_mw")
        + pl.col("left_gross_mw")
        + pl.col("left_bare_critical_mw") * pl.col("gross_to_critical_ratio")
    )
    return ratio(power, pl.col("fleet_efficiency_j_per_th") * pl.col("fleet_pue_ratio"))


@metric(
    unit=Unit.EXAHASH_PER_SECOND,
    dtype=pl.Float64,
    error=f"{DISPLACED} A low case; the strict lower bound is zero, because every machine may have moved.",
    null_rule="NULL when the fleet estimate is, or before the first dated assumption.",
    ge=0,
    examples=[Example(given={"displaced_hashrate_energised_ehs": 12.2, "relocated_ratio": 0.5}, gives=6.1)],
)
def displaced_hashrate_low_ehs() -> pl.Expr:
    """Hash rate gone from sites that stopped mining or serve AI, less the machines assumed to mine elsewhere."""
    return pl.col("displaced_hashrate_energised_ehs") * (1 - pl.col("relocated_ratio"))


@metric(
    unit=Unit.EXAHASH_PER_SECOND,
    dtype=pl.Float64,
    error=f"{DISPLACED} Upper bound: sites that mined in part count whole, and those of which nobody tells count too.",
    null_rule="NULL before the first dated assumption.",
    ge=0,
    examples=[
        Example(
            given={
                "taken_gross_mw": 244.0,
                "taken_bare_critical_mw": 100.0,
                "gross_to_critical_ratio": 1.35,
                "new_fleet_efficiency_j_per_th": 20.0,
                "new_fleet_pue_ratio": 1.0,
            },
            gives=18.95,
            source="244 MW stated and 100 MW of critical power at 20 J/TH",
        )
    ],
)
def displaced_hashrate_high_ehs() -> pl.Expr:
    """Hash rate of all power under contract that has or may have mined, at the efficiency of recent machines."""
    return _displaced(
        "taken_gross_mw", "taken_bare_critical_mw", "new_fleet_efficiency_j_per_th", "new_fleet_pue_ratio"
    )


@metric(
    unit=Unit.PERCENT,
    dtype=pl.Float64,
    error=DISPLACED,
    null_rule="NULL when the hash rate or the displaced one is.",
    ge=0,
    le=100,
    examples=[Example(given={"displaced_hashrate_low_ehs": 12.2, "hashrate_30d_ehs": 891.7}, gives=1.35, within=0.005)],
)
def share_removed_low_pct() -> pl.Expr:
    """Low case of the displaced hash rate as a share of the hash rate that there would be with it."""
    low = pl.col("displaced_hashrate_low_ehs")
    return PERCENT * ratio(low, pl.col("hashrate_30d_ehs") + low)


@metric(
    unit=Unit.PERCENT,
    dtype=pl.Float64,
    error=DISPLACED,
    null_rule="NULL when the hash rate or the displaced one is.",
    ge=0,
    le=100,
    examples=[Example(given={"displaced_hashrate_high_ehs": 99.0, "hashrate_30d_ehs": 891.0}, gives=10.0)],
)
def share_removed_high_pct() -> pl.Expr:
    """High case of the displaced hash rate as a share of the hash rate that there would be with it."""
    high = pl.col("displaced_hashrate_high_ehs")
    return PERCENT * ratio(high, pl.col("hashrate_30d_ehs") + high)


@metric(unit=Unit.USD, dtype=pl.Float64, error=GUIDANCE, null_rule=NO_GUIDANCE, ge=0)
def capex_guidance_low_usd() -> pl.Expr:
    """Low ends of what large technology companies say they will spend in the calendar year of the day, summed."""
    return pl.col("capex_guidance_low_usd")


@metric(unit=Unit.USD, dtype=pl.Float64, error=GUIDANCE, null_rule=NO_GUIDANCE, ge=0)
def capex_guidance_high_usd() -> pl.Expr:
    """High ends of what large technology companies say they will spend in the calendar year of the day, summed."""
    return pl.col("capex_guidance_high_usd")


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=GUIDANCE,
    null_rule=NO_GUIDANCE,
    ge=0,
    examples=[
        Example(
            given={"capex_guidance_low_usd": 490e9, "capex_guidance_high_usd": 520e9},
            gives=505e9,
            source="Amazon 200, Alphabet 175 to 185 and Meta 115 to 135 bn, standing on 2026-02-05",
        ),
        Example(given={"capex_guidance_low_usd": None, "capex_guidance_high_usd": None}, gives=None),
    ],
)
def capex_guidance_usd() -> pl.Expr:
    """Midpoints of the companies' own latest guidance for the calendar year of the day, unverified rows left out."""
    return (pl.col("capex_guidance_low_usd") + pl.col("capex_guidance_high_usd")) / 2


@metric(unit=Unit.USD, dtype=pl.Float64, error=GUIDANCE, null_rule=NO_GUIDANCE, ge=0)
def capex_guidance_with_unverified_usd() -> pl.Expr:
    """Midpoints of the companies' own latest guidance with rows without an address to cite."""
    return pl.col("capex_guidance_with_unverified_usd")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=GUIDANCE, null_rule=None, ge=0)
def capex_guidance_company_count() -> pl.Expr:
    """Companies in capex_guidance_usd."""
    return pl.col("capex_guidance_company_count")


@metric(unit=Unit.USD, dtype=pl.Float64, error=SPENDING, null_rule=NO_SPENDING, ge=0)
def capex_trailing_12m_usd() -> pl.Expr:
    """Capital expenditure of large technology companies in their last four quarters known on the day."""
    return pl.col("capex_trailing_12m_usd")


@metric(unit=Unit.USD, dtype=pl.Float64, error=SPENDING, null_rule=NO_SPENDING, ge=0)
def capex_trailing_12m_unverified_usd() -> pl.Expr:
    """Part of capex_trailing_12m_usd from quarters without an address to cite."""
    return pl.col("capex_trailing_12m_unverified_usd")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=SPENDING, null_rule=None, ge=0)
def capex_trailing_12m_company_count() -> pl.Expr:
    """Companies in capex_trailing_12m_usd."""
    return pl.col("capex_trailing_12m_company_count")


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
