"""How far the episodes of each rule lie before or after the lows of the price."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.lows import RULE_ROWS, lows_by_rule
from transforms.inputs.signals import READ
from transforms.metrics import day, lows
from transforms.prepare import Prepared
from transforms.rules import judged_span
from transforms.tables import capitulation_daily, price_low


def frame(_: Prepared, tables: Tables) -> pl.DataFrame:
    """Each rule at each low of the days of `rule_comparison`; no row without a state to judge."""
    days = tables[capitulation_daily.TABLE.name]
    span = judged_span(days)
    rows = lows_by_rule(days, tables[price_low.TABLE.name], *span) if span else pl.DataFrame(schema=RULE_ROWS)
    return rows.with_columns(pl.lit(days["sources"].drop_nulls().last(), pl.String).alias("sources"))


TABLE: Final = Table(
    name="price_low_by_rule",
    description=(
        "Where the episodes of our rule of capitulation, of each side of it and of other houses' rules lie about the "
        "lows of the price: one row a rule and low."
    ),
    key=("rule", "low_kind", "low_on"),
    metrics=(*lows.BY_RULE, day.sources),
    truths={
        "no more hits than episodes": pl.col("hit_episode_count") <= pl.col("judged_episode_count"),
        "a hit has an episode": ~pl.col("is_hit") | pl.col("started_on").is_not_null(),
        "the peak lies within": (pl.col("started_on") <= pl.col("peaked_on"))
        & (pl.col("peaked_on") <= pl.coalesce("ended_on", "peaked_on")),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE, price_low.TABLE),
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on={
            name: ("price_usd",) if name in ("low_kind", "low_on") else (*READ, "price_usd") for name in RULE_ROWS
        },
    ),
)
