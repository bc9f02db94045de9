"""What runs changed of days whose blocks were read before: before and after by day and figure, and why."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final

import duckdb

from warehouse.statements import scalar, statement

TABLE: Final = "flow_revision"
ORIGIN: Final = "sums by day, before and after a run"

PART_BLOCKS: Final = 30_000
"""Half a year, so that other labels for all history do not fill the memory."""


def add_flow_revisions(connection: duckdb.DuckDBPyConnection, *, part_blocks: int = PART_BLOCKS) -> int:
    """Sum up, by day, what runs have revised of blocks and their flows since this was last done; return the rows added.

    A day and figure that differ get a row of `raw.flow_revision`, with the reason: `re-organisation` where a block was
    replaced or retracted or came back, `labels` where the same block was attributed by other labels, else `source`.
    Blocks that were read for the first time change nothing. Reads the days of the revised heights, and no more, about
    `part_blocks` at a time.
    """
    added = 0
    connection.begin()
    try:
        runs = connection.execute(statement("flow_revision_runs")).fetchall()
        for source, run_id, first_batch, last_batch, observed_at in runs:
            batch_id = scalar(connection, "select max(batch_id) + 1 from raw.batch")
            batches = {"source": source, "first_batch": first_batch, "last_batch": last_batch}
            for first, last in _spans(connection, batches, part_blocks):
                span = {"first_height": first, "last_height": last, "batch_id": batch_id}
                connection.execute(statement("insert_flow_revisions"), batches | span)
            count = scalar(connection, "select count(*) from raw.flow_revision where batch_id = ?", batch_id)
            recorded = [batch_id, run_id, source, TABLE, ORIGIN, "", observed_at, count, 0, count]
            connection.execute(statement("insert_batch"), recorded)
            added += count
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # the first error has the reason
            connection.rollback()
        raise
    return added


def _spans(
    connection: duckdb.DuckDBPyConnection, batches: Mapping[str, Any], part_blocks: int
) -> Iterator[tuple[int, int]]:
    """First and last heights of whole days, which together hold all that the `batches` of a run revised."""
    first, last = connection.execute(statement("flow_revision_span"), batches).fetchone() or (0, 0)
    span = {"first_height": first, "last_height": last}
    cuts = [first]
    for (height,) in connection.execute(statement("flow_revision_days"), dict(batches) | span).fetchall():
        if height - cuts[-1] >= part_blocks:
            cuts.append(height)
    for start, end in pairwise([*cuts, last + 1]):
        yield start, end - 1
