"""Reading the current publication, read-only, the way any BI tool does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from schemas.errors import TerminalError, WarehouseError
from warehouse.statements import one_line
from warehouse.targets.files import DATABASE_NAME

OpenPublication: TypeAlias = duckdb.DuckDBPyConnection
"""An open publication, by a name that does not tie its readers to one engine."""
Rows: TypeAlias = tuple[list[str], list[tuple[Any, ...]]]
"""Names of columns, and the rows under them."""


@contextmanager
def open_publication(folder: Path) -> Iterator[OpenPublication]:
    """Open the current publication under `folder`; raises `WarehouseError` where there is none that can be read."""
    path = folder / DATABASE_NAME
    if not path.exists():
        raise WarehouseError(f"{path}: found nothing, expected a publication; run `hashpivot daily` first")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected a readable publication; run `hashpivot daily` to write one"
        ) from error
    with connection:
        # A query reads the publication: no variable of this program by a misspelt name, no other file, nothing written.
        connection.execute("set python_enable_replacements = false")
        connection.execute("set enable_external_access = false")
        yield connection


def query(folder: Path, sql: str, values: list[Any] | dict[str, Any] | None = None) -> Rows:
    """Column names and rows of one statement on the current publication.

    Raises `TerminalError` with DuckDB's own first line where the statement is wrong or would write.
    """
    with open_publication(folder) as connection:
        return fetch(connection, sql, values)


def fetch(publication: OpenPublication, sql: str, values: list[Any] | dict[str, Any] | None = None) -> Rows:
    """The same on an open publication, so that several statements read the same version."""
    try:
        result = publication.execute(sql, values or [])
        if result is None:
            raise TerminalError("sql: found no statement, expected one; see `hashpivot show` for tables")
        rows = result.fetchall()
    except duckdb.Error as error:
        raise TerminalError(f"sql: {str(error).splitlines()[0]}; see `hashpivot show` for tables") from error
    return [column[0] for column in result.description or []], rows
