"""Single transfers from miners to exchanges."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.metrics import day, transfers
from transforms.prepare import Prepared


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """The transfers of the days that attribution has seen whole."""
    return given.marked(given.transfers.sort("height", "txid", "exchange", "hop"), Origin.TRANSFERS)


TABLE: Final = Table(
    name="miner_transfer",
    description=(
        "Coins from miners to exchanges: one row a transaction, exchange and layer of miners. Empty where no source "
        "states single transactions."
    ),
    key=("height", "txid", "exchange", "hop_count"),
    metrics=(day.day, *transfers.METRICS, day.is_final, day.sources),
    truths={
        "miners put in no more than all": pl.col("miner_input_sat") <= pl.col("total_input_sat"),
        "what is fresh is a part": pl.col("fresh_sat") <= pl.col("transfer_sat"),
    },
    frame=frame,
    lineage=Lineage(origin=Origin.TRANSFERS),
)
