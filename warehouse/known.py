"""What is stored of each supplier, so that a source asks only for what is new."""

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


def heard_at(connection: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """By supplier, when its newest batch was made; one that said nothing new counts too."""
    rows = connection.execute("select source, max(observed_at) from raw.batch group by source").fetchall()
    return {source: at.replace(tzinfo=UTC) for source, at in rows}
