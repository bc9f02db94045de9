"""Capitulations one by one."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.episodes import RESTS_ON, capitulation_episodes
from transforms.metrics import day, episodes
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The runs of days in capitulation; none where no day is."""
    return capitulation_episodes(tables[capitulation_daily.TABLE.name], given.inputs.reference["stress_episode"])


TABLE: Final = Table(
    name="capitulation_episode",
    description=(
        "Capitulations and the price after each: one row a run of days in capitulation, of which those no more than "
        "fourteen days apart are one."
    ),
    key=("started_on",),
    metrics=(*episodes.METRICS, day.sources),
    truths={
        "it ends after it began": pl.col("started_on") <= pl.col("ended_on"),
        "deep days are days of it": pl.col("deep_day_count") <= pl.col("day_count"),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True, rests_on=RESTS_ON),
)
