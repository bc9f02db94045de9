"""SQL lives in .sql files; this reads them, and turns frames into something DuckDB can scan."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final

import duckdb
import polars as pl

_LONGEST: Final = 300
"""Characters."""


@cache
def statement(name: str) -> str:
    """Text of `warehouse/sql/<name>.sql`."""
    return files("warehouse").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def quoted(identifier: str) -> str:
    """An identifier of ours in quotes, for the few statements that cannot bind one."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal, for the few statements that cannot bind one: comments and ATTACH."""
    return "'" + value.replace("'", "''") + "'"


class _ArrowStream:
    """A Polars frame as nothing but an Arrow stream.

    DuckDB recognises a Polars frame and then has pyarrow convert it; given only the stream interface it scans the
    same memory without that dependency of forty megabytes.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, rows: pl.DataFrame) -> Iterator[None]:
    """Let statements read the frame `rows` as the table `name`."""
    stream = _ArrowStream(rows)
    connection.register(name, stream)
    try:
        yield
    finally:
        connection.unregister(name)
        # Until its transaction ends, DuckDB holds what was registered: of a publication, all rows of all tables.
        stream.rows = rows.clear()


def frame(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """The rows of a relation; naive timestamps of ours are UTC, and have that zone from here on."""
    rows = pl.DataFrame(relation)
    return rows.with_columns(
        pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        for name, dtype in rows.schema.items()
        if isinstance(dtype, pl.Datetime)
    )


def without_zone(rows: pl.DataFrame) -> pl.DataFrame:
    """Timestamps as they are stored: UTC without a zone in the type, which every driver can read."""
    return rows.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))


def one_line(error: Exception | str) -> str:
    """A library's error, or its text, in one line of bounded length; where it is longer, its middle is left out."""
    line = " ".join(str(error).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


def scalar(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> Any:
    """The one value of a query that gives one row of one column."""
    row = connection.execute(query, list(values)).fetchone()
    return None if row is None else row[0]
