"""What differs between two versions of a table, by hand."""

from datetime import date
from typing import Any

import polars as pl

from transforms.changed_values import ADDED, REMOVED, changed_cells

DAYS = [date(2026, 2, n) for n in (1, 2, 3)]
BEFORE = pl.DataFrame(
    {
        "day": DAYS,
        "pool": ["a", "a", None],
        "count": [1, None, 3],
        "share_pct": [50.0, 20.0, 0.0],
        "zone": ["low", "low", "high"],
        "is_final": [True, True, False],
        "gone": [1, 2, 3],
    }
)
KEY = ("day", "pool")


def rows(after: pl.DataFrame, key: tuple[str, ...] = KEY, **options: Any) -> list[tuple[Any, ...]]:
    return changed_cells(BEFORE, after, key, **options).rows()


def test_equal_rows_and_days_that_are_new_are_no_change() -> None:
    new = BEFORE.tail(1).with_columns(pl.lit(date(2026, 2, 4)).alias("day"))
    assert rows(BEFORE) == []
    assert rows(pl.concat([BEFORE, new])) == []
    assert changed_cells(BEFORE.clear(), BEFORE, KEY).is_empty()
    assert rows(BEFORE.with_columns(pl.lit(True).alias("is_final"), pl.lit(0).alias("new")).drop("gone")) == []


def test_each_value_that_differs_is_stated_with_both_values() -> None:
    after = BEFORE.with_columns(
        pl.Series("count", [1, 2, None]),
        pl.Series("share_pct", [50.0, 20.0, 1.0]),
        pl.Series("zone", ["low", None, "high"]),
    )
    assert rows(after) == [
        ("count", "pool=a", DAYS[1], None, 2.0, None),
        ("count", "pool=", DAYS[2], 3.0, None, None),
        ("share_pct", "pool=", DAYS[2], 0.0, 1.0, None),
        ("zone", "pool=a", DAYS[1], None, None, "low to NULL"),
    ]


def test_rows_of_only_one_version_are_stated_without_a_column() -> None:
    after = BEFORE.with_columns(pl.Series("pool", ["a", "b", None]))
    assert rows(after) == [
        (None, "pool=b", DAYS[1], None, None, ADDED),
        (None, "pool=a", DAYS[1], None, None, REMOVED),
    ]
    assert rows(after, until=DAYS[0]) == [
        (None, "pool=a", DAYS[1], None, None, REMOVED),
        (None, "pool=", DAYS[2], None, None, REMOVED),
    ]


def test_table_of_one_row_is_compared_while_it_is_of_the_same_day() -> None:
    one = BEFORE.head(1)
    again = one.with_columns(pl.lit(2).alias("count"))
    assert changed_cells(one, again, ()).rows() == [("count", "", DAYS[0], 1.0, 2.0, None)]
    assert changed_cells(one, again.with_columns(pl.lit(DAYS[1]).alias("day")), ()).is_empty()
