"""Shares of the coins that miners send to exchanges, by exchange."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, SAT_PER_BTC, Aggregation, Unit
from transforms.metrics.miner_flows import LABELS_ERROR, LOWER_BOUND
from transforms.windows import ratio

NOT_NAMED: Final = "not_named"


@metric(unit=Unit.LABEL, error=LABELS_ERROR, null_rule=None)
def exchange() -> pl.Expr:
    """Exchange that received the coins; not_named is what the source states in all and of no exchange."""
    return pl.col("exchange")


@metric(
    Example(given={"transfer_sat": 48_000_000_000}, gives=480.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def miner_to_exchange_btc() -> pl.Expr:
    """Coins that miners' wallets sent to the exchange in the month."""
    return pl.col("transfer_sat") / SAT_PER_BTC


@metric(
    Example(given={"transfer_sat": 30_000_000, "month_transfer_sat": 120_000_000}, gives=25.0),
    Example(given={"transfer_sat": 0, "month_transfer_sat": 0}, gives=None),
    unit=Unit.PERCENT,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL where no coins went to exchanges in the month.",
    ge=0,
    le=100,
)
def exchange_share_pct() -> pl.Expr:
    """Share of the coins that miners sent to all exchanges in the month."""
    return PERCENT * ratio(pl.col("transfer_sat"), pl.col("month_transfer_sat"))


@metric(
    Example(given={"miner_to_exchange_btc": 30.0, "month_outflow_btc": 600.0}, gives=5.0),
    Example(given={"miner_to_exchange_btc": 30.0, "month_outflow_btc": None}, gives=None),
    unit=Unit.PERCENT,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL where the outflow of a day of the month is not known, or another source states it.",
    ge=0,
)
def outflow_share_pct() -> pl.Expr:
    """Share of all coins that left miners' wallets in the month, wherever they went."""
    return PERCENT * ratio(pl.col("miner_to_exchange_btc"), pl.col("month_outflow_btc"))


@metric(unit=Unit.COUNT, error="Exact.", null_rule=None, ge=1)
def stated_day_count() -> pl.Expr:
    """Days of the month on which the source states a flow to exchanges: the same in each row of the month."""
    return pl.col("stated_day_count")


METRICS: Final = (exchange, miner_to_exchange_btc, exchange_share_pct, outflow_share_pct, stated_day_count)
