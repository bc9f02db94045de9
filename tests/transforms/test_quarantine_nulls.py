"""Reasons of NULLs that name the quarantine: on days that are held, of the supplier that the series comes from."""

from datetime import date

import polars as pl

from transforms.checks.quarantine import BECAUSE_HELD, naming_held
from transforms.derive import NULLS, UNOBSERVED

REASON = f"{UNOBSERVED}price_usd"


def day(number: int) -> date:
    return date(2024, 1, number)


def held(*numbers: int, source: str = "ours") -> pl.DataFrame:
    rows = [(source, '{"series": "price_usd"}', day(number), "held") for number in numbers]
    types = {"source": pl.String, "row_key": pl.String, "day": pl.Date, "status": pl.String}
    return pl.DataFrame(rows, schema=types, orient="row")


def named(entries: pl.DataFrame, *, row_count: int = 10) -> list[tuple[int, int, int, bool]]:
    columns = {"table_name": pl.String, **NULLS}
    row = {"table_name": "t", "column_name": "c", "reason": REASON, "first_day": day(1), "last_day": day(10)}
    nulls = pl.DataFrame([{**row, "row_count": row_count}], schema=columns, orient="row")
    found = naming_held(nulls, entries, {"price_usd": "ours"})
    assert found.columns == nulls.columns
    assert set(found["reason"]) <= {REASON, f"{REASON}{BECAUSE_HELD}"}
    return [
        (first.day, last.day, count, reason != REASON)
        for first, last, count, reason in found.select("first_day", "last_day", "row_count", "reason").iter_rows()
    ]


def test_days_are_divided_where_some_are_held() -> None:
    assert named(held(3, 4, 7)) == [
        (1, 2, 2, False),
        (3, 4, 2, True),
        (5, 6, 2, False),
        (7, 7, 1, True),
        (8, 10, 3, False),
    ]
    assert named(held(1)) == [(1, 1, 1, True), (2, 10, 9, False)]
    assert named(held(10)) == [(1, 9, 9, False), (10, 10, 1, True)]
    assert named(held(*range(1, 11))) == [(1, 10, 10, True)]


def test_other_days_suppliers_and_tables_of_many_rows_a_day_stay_as_they_are() -> None:
    whole = [(1, 10, 10, False)]
    assert named(held(20)) == whole
    assert named(held(3, source="another")) == whole
    assert named(held(3), row_count=25) == [(1, 10, 25, False)]
