"""The private working database: opened by one process at a time, brought to the present schema by migrations."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

import duckdb

from schemas.errors import WarehouseBusyError, WarehouseError
from warehouse.atomic_files import whole_file
from warehouse.statements import one_line, scalar

Connection: TypeAlias = duckdb.DuckDBPyConnection
"""An open working database, by a name that does not tie its users to one engine."""


@contextmanager
def open_working(path: Path, *, migrating: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the working database at `path`, creating and migrating it as needed; without `migrating` it stays as it is.

    Raises `WarehouseBusyError` while another process has it open, `WarehouseError` when it is not a database of ours
    or refuses a statement; what was not committed is undone then.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if migrating and not path.exists():
            _create(path)
        connection = duckdb.connect(str(path))
    except (OSError, duckdb.Error) as error:
        if isinstance(error, duckdb.IOException) and _is_locked(path):
            raise WarehouseBusyError(str(path), _holder(str(error))) from error
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected a DuckDB file to write to; "
            "fix permissions or free space, or move a broken file away and run a backfill"
        ) from error
    try:
        path.chmod(0o600)
        if migrating:
            migrate(connection)
        yield connection
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected the statement to pass; what was not committed is undone, "
            "free space and run again, or report it"
        ) from error
    except RuntimeError as error:
        # DuckDB puts what a signal raised in the middle of a statement behind an error of its own, which would make a
        # person's stop look like a fault.
        if error.__cause__ is None or isinstance(error.__cause__, Exception):
            raise
        raise error.__cause__ from None
    finally:
        connection.close()


def is_let_go(path: Path) -> bool:
    """Whether there is a working database at `path` that no part of this process has open.

    A lock does not show that: to DuckDB's, which is one of POSIX, all parts of a process are the same holder.
    """
    if not path.exists():
        return False
    database = path.stat()
    for each in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the listing itself is closed by now
            if os.path.samestat(os.fstat(int(each.name)), database):
                return False
    return True


def _create(path: Path) -> None:
    """Make a migrated database under its name in one step: DuckDB cannot open one that it was killed while making."""
    with whole_file(path) as draft:
        for left in (draft, draft.with_name(f"{draft.name}.wal")):
            left.unlink(missing_ok=True)
        with duckdb.connect(str(draft)) as connection:
            migrate(connection)


def migrate(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Apply the migrations that are not applied yet, each in one transaction; return their names.

    Raises `WarehouseError` when an applied migration has changed since or is unknown to this version, and for a
    database that somebody else has made.
    """
    ours = scalar(connection, "select count(*) = 0 or bool_or(table_name = 'migration') from duckdb_tables()")
    if not ours:
        raise WarehouseError(
            "working database: found tables but no migrations, expected a file that hashpivot has made; "
            "move it away and run a backfill"
        )
    connection.execute("create table if not exists migration (name varchar primary key, sha256 varchar not null)")
    applied = dict(connection.execute("select name, sha256 from migration").fetchall())
    known = known_migrations()
    if unknown := sorted(set(applied) - set(known)):
        raise WarehouseError(
            f"working database: found migration {unknown[0]!r}, expected only those of this version; "
            "it was written by a newer hashpivot, upgrade this one"
        )
    added = []
    for name in sorted(known):
        digest = hashlib.sha256(known[name].encode()).hexdigest()
        if name in applied:
            if applied[name] != digest:
                raise WarehouseError(
                    f"working database: found another text of migration {name!r}, expected the applied one; "
                    "restore the file and write a new migration instead"
                )
            continue
        connection.begin()
        try:
            connection.execute(known[name])
            connection.execute("insert into migration values (?, ?)", [name, digest])
            connection.commit()
        except duckdb.Error:
            connection.rollback()
            raise
        added.append(name)
    return added


def known_migrations() -> dict[str, str]:
    """Text of each migration of this version, by its name."""
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in files("warehouse").joinpath("migrations").iterdir()
        if entry.name.endswith(".sql")
    }


def _is_locked(path: Path) -> bool:
    """Whether another process holds DuckDB's lock on the file, which is one of POSIX."""
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _holder(message: str) -> str:
    """The process that holds the lock, for display only: DuckDB names it in its message."""
    found = re.search(r"PID (\d+)", message)
    return f"process {found[1]}" if found else "another process"
