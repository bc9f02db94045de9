"""The warehouse as of an earlier moment: what had been observed and applied, and what could be known, by then."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from warehouse.statements import one_line, quoted, statement, text
from warehouse.working import migrate

KNOWN_COLUMNS: Final = ("known_at", "announced_on")
"""Columns of the registry that state since when a row could be known, the more exact one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The publication that readers had: its run, the one clock reading of it (UTC), its last day."""

    run_id: str
    started_at: datetime
    day: date


def standing(path: Path, moment: datetime, profile: str) -> Standing | None:
    """The newest publication of `profile` whose run had begun by `moment` (UTC); None where there was none.

    Raises as `open_past`.
    """
    with _copied(path, moment, _copy_runs) as past:
        bound = {"profile": profile, "moment": moment.replace(tzinfo=None)}
        row = past.execute(statement("published_by"), bound).fetchone()
    return None if row is None else Standing(run_id=row[0], started_at=row[1].replace(tzinfo=UTC), day=row[2])


@contextmanager
def open_past(path: Path, moment: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy in memory of the working database at `path` with nothing in it that came after `moment` (UTC).

    That is observations, applied sets and runs that had begun. All of these are only ever added, so what is left is the
    database of that moment, and everything that reads the working database reads this one too. Nobody may have the file
    open meanwhile. Raises `WarehouseError` where there is none, or it cannot be read.
    """
    with _copied(path, moment, _copy_all) as past:
        yield past


@contextmanager
def _copied(
    path: Path, moment: datetime, copy: Callable[[duckdb.DuckDBPyConnection, datetime], None]
) -> Iterator[duckdb.DuckDBPyConnection]:
    if not path.exists():
        raise WarehouseError(f"{path}: found nothing, expected the observations of runs; run `hashpivot daily` first")
    try:
        with duckdb.connect() as past:
            migrate(past)
            past.execute(f"attach {text(str(path))} as working (read_only)")
            copy(past, moment.replace(tzinfo=None))
            past.execute("detach working")
            yield past
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected to read it as of {moment:%Y-%m-%d %H:%M} UTC; "
            "fix permissions or free memory, or report it"
        ) from error


def _copy_all(past: duckdb.DuckDBPyConnection, moment: datetime) -> None:
    for (name,) in past.execute(statement("vintage_tables")).fetchall():
        past.execute(
            f"insert into raw.{quoted(name)} by name select rows.* from working.raw.{quoted(name)} as rows "
            "join working.raw.batch as batch using (batch_id) where batch.observed_at <= ?",
            [moment],
        )
    if past.execute(statement("has_quarantine")).fetchone() is not None:
        past.execute(statement("quarantine_past"), {"moment": moment})
    _copy_runs(past, moment)
    # A database that no run of this version has opened yet has no sets.
    if past.execute(statement("has_applied_sets")).fetchone() is not None:
        past.execute(
            "insert into ops.applied_set select * from working.ops.applied_set where applied_at <= ?", [moment]
        )
        past.execute(
            "insert into ops.applied_row select rows.* from working.ops.applied_row as rows "
            "semi join ops.applied_set using (set_id)"
        )
    if past.execute(statement("has_first_published")).fetchone() is not None:
        past.execute(
            "insert into ops.first_published by name select * from working.ops.first_published where published_at <= ?",
            [moment],
        )


def _copy_runs(past: duckdb.DuckDBPyConnection, moment: datetime) -> None:
    past.execute("insert into ops.run by name select * from working.ops.run where started_at <= ?", [moment])


def known_by(registry: Mapping[str, pl.DataFrame], day: date) -> dict[str, pl.DataFrame]:
    """The registry without what nobody could know on `day`. Tables whose rows carry no such date stay whole."""
    return {name: _known_by(rows, day) for name, rows in registry.items()}


def _known_by(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    since = next((name for name in KNOWN_COLUMNS if name in rows.columns), None)
    if since is None:
        return rows
    known = rows.filter(pl.col(since).is_null() | (pl.col(since) <= day))
    if "superseded_at" in rows.columns:
        # What took a row's place later had not done so yet.
        known = known.with_columns(pl.when(pl.col("superseded_at") <= day).then(pl.col("superseded_at")))
    return known
