"""Capitulations one by one."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.capitulation import PARTS
from transforms.inputs.episodes import RESTS_ON, capitulation_episodes
from transforms.metrics import day, episodes
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily

EXACT: Final = 1e-6
STARTER: Final = (
    episodes.started_on,
    episodes.ended_on,
    episodes.day_count,
    episodes.deep_day_count,
    episodes.stress_episode,
    episodes.peaked_on,
    episodes.capitulation_max_score,
    episodes.price_drawdown_min_pct,
    episodes.hashrate_drawdown_min_pct,
    episodes.revenue_drawdown_min_pct,
    episodes.ended_by,
    episodes.state_after,
    episodes.price_at_start_usd,
    episodes.price_change_90d_after_pct,
    episodes.price_change_180d_after_pct,
)
"""The columns to begin with."""


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The runs of days in capitulation; none where no day is."""
    return capitulation_episodes(tables[capitulation_daily.TABLE.name], given.inputs.reference["stress_episode"])


TABLE: Final = Table(
    name="capitulation_episode",
    description=(
        "Capitulations one by one, how deep each went, what ended it, and the price after it: one row a run of days in "
        "capitulation, of which those no more than fourteen days apart are one."
    ),
    key=("started_on",),
    starter_count=len(STARTER),
    metrics=starting_with(STARTER, (*episodes.METRICS, day.sources)),
    truths={
        "it ends after it began": pl.col("started_on") <= pl.col("ended_on"),
        "deep days are days of it": pl.col("deep_day_count") <= pl.col("day_count"),
        "its peak lies within": (pl.col("started_on") <= pl.col("peaked_on"))
        & (pl.col("peaked_on") <= pl.coalesce("ended_on", "peaked_on")),
        "the parts make the highest score": (
            (pl.sum_horizontal(f"peak_{name}" for name in PARTS) - pl.col("capitulation_max_score")).abs() < EXACT
        ),
        "its days and those between are all": pl.col("day_count") + pl.col("between_day_count")
        == 1 + (pl.col("ended_on") - pl.col("started_on")).dt.total_days(),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True, rests_on=RESTS_ON),
)
