"""Append-only observations: every revision of what each source stated, and the newest revision of each key."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date

import duckdb
import polars as pl

from schemas.observations import Batch, ObservedTable, Retraction
from warehouse import quarantine
from warehouse.raw_tables import (
    RETRACTABLE,
    append_statement,
    count_statement,
    leading,
    read_statement,
    retract_statement,
    withdraw_statement,
)
from warehouse.statements import frame, quoted, registered, scalar, statement, without_zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What one batch added: rows it held, keys never seen before, keys whose value changed; and rows set aside."""

    row_count: int
    new_count: int
    revised_count: int
    set_aside: quarantine.SetAside = quarantine.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """Blocks that one retraction took back: how many, their heights, and the days of their headers."""

    block_count: int
    first_height: int
    last_height: int
    first_day: date
    last_day: date


def append(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> Appended:
    """Store the rows of `batch` that are new or changed, and those that failed in the quarantine, in one transaction.

    A row equal to the newest revision of its key adds nothing; a changed one becomes the next revision.
    """
    with in_one_transaction(connection):
        return append_within(connection, batch, run_id)


@contextmanager
def in_one_transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Store all that is stored meanwhile, or nothing."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a database that lost its disk refuses this too; the first error has the reason
            connection.rollback()
        raise


def append_within(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> Appended:
    """As `append`, in the transaction of the caller."""
    incoming = without_zone(batch.rows)
    batch_id = scalar(connection, "select coalesce(max(batch_id), 0) + 1 from raw.batch")
    bound = {"source": batch.source, "batch_id": batch_id}
    if lead := leading(batch.table):
        bound |= {"least": incoming[lead].min(), "most": incoming[lead].max()}
    with registered(connection, "incoming", incoming):
        connection.execute(append_statement(batch.table), bound)
    added = connection.execute(count_statement(batch.table), [batch_id]).fetchone() or (0, 0)
    set_aside = quarantine.note(connection, batch, run_id)
    counted = Appended(row_count=incoming.height, new_count=added[0], revised_count=added[1], set_aside=set_aside)
    _record(connection, batch_id, run_id, batch, batch.table, counted)
    return counted


def withdraw_within(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str, entered_batch_id: int) -> None:
    """Undo what another batch has added, as the `batch` without rows states; in the transaction of the caller.

    Rows that have been revised since stay as they are.
    """
    batch_id = scalar(connection, "select coalesce(max(batch_id), 0) + 1 from raw.batch")
    connection.execute(withdraw_statement(batch.table), {"batch_id": batch_id, "entered_batch_id": entered_batch_id})
    _, count = connection.execute(count_statement(batch.table), [batch_id]).fetchone() or (0, 0)
    counted = Appended(row_count=count, new_count=0, revised_count=count)
    _record(connection, batch_id, run_id, batch, batch.table, counted)


def retract(connection: duckdb.DuckDBPyConnection, retraction: Retraction, run_id: str) -> Retracted | None:
    """Store that the blocks above a height, and their flows, count no longer, in one transaction; None where none did.

    A later batch that states such a height again makes it count again.
    """
    with in_one_transaction(connection):
        batch_id = scalar(connection, "select coalesce(max(batch_id), 0) from raw.batch")
        for table in RETRACTABLE:
            batch_id += 1
            given = {"source": retraction.source, "above_height": retraction.above_height, "batch_id": batch_id}
            connection.execute(retract_statement(table), given)
            _, count = connection.execute(count_statement(table), [batch_id]).fetchone() or (0, 0)
            if count:
                counted = Appended(row_count=count, new_count=0, revised_count=count)
                _record(connection, batch_id, run_id, retraction, table, counted)
        # The blocks were the last.
        found = connection.execute(statement("retracted_blocks"), [batch_id]).fetchone() or (0,)
    return Retracted(**dict(zip(Retracted.__slots__, found, strict=True))) if found[0] else None


def _record(
    connection: duckdb.DuckDBPyConnection,
    batch_id: int,
    run_id: str,
    batch: Batch | Retraction,
    table: ObservedTable,
    counted: Appended,
) -> None:
    """Add the row of a batch."""
    connection.execute(
        statement("insert_batch"),
        [
            batch_id,
            run_id,
            batch.source,
            table.value,
            batch.origin,
            batch.sha256,
            batch.observed_at.replace(tzinfo=None),
            counted.row_count,
            counted.new_count,
            counted.revised_count,
        ],
    )


def latest(
    connection: duckdb.DuckDBPyConnection, table: ObservedTable, precedence: Sequence[str]
) -> tuple[str | None, pl.DataFrame]:
    """Rows of the first source in `precedence` that has stated any, newest revisions, in no promised order.

    Returns the source, or None with an empty frame. Shape: the schema of `table`.
    """
    source = first_with_rows(connection, table, precedence)
    # Without a revision every row is the newest: they come in the order in which they are stored, and need no sorting.
    is_revised = scalar(connection, f"select count(*) > 0 from raw.{quoted(table)} where revision > 0")
    return source, _of_source(connection, table, f"latest_{table}" if is_revised else table, source)


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


def first_with_rows(
    connection: duckdb.DuckDBPyConnection, table: ObservedTable, precedence: Sequence[str]
) -> str | None:
    """The first source in `precedence` that has stated a row of `table`, or None."""
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
