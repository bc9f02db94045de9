"""What is stored of each supplier, so that a source requests only what is new."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import duckdb

from schemas.observations import REMEMBERED_BLOCKS
from warehouse.quarantine import DECIDED
from warehouse.statements import statement

HEADER_SLACK: Final = timedelta(hours=2)
"""Consensus accepts header times up to two hours ahead."""


def newest_days(connection: duckdb.DuckDBPyConnection, now: datetime) -> dict[tuple[str, str], date]:
    """By (supplier, series), the last day up to `now` (UTC) that has a value."""
    rows = connection.execute(statement("newest_days"), [now.date()]).fetchall()
    return {(source, series): day for source, series, day in rows}


def newest_heights(connection: duckdb.DuckDBPyConnection, now: datetime) -> dict[str, int]:
    """By supplier, its highest block of those that may have been found by `now` (UTC)."""
    sql = "select source, max(height) from raw.block where block_at <= ? group by source"
    return dict(connection.execute(sql, [(now + HEADER_SLACK).replace(tzinfo=None)]).fetchall())


def block_hashes(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[int, str]]:
    """By supplier that states them, the hashes of its newest blocks by height, as deep as a fork is looked for."""
    stored: dict[str, dict[int, str]] = {}
    ends = "select source, min(height), max(height) from raw.miner_block_flow group by source"
    for source, lowest, top in connection.execute(ends).fetchall():
        found = stored.setdefault(source, {})
        # The newest heights may all be retracted. A view of the newest revisions would look through the whole history.
        while top >= lowest and len(found) < REMEMBERED_BLOCKS:
            span = [source, top - REMEMBERED_BLOCKS + 1, top]
            found.update(connection.execute(statement("newest_hashes"), span).fetchall())
            top -= REMEMBERED_BLOCKS
    return stored


def filings(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[tuple[int, str], date]]:
    """By supplier, every (CIK, accession) that was looked at, with the day it was filed."""
    rows = connection.execute("select source, cik, accession, filed_on from raw.latest_filing").fetchall()
    looked_at: dict[str, dict[tuple[int, str], date]] = {}
    for source, cik, accession, filed_on in rows:
        looked_at.setdefault(source, {})[cik, accession] = filed_on
    return looked_at


def newest_filing_days(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], date]:
    """By (supplier, CIK), the last day on which amounts of periods were filed."""
    rows = connection.execute("select source, cik, max(filed_on) from raw.filing_fact group by source, cik").fetchall()
    return {(source, cik): day for source, cik, day in rows}


def received_at(connection: duckdb.DuckDBPyConnection, now: datetime) -> dict[str, datetime]:
    """By supplier, when its newest batch up to `now` (UTC) was received; one without anything new counts too.

    What a decision about a row in the quarantine has stored was not received then.
    """
    sql = "select source, max(observed_at) from raw.batch where observed_at <= ? and run_id <> ? group by source"
    rows = connection.execute(sql, [now.replace(tzinfo=None), DECIDED]).fetchall()
    return {source: at.replace(tzinfo=UTC) for source, at in rows}
