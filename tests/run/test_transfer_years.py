"""Transfers by year: a year that did not change is not read, and what is known of all equals what all rows say."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.run import transfers as by_year
from flows.run.folds import folded_flows
from flows.run.transfers import TransferYears, transfer_years
from schemas.errors import ContractError
from schemas.observations import ObservedTable
from tests.warehouse.warehouse_rows import ONE, block, block_flow, block_flows, blocks, transfer, transfers
from transforms.calendar import dated, whole_days
from transforms.derive import NULLS
from transforms.detail import Detail, built_rows, joined
from transforms.tables.miner_transfer import TABLE, marked
from warehouse import vintages
from warehouse.folds import transfers_between
from warehouse.working import open_working

FIRST = datetime(2022, 12, 29, 1, tzinfo=UTC)
NOW = datetime(2024, 1, 5, 3, tzinfo=UTC)
THROUGH = date(2024, 1, 4)
BLOCKS = 4 * 375
KNOWN_FRESH = 700
"""From this height on a block does not state what is fresh."""


def sent(height: int, **cells: Any) -> dict[str, Any]:
    fresh = {"fresh_sat": 0 if height < KNOWN_FRESH else None}
    return transfer(height, txid=f"{height}", **(fresh | cells))


@pytest.fixture
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Four blocks a day over parts of three years; every fifth has a transfer."""
    heights = range(BLOCKS)
    with open_working(tmp_path_factory.mktemp("years") / "working.duckdb") as connection:
        for batch in (
            blocks(*(block(h, block_at=FIRST + timedelta(hours=6) * h) for h in heights)),
            block_flows(*map(block_flow, heights)),
            transfers(*map(sent, heights[::5])),
        ):
            vintages.append(connection, batch, "run-1")
        yield connection


def years(connection: duckdb.DuckDBPyConnection, now: datetime = NOW) -> TransferYears:
    _, stored = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
    return transfer_years(connection, ONE, stored, folded_flows(connection, ONE, stored, THROUGH, now), now)


def assert_equal_to_all_at_once(connection: duckdb.DuckDBPyConnection, found: TransferYears) -> None:
    """Compare with all transfers, read and built as one table."""
    _, stored = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
    ordered = dated(stored)
    whole = whole_days(ordered)
    heights = ordered.join(whole.filter("is_whole"), on="day", how="semi").filter(pl.col("day") <= THROUGH)
    read = transfers_between(connection, ONE, 0, BLOCKS).join(heights.select("height", "day"), on="height")
    rows, detail = built_rows(TABLE, marked(read, whole, NOW, ONE))
    assert_frame_equal(found.rows.rows(), rows, check_exact=True)
    assert found.rows.height == rows.height
    assert_frame_equal(found.detail.nulls, detail.nulls)
    assert found.detail.last_days == detail.last_days


@pytest.fixture
def read_years(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Years whose rows are read from now on."""
    found: list[int] = []

    def between(connection: Any, source: str, first: int, last: int) -> pl.DataFrame:
        found.append((FIRST + timedelta(hours=6) * first).year)
        return transfers_between(connection, source, first, last)

    monkeypatch.setattr(by_year, "transfers_between", between)
    return found


def test_the_years_together_are_all_transfers_of_whole_days(working):
    found = years(working)
    assert [part.key for part in found.rows.parts] == ["2022", "2023", "2024"]
    assert_equal_to_all_at_once(working, found)
    assert_equal_to_all_at_once(working, years(working))


def test_only_a_year_that_changed_is_read_again(working, read_years):
    before = {part.key: part.digest for part in years(working).rows.parts}
    assert read_years == [2022, 2023, 2024]
    read_years.clear()
    assert {part.key: part.digest for part in years(working).rows.parts} == before
    assert read_years == []
    vintages.append(working, transfers(sent(502, transfer_sat=7)), "run-2")
    found = years(working)
    assert read_years == [2023]
    assert [part.key for part in found.rows.parts if part.digest != before[part.key]] == ["2023"]
    assert_equal_to_all_at_once(working, found)


def test_rows_are_read_once_where_they_are_needed_at_once(working, read_years):
    last = years(working).rows.parts[-1]
    assert last.rows().height == last.row_count
    assert read_years == [2022, 2023, 2024]


def test_two_writers_may_read_the_rows_at_once(working):
    parts = years(working).rows.parts
    expected = [part.rows() for part in parts]
    with ThreadPoolExecutor(max_workers=4) as writers:
        for found in writers.map(lambda part: part.rows(), 40 * parts):
            assert any(found.equals(rows) for rows in expected)


def test_a_day_that_becomes_final_changes_its_year(working, read_years):
    early = NOW - timedelta(days=2)
    before = years(working, early).rows.parts
    later = years(working).rows.parts
    assert [one.digest == other.digest for one, other in zip(before, later, strict=True)] == [True, True, False]


def test_other_code_reads_every_year_again(working, read_years, monkeypatch):
    years(working)
    read_years.clear()
    monkeypatch.setattr(by_year, "code_digest", lambda _: "another version")
    years(working)
    assert read_years == [2022, 2023, 2024]


def test_rows_that_break_the_contract_of_the_table_stop(working):
    vintages.append(working, transfers(sent(1480, miner_input_sat=9_000)), "run-2")
    with pytest.raises(ContractError, match="miner_transfer"):
        years(working)


def test_nothing_of_no_year(tmp_path):
    with open_working(tmp_path / "working.duckdb") as connection:
        folded = folded_flows(connection, None, blocks().rows, THROUGH, NOW)
        found = transfer_years(connection, None, blocks().rows, folded, NOW)
    assert found.rows.is_empty()
    assert found.rows.rows().columns == [metric.name for metric in TABLE.metrics]
    assert joined([]).nulls.is_empty()


def test_ranges_of_two_columns_stay_apart_and_those_that_touch_become_one():
    """Of two years: one column is NULL across new year, another on a day beside it, for another reason."""
    schema = {"column_name": pl.String, "reason": pl.String, "first_day": pl.Date, "last_day": pl.Date}
    rows = [
        [("a", "x", date(2024, 12, 1), date(2024, 12, 31)), ("b", "x", date(2024, 12, 31), date(2024, 12, 31))],
        [("a", "x", date(2025, 1, 1), date(2025, 1, 2)), ("b", "y", date(2025, 1, 1), date(2025, 1, 1))],
    ]
    parts = [
        Detail(
            nulls=pl.DataFrame(of_year, schema=schema, orient="row")
            .with_columns(row_count=pl.lit(1, NULLS["row_count"]))
            .select(NULLS.names()),
            last_days={},
        )
        for of_year in rows
    ]
    found = joined(parts).nulls.select("column_name", "reason", "first_day", "last_day", "row_count").rows()
    assert found == [
        ("a", "x", date(2024, 12, 1), date(2025, 1, 2), 2),
        ("b", "x", date(2024, 12, 31), date(2024, 12, 31), 1),
        ("b", "y", date(2025, 1, 1), date(2025, 1, 1), 1),
    ]
