"""Lows of the price, known afterwards, that signals are compared with."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.lows import LOW_ROWS, price_lows
from transforms.metrics import day, lows
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily


def frame(_: Prepared, tables: Tables) -> pl.DataFrame:
    """The lows that are known by the last day; none where the price has none."""
    days = tables[capitulation_daily.TABLE.name]
    return price_lows(days).with_columns(pl.lit(days["sources"].drop_nulls().last(), pl.String).alias("sources"))


TABLE: Final = Table(
    name="price_low",
    description=(
        "Lows of the price: one row a low of a cycle, known a year later, or of the 45 days around it. They judge "
        "signals and are none."
    ),
    key=("low_kind", "low_on"),
    metrics=(*lows.LOWS, day.sources),
    truths={
        "the high comes before the low": pl.col("high_on") < pl.col("low_on"),
        "a low is known after it": pl.col("low_on") < pl.col("confirmed_on"),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True, rests_on=dict.fromkeys(LOW_ROWS.names(), ("price_usd",))),
)
