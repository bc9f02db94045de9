"""Append-only observations: what each source said, every version of it, and the newest version of each key."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import duckdb
import polars as pl

from schemas.observations import UTC_TIME, Batch, ObservedTable
from warehouse.statements import ArrowStream, frame, scalar, statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What one batch added: rows it held, keys never seen before, keys whose value changed."""

    row_count: int
    new_count: int
    revised_count: int


def append(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> Appended:
    """Store the rows of `batch` that say something new, in one transaction.

    A row equal to the newest revision of its key adds nothing; a changed one becomes the next revision.
    """
    incoming = batch.rows
    if batch.table is ObservedTable.BLOCK:
        incoming = incoming.with_columns(pl.col("block_at").dt.replace_time_zone(None))
    connection.begin()
    try:
        batch_id = scalar(connection, "select coalesce(max(batch_id), 0) + 1 from raw.batch")
        connection.register("incoming", ArrowStream(incoming))
        connection.execute(statement(f"append_{batch.table}"), {"source": batch.source, "batch_id": batch_id})
        connection.unregister("incoming")
        added = connection.execute(statement(f"count_{batch.table}"), [batch_id]).fetchone() or (0, 0)
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
        with suppress(duckdb.Error):  # a database that lost its disk refuses this too; the first error tells more
            connection.rollback()
        raise
    return counted


def latest_blocks(connection: duckdb.DuckDBPyConnection, precedence: Sequence[str]) -> tuple[str | None, pl.DataFrame]:
    """Blocks of the first source in `precedence` that has any, newest revisions, in no promised order.

    Returns the source, or None with an empty frame.
    """
    source = _first_with_rows(connection, "block", precedence)
    rows = _of_source(connection, "latest_blocks", source)
    return source, rows.with_columns(pl.col("block_at").cast(UTC_TIME))


def other_blocks(connection: duckdb.DuckDBPyConnection, precedence: Sequence[str], chosen: str | None) -> pl.DataFrame:
    """What the sources in `precedence` other than the `chosen` one say of blocks, in no promised order.

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


def latest_flows(connection: duckdb.DuckDBPyConnection, precedence: Sequence[str]) -> tuple[str | None, pl.DataFrame]:
    """Exchange flows of the first source in `precedence` that has any, newest revisions, in no promised order."""
    source = _first_with_rows(connection, "exchange_flow", precedence)
    return source, _of_source(connection, "latest_flows", source)


def latest_transfers(
    connection: duckdb.DuckDBPyConnection, precedence: Sequence[str]
) -> tuple[str | None, pl.DataFrame, pl.DataFrame]:
    """What the first source in `precedence` that attributes blocks has found, in no promised order.

    Returns the source or None, the transfers that still count, and one row a block. A transfer counts while its block
    is the one that its height has, read with the labels that it was last read with.
    """
    source = _first_with_rows(connection, "miner_block_flow", precedence)
    transfers = _of_source(connection, "latest_transfers", source)
    return source, transfers, _of_source(connection, "latest_block_flows", source)


def latest_filing_facts(
    connection: duckdb.DuckDBPyConnection, precedence: Sequence[str]
) -> tuple[str | None, pl.DataFrame]:
    """Amounts that the first source in `precedence` read from filings, newest revisions, in no promised order."""
    source = _first_with_rows(connection, "filing_fact", precedence)
    return source, _of_source(connection, "latest_filing_facts", source)


def latest_filings(connection: duckdb.DuckDBPyConnection, precedence: Sequence[str]) -> tuple[str | None, pl.DataFrame]:
    """Filings that the first source in `precedence` has looked at, newest revisions, in no promised order."""
    source = _first_with_rows(connection, "filing", precedence)
    return source, _of_source(connection, "latest_filings", source)


def _first_with_rows(connection: duckdb.DuckDBPyConnection, table: str, precedence: Sequence[str]) -> str | None:
    stated = connection.execute("select distinct source from raw.batch where observed_table = ?", [table]).fetchall()
    have = {row[0] for row in stated}
    return next((source for source in precedence if source in have), None)


def _of_source(connection: duckdb.DuckDBPyConnection, name: str, source: str | None) -> pl.DataFrame:
    # With a bound parameter `sql` fetches the rows one by one as Python objects; a variable leaves them in columns.
    connection.execute("set variable source = ?", [source])
    return frame(connection.sql(statement(name)))
