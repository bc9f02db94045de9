"""The database of a version: written whole, or made of that of an older version by changing what is not the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from schemas.partition import Partition, Partitions
from schemas.table import Table
from warehouse.statements import quoted, registered, scalar, statement, text
from warehouse.targets.protocol import Publication, PublishedRows, parts_of
from warehouse.views import SCHEMA

STORAGE_VERSION: Final = "v1.2.0"
"""Readers' drivers lag behind; DuckDB 1.2 and everything after it opens this."""
SLOW_COMPRESSIONS: Final = "alp,alprd,chimp,dict_fsst,fsst,patas,zstd"
"""Weighing these for each column took as long as all the writing, for a file between 4 % larger and 11 % smaller."""
MOST_GAPS: Final = 0.5
"""Part of the file that holds nothing any more."""
LONG_ROWS: Final = 200_000

RowsOf: TypeAlias = Callable[[str, Partition], pl.DataFrame]
"""The rows of a part of the table with that name."""


def long_rows(publication: Publication) -> int:
    """Rows of the tables that are published in parts."""
    return sum(part.row_count for rows in publication.tables.values() for part in parts_of(rows))


def _slow_compressions(publication: Publication) -> str:
    """Compressions that are not tried. Of a long table FSST saves a third of the bytes for a sixth of the time."""
    is_long = long_rows(publication) >= LONG_ROWS
    return ",".join(name for name in SLOW_COMPRESSIONS.split(",") if name != "fsst" or not is_long)


def write(path: Path, publication: Publication, rows_of: RowsOf) -> None:
    """Write all tables, their comments and the meta schema to a fresh file."""
    with _writing(path, publication, f"storage_version {text(STORAGE_VERSION)}") as connection:
        # These statements have nothing to plan, and a third of the time of seven hundred comments was that.
        connection.execute("pragma disable_optimizer")
        for facts in publication.facts:
            _write_table(connection, facts, publication.tables[facts.name], rows_of)
        _write_meta(connection, publication)
        _write_views(connection, publication)
        _commit(connection)


def change(
    path: Path,
    publication: Publication,
    rows_of: RowsOf,
    stated_parts: Callable[[str], Sequence[tuple[str, str]]],
    kept: Mapping[str, int],
) -> bool:
    """Change an older database so that the tables of `kept` keep so many of their `stated_parts`, and all else is new.

    False, and nothing of it, where more than half of the file would be gaps.
    """
    with _writing(path, publication) as connection:
        for (name,) in connection.execute(statement("published_tables")).fetchall():
            if name not in kept:
                connection.execute(f"drop table {quoted(name)}")
        connection.execute("drop schema meta cascade")
        connection.execute(f"drop schema if exists {SCHEMA} cascade")
        for facts in publication.facts:
            rows = publication.tables[facts.name]
            if facts.name in kept and isinstance(rows, Partitions):
                count = kept[facts.name]
                stated = [key for key, _ in stated_parts(facts.name)]
                changed = [*stated[count : count + 1], *(part.key for part in rows.parts[count : count + 1])]
                if changed:
                    first_day = date(int(min(changed)), 1, 1)
                    connection.execute(f"delete from {quoted(facts.name)} where day >= ?", [first_day])
                _append_parts(connection, facts.name, rows.parts[count:], rows_of)
                _comment(connection, facts)
            else:
                _write_table(connection, facts, rows, rows_of)
        _write_meta(connection, publication)
        _write_views(connection, publication)
        _commit(connection)
        gaps = scalar(connection, statement("gaps"))
    if gaps > MOST_GAPS:
        path.unlink()
        return False
    return True


@contextmanager
def _writing(path: Path, publication: Publication, *options: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose statements change the file at `path`, in one transaction; see `_commit`."""
    # One thread: the other core compresses the Parquet files meanwhile.
    with duckdb.connect(config={"threads": 1}) as connection:
        given = f" ({', '.join(options)})" if options else ""
        connection.execute(f"attach {text(str(path))} as publication{given}")
        connection.execute("use publication")
        connection.execute(f"set disabled_compression_methods = {text(_slow_compressions(publication))}")
        # However small the publication: the commit then writes the file at once, and not a log of it before that.
        connection.execute("set checkpoint_threshold = '1KB'")
        connection.begin()
        yield connection
        connection.execute("use memory")
        connection.execute("detach publication")


def _commit(connection: duckdb.DuckDBPyConnection) -> None:
    connection.commit()
    connection.execute("checkpoint publication")


def _write_table(connection: duckdb.DuckDBPyConnection, facts: Table, rows: PublishedRows, rows_of: RowsOf) -> None:
    first = rows if isinstance(rows, pl.DataFrame) else rows.schema.to_frame()
    with registered(connection, "rows", first):
        connection.execute(f"create table {quoted(facts.name)} as select * from rows")
    _append_parts(connection, facts.name, parts_of(rows), rows_of)
    _comment(connection, facts)


def _append_parts(
    connection: duckdb.DuckDBPyConnection, name: str, parts: Sequence[Partition], rows_of: RowsOf
) -> None:
    for part in parts:
        with registered(connection, "rows", rows_of(name, part)):
            connection.execute(f"insert into {quoted(name)} select * from rows")


def _comment(connection: duckdb.DuckDBPyConnection, facts: Table) -> None:
    table = quoted(facts.name)
    comments = [f"comment on table {table} is {text(facts.description)}"]
    comments += [
        f"comment on column {table}.{quoted(column.name)} is {text(column.comment())}" for column in facts.columns
    ]
    connection.execute("; ".join(comments))


def _write_meta(connection: duckdb.DuckDBPyConnection, publication: Publication) -> None:
    connection.execute(statement("meta"))
    for name, rows in publication.meta.items():
        with registered(connection, "rows", rows):
            connection.execute(f"insert into meta.{quoted(name)} by name select * from rows")


def _write_views(connection: duckdb.DuckDBPyConnection, publication: Publication) -> None:
    """Write the views with their comments; what is said of a column is that of the one it comes from."""
    if not publication.views:
        return
    connection.execute(f"create schema {SCHEMA}")
    for view in publication.views:
        connection.execute(f"create view {SCHEMA}.{quoted(view.name)} as {view.select}")
    columns: dict[str, list[str]] = dict(connection.execute(statement("view_columns"), [SCHEMA]).fetchall())
    tables = {facts.name: facts for facts in publication.facts}
    comments = []
    for view in publication.views:
        name = f"{SCHEMA}.{quoted(view.name)}"
        comments.append(f"comment on view {name} is {text(view.description)}")
        comments += [
            f"comment on column {name}.{quoted(column)} is {text(view.comment_on(column, tables))}"
            for column in columns[view.name]
        ]
    connection.execute("; ".join(comments))


@contextmanager
def checked(path: Path, publication: Publication) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the written file as a reader would, and compare it with what was to be written.

    Raises `WarehouseError` at the first difference.
    """
    with duckdb.connect(str(path), read_only=True) as reader:
        names: dict[str, list[str]] = dict(reader.execute(statement("columns_written")).fetchall())
        for name, rows in publication.tables.items():
            written = scalar(reader, f"select count(*) from {quoted(name)}")
            if written != rows.height:
                raise WarehouseError(
                    f"{path.name}: found {written} rows in {name}, expected {rows.height}; the last publication stays"
                )
            if names.get(name) != rows.columns:
                raise WarehouseError(
                    f"{path.name}: found columns {names.get(name)} in {name}, expected {rows.columns}; "
                    "the last publication stays"
                )
            _check_parts(reader, path, name, parts_of(rows))
        bare = reader.execute(statement("columns_without_comment")).fetchall()
        if bare:
            raise WarehouseError(f"{path.name}: found no comment on {bare[0][0]}, expected one; describe the column")
        yield reader


def _check_parts(reader: duckdb.DuckDBPyConnection, path: Path, name: str, parts: Sequence[Partition]) -> None:
    """Compare the rows of each part, of which most were written by a run before, with what is published."""
    if not parts:
        return
    years = f"select year(day), count(*), min(day), max(day) from {quoted(name)} group by 1 order by 1"
    written = [(f"{year:04d}", *facts) for year, *facts in reader.execute(years).fetchall()]
    for found, part in zip(written, parts, strict=False):
        if found != (part.key, part.row_count, part.first_day, part.last_day):
            raise WarehouseError(
                f"{path.name}: found {found[1]} rows of {found[0]} in {name}, expected {part.row_count} of {part.key}; "
                "the last publication stays"
            )
