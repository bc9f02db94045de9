"""The record of runs: when each ran, what it added, how it ended; and the lock that keeps runs one at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from schemas.errors import WarehouseBusyError, WarehouseError
from schemas.observations import Notice
from warehouse.private import keep_private, make_private_home
from warehouse.statements import scalar, statement
from warehouse.vintages import Appended


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """A run at its start."""

    run_id: str
    profile: str
    day: date
    """Last day of the publication."""
    fetched_until: date
    """Last day that is requested of the sources."""
    version: str
    started_at: datetime
    is_current: bool = True
    """Whether readers will find its publication as the current one, or beside it."""


@contextmanager
def one_run_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` for the length of a run, in a home that is closed to other users.

    The lock belongs to the process, so it is gone with it, however it dies. Raises `WarehouseBusyError` naming the
    process that holds it, `WarehouseError` where there can be no such file.
    """
    try:
        make_private_home(path.parent)
        path.touch(mode=0o600, exist_ok=True)
        lock = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise WarehouseError(
            f"{path}: found {error.strerror!r}, expected a folder to write to; name another home or fix permissions"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise WarehouseBusyError(str(path), lock.read().strip() or "another process") from error
        keep_private(path.parent)
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield


def start(connection: duckdb.DuckDBPyConnection, run: RunStart) -> None:
    """Record the start of `run`; runs that never ended are recorded as abandoned, for their process is gone."""
    connection.execute("update ops.run set status = 'abandoned' where status = 'running' and run_id <> ?", [run.run_id])
    connection.execute(
        statement("start_run"),
        [
            run.run_id,
            run.profile,
            run.day,
            run.fetched_until,
            run.version,
            run.started_at.replace(tzinfo=None),
            run.is_current,
        ],
    )


def note_current(connection: duckdb.DuckDBPyConnection, publication: str, published_at: datetime) -> None:
    """Record as published the run that made the current publication, whose name it bears, whatever is recorded of it.

    A run may die, or fail, after readers were led to its publication and before that was recorded.
    """
    connection.execute(
        "update ops.run set status = 'published', ended_at = ?, publication = run_id "
        "where run_id = ? and status <> 'published'",
        [published_at.replace(tzinfo=None), publication],
    )


def is_known(connection: duckdb.DuckDBPyConnection, run_id: str) -> bool:
    """Whether there is a record of the run."""
    return bool(scalar(connection, "select count(*) from ops.run where run_id = ?", run_id))


def note(connection: duckdb.DuckDBPyConnection, run_id: str, notice: Notice) -> None:
    """Record a notice of a source with the run."""
    connection.execute(
        "insert into ops.notice values (?, ?, ?, ?)", [run_id, notice.source, notice.origin, notice.message]
    )


def count(connection: duckdb.DuckDBPyConnection, run_id: str, added: Appended) -> None:
    """Add what a batch added to the totals of the run."""
    connection.execute(statement("count_run"), [added.row_count, added.new_count, added.revised_count, run_id])


def end(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    *,
    status: str,
    ended_at: datetime,
    error: str | None = None,
    publication: str | None = None,
) -> None:
    """Record how the run ended."""
    connection.execute(statement("end_run"), [status, ended_at.replace(tzinfo=None), error, publication, run_id])
