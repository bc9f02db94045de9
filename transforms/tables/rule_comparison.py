"""Our rule of capitulation beside those of other houses, all judged by the same episodes."""

from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.table import Lineage, Origin, Table, Tables
from transforms.metrics import day
from transforms.metrics import rule_comparison as metrics
from transforms.prepare import Prepared
from transforms.rules import COUNTS, FIRST_DAY, RULES, compared, judged_days
from transforms.tables import capitulation_daily

READ: Final = (
    "capitulation_state",
    "rule_hash_ribbon_plain",
    "hash_ribbon_state",
    "rule_puell_low",
    "rule_glassnode_risk",
    "rule_difficulty_ribbon_compressed",
    "revenue_change_30d_pct",
    "mpi_zscore",
)
"""Columns that the rules read."""


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """What each rule finds, on the days from the first score to the last state; no row without a state to judge."""
    days = tables[capitulation_daily.TABLE.name]
    known = days.filter(pl.col("day") >= FIRST_DAY).drop_nulls("capitulation_state")
    conditions = pl.DataFrame({"rule": list(RULES), "condition": list(RULES.values())})
    rows = pl.DataFrame(schema=COUNTS)
    if known.height:
        episodes = given.inputs.reference["stress_episode"]
        scored = days.drop_nulls("capitulation_score")
        first, last = max(scored["day"][0], FIRST_DAY), known["day"][-1]
        judged = judged_days(days.select("day", *READ), episodes, first, last)
        rows = compared(judged, episodes, {name: pl.sql_expr(text) for name, text in RULES.items()})
    sources = f"{known['sources'][-1]},{REGISTRY.name}" if known.height else ""
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
