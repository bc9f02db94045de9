"""Reading the current publication, read-only, the way any BI tool does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import polars as pl

from schemas.errors import TerminalError, WarehouseError
from warehouse.statements import one_line
from warehouse.targets.files import DATABASE_NAME

OpenPublication: TypeAlias = duckdb.DuckDBPyConnection
"""An open publication, by a name that does not tie its readers to one engine."""
Rows: TypeAlias = tuple[list[str], list[tuple[Any, ...]]]
"""Names of columns, and the rows under them."""
Values: TypeAlias = list[Any] | dict[str, Any] | None
"""What a statement binds."""


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


def query(folder: Path, sql: str, values: Values = None) -> Rows:
    """Column names and rows of one statement on the current publication.

    Raises `TerminalError` with DuckDB's own reason where the statement is wrong or would write, and for several.
    """
    with open_publication(folder) as connection:
        return fetch(connection, sql, values)


def fetch(publication: OpenPublication, sql: str, values: Values = None) -> Rows:
    """The same on an open publication, so that several statements read the same version."""
    return fetch_first(publication, sql, values)[0]


def fetch_first(
    publication: OpenPublication, sql: str, values: Values = None, *, limit: int | None = None
) -> tuple[Rows, bool]:
    """The first `limit` rows of one statement, all by default, and whether there are more."""
    with _as_terminal_error():
        _refuse_several(publication, sql)
        result = publication.execute(sql, values or [])
        rows = result.fetchall() if limit is None else result.fetchmany(limit)
        is_cut = limit is not None and result.fetchone() is not None
    return ([column[0] for column in result.description or []], rows), is_cut


def fetch_frame(
    publication: OpenPublication, sql: str, values: Values = None, *, limit: int | None = None
) -> tuple[pl.DataFrame, bool]:
    """The same with the types of the columns, for a file. Raises `TerminalError` for columns that no file can hold."""
    with _as_terminal_error():
        _refuse_several(publication, sql)
        relation = publication.sql(sql, params=values or None)
        if relation is None:
            raise TerminalError("sql: found a statement without rows, expected a query; write one with `select`")
        _check_columns(relation)
        rows = pl.DataFrame(relation if limit is None else relation.limit(limit + 1))
    return (rows, False) if limit is None else (rows.head(limit), rows.height > limit)


def _check_columns(relation: duckdb.DuckDBPyRelation) -> None:
    names = relation.columns
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise TerminalError(f"sql: found two columns {twice!r}, expected each name once; name one with `as`")
    for name, kind in zip(names, map(str, relation.types), strict=True):
        if "INTERVAL" in kind:
            raise TerminalError(
                f"sql: found column {name!r} of type {kind}, expected one that a file can hold; cast it to varchar"
            )


def _refuse_several(publication: OpenPublication, sql: str) -> None:
    count = len(publication.extract_statements(sql))
    if count != 1:
        found = f"{count} statements" if count else "no statement"
        raise TerminalError(f"sql: found {found}, expected one; see `hashpivot show` for tables")


@contextmanager
def _as_terminal_error() -> Iterator[None]:
    """Raise what DuckDB finds wrong in one line, with its suggestion and without its picture of the place."""
    try:
        yield
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        reason = one_line(str(error).partition("\n\nLINE ")[0])
        raise TerminalError(f"sql: {reason}; see `hashpivot show` for tables") from error
