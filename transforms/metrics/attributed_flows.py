"""What miners' scripts sent and received on a day, as attribution finds it in whole blocks."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import SAT_PER_BTC, Aggregation, Unit
from transforms.metrics.miner_flows import LABELS_ERROR, LOWER_BOUND
from transforms.windows import ratio

FOUND = (
    "Follows from the chain and the rules of attribution; of a block lake a lower bound, by the share of coinbases in "
    "`coinbase_to_known_pct`. "
)
NO_OUTFLOW = "NULL when nothing left."
FRESH_RULE = "NULL when a block does not state what its transactions spend of coinbase outputs."


@metric(
    Example(given={"outflow_sat": 6_000_000_000}, gives=60.0, source="100 in, 39.99 back, 0.01 fee"),
    unit=Unit.BTC,
    error=FOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def outflow_btc() -> pl.Expr:
    """Coins that left scripts which a coinbase had paid; change and transfers among them taken out."""
    return pl.col("outflow_sat") / SAT_PER_BTC


@metric(
    Example(given={"outflow_tx_count": 12}, gives=12),
    unit=Unit.COUNT,
    error=FOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def outflow_count() -> pl.Expr:
    """Transactions that carried the outflow."""
    return pl.col("outflow_tx_count")


@metric(
    Example(given={"outflow_btc": 60.0, "outflow_count": 12}, gives=5.0),
    unit=Unit.BTC,
    error=FOUND,
    null_rule=NO_OUTFLOW,
    ge=0,
)
def outflow_mean_btc() -> pl.Expr:
    """Mean size of those transactions."""
    return ratio(pl.col("outflow_btc"), pl.col("outflow_count"))


@metric(
    Example(given={"outflow_top10_sat": 4_710_000_000}, gives=47.1),
    unit=Unit.BTC,
    error=FOUND,
    null_rule=None,
    ge=0,
)
def outflow_top10_btc() -> pl.Expr:
    """Ten largest of those transactions, summed."""
    return pl.col("outflow_top10_sat") / SAT_PER_BTC


@metric(
    Example(given={"inflow_sat": 46_025_000_000}, gives=460.25),
    unit=Unit.BTC,
    error=FOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def inflow_btc() -> pl.Expr:
    """Coins that came to those scripts from coinbases and from others."""
    return pl.col("inflow_sat") / SAT_PER_BTC


@metric(
    Example(given={"fee_sat": 5_000_000}, gives=0.05),
    unit=Unit.BTC,
    error="Exact but for one satoshi a transaction that others spend in too.",
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def fee_btc() -> pl.Expr:
    """Miners' part of the fees of those transactions."""
    return pl.col("fee_sat") / SAT_PER_BTC


@metric(
    Example(given={"inflow_btc": 460.25, "outflow_btc": 400.0, "fee_btc": 0.05}, gives=60.2, within=1e-9),
    unit=Unit.BTC,
    error=FOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
)
def netflow_btc() -> pl.Expr:
    """Inflow less outflow and fees: what the balance of those scripts changed by. Negative when coins leave."""
    return pl.col("inflow_btc") - pl.col("outflow_btc") - pl.col("fee_btc")


@metric(
    Example(given={"one_hop_outflow_sat": 250_000_000}, gives=2.5),
    unit=Unit.BTC,
    error=FOUND + "Holds buyers of miners' coins as well.",
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def one_hop_outflow_btc() -> pl.Expr:
    """Coins that left the second layer: scripts that such a script had paid."""
    return pl.col("one_hop_outflow_sat") / SAT_PER_BTC


@metric(
    Example(given={"coinbase_direct_to_exchange_sat": 312_500_000}, gives=3.125),
    unit=Unit.BTC,
    error=LABELS_ERROR,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def coinbase_direct_to_exchange_btc() -> pl.Expr:
    """Coins that coinbases paid straight to exchanges; in no other figure here."""
    return pl.col("coinbase_direct_to_exchange_sat") / SAT_PER_BTC


@metric(
    Example(given={"to_exchange_sat": 1_500_000_000}, gives=15.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def outflow_to_exchange_btc() -> pl.Expr:
    """Part of the outflow that went to exchanges."""
    return pl.col("to_exchange_sat") / SAT_PER_BTC


@metric(
    Example(given={"to_exchange_fresh_sat": 312_500_000}, gives=3.125),
    Example(given={"to_exchange_fresh_sat": None}, gives=None),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule=FRESH_RULE,
    ge=0,
)
def outflow_to_exchange_fresh_btc() -> pl.Expr:
    """Of these coins the part that came straight out of coinbase outputs."""
    return pl.col("to_exchange_fresh_sat") / SAT_PER_BTC


@metric(
    Example(given={"one_hop_to_exchange_sat": 200_000_000}, gives=2.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND + " Holds buyers of miners' coins as well.",
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def one_hop_to_exchange_btc() -> pl.Expr:
    """Coins that went from the second layer to exchanges, on top of the outflow of the first."""
    return pl.col("one_hop_to_exchange_sat") / SAT_PER_BTC


@metric(
    Example(given={"outflow_sat": 6_000_000_000, "to_exchange_sat": 1_500_000_000}, gives=75.0),
    Example(given={"outflow_sat": 0, "to_exchange_sat": 0}, gives=None),
    unit=Unit.PERCENT,
    error=LABELS_ERROR,
    null_rule=NO_OUTFLOW,
    ge=0,
    le=100,
)
def outflow_unlabelled_pct() -> pl.Expr:
    """Share of the outflow that went to nobody whom the labels know."""
    return 100 * (1 - ratio(pl.col("to_exchange_sat"), pl.col("outflow_sat")))


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def label_set() -> pl.Expr:
    """Version of the labels that named the exchanges."""
    return pl.col("label_set")


METRICS = (
    outflow_btc,
    outflow_count,
    outflow_mean_btc,
    outflow_top10_btc,
    inflow_btc,
    fee_btc,
    netflow_btc,
    one_hop_outflow_btc,
    coinbase_direct_to_exchange_btc,
    outflow_to_exchange_btc,
    outflow_to_exchange_fresh_btc,
    one_hop_to_exchange_btc,
    outflow_unlabelled_pct,
    label_set,
)
