"""Our rule of capitulation beside those of other houses, all judged by the same episodes."""

from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.table import Lineage, Origin, Table, Tables
from transforms.metrics import day
from transforms.metrics import rule_comparison as metrics
from transforms.prepare import Prepared
from transforms.rules import COUNTS, READ, RULES, compared, judged_days, judged_span
from transforms.tables import capitulation_daily


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """What each rule finds, on the days from the first score to the last state; no row without a state to judge."""
    days = tables[capitulation_daily.TABLE.name]
    span, rows, sources = judged_span(days), pl.DataFrame(schema=COUNTS), ""
    if span:
        episodes = given.inputs.reference["stress_episode"]
        judged = judged_days(days.select("day", *READ), episodes, *span)
        rows = compared(judged, episodes, {name: pl.sql_expr(text) for name, text in RULES.items()})
        sources = f"{days.row(by_predicate=pl.col('day') == span[1], named=True)['sources']},{REGISTRY.name}"
    conditions = pl.DataFrame({"rule": list(RULES), "condition": list(RULES.values())})
    joined = rows.join(conditions, on="rule", validate="1:1", maintain_order="left")
    return joined.with_columns(pl.lit(sources).alias("sources"))


TABLE: Final = Table(
    name="rule_comparison",
    description="Rules of capitulation, ours and other houses', judged by the same episodes of stress: one row a rule.",
    key=("rule",),
    metrics=(*metrics.METRICS, day.sources),
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on=dict.fromkeys((*COUNTS.names(), "condition"), (*READ, "stress_episode.core_start_on")),
    ),
)
