"""What miners moved in single blocks, of a range of heights."""

import duckdb
import polars as pl

from warehouse.statements import frame, statement


def block_flows_between(
    connection: duckdb.DuckDBPyConnection, source: str, first_height: int, last_height: int
) -> pl.DataFrame:
    """Newest revisions of `schemas.observations.MINER_BLOCK_FLOW` from `source`, both ends included, by height."""
    # With a bound parameter `sql` fetches the rows one by one as Python objects; a variable leaves them in columns.
    for name, value in (("source", source), ("first_height", first_height), ("last_height", last_height)):
        connection.execute(f"set variable {name} = ?", [value])
    return frame(connection.sql(statement("block_flows_between")))
