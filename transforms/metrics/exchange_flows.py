"""Coins that miners send to exchanges, by exchange, by pool, by both and in all."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import SAT_PER_BTC, Aggregation, Unit
from transforms.metrics.miner_flows import LABELS_ERROR, LOWER_BOUND
from transforms.windows import ratio

SINGLE_ONLY = "NULL where the source states no single transactions."


@metric(unit=Unit.LABEL, error=LABELS_ERROR, null_rule=None)
def exchange() -> pl.Expr:
    """Exchange that received the coins."""
    return pl.col("exchange")


@metric(unit=Unit.LABEL, error=LABELS_ERROR, null_rule=None)
def pool() -> pl.Expr:
    """Pool whose wallets sent the coins."""
    return pl.col("pool")


@metric(
    Example(given={"transfer_sat": 48_000_000_000}, gives=480.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def miner_to_exchange_btc() -> pl.Expr:
    """Coins that wallets of pools sent to exchanges on the day, of those that the row names."""
    return pl.col("transfer_sat") / SAT_PER_BTC


@metric(
    Example(given={"transfer_count": 12}, gives=12),
    unit=Unit.COUNT,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL when the source states a total without a count.",
    ge=0,
)
def miner_to_exchange_count() -> pl.Expr:
    """Transactions that carried the coins; one that pays two exchanges counts for each of them and once in all."""
    return pl.col("transfer_count")


@metric(
    Example(given={"miner_to_exchange_btc": 480.0, "miner_to_exchange_count": 12}, gives=40.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL when there was no transaction, or the source does not count them.",
    ge=0,
)
def miner_to_exchange_mean_btc() -> pl.Expr:
    """Mean size of those transactions."""
    return ratio(pl.col("miner_to_exchange_btc"), pl.col("miner_to_exchange_count"))


@metric(
    Example(given={"top10_sat": 47_100_000_000}, gives=471.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL in sums over pools or exchanges where the source states no single transactions.",
    ge=0,
)
def miner_to_exchange_top10_btc() -> pl.Expr:
    """Ten largest of those transactions, summed."""
    return pl.col("top10_sat") / SAT_PER_BTC


@metric(
    Example(given={"fresh_sat": 312_500_000}, gives=3.125),
    Example(given={"fresh_sat": None}, gives=None),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule=SINGLE_ONLY,
    ge=0,
)
def miner_to_exchange_fresh_btc() -> pl.Expr:
    """Of these coins the part that came straight out of coinbase outputs."""
    return pl.col("fresh_sat") / SAT_PER_BTC


@metric(
    Example(given={"one_hop_sat": 200_000_000}, gives=2.0),
    Example(given={"one_hop_sat": None}, gives=None),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND + " Holds buyers of miners' coins as well.",
    aggregation=Aggregation.SUM,
    null_rule=SINGLE_ONLY,
    ge=0,
)
def one_hop_to_exchange_btc() -> pl.Expr:
    """Coins from scripts that the pool's wallets had paid to the exchange, on top of those the wallets sent."""
    return pl.col("one_hop_sat") / SAT_PER_BTC


@metric(unit=Unit.LABEL, error="Exact.", null_rule=SINGLE_ONLY)
def label_set() -> pl.Expr:
    """Version of the labels that named the exchange."""
    return pl.col("label_set")


METRICS = (
    exchange,
    pool,
    miner_to_exchange_btc,
    miner_to_exchange_count,
    miner_to_exchange_mean_btc,
    miner_to_exchange_top10_btc,
    miner_to_exchange_fresh_btc,
    one_hop_to_exchange_btc,
    label_set,
)
