"""Tables of detail: too many rows to build at once, so that they are built by year, and what was found is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from schemas.enforce import enforce
from schemas.table import Table
from transforms.derive import NULLS, derive, explain_nulls, published


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What the other tables and the meta tables need of the rows of a table, or of a year of it.

    `nulls`: why values are NULL, as `explain_nulls` states it; `last_days`: by column the last day with a value.
    """

    nulls: pl.DataFrame
    last_days: Mapping[str, date | None]


def built_rows(table: Table, rows: pl.DataFrame) -> tuple[pl.DataFrame, Detail]:
    """Add the metrics of `table` to `rows`, check them, and explain their NULLs.

    Raises `ContractError` where they break the schema of the table.
    """
    derived = derive(rows, table.metrics)
    finished = enforce(published(derived, table.metrics), table.schema)
    nulls = explain_nulls(derived, table.metrics, is_daily=table.key == ("day",))
    known = (pl.col("day").filter(pl.col(name).is_not_null()).max().alias(name) for name in finished.columns)
    return finished, Detail(nulls=nulls, last_days=finished.select(known).row(0, named=True))


def joined(parts: Sequence[Detail]) -> Detail:
    """Of the years of a table, in their order, what there is to state of all of it."""
    nulls = pl.concat([pl.DataFrame(schema=NULLS), *(part.nulls for part in parts)]).sort(
        "column_name", "reason", "first_day"
    )
    before = pl.col("last_day").shift().over("column_name", "reason")
    begins = (pl.col("first_day") != before + timedelta(days=1)).fill_null(True)
    merged = (
        nulls.with_columns(begins.cum_sum().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("column_name", "reason", "first_day").first(),
            pl.col("last_day").last(),
            pl.col("row_count").sum(),
        )
        .select(*NULLS)
        .sort("column_name", "first_day", "reason")
    )
    last_days: dict[str, date | None] = {}
    for part in parts:
        last_days |= {name: day for name, day in part.last_days.items() if day or name not in last_days}
    return Detail(nulls=merged, last_days=last_days)
