"""What protects the chain: what honest work is paid, and what it would cost to outdo it."""

from datetime import date
from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import HOURS_PER_DAY, PERCENT, PETAHASH_PER_EXAHASH, SAT_PER_BTC, TERAHASH_PER_EXAHASH, Unit
from transforms.windows import mean_over, ratio

FIRST_BLOCKS: Final = date(2009, 1, 9)
"""The chain went on from its first block on this day: issuance summed up from here on or earlier is the supply."""
DAYS_PER_YEAR: Final = 365
ATTACKER_MARGIN_RATIO: Final = 0.02
"""An attacker from outside needs as much as all others together, and a little more."""
DIVERTED_RATIO: Final = 0.5
"""An attacker who turns machines that mine already needs half of them."""

HARDWARE: Final = (
    "A few dated prices, of an index, a purchase or a maker's list, each held until the next: see "
    "machine_price_age_days and asic_price. Nobody could buy so many machines at that price."
)
COST: Final = "As good as the dated fleet and price estimates: both move by a third."


@metric(
    Example(
        given={
            "day": [date(2009, 1, 9), date(2009, 1, 10)],
            "supply_sat": None,
            "issuance_btc": [700.0, 3_050.0],
            "scheduled_supply_btc": None,
        },
        gives=3_750.0,
        source="issuance summed up from the first blocks on",
    ),
    Example(
        given={
            "day": [date(2024, 6, 1)],
            "supply_sat": 1_970_000_000_000_000,
            "issuance_btc": 450.0,
            "scheduled_supply_btc": 19_700_010.0,
        },
        gives=19_700_000.0,
        source="what the chain source states comes first",
    ),
    Example(
        given={
            "day": [date(2024, 6, 1)],
            "supply_sat": None,
            "issuance_btc": 450.0,
            "scheduled_supply_btc": 19_700_010.0,
        },
        gives=19_700_010.0,
        source="issuance of the time before is missing",
    ),
    unit=Unit.BTC,
    error="What miners left unclaimed counts as issued where it comes from heights; lost coins always count.",
    null_rule="NULL where nobody states it and neither all issuance since 2009 nor the height of the chain is known.",
    ge=0,
    le=21_000_000,
)
def supply_btc() -> pl.Expr:
    """Coins issued up to the end of the day: as the chain source states, else summed up, else by the height reached."""
    issued = pl.col("issuance_btc")
    # A sum is the supply only where issuance is known from the beginning of the chain without a gap.
    whole = (pl.col("day").min() <= FIRST_BLOCKS) & issued.is_not_null().cast(pl.Int8).cum_min().cast(pl.Boolean)
    summed = pl.when(whole).then(issued.cum_sum())
    return pl.coalesce(pl.col("supply_sat") / SAT_PER_BTC, summed, "scheduled_supply_btc")


@metric(
    Example(
        given={"miner_revenue_usd": [30_376_500.0] * 30}, gives=11.09e9, within=0.005e9, source="30.3765 M USD a day"
    ),
    unit=Unit.USD_PER_YEAR,
    error="A running rate, not a forecast; as good as the daily price.",
    null_rule="NULL with fewer than 27 of 30 days of revenue.",
    ge=0,
    history_days=30,
)
def security_budget_usd_year() -> pl.Expr:
    """What miners are paid for honest work in a year, at the mean of the last thirty days."""
    return DAYS_PER_YEAR * mean_over(pl.col("miner_revenue_usd"), 30)


@metric(
    Example(
        given={"security_budget_usd_year": 11.0874e9, "price_usd": 66_000.0, "supply_btc": 19.985e6},
        gives=0.841,
        within=0.0005,
    ),
    unit=Unit.PERCENT,
    error="As good as the daily price; supply counts lost coins.",
    null_rule="NULL when the budget, the price or the supply is.",
    ge=0,
)
def security_budget_of_market_value_pct() -> pl.Expr:
    """Security budget of a year as a share of the value of all coins issued."""
    return PERCENT * ratio(pl.col("security_budget_usd_year"), pl.col("price_usd") * pl.col("supply_btc"))


@metric(
    Example(given={"security_budget_usd_year": [10e9] * 365 + [8e9]}, gives=-20.0),
    unit=Unit.PERCENT,
    error="A halving takes about half of it at once.",
    null_rule="NULL when the budget of today or of 365 days ago is.",
    ge=-PERCENT,
    history_days=366,
)
def security_budget_change_365d_pct() -> pl.Expr:
    """Security budget against 365 days before."""
    budget = pl.col("security_budget_usd_year")
    return PERCENT * (ratio(budget, budget.shift(365)) - 1)


@metric(
    Example(given={"security_budget_usd_year": [float(n) for n in range(1, 366)]}, gives=100.0),
    Example(given={"security_budget_usd_year": [float(n) for n in range(2, 366)] + [1.0]}, gives=PERCENT / 365),
    unit=Unit.PERCENT,
    error="Rank among 365 days, of which neighbours share most of their window.",
    null_rule="NULL with fewer than 329 of 365 days of the budget.",
    ge=0,
    le=100,
    history_days=365,
)
def security_budget_percentile_365d_pct() -> pl.Expr:
    """Share of the last 365 days on which the security budget was as low as today or lower."""
    budget = pl.col("security_budget_usd_year")
    known = budget.is_not_null().cast(pl.Int32).rolling_sum(365, min_samples=1)
    return PERCENT * ratio(budget.rolling_rank(365, method="max", min_samples=329), known)


@metric(
    Example(given={"hashrate_7d_ehs": 900.0}, gives=918.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Block luck: relative standard deviation 3.1 %.",
    null_rule="NULL when the seven-day hash rate is.",
    ge=0,
)
def attack_hashrate_ehs() -> pl.Expr:
    """Hash rate that somebody from outside needs to outdo all others: as much as they have and 2 % more."""
    return (1 + ATTACKER_MARGIN_RATIO) * pl.col("hashrate_7d_ehs")


@metric(
    Example(given={"attack_hashrate_ehs": 900.0, "fleet_efficiency_j_per_th": 18.0}, gives=16_200.0),
    unit=Unit.MEGAWATT,
    error=COST,
    null_rule="NULL when the hash rate or the fleet estimate is.",
    ge=0,
)
def attack_power_mw() -> pl.Expr:
    """Power that an attack from outside draws, at the efficiency of the network's mean fleet."""
    return pl.col("attack_hashrate_ehs") * pl.col("fleet_efficiency_j_per_th")


@metric(
    Example(given={"attack_power_mw": 16_200.0, "power_usd_per_mwh": 50.0}, gives=0.81e6),
    unit=Unit.USD_PER_HOUR,
    error=COST,
    null_rule="NULL when the power or the price estimate is.",
    ge=0,
)
def attack_energy_usd_per_hour() -> pl.Expr:
    """Energy bill of an hour of attack from outside."""
    return pl.col("attack_power_mw") * pl.col("power_usd_per_mwh")


@metric(
    Example(given={"attack_hashrate_ehs": 900.0, "machine_usd_per_th": 15.0}, gives=13.5e9),
    unit=Unit.USD,
    error=HARDWARE,
    null_rule="NULL when the hash rate is, or before the first price was published.",
    ge=0,
)
def attack_hardware_usd() -> pl.Expr:
    """Price of the machines for an attack from outside."""
    return pl.col("attack_hashrate_ehs") * TERAHASH_PER_EXAHASH * pl.col("machine_usd_per_th")


@metric(
    Example(given={"day": date(2026, 2, 5), "machine_price_as_of": date(2025, 12, 23)}, gives=44),
    unit=Unit.DAYS,
    error="Exact.",
    null_rule="NULL before the first price was published.",
    ge=0,
)
def machine_price_age_days() -> pl.Expr:
    """Days since the date of the newest published price of mining machines."""
    return (pl.col("day") - pl.col("machine_price_as_of")).dt.total_days()


@metric(
    Example(given={"attack_hashrate_ehs": 900.0, "hashprice_usd_per_phs_day": 33.31}, gives=1.25e6, within=0.001e6),
    unit=Unit.USD_PER_HOUR,
    error="Theoretical: so much hash rate is nowhere to rent. A lower bound, at what renting out forgoes.",
    null_rule="NULL when the hash rate or hashprice is.",
    ge=0,
)
def attack_rent_usd_per_hour() -> pl.Expr:
    """Rent of the hash rate for an hour of attack, if there were any, at the day's hashprice."""
    return pl.col("attack_hashrate_ehs") * PETAHASH_PER_EXAHASH * pl.col("hashprice_usd_per_phs_day") / HOURS_PER_DAY


@metric(
    Example(given={"miner_revenue_usd": 30_376_500.0}, gives=632_843.75),
    unit=Unit.USD_PER_HOUR,
    error="What an attack does to the price of what is earned is not in it.",
    null_rule="NULL when revenue is.",
    ge=0,
)
def attack_forgone_usd_per_hour() -> pl.Expr:
    """Revenue that owners of half of the machines give up in an hour of attack."""
    return DIVERTED_RATIO * pl.col("miner_revenue_usd") / HOURS_PER_DAY


@metric(
    Example(
        given={"fleet_efficiency_j_per_th": 20.0, "machine_usd_per_th": 15.0},
        gives=0.75e6,
        source="1 MW at 20 J/TH is 0.05 EH/s",
    ),
    unit=Unit.USD_PER_MEGAWATT,
    error=f"{HARDWARE} Machines that are set free make it cheaper still.",
    null_rule="NULL when the fleet estimate is, or before the first price was published.",
    ge=0,
)
def attack_hardware_spared_usd_per_mw() -> pl.Expr:
    """Hardware that an attacker need not buy for each megawatt that stops mining."""
    machines = ratio(pl.lit(float(TERAHASH_PER_EXAHASH)), pl.col("fleet_efficiency_j_per_th"))
    return machines * pl.col("machine_usd_per_th")


METRICS = (
    supply_btc,
    security_budget_usd_year,
    security_budget_of_market_value_pct,
    security_budget_change_365d_pct,
    security_budget_percentile_365d_pct,
    attack_hashrate_ehs,
    attack_power_mw,
    attack_energy_usd_per_hour,
    attack_hardware_usd,
    machine_price_age_days,
    attack_rent_usd_per_hour,
    attack_forgone_usd_per_hour,
    attack_hardware_spared_usd_per_mw,
)
