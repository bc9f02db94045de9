"""Rows that failed their contract, as they are kept: each once, with what became of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import duckdb
import msgspec
import polars as pl

from schemas.observations import KEYS, OBSERVED, QUARANTINE, Batch, ObservedTable
from schemas.quarantine import FailedRow, Status, as_json
from warehouse.statements import frame, registered, scalar, statement

DECIDED: Final = "quarantine"
"""Stands for a run at batches that a decision has stored, or a newer version that finds rows sound."""
_ENTRY: Final = {
    "row_key": pl.String,
    "day": pl.Date,
    "received": pl.String,
    "stored_row": pl.String,
    "rule": pl.String,
    "reason": pl.String,
    "place": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """What became of the failed rows of a batch: held for the first time, or again; accepted or rejected before.

    `first`: the first of those that are held, in words. `released_count`: rows held before that a row of the batch has
    taken the place of.
    """

    new_count: int = 0
    again_count: int = 0
    accepted_count: int = 0
    rejected_count: int = 0
    released_count: int = 0
    first: str = ""

    @property
    def held_count(self) -> int:
        """Rows that wait for a decision."""
        return self.new_count + self.again_count


NOTHING: Final = SetAside()


def note(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> SetAside:
    """Keep the failed rows of a batch, and release those held before whose place a sound row of it takes.

    A row that was kept before is the same entry, seen again. In the transaction of the caller.
    """
    if not QUARANTINE[batch.table].is_sound or batch.is_decided or run_id == DECIDED:
        return NOTHING
    released = _release_replaced(connection, batch, run_id)
    return _keep(connection, batch, run_id, released) if batch.failed else SetAside(released_count=released)


def entries(
    connection: duckdb.DuckDBPyConnection, *, status: Status | None = None, sources: Sequence[str] | None = None
) -> pl.DataFrame:
    """The rows of `raw.quarantine`, the first first; of one status, of some sources, or all."""
    found = frame(connection.sql("from raw.quarantine order by entry_id"))
    if status is not None:
        found = found.filter(pl.col("status") == status.value)
    return found if sources is None else found.filter(pl.col("source").is_in(list(sources)))


def held_count(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """By source, how many rows are held; only of sources with any."""
    rows = connection.execute(
        "select source, count(*) from raw.quarantine where status = ? group by source order by source", [Status.HELD]
    )
    return dict(rows.fetchall())


def _keep(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str, released: int) -> SetAside:
    given = _frame(batch.failed).unique(["row_key", "received"], keep="first", maintain_order=True)
    bound: dict[str, Any] = {"source": batch.source, "observed_table": batch.table.value, "run_id": run_id}
    seen_at = batch.observed_at.replace(tzinfo=None)
    first_id = scalar(connection, "select coalesce(max(entry_id), 0) + 1 from raw.quarantine")
    # A table, as DuckDB would leave conditions on the text of an Arrow stream to pyarrow, which cannot compare it.
    with registered(connection, "failed_rows", given.with_row_index("place_in_batch")):
        connection.execute("create or replace temporary table failed as from failed_rows")
    received = bound | {"seen_at": seen_at, "origin": batch.origin}
    connection.execute(statement("quarantine_seen_again"), received)
    connection.execute(statement("quarantine_insert"), received | {"first_id": first_id})
    replaced = connection.execute(statement("quarantine_replaced"), bound | {"released_at": seen_at}).fetchall()
    rows = connection.execute(
        statement("quarantine_of_batch"),
        {"source": batch.source, "observed_table": batch.table.value, "first_id": first_id},
    ).fetchall()
    counts = dict.fromkeys(("new", "again", Status.ACCEPTED, Status.REJECTED), 0)
    first = next((text for status, _, text in rows if status == Status.HELD), "")
    for status, is_new, _ in rows:
        counts[("new" if is_new else "again") if status == Status.HELD else status] += 1
    return SetAside(
        new_count=counts["new"],
        again_count=counts["again"],
        accepted_count=counts[Status.ACCEPTED],
        rejected_count=counts[Status.REJECTED],
        released_count=released + len(replaced),
        first=first,
    )


def _frame(failed: Iterable[FailedRow]) -> pl.DataFrame:
    rows = [
        (
            as_json(each.key),
            each.key["day"] if isinstance(each.key.get("day"), date) else None,
            as_json(each.received),
            None if each.row is None else as_json(each.row),
            each.rule.value,
            each.reason,
            each.place,
        )
        for each in failed
    ]
    return pl.DataFrame(rows, schema=_ENTRY, orient="row")


def _release_replaced(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> int:
    """Release what is held or accepted of a key for which the batch has a sound row; return how many."""
    waiting = connection.execute(
        statement("quarantine_waiting"),
        {"source": batch.source, "observed_table": batch.table.value, "run_id": run_id},
    ).fetchall()
    if not waiting or batch.rows.is_empty():
        return 0
    keys = keys_frame(batch.table, [key for _, key in waiting]).with_columns(
        pl.Series("entry_id", [entry_id for entry_id, _ in waiting], pl.Int64)
    )
    stated = batch.rows.select(KEYS[batch.table])
    taken = keys.join(stated, on=list(KEYS[batch.table]), how="semi")["entry_id"].to_list()
    if taken:
        release(connection, taken, "the source sent a sound row in its place", batch.observed_at)
    return len(taken)


def release(connection: duckdb.DuckDBPyConnection, entry_ids: Sequence[int], because: str, at: datetime) -> None:
    """State that rows need no decision any more. In the transaction of the caller."""
    connection.execute(
        "update raw.quarantine set status = ?, released_at = ?, released_because = ? where list_contains(?, entry_id)",
        [Status.RELEASED, at.replace(tzinfo=None), because, list(entry_ids)],
    )


def keys_frame(table: ObservedTable, keys: Sequence[str]) -> pl.DataFrame:
    """Keys that are kept as JSON, in the types of the table; NULL where they cannot be read."""
    return _typed(table, keys, KEYS[table])


def rows_frame(table: ObservedTable, rows: Sequence[str]) -> pl.DataFrame:
    """Rows that are kept as JSON, in the types of the table."""
    return _typed(table, rows, list(OBSERVED[table].columns))


def _typed(table: ObservedTable, texts: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    decoded = [msgspec.json.decode(each) for each in texts]
    columns = {}
    for name in names:
        dtype = OBSERVED[table].columns[name].dtype.type
        cells = [each.get(name) for each in decoded]
        if isinstance(dtype, pl.Date) or dtype == pl.Date:
            columns[name] = pl.Series(name, cells, pl.String).str.to_date("%Y-%m-%d", strict=False)
        else:
            columns[name] = pl.Series(name, cells, dtype, strict=False)
    return pl.DataFrame(columns)
