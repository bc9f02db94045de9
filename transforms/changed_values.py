"""What of a table that is published again differs from what was published before: by row and column."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from schemas.units import PERCENT

NOT_COMPARED: Final = ("is_final",)
"""Columns that move with the clock by their meaning."""
ADDED: Final = "row added"
REMOVED: Final = "row removed"
CELLS: Final = pl.Schema(
    {
        "column_name": pl.String,
        "row_key": pl.String,
        "day": pl.Date,
        "value_before": pl.Float64,
        "value_after": pl.Float64,
        "detail": pl.String,
    }
)
"""Changed values of a table: `row_key` has the key beside the day as `name=value`; of what is no number `detail` has
both values, and of a row that is one more or one less which of these it is, without a column."""


def changed_cells(
    before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str], *, until: date | None = None
) -> pl.DataFrame:
    """The values of `after` that differ from those of the same row of `before`, and the rows of only one of them.

    Rows of days after `until`, by default the last one of `before`, are new days, and no change. Without a `key` a
    table has one row, which is another one where its day is. Only columns of both are compared. Shape: `CELLS`, in the
    order of columns, then of rows. Costs what comparing the rows does where nothing differs.
    """
    has_day = "day" in after.columns and "day" in before.columns
    if not key and has_day and not before["day"].equals(after["day"]):
        return CELLS.to_frame()
    names = [name for name in after.columns if name in before.columns and name not in (*key, *NOT_COMPARED)]
    before = before.select(*key, *names)
    if not key:
        before, after = before.with_row_index("row"), after.with_row_index("row")
    elif has_day:
        # Without any day before, all are new.
        after = after.filter((pl.col("day") <= pl.lit(until or before["day"].max(), pl.Date)).fill_null(False))
    by = list(key) or ["row"]
    old, new = before.select(by), after.select(by)
    rows = []
    if not new.equals(old):
        # The rows that both have, side by side. Hashing all columns to find those that differ takes much longer.
        places = new.with_row_index("in after").join(
            old.with_row_index("in before"), on=by, how="inner", nulls_equal=True, maintain_order="left"
        )
        rows = [
            _rows(one.join(other, on=by, how="anti", nulls_equal=True, maintain_order="left"), key, detail)
            for one, other, detail in ((after, old, ADDED), (before, new, REMOVED))
        ]
        before, after = before[places["in before"]], after[places["in after"]]
    found = [_cells(before, after, name, key) for name in names]
    return pl.concat([CELLS.to_frame(), *(cells for cells in found if cells is not None), *rows])


def relative_pct(before: pl.Expr, after: pl.Expr) -> pl.Expr:
    """Relative change in percent; NULL from zero, and where one of the two is not known."""
    return pl.when(before != 0).then((after - before) / before.abs() * PERCENT)


def _cells(before: pl.DataFrame, after: pl.DataFrame, name: str, key: Sequence[str]) -> pl.DataFrame | None:
    """The rows in which the column differs, of frames with the same rows; None where there are none."""
    dtype = after.schema[name]
    old = before[name] if before.schema[name] == dtype else before[name].cast(dtype)
    differs = after[name].ne_missing(old)
    if not differs.any():
        return None
    is_number = dtype.is_numeric()
    changed = after.filter(differs).with_columns(old.filter(differs).alias("value before"))
    pair = pl.col("value before"), pl.col(name)
    numbers = [(value if is_number else pl.lit(None)).cast(pl.Float64) for value in pair]
    texts = [pl.coalesce(_text(value, dtype), pl.lit("NULL")) for value in pair]
    return changed.select(
        pl.lit(name).alias("column_name"),
        _key(key),
        _day(changed),
        *(value.alias(f"value_{which}") for which, value in zip(("before", "after"), numbers, strict=True)),
        (pl.lit(None, pl.String) if is_number else pl.concat_str(*texts, separator=" to ")).alias("detail"),
    )


def _rows(rows: pl.DataFrame, key: Sequence[str], detail: str) -> pl.DataFrame:
    # Of literals alone a selection has one row, also of a frame that has none.
    return rows.with_columns(
        pl.lit(None, pl.String).alias("column_name"),
        _key(key),
        _day(rows),
        *(pl.lit(None, pl.Float64).alias(f"value_{which}") for which in ("before", "after")),
        pl.lit(detail).alias("detail"),
    ).select(*CELLS)


def _key(key: Sequence[str]) -> pl.Expr:
    parts = [pl.format(f"{name}={{}}", pl.col(name).cast(pl.String).fill_null("")) for name in key if name != "day"]
    return (pl.concat_str(*parts, separator=", ") if parts else pl.lit("")).alias("row_key")


def _day(rows: pl.DataFrame) -> pl.Expr:
    return (pl.col("day") if "day" in rows.columns else pl.lit(None, pl.Date)).alias("day")


def _text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return (
        column.list.eval(pl.element().cast(pl.String)).list.join(", ") if dtype == pl.List else column.cast(pl.String)
    )
