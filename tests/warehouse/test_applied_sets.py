"""Sets that figures depend on are stored with their date: the whole first one, and of each later one what differs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from warehouse.applied_sets import LABELS, POOLS, applied_rows, applied_sets, apply_set, digest_of
from warehouse.past import open_past
from warehouse.pool_list import pool_rows, read_pool_list
from warehouse.registry import load_registry
from warehouse.registry_rows import registry_of, registry_rows
from warehouse.working import open_working

FIRST = datetime(2026, 2, 1, 12, tzinfo=UTC)
A, B, C = "address a", "address b", "address c"


def apply(connection: duckdb.DuckDBPyConnection, day: int, *rows: str, name: str = LABELS) -> bool:
    at = FIRST + timedelta(days=day)
    return apply_set(connection, name, digest_of(rows), lambda: rows, run_id=f"run-{day}", applied_at=at)


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "working.duckdb"
    with open_working(path) as connection:
        assert apply(connection, 0, A, B)
        assert not apply(connection, 1, B, A)
        assert apply(connection, 2, B, C)
        assert apply(connection, 3, A, B, C)
        assert apply(connection, 3, A, name=POOLS)
    return path


def test_each_moment_has_the_set_that_applied_then(working: Path) -> None:
    expected = {-1: None, 0: [A, B], 1: [A, B], 2: [B, C], 3: [A, B, C]}
    for day, rows in expected.items():
        with open_past(working, FIRST + timedelta(days=day)) as past:
            assert applied_rows(past, LABELS) == rows


def test_of_a_later_set_only_the_rows_that_differ_are_stored(working: Path) -> None:
    with open_working(working) as connection:
        found = [
            (each.run_id, each.row_count, each.added_count, each.removed_count) for each in applied_sets(connection)
        ]
        stored = connection.execute("select count(*) from ops.applied_row").fetchone()
    assert found == [("run-0", 2, 2, 0), ("run-2", 2, 1, 1), ("run-3", 3, 1, 0), ("run-3", 1, 1, 0)]
    assert stored == (6,)


def test_rows_of_a_set_that_applies_already_are_not_made(working: Path) -> None:
    with open_working(working) as connection:
        found = applied_sets(connection)[-2]
        again = apply_set(connection, LABELS, found.digest, lambda: 1 / 0, run_id="x", applied_at=FIRST)  # type: ignore[arg-type, return-value]
    assert again is False


def test_database_of_a_version_without_sets_is_read_as_of_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "working.duckdb"
    with open_working(path) as connection:
        for table in ("applied_set", "applied_row"):
            connection.execute(f"drop table ops.{table}")
        connection.execute("alter table ops.run drop column is_current")
    with open_past(path, FIRST) as past:
        assert applied_rows(past, LABELS) is None


def test_registry_is_read_back_as_it_was_stored() -> None:
    rows = list(registry_rows())
    back = registry_of(reversed(rows))
    for table, frame in load_registry().items():
        assert back[table].equals(frame), table
        assert back[table].schema == frame.schema
    assert registry_of([])["company"].schema == load_registry()["company"].schema


def test_pool_list_is_stored_in_its_order_with_scripts_and_tags() -> None:
    rows = pl.Series(pool_rows())
    entries = read_pool_list()
    assert len(rows) == len(entries)
    assert f'1, "{entries[0].name}"' in rows[0]
    assert entries[0].tags[0] in rows[0]
