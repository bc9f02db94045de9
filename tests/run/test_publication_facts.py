"""Every table of a publication can be added up over its key, with nothing counted twice; every NULL has a reason."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.publication_facts import double_counted, nulls_without_reason, rows_that_sum_others, sums_that_differ

DAYS = [date(2024, 6, 1) + timedelta(days=n) for n in range(3)]
PARTS = [(day, exchange, pool, 2.0 + n) for day in DAYS for n, (exchange, pool) in enumerate(["XP", "XQ", "YP", "YQ"])]
KEY = ["day", "exchange", "pool"]


def rows(*added: tuple[date, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame([*PARTS, *added], schema=[*KEY, "amount_btc"], orient="row")


@pytest.fixture(scope="module")
def database(published_demo: Path) -> Path:
    return published_demo / "hashpivot.duckdb"


@pytest.mark.parametrize("axis", ["exchange", "pool"])
def test_rows_of_sums_among_their_parts_are_found(axis: str) -> None:
    rest = [name for name in KEY if name != axis]
    sums = rows().group_by(rest).agg(pl.col("amount_btc").sum()).with_columns(pl.lit("all").alias(axis))
    with_sums = pl.concat([rows(), sums.select(rows().columns)])
    assert rows_that_sum_others(rows(), KEY, ["amount_btc"]) == []
    assert rows_that_sum_others(with_sums, KEY, ["amount_btc"]) == [(axis, "all")]


def test_no_table_counts_anything_twice_when_it_is_added_up_over_its_key(database: Path) -> None:
    assert double_counted(database) == {}
    assert sums_that_differ(database) == []


def test_every_null_of_every_table_has_a_reason(database: Path) -> None:
    assert nulls_without_reason(database) == []
