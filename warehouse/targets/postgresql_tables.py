"""What a version is in PostgreSQL: its tables with their types, keys and comments, and their rows as COPY takes them.

Tables of the home and of `meta` come from the Parquet files, those of the schema `answers`, which are views in DuckDB's
own SQL, from the database. A table in parts has a partition a year.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, Final

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from schemas.table import NEVER
from warehouse.statements import frame, one_line, quoted, statement, text
from warehouse.targets.finished import FinishedVersion, VersionFile
from warehouse.views import SCHEMA as VIEWS

LAYOUT: Final = 1
"""Of what is below; tables that were loaded in another one are loaded anew."""
PIECE_CELLS: Final = 250_000
"""At most of what is encoded at a time: some 3 MB."""
WHOLE: Final = ""
"""Key of the one part of a table that is loaded whole."""
DAY: Final = "day"
TYPES: Final[Mapping[str, str]] = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "HUGEINT": "numeric(39, 0)",
    "INTEGER": "integer",
    "SMALLINT": "smallint",
    "TIMESTAMP": "timestamp with time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "TINYINT": "smallint",
    "UBIGINT": "numeric(20, 0)",
    "UINTEGER": "bigint",
    "USMALLINT": "integer",
    "UTINYINT": "smallint",
    "VARCHAR": "text",
}
"""By type in DuckDB. Times of ours are UTC, whether or not their type has a zone."""
SATOSHI_UNIT: Final = "satoshi"
SATOSHI_TYPE: Final = "numeric(16, 0)"
"""So that a division by 100000000 keeps every satoshi."""
BTC_TYPE: Final = "numeric(16, 8)"
"""Of a column `x_btc` beside `x_sat`: the same figure."""
_READ: Final = re.compile(r"\b(main|meta)\.([a-z0-9_]+)")
"""A table as DuckDB writes it in the definition of a view."""
META_KEYS: Final[Mapping[str, tuple[str, ...]]] = {"tables": ("table_name",), "columns": ("table_name", "column_name")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetColumn:
    """A column as PostgreSQL has it."""

    name: str
    kind: str
    comment: str | None = None
    is_never_null: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows that are loaded together: of a whole table, or of one year."""

    key: str
    digest: str
    """Of the rows and of what the table is; the same digest is the same part."""
    frames: Callable[[], Iterator[pl.DataFrame]]

    def pieces(self) -> Iterator[bytes]:
        """The rows as CSV in the form of COPY: NULL is nothing, a text without characters is a pair of quotes."""
        for rows in self.frames():
            plain = rows.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))
            for piece in plain.iter_slices(max(1, PIECE_CELLS // plain.width)):
                written = io.BytesIO()
                piece.write_csv(written, include_header=False)
                yield written.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTable:
    """A table of one of our schemas with its parts."""

    schema: str
    """Its name in the home: main, meta or the one of the views."""
    name: str
    comment: str | None
    columns: tuple[TargetColumn, ...]
    key: tuple[str, ...] = ()
    is_by_year: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def shape(self) -> str:
        """Digest of all but the rows."""
        facts = [LAYOUT, self.schema, self.name, self.comment, self.key, self.is_by_year]
        columns = [[each.name, each.kind, each.comment, each.is_never_null] for each in self.columns]
        return hashlib.sha256(json.dumps([facts, columns]).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """Of all that is replaced at once: of a table with partitions not the rows, which have their own."""
        return self.shape if self.is_by_year else self.parts[0].digest

    def create(self, schema: str) -> str:
        """The statement that makes it in a schema, without rows, and without key, which is cheaper afterwards."""
        columns = ", ".join(
            f"{quoted(each.name)} {each.kind}{' not null' if each.is_never_null else ''}" for each in self.columns
        )
        by_year = f" partition by range ({DAY})" if self.is_by_year else ""
        return f"create table {schema}.{quoted(self.name)} ({columns}){by_year}"

    def finish(self, schema: str) -> str:
        """The statements that add key, indexes and comments."""
        return "; ".join([*self.keys(schema, self.name), *self.comments(schema)])

    def keys(self, schema: str, name: str) -> list[str]:
        """Statements that add the key to the table, or to one of its parts, by whatever name."""
        table, key = f"{schema}.{quoted(name)}", self._key
        if not key:
            return []
        never_null = {each.name for each in self.columns if each.is_never_null}
        listed = ", ".join(map(quoted, key))
        if never_null.issuperset(key):
            added = [f"alter table {table} add primary key ({listed})"]
        else:
            # Of a key of which a column may be NULL.
            added = [f"create unique index on {table} ({listed})"]
        if DAY in {each.name for each in self.columns} and key[0] != DAY:
            added.append(f"create index on {table} ({DAY})")
        return added

    @property
    def _key(self) -> tuple[str, ...]:
        """PostgreSQL wants the column of the partitions in the key."""
        return (*self.key, DAY) if self.is_by_year and DAY not in self.key else self.key

    def comments(self, schema: str) -> list[str]:
        """Statements that say what the table and its columns are."""
        table = f"{schema}.{quoted(self.name)}"
        stated = [f"comment on table {table} is {text(self.comment)}"] if self.comment else []
        return stated + [
            f"comment on column {table}.{quoted(each.name)} is {text(each.comment)}"
            for each in self.columns
            if each.comment
        ]


@contextmanager
def target_tables(version: FinishedVersion) -> Iterator[list[TargetTable]]:
    """Every table of a version; rows are read within the block, as far as they are needed.

    Raises `WarehouseError` for a file that is not as it was published.
    """
    path = version.database()
    try:
        with duckdb.connect(str(path), read_only=True) as publication:
            found = publication.execute(statement("postgresql_columns")).fetchall()
            yield [
                _table(version, publication, schema, name, list(rows))
                for (schema, name), rows in groupby(found, key=lambda row: (row[0], row[1]))
            ]
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected a readable publication; run `hashpivot daily`"
        ) from error


def _table(
    version: FinishedVersion, publication: duckdb.DuckDBPyConnection, schema: str, name: str, rows: Sequence[Any]
) -> TargetTable:
    names, (_, _, stated, definition, *_) = {row[4] for row in rows}, rows[0]
    columns = tuple(
        TargetColumn(
            name=column,
            kind=_kind(name, column, data_type, unit, names),
            comment=comment,
            is_never_null=null_rule == NEVER or (schema == "meta" and column in META_KEYS.get(name, ())),
        )
        for _, _, _, _, column, data_type, comment, unit, null_rule in rows
    )
    facts = {"schema": schema, "name": name, "comment": stated, "columns": columns}
    if schema == VIEWS:
        shown = partial(_shown, publication.cursor(), f"from {schema}.{quoted(name)} order by all")
        return _with_parts(TargetTable(**facts), {WHOLE: (_digest_of_view(version, definition), shown)})
    files = _files(version, schema, name)
    if schema == "main":
        stated_key = pl.read_parquet_metadata(version.folder / files[0].path).get("key_columns", "")
        key = tuple(filter(None, stated_key.split(", ")))
    else:
        key = META_KEYS.get(name, ())
    years = version.stated.get("tables", {}).get(name, {}).get("partitions", {})
    table = TargetTable(**facts, key=key if names.issuperset(key) else (), is_by_year=bool(years))
    if not table.is_by_year:
        return _with_parts(table, {WHOLE: (files[0].sha256, partial(_frames, version, files[0]))})
    return _with_parts(
        table, {PurePosixPath(file.path).stem: (file.sha256, partial(_frames, version, file)) for file in files}
    )


def _with_parts(
    table: TargetTable, parts: Mapping[str, tuple[str, Callable[[], Iterator[pl.DataFrame]]]]
) -> TargetTable:
    """The table with its parts, whose digests hold what the table is as well."""
    return TargetTable(
        **{name: getattr(table, name) for name in table.__slots__ if name != "parts"},
        parts=tuple(
            Part(key=key, digest=hashlib.sha256(f"{table.shape} {digest}".encode()).hexdigest(), frames=frames)
            for key, (digest, frames) in parts.items()
        ),
    )


def _kind(table: str, column: str, data_type: str, unit: str | None, names: set[str]) -> str:
    if unit == SATOSHI_UNIT:
        return SATOSHI_TYPE
    if column.endswith("_btc") and f"{column.removesuffix('_btc')}_sat" in names:
        return BTC_TYPE
    try:
        return TYPES[data_type]
    except KeyError:
        raise WarehouseError(
            f"table {table}: found column {column} of type {data_type}, expected one that PostgreSQL has; report it"
        ) from None


def _files(version: FinishedVersion, schema: str, name: str) -> list[VersionFile]:
    folder = "parquet" if schema == "main" else schema
    whole, within = f"{folder}/{name}.parquet", f"{folder}/{name}/"
    files = [file for file in version.files if file.path == whole or file.path.startswith(within)]
    if not files:
        raise WarehouseError(f"{version.folder}: found no file of {name} in its manifest, expected one; publish again")
    return files


def _digest_of_view(version: FinishedVersion, definition: str) -> str:
    """Of what a view is made from: its definition, and the files of the tables that it reads."""
    read = sorted(set(_READ.findall(definition)))
    digests = [[file.sha256 for file in _files(version, schema, name)] for schema, name in read]
    return hashlib.sha256(json.dumps([definition, duckdb.__version__, read, digests]).encode()).hexdigest()


def _shown(publication: duckdb.DuckDBPyConnection, query: str) -> Iterator[pl.DataFrame]:
    yield frame(publication.sql(query))


def _frames(version: FinishedVersion, file: VersionFile) -> Iterator[pl.DataFrame]:
    yield pl.read_parquet(version.unchanged(file), glob=False)
