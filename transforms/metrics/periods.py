"""A week or a month of the daily table: what its days add up to, their means, and where they end."""

from typing import Final

import polars as pl

from schemas.metric import metric
from schemas.units import Aggregation, Unit
from transforms.capitulation import STATES

OF_DAYS: Final = "As good as the days: see the column of `capitulation_daily`."
ALL_DAYS: Final = "NULL where a day of the period lacks it."
ANY_DAY: Final = "NULL where no day of the period has one."
UNFINISHED: Final = "Of a period that is not over, so far: see day_count and is_final."


@metric(unit=Unit.DAY, error="Exact.", null_rule=None)
def week_start() -> pl.Expr:
    """Monday on which the week begins, UTC."""
    return pl.col("week_start")


@metric(unit=Unit.DAY, error="Exact.", null_rule=None)
def month_start() -> pl.Expr:
    """First day of the month, UTC."""
    return pl.col("month_start")


@metric(unit=Unit.COUNT, error=UNFINISHED, null_rule=None, ge=1, aggregation=Aggregation.SUM)
def day_count() -> pl.Expr:
    """Days of the period that the daily table has."""
    return pl.col("day_count")


@metric(unit=Unit.COUNT, error=UNFINISHED, null_rule=None, ge=0, aggregation=Aggregation.SUM)
def state_day_count() -> pl.Expr:
    """Days of the period on which the state of the miners is known: the others are in none of the counts by state."""
    return pl.col("state_day_count")


@metric(unit=Unit.COUNT, error=OF_DAYS, null_rule=ANY_DAY, ge=0, aggregation=Aggregation.SUM)
def capitulation_day_count() -> pl.Expr:
    """Days of the period in capitulation or deep capitulation."""
    return pl.col("capitulation_day_count")


@metric(unit=Unit.COUNT, error=OF_DAYS, null_rule=ANY_DAY, ge=0, aggregation=Aggregation.SUM)
def squeeze_day_count() -> pl.Expr:
    """Days of the period in a squeeze: stress of income, and not of hash rate."""
    return pl.col("squeeze_day_count")


@metric(unit=Unit.LABEL, error=OF_DAYS, null_rule=ANY_DAY, labels=STATES)
def capitulation_end_state() -> pl.Expr:
    """State of the miners on the last day of the period that has one."""
    return pl.col("capitulation_end_state")


@metric(unit=Unit.SCORE, error=OF_DAYS, null_rule=ANY_DAY, ge=0, le=100)
def capitulation_mean_score() -> pl.Expr:
    """Mean capitulation score of the days that have one."""
    return pl.col("capitulation_mean_score")


@metric(unit=Unit.SCORE, error=OF_DAYS, null_rule=ANY_DAY, ge=0, le=100)
def capitulation_max_score() -> pl.Expr:
    """Highest capitulation score of a day."""
    return pl.col("capitulation_max_score")


@metric(unit=Unit.USD, error=OF_DAYS, null_rule=ANY_DAY, ge=0)
def price_end_usd() -> pl.Expr:
    """Price of one bitcoin on the last day of the period that has one."""
    return pl.col("price_end_usd")


@metric(unit=Unit.RATIO, error=OF_DAYS, null_rule=ANY_DAY, ge=0)
def puell_issuance_mean_ratio() -> pl.Expr:
    """Mean Puell Multiple, on issuance, of the days that have one."""
    return pl.col("puell_issuance_mean_ratio")


@metric(unit=Unit.EXAHASH_PER_SECOND, error=OF_DAYS, null_rule=ANY_DAY, ge=0)
def hashrate_mean_ehs() -> pl.Expr:
    """Mean hash rate of the days that have one."""
    return pl.col("hashrate_mean_ehs")


@metric(unit=Unit.USD_PER_PETAHASH_DAY, error=OF_DAYS, null_rule=ANY_DAY, ge=0)
def hashprice_mean_usd_per_phs_day() -> pl.Expr:
    """Mean hashprice of the days that have one."""
    return pl.col("hashprice_mean_usd_per_phs_day")


@metric(unit=Unit.BTC, error=OF_DAYS, null_rule=ALL_DAYS, ge=0, aggregation=Aggregation.SUM)
def miner_revenue_btc() -> pl.Expr:
    """Issuance plus fees of all days of the period."""
    return pl.col("miner_revenue_btc")


@metric(unit=Unit.USD, error=OF_DAYS, null_rule=ALL_DAYS, ge=0, aggregation=Aggregation.SUM)
def miner_revenue_usd() -> pl.Expr:
    """Issuance plus fees of all days of the period, each at the price of its day."""
    return pl.col("miner_revenue_usd")


@metric(unit=Unit.BTC, error=OF_DAYS, null_rule=ALL_DAYS, ge=0, aggregation=Aggregation.SUM)
def miner_outflow_btc() -> pl.Expr:
    """Coins that left miner wallets on all days of the period."""
    return pl.col("miner_outflow_btc")


@metric(unit=Unit.BTC, error=OF_DAYS, null_rule=ALL_DAYS, ge=0, aggregation=Aggregation.SUM)
def miner_to_exchange_btc() -> pl.Expr:
    """Coins that miner wallets sent to exchanges on all days of the period."""
    return pl.col("miner_to_exchange_btc")


OF_A_PERIOD: Final = (
    capitulation_end_state,
    capitulation_mean_score,
    capitulation_max_score,
    day_count,
    state_day_count,
    capitulation_day_count,
    squeeze_day_count,
    price_end_usd,
    puell_issuance_mean_ratio,
    hashrate_mean_ehs,
    hashprice_mean_usd_per_phs_day,
    miner_revenue_btc,
    miner_revenue_usd,
    miner_outflow_btc,
    miner_to_exchange_btc,
)
METRICS: Final = (week_start, month_start, *OF_A_PERIOD)
