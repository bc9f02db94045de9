"""What is stored of each supplier, so that a source requests only what is new."""

from datetime import UTC, date, datetime

import duckdb

from warehouse.statements import statement


def newest_days(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], date]:
    """By (supplier, series), the last day that has a value."""
    rows = connection.execute(statement("newest_days")).fetchall()
    return {(source, series): day for source, series, day in rows}


def newest_heights(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """By supplier, its highest block."""
    return dict(connection.execute("select source, max(height) from raw.block group by source").fetchall())


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


def received_at(connection: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """By supplier, when its newest batch was received; one without anything new counts too."""
    rows = connection.execute("select source, max(observed_at) from raw.batch group by source").fetchall()
    return {source: at.replace(tzinfo=UTC) for source, at in rows}
