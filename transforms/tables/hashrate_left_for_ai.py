"""Whether capitulation is distress or hash rate that left for AI, by year."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.table import Lineage, Origin, Table, Tables
from transforms.checks.ai_drift import check_drift
from transforms.inputs.ai_drift import DISPLACED, ROWS, drift_years
from transforms.metrics import ai_drift, day
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily, conversion_daily
from transforms.variants import INPUTS


def frame(_: Prepared, tables: Tables) -> pl.DataFrame:
    """The years that have a state."""
    days, conversion = tables[capitulation_daily.TABLE.name], tables[conversion_daily.TABLE.name]
    sources = conversion["sources"].drop_nulls().last()
    return drift_years(days, conversion).with_columns(pl.lit(sources, pl.String).alias("sources"))


def checks(given: Prepared, tables: Tables) -> Iterator[Check]:
    """Whether the rule is the same without AI; deals are those of the main network, as are the miners they concern."""
    if given.inputs.is_main_network:
        yield from check_drift(tables[TABLE.name])


TABLE: Final = Table(
    name="hashrate_left_for_ai",
    description=(
        "Days of capitulation and of falling hash rate as published, and with the hash rate added back that AI is "
        "known to have taken: one row a year."
    ),
    key=("year_start",),
    metrics=(*ai_drift.METRICS, day.sources),
    truths={
        "days in one state are no more than all": pl.col("capitulation_day_count")
        + pl.col("hashrate_decline_day_count")
        <= pl.col("day_count"),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE, conversion_daily.TABLE),
    checks=checks,
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on={name: ("capitulation_state", *INPUTS[1:], f"conversion_daily.{DISPLACED}") for name in ROWS.names()},
    ),
)
