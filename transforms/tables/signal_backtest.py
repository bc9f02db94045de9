"""What the price did after our signals and those of other houses, beside what it did anyway."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.inputs import signals
from transforms.inputs.backtest import ROWS, backtest
from transforms.metrics import backtest as metrics
from transforms.metrics import day
from transforms.metrics.rule_comparison import first_day, last_day
from transforms.prepare import Prepared
from transforms.rules import judged_span
from transforms.tables import capitulation_daily

READ: Final = ("price_usd", *signals.READ)
"""Columns that the signals and what followed them are made from."""


def frame(_: Prepared, tables: Tables) -> pl.DataFrame:
    """What followed the signals of each rule on the days of `rule_comparison`; no row without a state to judge."""
    days = tables[capitulation_daily.TABLE.name]
    span = judged_span(days)
    read = days.select("day", *READ)
    rows = backtest(read, signals.held_by_rule(read), *span) if span else pl.DataFrame(schema=ROWS)
    first, last = span or (None, None)
    return rows.with_columns(
        pl.lit(first, pl.Date).alias("first_day"),
        pl.lit(last, pl.Date).alias("last_day"),
        pl.lit(days["sources"].drop_nulls().last() if span else None, pl.String).alias("sources"),
    )


TABLE: Final = Table(
    name="signal_backtest",
    description=(
        "What the price did after the signals of our rule of capitulation, of each side of it and of other houses' "
        "rules: one row a rule, kind of signal and horizon. A few cases, no proof."
    ),
    key=("rule", "entry", "horizon_days"),
    metrics=starting_with(metrics.STARTER, (*metrics.METRICS, first_day, last_day, day.sources)),
    starter_count=len(metrics.STARTER),
    truths={
        "no more signals than episodes": pl.col("entry_count") <= pl.col("episode_count"),
        "no more observations than signals": pl.col("observation_count") <= pl.col("entry_count"),
        "no more rises than observations": pl.col("rose_count") <= pl.col("observation_count"),
        "no more shifts that do as well than shifts": pl.col("shift_as_good_count") <= pl.col("shift_count"),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on=dict.fromkeys((*ROWS, "first_day", "last_day"), READ),
    ),
)
