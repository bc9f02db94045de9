"""The back-test on figures as they were first published, for the days that were published in time."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.inputs.vintages import VINTAGE_ROWS, backtest_of_vintage, first_vintage
from transforms.metrics import backtest as metrics
from transforms.metrics import day, vintages
from transforms.prepare import Prepared
from transforms.rules import judged_span
from transforms.tables import capitulation_daily, signal_backtest

STARTER: Final = (
    metrics.rule,
    metrics.entry,
    metrics.horizon_days,
    vintages.covered_day_count,
    vintages.first_covered_on,
    vintages.last_covered_on,
    vintages.differing_day_count,
    metrics.episode_count,
    metrics.entry_count,
    vintages.entry_now_count,
    vintages.entry_same_count,
    metrics.observation_count,
    metrics.rose_count,
    metrics.return_median_pct,
    metrics.low_worst_pct,
)


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """What followed the signals as first published; no row without a state to judge, and counts of 0 without a day."""
    days, inputs = tables[capitulation_daily.TABLE.name], given.inputs
    rows = pl.DataFrame(schema=VINTAGE_ROWS)
    if judged_span(days):
        publishing_at = inputs.now if inputs.is_current else None
        rows = backtest_of_vintage(days, first_vintage(days, inputs.first_published, publishing_at=publishing_at))
    return rows.with_columns(pl.lit(days["sources"].drop_nulls().last(), pl.String).alias("sources"))


TABLE: Final = Table(
    name="signal_first_published",
    description=(
        "The back-test of `signal_backtest` on figures as they were first published: one row a rule, kind of signal "
        "and horizon, with the days that were published in time and whether their signals are the same now."
    ),
    key=signal_backtest.TABLE.key,
    metrics=starting_with(STARTER, (*metrics.METRICS, *vintages.COVERAGE, day.sources)),
    starter_count=len(STARTER),
    truths={
        **signal_backtest.TABLE.truths,
        "no more differing days than days": pl.col("differing_day_count") <= pl.col("covered_day_count"),
        "no more signals that both have than each": pl.col("entry_same_count")
        <= pl.min_horizontal("entry_count", "entry_now_count"),
        "a day is known where there is one": (pl.col("covered_day_count") == 0) == pl.col("first_covered_on").is_null(),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on=dict.fromkeys(VINTAGE_ROWS, signal_backtest.READ),
    ),
)
