"""Flows as vendors state them beside those that our figures are made of: of miners in more detail, and of everybody."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, SAT_PER_BTC, Aggregation, Unit
from transforms.metrics.miner_flows import LABELS_ERROR

EXCHANGES_ERROR = "Depends on which addresses are labelled an exchange's; history moves when labels do. "
INTERNAL = "May hold transfers between wallets of one exchange."
NO_MINER_SOURCE = "NULL when the miner flow source states none."
NO_EXCHANGE_SOURCE = "NULL when the exchange flow source states none."


@metric(
    Example(given={"miner_outflow_mean_sat": 1_250_000_000.0}, gives=12.5),
    unit=Unit.BTC,
    error=LABELS_ERROR,
    null_rule=NO_MINER_SOURCE,
    ge=0,
)
def miner_outflow_mean_btc() -> pl.Expr:
    """Mean size of a transaction that carried coins out of miner wallets, as the source states it."""
    return pl.col("miner_outflow_mean_sat") / SAT_PER_BTC


@metric(
    Example(given={"miner_outflow_top10_sat": 47_100_000_000.0}, gives=471.0),
    unit=Unit.BTC,
    error=LABELS_ERROR,
    aggregation=Aggregation.SUM,
    null_rule=NO_MINER_SOURCE,
    ge=0,
)
def miner_outflow_top10_btc() -> pl.Expr:
    """Sum of the ten largest outflows of the day from miner wallets. It is part of `miner_outflow_btc`."""
    return pl.col("miner_outflow_top10_sat") / SAT_PER_BTC


@metric(
    Example(given={"exchange_to_miner_sat": 300_000_000_000.0}, gives=3_000.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + "Holds payouts of pools that an exchange runs.",
    aggregation=Aggregation.SUM,
    null_rule=NO_MINER_SOURCE,
    ge=0,
)
def exchange_to_miner_btc() -> pl.Expr:
    """Coins that exchanges sent to miner wallets: the way back, which flows to exchanges must be read against."""
    return pl.col("exchange_to_miner_sat") / SAT_PER_BTC


@metric(
    Example(given={"exchange_inflow_sat": 4_000_000_000_000.0}, gives=40_000.0),
    unit=Unit.BTC,
    error=EXCHANGES_ERROR + INTERNAL,
    aggregation=Aggregation.SUM,
    null_rule=NO_EXCHANGE_SOURCE,
    ge=0,
)
def exchange_inflow_btc() -> pl.Expr:
    """Coins that anybody sent to exchanges on the day."""
    return pl.col("exchange_inflow_sat") / SAT_PER_BTC


@metric(
    Example(given={"exchange_inflow_mean_sat": 80_000_000.0}, gives=0.8),
    unit=Unit.BTC,
    error=EXCHANGES_ERROR,
    null_rule=NO_EXCHANGE_SOURCE,
    ge=0,
)
def exchange_inflow_mean_btc() -> pl.Expr:
    """Mean size of a deposit at exchanges by anybody: whether a rise of the miners' mean is one of the whole market."""
    return pl.col("exchange_inflow_mean_sat") / SAT_PER_BTC


@metric(
    Example(given={"exchange_inflow_top10_sat": 500_000_000_000.0}, gives=5_000.0),
    unit=Unit.BTC,
    error=EXCHANGES_ERROR,
    aggregation=Aggregation.SUM,
    null_rule=NO_EXCHANGE_SOURCE,
    ge=0,
)
def exchange_inflow_top10_btc() -> pl.Expr:
    """Sum of the ten largest deposits of the day at exchanges. It is part of `exchange_inflow_btc`."""
    return pl.col("exchange_inflow_top10_sat") / SAT_PER_BTC


@metric(
    Example(given={"exchange_outflow_sat": 4_100_000_000_000.0}, gives=41_000.0),
    unit=Unit.BTC,
    error=EXCHANGES_ERROR + INTERNAL,
    aggregation=Aggregation.SUM,
    null_rule=NO_EXCHANGE_SOURCE,
    ge=0,
)
def exchange_outflow_btc() -> pl.Expr:
    """Coins that anybody withdrew from exchanges on the day."""
    return pl.col("exchange_outflow_sat") / SAT_PER_BTC


@metric(
    Example(given={"exchange_reserve_sat": 270_000_000_000_000.0}, gives=2_700_000.0),
    unit=Unit.BTC,
    error=EXCHANGES_ERROR,
    null_rule=NO_EXCHANGE_SOURCE,
    ge=0,
)
def exchange_reserve_btc() -> pl.Expr:
    """Coins that exchanges hold at the end of the day."""
    return pl.col("exchange_reserve_sat") / SAT_PER_BTC


@metric(
    Example(given={"coinbase_to_known_ratio": 0.975}, gives=97.5),
    unit=Unit.PERCENT,
    error="Exact for the scripts that are known; how much the flows of the day miss is less than the rest.",
    null_rule="NULL when the miner flow source does not begin with a part of the chain only, or the day is not whole.",
    ge=0,
    le=100,
)
def coinbase_to_known_pct() -> pl.Expr:
    """Share of what coinbases of the day pay that goes to scripts known before: paid by an earlier coinbase, or listed.

    Where a source knows miners from some days and a list of pools only, this says how far to believe its flows.
    """
    return PERCENT * pl.col("coinbase_to_known_ratio")


METRICS = (
    miner_outflow_mean_btc,
    miner_outflow_top10_btc,
    exchange_to_miner_btc,
    coinbase_to_known_pct,
    exchange_inflow_btc,
    exchange_inflow_mean_btc,
    exchange_inflow_top10_btc,
    exchange_outflow_btc,
    exchange_reserve_btc,
)
