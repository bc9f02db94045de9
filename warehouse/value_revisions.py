"""What is published differently than before: kept with the run, and the inputs that were received or applied since."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import duckdb
import polars as pl

from warehouse.applied_sets import CODE
from warehouse.publication_queries import PUBLISHED
from warehouse.statements import frame, registered, scalar, statement, without_zone

TABLE: Final = "value_revision"
COUNT_TABLE: Final = "value_revision_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """The run of a publication: its clock reading (UTC) and its last day."""

    started_at: datetime
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came since a publication that may change its values.

    `series`: by source and series the first day. `blocks`: by source and what changed (`source`, `re-organisation`,
    `pool`) the first day. `flows`: by source and what changed (`source`, `re-organisation`, `labels`, `new`) the first
    and the last height. `tables`: source and raw table of other observations. `sets`: by name of an applied set the
    rows by which it differs.
    """

    series: Mapping[tuple[str, str], date]
    blocks: Mapping[tuple[str, str], date]
    flows: Mapping[tuple[str, str], tuple[int, int]]
    tables: frozenset[tuple[str, str]]
    sets: Mapping[str, tuple[str, ...]]
    code_is_known: bool
    """Whether the code of the publication was recorded."""


def run_of(connection: duckdb.DuckDBPyConnection, run_id: str) -> PublishedRun | None:
    """The run, or None where there is no record of it."""
    row = connection.execute("select started_at, day from ops.run where run_id = ?", [run_id]).fetchone()
    return None if row is None else PublishedRun(started_at=row[0].replace(tzinfo=UTC), day=row[1])


def received_since(connection: duckdb.DuckDBPyConnection, run: PublishedRun, last_block_day: date | None) -> Received:
    """What was received or applied after `run` began.

    `last_block_day`: the last day of which it published all blocks; what is stated of later ones changes nothing.
    """
    since = {"since": run.started_at.replace(tzinfo=None)}
    day, whole = since | {"day": run.day}, since | {"day": last_block_day or run.day}

    def rows(name: str, bound: Mapping[str, object]) -> list[tuple[object, ...]]:
        return connection.execute(statement(name), bound).fetchall()

    sets: dict[str, list[str]] = {}
    for name, content in rows("changed_sets", since):
        sets.setdefault(str(name), []).append(str(content))
    return Received(
        series={(source, series): first for source, series, first in rows("changed_series", day)},  # type: ignore[misc]
        blocks={(source, what): first for source, what, first in rows("changed_blocks", whole)},  # type: ignore[misc]
        flows={(source, what): (first, last) for source, what, first, last in rows("changed_flows", since)},  # type: ignore[misc]
        tables=frozenset((source, table) for source, table in rows("changed_tables", since)),  # type: ignore[misc]
        sets={name: tuple(contents) for name, contents in sets.items()},
        code_is_known=bool(
            scalar(
                connection,
                "select count(*) from ops.applied_set where name = ? and applied_at <= ?",
                CODE,
                since["since"],
            )
        ),
    )


def keep_value_revisions(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    observed_at: datetime,
    listed: pl.DataFrame,
    counted: pl.DataFrame,
) -> None:
    """Keep what a run publishes differently: columns of `raw.value_revision` and of `raw.value_revision_count`.

    Nothing is kept where nothing differs. The caller has the transaction.
    """
    if counted.is_empty():
        return
    batch_id = scalar(connection, "select coalesce(max(batch_id), 0) + 1 from raw.batch")
    for table, rows in ((TABLE, listed), (COUNT_TABLE, counted)):
        with registered(connection, "given", rows):
            connection.execute(f"insert into raw.{table} by name select *, ? as batch_id from given", [batch_id])
    count = int(counted["value_count"].sum())
    at = observed_at.replace(tzinfo=None)
    recorded = [batch_id, run_id, PUBLISHED, TABLE, "the publication before", "", at, count, 0, count]
    connection.execute(statement("insert_batch"), recorded)


def revision_counts(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """How many values each run published differently, by table, column and reason: rows of `meta.revision_counts`."""
    return without_zone(frame(connection.sql(statement("revision_counts"))))
