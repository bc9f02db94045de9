"""The figures of each day as they were first published, kept in the working database: one row a day, never changed."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from schemas.first_published import FIRST_PUBLISHED, KEPT
from schemas.freshness import HEADLINE_TABLE
from warehouse.statements import frame, registered, scalar, statement, without_zone
from warehouse.targets.files import kept_publications, manifest
from warehouse.targets.parquet import read


def first_published(connection: duckdb.DuckDBPyConnection, family: str, now: datetime) -> pl.DataFrame:
    """What is kept of data of the `family`, in the order of days. Shape: one row a day, with `KEPT`.

    What is dated after `now` (UTC) is left out, as only a clock that was ahead can have stored it.
    """
    bound = {"family": family, "now": now.replace(tzinfo=None)}
    return without_zone(frame(connection.sql(statement("first_published"), params=bound))).cast(KEPT)


def add_first_published(
    connection: duckdb.DuckDBPyConnection, days: pl.DataFrame, *, family: str, published_at: datetime, run_id: str
) -> None:
    """Keep those of the `days`, rows of `capitulation_daily`, that have a state and of which nothing is kept yet."""
    bound = {"family": family, "now": published_at.replace(tzinfo=None)}
    connection.execute("delete from ops.first_published where family = $family and published_at > $now", bound)
    with registered(connection, "incoming", days.select(FIRST_PUBLISHED.names())):
        connection.execute(statement("add_first_published"), bound | {"run_id": run_id})


def recover_first_published(
    connection: duckdb.DuckDBPyConnection, published: Path, *, family: str, now: datetime
) -> None:
    """Keep what publications under `published` have that were made after the newest row that is kept, the oldest first.

    They are those before this table was there, of a lost database, or of a run that died before it could record.
    """
    last = scalar(connection, "select coalesce(max(run_id), '') from ops.first_published where family = ?", family)
    for version, folder, made_at in _kept_after(published, last, family):
        days = read(folder, HEADLINE_TABLE, FIRST_PUBLISHED.names()) if made_at <= now else None
        if days is not None:
            add_first_published(connection, days, family=family, published_at=made_at, run_id=version)


def _kept_after(published: Path, last: str, family: str) -> Iterator[tuple[str, Path, datetime]]:
    for version, folder, made_at in kept_publications(published):
        if version > last and manifest(folder).get("family") == family:
            yield version, folder, made_at
