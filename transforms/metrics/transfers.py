"""What single transactions carried from miners to an exchange: what every daily flow figure is the sum of."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import SAT_PER_BTC, Aggregation, Unit
from transforms.metrics.miner_flows import LABELS_ERROR, LOWER_BOUND

READ_OFF = "Exact: read off the chain."
SHARED = "Where others spend with the miners, outputs are shared out by what each put in. "


@metric(unit=Unit.HEIGHT, error=READ_OFF, null_rule=None, ge=0)
def height() -> pl.Expr:
    """Block that holds the transaction."""
    return pl.col("height")


@metric(unit=Unit.LABEL, error=READ_OFF, null_rule=None)
def block_hash() -> pl.Expr:
    """Hash of that block."""
    return pl.col("block_hash")


@metric(unit=Unit.LABEL, error=READ_OFF, null_rule=None)
def txid() -> pl.Expr:
    """Identifier of the transaction."""
    return pl.col("txid")


@metric(unit=Unit.LABEL, error=LABELS_ERROR, null_rule=None)
def exchange() -> pl.Expr:
    """Exchange that received the coins."""
    return pl.col("exchange")


@metric(unit=Unit.LABEL, error=LABELS_ERROR, null_rule=None)
def pool() -> pl.Expr:
    """Pool that had paid the scripts which put in the most."""
    return pl.col("pool")


@metric(
    Example(given={"hop": 1}, gives=1),
    unit=Unit.COUNT,
    error="The layer of 1 holds buyers of miners' coins as well.",
    null_rule=None,
    ge=0,
    le=1,
)
def hop_count() -> pl.Expr:
    """Steps of the sender from a coinbase: 0 was paid by one, 1 was paid by such a script; daily flows count 0 only."""
    return pl.col("hop")


@metric(unit=Unit.SAT, error=LABELS_ERROR + SHARED, aggregation=Aggregation.SUM, null_rule=None, ge=0)
def transfer_sat() -> pl.Expr:
    """Coins that the transaction carried from the miners to the exchange."""
    return pl.col("transfer_sat")


@metric(
    Example(given={"transfer_sat": 150_000_000}, gives=1.5),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule=None,
    ge=0,
)
def transfer_btc() -> pl.Expr:
    """Coins that the transaction carried from the miners to the exchange, in bitcoin."""
    return pl.col("transfer_sat") / SAT_PER_BTC


@metric(
    unit=Unit.SAT,
    error=LABELS_ERROR + SHARED,
    aggregation=Aggregation.SUM,
    null_rule="NULL when the node did not state which spent outputs a coinbase made.",
    ge=0,
)
def fresh_sat() -> pl.Expr:
    """Of these coins the part that came straight out of coinbase outputs."""
    return pl.col("fresh_sat")


@metric(unit=Unit.SAT, error=LABELS_ERROR, null_rule=None, ge=0)
def miner_input_sat() -> pl.Expr:
    """What the miners' scripts of the layer put into the transaction."""
    return pl.col("miner_input_sat")


@metric(unit=Unit.SAT, error=READ_OFF, null_rule=None, ge=0)
def total_input_sat() -> pl.Expr:
    """All that was put into the transaction."""
    return pl.col("total_input_sat")


@metric(
    unit=Unit.LABEL,
    error="The limits of 5 and 95 % are our judgement.",
    null_rule=None,
    labels=("A", "B", "C"),
)
def quality() -> pl.Expr:
    """How sure the transfer is the miners' own: A all inputs are theirs, C 5 to 95 % are, B the rest."""
    return pl.col("quality")


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def label_set() -> pl.Expr:
    """Version of the labels that named the exchange."""
    return pl.col("label_set")


METRICS = (
    height,
    block_hash,
    txid,
    exchange,
    pool,
    hop_count,
    transfer_sat,
    transfer_btc,
    fresh_sat,
    miner_input_sat,
    total_input_sat,
    quality,
    label_set,
)
