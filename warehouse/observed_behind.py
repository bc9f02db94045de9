"""Where a value of a day was observed: each time a source stated it, with the batch that it came in."""

from datetime import date
from typing import Any, TypeAlias

import duckdb

from warehouse.statements import statement

Row: TypeAlias = dict[str, Any]


def stated_values(connection: duckdb.DuckDBPyConnection, series: str, day: date) -> list[Row]:
    """Each value of `series` on `day` that any source has stated, by source, the oldest first.

    Shape of a row: `source`, `value`, `revision`, and of its batch `batch_id`, `run_id`, `origin`, `sha256`,
    `observed_at` (UTC).
    """
    return _rows(connection, "stated_values", series, day)


def stated_blocks(connection: duckdb.DuckDBPyConnection, source: str, first: int, last: int) -> list[Row]:
    """The batches in which `source` stated the blocks from height `first` to `last` as they stand, the oldest first.

    Shape of a row: that of a batch as in `stated_values`, and `block_count`, `first_height`, `last_height`.
    """
    return _rows(connection, "stated_blocks", source, first, last)


def _rows(connection: duckdb.DuckDBPyConnection, name: str, *values: Any) -> list[Row]:
    found = connection.execute(statement(name), list(values))
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
