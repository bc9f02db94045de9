"""Makes the tables, comments and views of a lake those of a published database, by writing what is not the same.

Both are attached to one connection, as `lake` and `home`. All of it happens in the transaction of the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Final

import duckdb

from schemas.errors import WarehouseError
from warehouse.statements import quoted, scalar, statement, text
from warehouse.targets import meta_files
from warehouse.targets.lake_catalog import LAKE
from warehouse.views import SCHEMA as VIEWS

HOME: Final = "home"
FOLDERS: Final = {"main": "parquet", "meta": meta_files.FOLDER}
"""By schema the folder of a version that has its tables as files."""

Name = tuple[str, str]
"""Schema and name of a table or view."""


@dataclass(slots=True)
class Changes:
    """How many rows were written and removed, and the tables that this happened in."""

    written_count: int = 0
    removed_count: int = 0
    tables: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = f"{self.written_count:,} rows written, {self.removed_count:,} removed"
        return f"{rows} in {len(self.tables):,} tables"


def bring(connection: duckdb.DuckDBPyConnection, before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """Bring the lake to what `home` holds; what that took.

    `before` and `now` have the digest of each file of the version that the lake shows and of this one: a table whose
    files are the same is not compared. Without `before` all are. Raises `WarehouseError` where what was written is not
    what is read back.
    """
    changes = Changes()
    wanted, present = _columns(connection, HOME), _columns(connection, LAKE)
    for schema in sorted({schema for schema, _ in wanted} | {VIEWS}):
        connection.execute(f"create schema if not exists {LAKE}.{quoted(schema)}")
    for name in present.keys() - wanted.keys():
        if name[0] in FOLDERS:
            connection.execute(f"drop table {_of(LAKE, name)}")
            changes.tables.append(name[1])
    for name, columns in wanted.items():
        if present.get(name) != columns:
            _write_anew(connection, name, changes, is_there=name in present)
        elif (first_day := _changed_since(name, before, now)) is not None:
            _write_changes(connection, name, [column for column, _ in columns], first_day, changes)
    _bring_comments(connection)
    _bring_views(connection)
    return changes


def _columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[Name, list[list[str]]]:
    """By table the names and types of its columns, in their order."""
    rows = connection.execute(statement("lake_columns"), [database]).fetchall()
    return {(schema, table): columns for schema, table, columns in rows}


def _of(database: str, name: Name) -> str:
    return ".".join((database, *map(quoted, name)))


def _changed_since(name: Name, before: Mapping[str, str], now: Mapping[str, str]) -> date | None:
    """The first day whose rows may have changed; None where the files of the table are the same."""
    schema, table = name
    whole = f"{FOLDERS.get(schema)}/{table}.parquet"
    part = f"{FOLDERS.get(schema)}/{table}/"
    files = {path for path in (before.keys() | now.keys()) if path == whole or path.startswith(part)}
    changed = {path for path in files if before.get(path) != now.get(path)}
    if files and not changed:
        return None
    keys = {PurePosixPath(path).stem for path in changed}
    # Of a table in parts each has the rows of a year.
    if whole in files or not keys or not all(key.isdigit() for key in keys) or not before:
        return date.min
    return date(int(min(keys)), 1, 1)


def _write_anew(connection: duckdb.DuckDBPyConnection, name: Name, changes: Changes, *, is_there: bool) -> None:
    if is_there:
        changes.removed_count += scalar(connection, f"select count(*) from {_of(LAKE, name)}")
        connection.execute(f"drop table {_of(LAKE, name)}")
    changes.written_count += scalar(connection, f"create table {_of(LAKE, name)} as from {_of(HOME, name)}")
    _require_same(connection, name)
    changes.tables.append(name[1])


def _write_changes(
    connection: duckdb.DuckDBPyConnection, name: Name, columns: list[str], first_day: date, changes: Changes
) -> None:
    """Remove the rows that `home` does not have, then write those that the lake does not have.

    A row that is there twice and should be there once is removed twice and written once.
    """
    where = "" if first_day == date.min else f" where day >= date {text(first_day.isoformat())}"
    here, there = (f"(from {_of(database, name)}{where})" for database in (HOME, LAKE))
    same = " and ".join(f"present.{column} is not distinct from gone.{column}" for column in map(quoted, columns))
    connection.execute(f"create or replace temp table gone as from {there} except all from {here}")
    removed = written = 0
    if scalar(connection, "select count(*) from gone"):
        removed = scalar(connection, f"delete from {_of(LAKE, name)} as present where exists (from gone where {same})")
    connection.execute(f"create or replace temp table new as from {here} except all from {there}")
    if scalar(connection, "select count(*) from new"):
        written = scalar(connection, f"insert into {_of(LAKE, name)} from new")
    connection.execute("drop table new; drop table gone")
    if not (removed or written):
        return
    changes.removed_count += removed
    changes.written_count += written
    changes.tables.append(name[1])
    _require_same(connection, name, where)


def _require_same(connection: duckdb.DuckDBPyConnection, name: Name, where: str = "") -> None:
    """Read what was written, and compare it with the home."""
    counts = [scalar(connection, f"select count(*) from {_of(database, name)}") for database in (LAKE, HOME)]
    here, there = (f"(from {_of(database, name)}{where})" for database in (HOME, LAKE))
    lacking = scalar(connection, f"select count(*) from (from {here} except all from {there})")
    if counts[0] != counts[1] or lacking:
        raise WarehouseError(
            f"{name[1]}: found {counts[0]} rows after the write, {lacking} of {counts[1]} not among them, expected the "
            "same; readers keep the version before, report it"
        )


def _bring_comments(connection: duckdb.DuckDBPyConnection) -> None:
    comments = [
        f"comment on {'column' if column else 'table'} {_of(LAKE, (schema, table))}"
        f"{'.' + quoted(column) if column else ''} is {'null' if comment is None else text(comment)}"
        for schema, table, column, comment in connection.execute(statement("lake_comments")).fetchall()
    ]
    if comments:
        connection.execute("; ".join(comments))


def _bring_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Views by their query and comment. DuckLake keeps no comments on columns of views."""
    wanted, present = (_views(connection, database) for database in (HOME, LAKE))
    for name in present.keys() - wanted.keys():
        connection.execute(f"drop view {_of(LAKE, name)}")
    connection.execute(f"use {LAKE}")
    for name, (query, comment) in wanted.items():
        if present.get(name) != (query, comment):
            view = ".".join(map(quoted, name))
            connection.execute(f"create or replace view {view} as {query}")
            connection.execute(f"comment on view {view} is {text(comment or '')}")
    connection.execute("use memory")


def _views(connection: duckdb.DuckDBPyConnection, database: str) -> dict[Name, tuple[str, str | None]]:
    rows = connection.execute(statement("lake_views"), [database]).fetchall()
    return {(schema, view): (sql.partition(" AS ")[2], comment) for schema, view, sql, comment in rows}
