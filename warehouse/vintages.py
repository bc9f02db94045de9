"""Append-only observations: every revision of what each source stated, and the newest revision of each key."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import duckdb
import polars as pl

from schemas.observations import Batch, ObservedTable
from warehouse.raw_tables import append_statement, count_statement, read_statement
from warehouse.statements import ArrowStream, frame, scalar, statement, without_zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What one batch added: rows it held, keys never seen before, keys whose value changed."""

    row_count: int
    new_count: int
    revised_count: int


def append(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> Appended:
    """Store the rows of `batch` that are new or changed, in one transaction.

    A row equal to the newest revision of its key adds nothing; a changed one becomes the next revision.
    """
    incoming = without_zone(batch.rows)
    connection.begin()
    try:
        batch_id = scalar(connection, "select coalesce(max(batch_id), 0) + 1 from raw.batch")
        connection.register("incoming", ArrowStream(incoming))
        connection.execute(append_statement(batch.table), {"source": batch.source, "batch_id": batch_id})
        connection.unregister("incoming")
        added = connection.execute(count_statement(batch.table), [batch_id]).fetchone() or (0, 0)
        counted = Appended(row_count=incoming.height, new_count=added[0], revised_count=added[1])
        connection.execute(
            statement("insert_batch"),
            [
                batch_id,
                run_id,
                batch.source,
                batch.table.value,
                batch.origin,
                batch.sha256,
                batch.observed_at.replace(tzinfo=None),
                counted.row_count,
                counted.new_count,
                counted.revised_count,
            ],
        )
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a database that lost its disk refuses this too; the first error has the reason
            connection.rollback()
        raise
    return counted


def latest(
    connection: duckdb.DuckDBPyConnection, table: ObservedTable, precedence: Sequence[str]
) -> tuple[str | None, pl.DataFrame]:
    """Rows of the first source in `precedence` that has stated any, newest revisions, in no promised order.

    Returns the source, or None with an empty frame. Shape: the schema of `table`.
    """
    source = _first_with_rows(connection, table, precedence)
    return source, _of_source(connection, table, f"latest_{table}", source)


def other_blocks(connection: duckdb.DuckDBPyConnection, precedence: Sequence[str], chosen: str | None) -> pl.DataFrame:
    """Blocks as the sources in `precedence` other than the `chosen` one state them, in no promised order.

    Shape: (`source`, `height`, `subsidy_claimed_sat`, `fees_sat`), newest revisions.
    """
    others = [source for source in precedence if source != chosen]
    if not others:  # the usual case, in which a million blocks need not be looked through
        types = {"source": pl.String} | dict.fromkeys(("height", "subsidy_claimed_sat", "fees_sat"), pl.Int64)
        return pl.DataFrame(schema=types)
    connection.execute("set variable sources = ?", [others])
    return frame(connection.sql(statement("other_blocks")))


def latest_values(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Newest revision of every daily value: (`source`, `series`, `day`, `value`), in no promised order."""
    return frame(connection.sql(statement("latest_values")))


def latest_transfers(
    connection: duckdb.DuckDBPyConnection, precedence: Sequence[str]
) -> tuple[str | None, pl.DataFrame, pl.DataFrame]:
    """What the first source in `precedence` that attributes blocks has found, in no promised order.

    Returns the source or None, the transfers that still count, and one row a block. A transfer counts while its block
    is the one that its height has, read with the labels that it was last read with.
    """
    source, block_flows = latest(connection, ObservedTable.MINER_BLOCK_FLOW, precedence)
    transfers = _of_source(connection, ObservedTable.MINER_TRANSFER, "current_miner_transfer", source)
    return source, transfers, block_flows


def _first_with_rows(
    connection: duckdb.DuckDBPyConnection, table: ObservedTable, precedence: Sequence[str]
) -> str | None:
    stated = connection.execute(
        "select distinct source from raw.batch where observed_table = ?", [table.value]
    ).fetchall()
    have = {row[0] for row in stated}
    return next((source for source in precedence if source in have), None)


def _of_source(
    connection: duckdb.DuckDBPyConnection, table: ObservedTable, view: str, source: str | None
) -> pl.DataFrame:
    # With a bound parameter `sql` fetches the rows one by one as Python objects; a variable leaves them in columns.
    connection.execute("set variable source = ?", [source])
    return frame(connection.sql(read_statement(table, view)))
