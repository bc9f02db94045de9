"""The last day in one row."""

from typing import Final

import polars as pl

from schemas.metric import Metric, taken_over
from schemas.table import Lineage, Origin, Table, Tables
from transforms.metrics import day
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily, conversion_daily, security_daily

MARKS: Final = (day.day.name, day.is_final.name)


def _main(table: Table) -> tuple[Metric, ...]:
    """What a reader begins with in `table`, without the columns that describe the row."""
    return tuple(m for m in table.metrics[: table.starter_count] if m.name not in MARKS)


SCORED: Final = capitulation_daily.TABLE
OTHERS: Final = (conversion_daily.TABLE, security_daily.TABLE)
STARTER: Final = (day.day, *map(taken_over, _main(SCORED)), day.is_final)


def frame(_: Prepared, tables: Tables) -> pl.DataFrame:
    """The newest final day with a score, else the last one, beside the other tables on that day."""
    days = tables[SCORED.name]
    scored = days.filter(pl.col("is_final").fill_null(False), pl.col("capitulation_score").is_not_null())
    row = (days if scored.is_empty() else scored).tail(1)
    row = row.select("day", *(m.name for m in _main(SCORED)), "is_final", "sources")
    for table in OTHERS:
        rows = tables[table.name].select("day", *(m.name for m in _main(table)), pl.col("sources").alias("others"))
        sources = pl.concat_str("sources", "others", separator=",", ignore_nulls=True)
        row = (
            row.join(rows, on="day", how="left", validate="1:1", maintain_order="left")
            .with_columns(sources.str.split(",").list.unique().list.sort().list.join(",").str.strip_prefix(","))
            .drop("others")
        )
    return row


TABLE: Final = Table(
    name="latest",
    description=(
        "One row: the newest final day that has a score, with what to begin with in `capitulation_daily`, "
        "`conversion_daily` and `security_daily`."
    ),
    key=(),
    starter_count=len(STARTER),
    metrics=(
        *STARTER,
        *(taken_over(m, f"NULL on a day that is not in {table.name}.") for table in OTHERS for m in _main(table)),
        day.sources,
    ),
    frame=frame,
    reads=(SCORED, *OTHERS),
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True),
)
