"""Reads a DuckLake as its readers do: with DuckDB and its extension, knowing nothing of what wrote it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import polars as pl
import pytest

from warehouse import extensions

PASSWORD = "secret-of-tests"


def catalog_in(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The parameters of a catalog in the PostgreSQL at an address; the environment has its password."""
    server = urlsplit(database)
    monkeypatch.setenv("PGPASSWORD", server.password or PASSWORD)
    return f"host={server.hostname} user={server.username} dbname={server.path[1:]} port={server.port}"


@contextmanager
def lake_of(address: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the lake at the address of a target, read only."""
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in ("ducklake", "sqlite_scanner", *(["postgres_scanner"] if "postgres:" in address else [])):
            extensions.load(connection, name)
        if "?data=s3://" in address:
            extensions.load(connection, "httpfs")
            key, secret, endpoint = (
                os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL")
            )
            connection.execute(
                f"create secret (type s3, provider config, key_id '{key}', secret '{secret}', url_style 'path', "
                f"endpoint '{endpoint.removeprefix('http://')}', use_ssl false)"
            )
        connection.execute(f"attach '{address.partition('?')[0]}' as lake (read_only)")
        connection.execute("use lake")
        yield connection


def tables_of(connection: duckdb.DuckDBPyConnection, database: str) -> list[tuple[str, str]]:
    """Schema and name of each published table."""
    return connection.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = ? and schema_name in ('main', 'meta') order by all",
        [database],
    ).fetchall()


def rows_of(connection: duckdb.DuckDBPyConnection, table: str, at: str = "") -> pl.DataFrame:
    """All rows of a table with their types, in an order that depends on nothing but the rows."""
    return connection.sql(f"from {table} {at} order by all").pl()


def files_of(address: str) -> dict[str, int]:
    """Size by path of the data files of the lake."""
    folder = Path(f"{address.removeprefix('ducklake:').removeprefix('sqlite:')}.files")
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
