"""The warehouse as of an earlier moment: what had been observed, and what the registry could know, by then."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from warehouse.statements import one_line, quoted, statement, text
from warehouse.working import migrate

KNOWN_COLUMNS: Final = ("known_at", "announced_on")
"""Columns of the registry that state since when a row could be known, the more exact one first."""


@contextmanager
def open_past(path: Path, moment: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy in memory of the working database at `path` with nothing in it that was observed after `moment` (UTC).

    Observations are only ever added, so what is left is the database of that moment, and everything that reads the
    working database reads this one too. Nobody may have the file open meanwhile. Raises `WarehouseError` where there
    is none, or it cannot be read.
    """
    if not path.exists():
        raise WarehouseError(f"{path}: found nothing, expected the observations of runs; run `hashpivot daily` first")
    try:
        with duckdb.connect() as past:
            migrate(past)
            past.execute(f"attach {text(str(path))} as working (read_only)")
            tables = past.execute(statement("vintage_tables")).fetchall()
            until = [moment.replace(tzinfo=None)]
            for (name,) in tables:
                source = f"working.raw.{quoted(name)}"
                past.execute(
                    f"insert into raw.{quoted(name)} by name select rows.* from {source} as rows "
                    "join working.raw.batch as batch using (batch_id) where batch.observed_at <= ?",
                    until,
                )
            past.execute("insert into ops.run by name select * from working.ops.run where ended_at <= ?", until)
            past.execute("detach working")
            yield past
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected to read it as of {moment:%Y-%m-%d %H:%M} UTC; "
            "fix permissions or free memory, or report it"
        ) from error


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
