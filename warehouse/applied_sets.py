"""What figures depend on beside observations, dated: each set that runs applied, of a later one only what differs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import duckdb
import polars as pl

from warehouse.statements import registered, scalar, statement

REGISTRY: Final = "registry"
LABELS: Final = "exchange labels"
POOLS: Final = "pool list"
DEFINITIONS: Final = "definitions"
CODE: Final = "code"
PRECEDENCE: Final = "precedence of sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedSet:
    """A set that runs applied from `applied_at` (UTC) on: how many rows it has, and by how many it differs."""

    name: str
    digest: str
    run_id: str
    applied_at: datetime
    row_count: int
    added_count: int
    removed_count: int


def digest_of(rows: Iterable[str]) -> str:
    """SHA-256 of the rows of a set, whatever their order."""
    digest = sha256()
    for row in sorted(rows):
        digest.update(row.encode() + b"\0")
    return digest.hexdigest()


def apply_set(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    digest: str,
    rows: Callable[[], Iterable[str]],
    *,
    run_id: str,
    applied_at: datetime,
) -> bool:
    """Record that the set `name` applies from `applied_at` (UTC) on, unless it does already; whether it was new.

    `rows` gives its rows as text, and is not called for a set whose `digest` is that of the newest one. The caller
    has the transaction.
    """
    newest = "select digest from ops.applied_set where name = ? order by set_id desc limit 1"
    if scalar(connection, newest, name) == digest:
        return False
    set_id = scalar(connection, "select coalesce(max(set_id), 0) + 1 from ops.applied_set")
    given = pl.DataFrame({"content": sorted(set(rows()))}, schema={"content": pl.String})
    with registered(connection, "given", given):
        connection.execute(statement("insert_applied_rows"), {"set_id": set_id, "name": name})
    connection.execute(
        statement("insert_applied_set"),
        {
            "set_id": set_id,
            "name": name,
            "digest": digest,
            "run_id": run_id,
            "applied_at": applied_at.replace(tzinfo=None),
            "row_count": given.height,
        },
    )
    return True


def applied_rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[str] | None:
    """The rows of the newest set of that name, sorted; None where no run has applied any."""
    if not scalar(connection, "select count(*) from ops.applied_set where name = ?", name):
        return None
    connection.execute("set variable name = ?", [name])
    return [row[0] for row in connection.execute(statement("applied_rows")).fetchall()]


def applied_sets(connection: duckdb.DuckDBPyConnection) -> list[AppliedSet]:
    """Every set that runs have applied, the oldest first."""
    names = ("name", "digest", "run_id", "applied_at", "row_count", "added_count", "removed_count")
    rows = connection.execute(statement("applied_sets")).fetchall()
    sets = [dict(zip(names, row, strict=True)) for row in rows]
    return [AppliedSet(**{**each, "applied_at": each["applied_at"].replace(tzinfo=UTC)}) for each in sets]
