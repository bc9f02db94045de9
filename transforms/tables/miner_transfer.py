"""Single transfers from miners to exchanges."""

from datetime import datetime
from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.attribution.transfers import transfer_rows
from transforms.calendar import is_final
from transforms.metrics import day, transfers
from transforms.prepare import Prepared


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """No row: transfers are built by year, of the days that attribution has seen whole."""
    none = transfer_rows((), "").with_columns(pl.lit(None, pl.Date).alias("day"))
    return marked(none, given.whole, given.inputs.now, given.origins.get(Origin.TRANSFERS))


def marked(transfers: pl.DataFrame, whole: pl.DataFrame, now: datetime, source: str | None) -> pl.DataFrame:
    """`transfers` of whole days, each with its `day`, in the order of the table and with `is_final` and `sources`."""
    return transfers.sort("height", "txid", "exchange", "hop").with_columns(
        is_final(whole, now).alias("is_final"), pl.lit(source, pl.String).alias("sources")
    )


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
    is_by_year=True,
)
