"""Sums of finished days, kept with what they were made from, so that a run computes only those days that changed.

Raw tables are only ever added to, so that the blocks of a day and the newest batch that states anything of them decide
what all observations of the day are. Together with the code that sums them they are the key of a kept day.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb
import polars as pl

from schemas.observations import ObservedTable
from warehouse.raw_tables import read_between_statement
from warehouse.statements import frame, quoted, registered, statement

KEY: Final = ("day", "first_height", "last_height", "newest_batch_id")
_TABLES: Final = ("flow_day", "exchange_flow_day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """When all days were computed anew, of how many there were kept sums, and how many of those differed."""

    compared_at: datetime
    day_count: int
    different_count: int


def attributed_heights(connection: duckdb.DuckDBPyConnection, source: str) -> pl.DataFrame:
    """Heights that the flows of `source` know, with the newest batch of each: (`height`, `newest_batch_id`)."""
    connection.execute("set variable source = ?", [source])
    return frame(connection.sql(statement("attributed_heights")))


def flows_between(
    connection: duckdb.DuckDBPyConnection, source: str, first_height: int, last_height: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Flows of blocks and transfers that count, of the heights from the first to the last, in no promised order."""
    _bind(connection, source, first_height, last_height)
    flows = frame(connection.sql(read_between_statement(ObservedTable.MINER_BLOCK_FLOW, "latest_miner_block_flow")))
    return flows, transfers_between(connection, source, first_height, last_height)


def transfers_between(
    connection: duckdb.DuckDBPyConnection, source: str, first_height: int, last_height: int
) -> pl.DataFrame:
    """Transfers that count, of those heights, in no promised order."""
    _bind(connection, source, first_height, last_height)
    return frame(connection.sql(statement("transfers_between")))


def _bind(connection: duckdb.DuckDBPyConnection, source: str, first_height: int, last_height: int) -> None:
    for name, value in (("source", source), ("first_height", first_height), ("last_height", last_height)):
        connection.execute(f"set variable {name} = ?", [value])


def kept_years(connection: duckdb.DuckDBPyConnection, source: str) -> dict[int, tuple[str, str]]:
    """By year, the digest of what its transfers are made from, and what was found in them."""
    rows = connection.execute("select year, digest, found from fold.transfer_year where source = ?", [source])
    return {year: (digest, found) for year, digest, found in rows.fetchall()}


def keep_year(connection: duckdb.DuckDBPyConnection, source: str, year: int, digest: str, found: str) -> None:
    """Keep what was found in the transfers of a year, in the place of what was kept of it."""
    connection.execute("delete from fold.transfer_year where source = ? and year = ?", [source, year])
    connection.execute("insert into fold.transfer_year values (?, ?, ?, ?)", [source, year, digest, found])


def kept_flows(
    connection: duckdb.DuckDBPyConnection, source: str, made_by: str, keys: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The kept sums of those days whose key is among `keys`: (`KEY`, sums), (`day`, sums of transfers).

    `made_by` stands for the code that makes them. In no promised order.
    """
    # Variables, as in `vintages`: with bound parameters two million rows come one by one.
    for name, value in (("source", source), ("made_by", made_by)):
        connection.execute(f"set variable {name} = ?", [value])
    stored = frame(connection.sql(statement("kept_flows")))
    kept = stored.join(keys, on=KEY, how="semi")
    transfers = frame(connection.sql(statement("kept_exchange_flows")))
    return kept, transfers if kept.height == stored.height else transfers.join(kept, on="day", how="semi")


def keep_flows(
    connection: duckdb.DuckDBPyConnection, source: str, made_by: str, sums: pl.DataFrame, transfers: pl.DataFrame
) -> None:
    """Keep the `sums` of days, with their `KEY`, and their sums of `transfers`, in the place of those before."""
    # Without them the rows of all days would be looked through for a few.
    ends = [sums["day"].min(), sums["day"].max()]
    connection.begin()
    try:
        for name, rows in zip(_TABLES, (sums, transfers), strict=True):
            table = quoted(name)
            with registered(connection, "days", sums.select("day")):
                kept = f"fold.{table} where source = ? and day between ? and ?"
                connection.execute(f"delete from {kept} and day in (select day from days)", [source, *ends])
            columns = "? as source, ? as made_by" if name == "flow_day" else "? as source"
            values = [source, made_by] if name == "flow_day" else [source]
            with registered(connection, "rows", rows):
                connection.execute(f"insert into fold.{table} by name select {columns}, * from rows", values)
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a database that lost its disk refuses this too; the first error has the reason
            connection.rollback()
        raise


def last_comparison(connection: duckdb.DuckDBPyConnection) -> Comparison | None:
    """The newest comparison of what is kept with a computation of all days; None before the first."""
    row = connection.execute(
        "select compared_at, day_count, different_count from fold.comparison order by compared_at desc limit 1"
    ).fetchone()
    return (
        None
        if row is None
        else Comparison(compared_at=row[0].replace(tzinfo=UTC), day_count=row[1], different_count=row[2])
    )


def note_comparison(connection: duckdb.DuckDBPyConnection, made: Comparison) -> None:
    """Record a comparison."""
    connection.execute(
        "insert into fold.comparison values (?, ?, ?)",
        [made.compared_at.replace(tzinfo=None), made.day_count, made.different_count],
    )


def forget_comparisons(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the next run compute all days anew and compare them with what is kept."""
    connection.execute("delete from fold.comparison")
