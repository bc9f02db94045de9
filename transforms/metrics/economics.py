"""What a lease pays against what mining pays for the same power, and at which hashprice both would pay the same."""

from typing import Final

import polars as pl

from schemas.metric import Example, Given, metric
from schemas.units import Unit
from transforms.metrics.conversion import (
    CONTRACT,
    CRITICAL_MW,
    DEALS,
    GPU_CLOUD_DEAL,
    TERM_YEARS,
    TERMED,
    VALUE_USD,
    columns_of,
    total,
)
from transforms.metrics.cost import MWH_PER_KW_DAY
from transforms.windows import ratio, sum_over

HOURS_PER_YEAR: Final = 8_760

LEASES: Final = (
    "Announced, not delivered, and undiscounted. Leases that do not state value, power and term are left out, some "
    "values are derived."
)
LIKE_FOR_LIKE: Final = "Gross over critical power is an assumed ratio: 1.10 to 1.45 are seen."


def _lease(value_usd: float | None, critical_it_mw: float, term_years: float) -> Given:
    """One triple-net lease as the row of an example."""
    return {
        "kind": ["contract"],
        "confidence": ["confirmed"],
        "lease_type": ["nnn"],
        "contract_value_usd": [value_usd],
        "critical_it_mw": [critical_it_mw],
        "term_years": [term_years],
    }


@metric(
    Example(given=_lease(7.0e9, 245.0, 15.0), gives=1.90e6, within=0.005e6, source="Hut 8 River Bend, December 2025"),
    Example(
        given=_lease(6.7e9, 360.0, 10.0), gives=1.86e6, within=0.005e6, source="TeraWulf Lake Mariner, August 2025"
    ),
    Example(
        given=_lease(3.0e9, 168.0, 10.0), gives=1.79e6, within=0.005e6, source="Cipher Barber Lake, September 2025"
    ),
    Example(given=_lease(9.5e9, 168.0, 25.0), gives=2.26e6, within=0.005e6, source="TeraWulf Abernathy, October 2025"),
    Example(
        given=_lease(5.5e9, 300.0, 15.0),
        gives=1.22e6,
        within=0.005e6,
        source="Cipher and Amazon, November 2025, on gross power",
    ),
    Example(
        given=_lease(8.7e9, 500.0, 12.0),
        gives=1.45e6,
        within=0.005e6,
        source="Core Scientific and CoreWeave, October 2024",
    ),
    Example(given=_lease(None, 245.0, 15.0), gives=None, source="no lease states its value"),
    rows="conversion_deal",
    unit=Unit.USD_PER_MEGAWATT_YEAR,
    error=f"Per MW of critical power, where mining is measured in gross. {LEASES}",
    null_rule="NULL while no standing lease states value, critical power and term.",
    ge=0,
)
def lease_usd_per_mw_year() -> pl.Expr:
    """Revenue per critical megawatt and year of the leases standing on the day, GPU cloud left out."""
    # GPU cloud includes the servers, so its price means nothing for power and building.
    lease = TERMED & VALUE_USD.is_not_null() & ~GPU_CLOUD_DEAL
    return ratio(total(VALUE_USD, lease), total(CRITICAL_MW * TERM_YEARS, lease))


@metric(
    Example(given={"lease_usd_per_mw_year": 1.90e6, "gross_to_critical_ratio": 1.35}, gives=1.41e6, within=0.005e6),
    unit=Unit.USD_PER_MEGAWATT_YEAR,
    error=f"{LIKE_FOR_LIKE} {LEASES}",
    null_rule="NULL when the lease price is, or before the first dated assumption.",
    ge=0,
)
def lease_gross_usd_per_mw_year() -> pl.Expr:
    """Revenue of the leases per megawatt drawn from the utility and year, the basis on which mining is measured."""
    return ratio(pl.col("lease_usd_per_mw_year"), pl.col("gross_to_critical_ratio"))


@metric(
    Example(
        given={"revenue_usd_per_mwh": 49.2, "mining_uptime_ratio": 1.0},
        gives=0.431e6,
        within=0.0005e6,
        source="28.2 J/TH at a hashprice of 33.31",
    ),
    Example(
        given={"revenue_usd_per_mwh": 77.1, "mining_uptime_ratio": 1.0},
        gives=0.675e6,
        within=0.0005e6,
        source="18 J/TH at a hashprice of 33.31",
    ),
    Example(
        given={"revenue_usd_per_mwh": 90.29, "mining_uptime_ratio": 1.0},
        gives=0.791e6,
        within=0.0005e6,
        source="20 J/TH at a hashprice of 43.34",
    ),
    unit=Unit.USD_PER_MEGAWATT_YEAR,
    error="As good as the dated fleet estimate and the assumed uptime.",
    null_rule="NULL when revenue per MWh is, or before the first dated assumption.",
    ge=0,
)
def mining_usd_per_mw_year() -> pl.Expr:
    """Revenue of mining with one megawatt for a year at the day's hashprice, in the network's mean fleet."""
    return HOURS_PER_YEAR * pl.col("mining_uptime_ratio") * pl.col("revenue_usd_per_mwh")


@metric(
    Example(
        given={"lease_gross_usd_per_mw_year": 1.407e6, "mining_usd_per_mw_year": 0.431e6},
        gives=3.3,
        within=0.05,
        source="28.2 J/TH: 3.3, not the 4.4 that comes of critical against gross",
    ),
    Example(
        given={"lease_gross_usd_per_mw_year": 1.407e6, "mining_usd_per_mw_year": 0.675e6},
        gives=2.1,
        within=0.04,
        source="18 J/TH",
    ),
    unit=Unit.RATIO,
    error=f"{LIKE_FOR_LIKE} As good as the dated fleet estimate: newer machines earn more per MWh.",
    null_rule="NULL when one of both is.",
    ge=0,
)
def lease_to_mining_ratio() -> pl.Expr:
    """Revenue of leases over revenue of mining with the mean fleet, both per megawatt drawn from the utility."""
    return ratio(pl.col("lease_gross_usd_per_mw_year"), pl.col("mining_usd_per_mw_year"))


@metric(
    Example(
        given={
            "lease_gross_usd_per_mw_year": 1.407e6,
            "new_fleet_revenue_usd_per_mwh": 77.1,
            "mining_uptime_ratio": 1.0,
        },
        gives=2.083,
        within=0.001,
    ),
    unit=Unit.RATIO,
    error=f"{LIKE_FOR_LIKE} For a reference machine, not for anybody's fleet.",
    null_rule="NULL when one of both is.",
    ge=0,
)
def new_fleet_lease_to_mining_ratio() -> pl.Expr:
    """Revenue of leases over revenue of mining with recent machines, both per megawatt drawn from the utility."""
    mining = HOURS_PER_YEAR * pl.col("mining_uptime_ratio") * pl.col("new_fleet_revenue_usd_per_mwh")
    return ratio(pl.col("lease_gross_usd_per_mw_year"), mining)


def _parity(efficiency: str) -> pl.Expr:
    """Hashprice at which an hour of mining leaves what an hour of the lease does, after the costs of each."""
    lease = pl.col("lease_gross_usd_per_mw_year") * pl.col("noi_margin_ratio") / HOURS_PER_YEAR
    return MWH_PER_KW_DAY * pl.col(efficiency) * (lease + pl.col("all_in_usd_per_mwh"))


@metric(
    Example(
        given={
            "lease_gross_usd_per_mw_year": 1.407e6,
            "noi_margin_ratio": 0.85,
            "all_in_usd_per_mwh": 55.5,
            "fleet_efficiency_j_per_th": 18.0,
        },
        gives=83.0,
        within=0.1,
        source="0.432 x (136.5 + 55.5)",
    ),
    unit=Unit.USD_PER_PETAHASH_DAY,
    error=f"{LIKE_FOR_LIKE} As good as the dated fleet estimate and the assumed margin of leases.",
    null_rule="NULL when the lease price, the fleet estimate or the cost estimate is.",
    ge=0,
)
def parity_hashprice_usd_per_phs_day() -> pl.Expr:
    """Hashprice at which the mean fleet would earn per megawatt, after costs, what a lease does."""
    return _parity("fleet_efficiency_j_per_th")


@metric(
    Example(
        given={
            "lease_gross_usd_per_mw_year": 1.407e6,
            "noi_margin_ratio": 0.85,
            "all_in_usd_per_mwh": 55.5,
            "new_fleet_efficiency_j_per_th": 18.0,
        },
        gives=83.0,
        within=0.1,
    ),
    unit=Unit.USD_PER_PETAHASH_DAY,
    error=f"{LIKE_FOR_LIKE} For a reference machine, not for anybody's fleet.",
    null_rule="NULL when the lease price or the cost estimate is.",
    ge=0,
)
def new_fleet_parity_hashprice_usd_per_phs_day() -> pl.Expr:
    """Hashprice at which recent machines would earn per megawatt, after costs, what a lease does."""
    return _parity("new_fleet_efficiency_j_per_th")


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence")
        | {"capex_usd": [89_800_000, None, None, None], "critical_it_mw": [25.0, 200.0, 70.0, 1_000.0]},
        gives=3.592e6,
        source="Riot's retrofit",
    ),
    Example(given=columns_of(DEALS, "kind", "confidence", "critical_it_mw") | {"capex_usd": [None] * 4}, gives=None),
    unit=Unit.USD_PER_MEGAWATT,
    error="Few miners state it, and retrofits of a mine are not new buildings: 3.6 and 11 million are both stated.",
    null_rule="NULL while no standing contract states cost and critical power.",
    ge=0,
    rows="conversion_deal",
)
def capex_usd_per_mw() -> pl.Expr:
    """What building a critical megawatt costs, servers left out, where the miners of standing contracts state it."""
    cost = pl.col("capex_usd")
    priced = CONTRACT & cost.is_not_null() & CRITICAL_MW.is_not_null()
    return ratio(total(cost, priced), total(CRITICAL_MW, priced))


@metric(
    Example(
        given=columns_of(DEALS, "kind", "confidence", "contract_value_usd", "term_years"),
        gives=2_406.7e6,
        within=0.1e6,
        source="7.0 bn over 15 years and 9.7 bn over 5",
    ),
    unit=Unit.USD_PER_YEAR,
    error=f"As if everything were delivered and paid evenly over its term. Includes GPU cloud. {LEASES}",
    null_rule=None,
    ge=0,
    rows="conversion_deal",
)
def contracted_annual_value_usd_year() -> pl.Expr:
    """Value of the contracts of the day over their terms: what they will bring in a year once all is delivered."""
    return total(VALUE_USD / TERM_YEARS, CONTRACT)


@metric(
    Example(given={"miner_revenue_usd": [40e6] * 365}, gives=14.6e9),
    unit=Unit.USD,
    error="Miners' revenue as good as the daily price; fees paid outside the chain are missing.",
    null_rule="NULL with fewer than 329 of 365 days of revenue.",
    ge=0,
    history_days=365,
)
def miner_revenue_365d_usd() -> pl.Expr:
    """Revenue of all bitcoin miners over the last 365 days."""
    return sum_over(pl.col("miner_revenue_usd"), 365)


@metric(
    Example(given={"contracted_value_usd": [10e9] + [20e9] * 364 + [85.2e9]}, gives=75.2e9),
    unit=Unit.USD,
    error=f"Includes GPU cloud. {LEASES}",
    null_rule="NULL in the first 365 days of the registry.",
    ge=-1e12,
    history_days=366,
)
def contracted_value_added_365d_usd() -> pl.Expr:
    """Value of the contracts that became known in the last 365 days, less what has ended."""
    return pl.col("contracted_value_usd") - pl.col("contracted_value_usd").shift(365)


@metric(
    Example(given={"contracted_value_added_365d_usd": 75.2e9, "miner_revenue_365d_usd": 15.04e9}, gives=5.0),
    unit=Unit.RATIO,
    error="Sets promises over 5 to 25 years beside revenue of one: it shows how large the turn is, not what pays more.",
    null_rule="NULL when one of both is.",
    ge=-100,
    history_days=366,
)
def contracted_to_miner_revenue_365d_ratio() -> pl.Expr:
    """Contract value that became known in the last 365 days over the revenue of all bitcoin miners in these days."""
    return ratio(pl.col("contracted_value_added_365d_usd"), pl.col("miner_revenue_365d_usd"))


METRICS = (
    lease_usd_per_mw_year,
    lease_gross_usd_per_mw_year,
    mining_usd_per_mw_year,
    lease_to_mining_ratio,
    new_fleet_lease_to_mining_ratio,
    parity_hashprice_usd_per_phs_day,
    new_fleet_parity_hashprice_usd_per_phs_day,
    capex_usd_per_mw,
    contracted_annual_value_usd_year,
    miner_revenue_365d_usd,
    contracted_value_added_365d_usd,
    contracted_to_miner_revenue_365d_ratio,
)
