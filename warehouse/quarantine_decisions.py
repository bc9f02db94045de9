"""What people, and newer versions, decide about rows in the quarantine: whole or not at all, in one transaction."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import duckdb
import polars as pl

from schemas.enforce import HOLDS
from schemas.errors import QuarantineError
from schemas.observations import OBSERVED, Batch, ObservedTable
from schemas.quarantine import Rule, Status, key_text
from warehouse import vintages
from warehouse.quarantine import DECIDED, entries, release, rows_frame
from warehouse.statements import scalar, statement

PASSES: Final = "passes the rules of this version"
OTHER_ACCEPTED: Final = "another row of the same key was accepted"


def accept(
    connection: duckdb.DuckDBPyConnection, entry_ids: Sequence[int], *, by: str, note: str, at: datetime
) -> pl.DataFrame:
    """Let rows in despite the rule that they break; return them as they are kept then.

    Other rows of their keys that are held are rejected. Raises `QuarantineError` for the first of `entry_ids` that
    cannot be accepted; none is then.
    """
    with vintages.in_one_transaction(connection):
        chosen = _chosen(connection, entry_ids, (Status.HELD, Status.REJECTED), "accept")
        _refuse_same_key(connection, chosen)
        for entry in chosen:
            if not Rule(entry["rule"]).is_acceptable or entry["stored_row"] is None:
                raise QuarantineError(
                    _named(entry),
                    f"a row that breaks the rule {entry['rule']!r} ({entry['reason']})",
                    "one that its table can hold as it is",
                    "have the source corrected, or reject it",
                )
            table = ObservedTable(entry["observed_table"])
            origin = f"quarantine entry {entry['entry_id']}: accepted by {by}: {note}"
            vintages.append_within(
                connection, _batch(table, entry["source"], [entry["stored_row"]], origin, at), DECIDED
            )
            _decide(connection, entry["entry_id"], Status.ACCEPTED, by, note, at, _newest_batch(connection))
            connection.execute(
                statement("quarantine_others"),
                {
                    "entry_id": entry["entry_id"],
                    "source": entry["source"],
                    "observed_table": entry["observed_table"],
                    "row_key": entry["row_key"],
                    "decided_at": at.replace(tzinfo=None),
                    "decided_by": by,
                    "note": f"{OTHER_ACCEPTED}: entry {entry['entry_id']}",
                },
            )
    return _those(connection, entry_ids)


def reject(
    connection: duckdb.DuckDBPyConnection, entry_ids: Sequence[int], *, by: str, note: str, at: datetime
) -> pl.DataFrame:
    """Keep rows out for good, and take those that were accepted out again; return them as they are kept then.

    Raises `QuarantineError` for the first of `entry_ids` that cannot be rejected; none is then.
    """
    with vintages.in_one_transaction(connection):
        for entry in _chosen(connection, entry_ids, (Status.HELD, Status.ACCEPTED), "reject"):
            if entry["status"] == Status.ACCEPTED:
                origin = f"quarantine entry {entry['entry_id']}: taken out again by {by}: {note}"
                table = ObservedTable(entry["observed_table"])
                vintages.withdraw_within(
                    connection, _batch(table, entry["source"], [], origin, at), DECIDED, entry["entered_batch_id"]
                )
            _decide(connection, entry["entry_id"], Status.REJECTED, by, note, at, None)
    return _those(connection, entry_ids)


def replay(connection: duckdb.DuckDBPyConnection, sources: Sequence[str], at: datetime) -> Iterator[tuple[str, int]]:
    """Check rows that are held again, and let in those that pass now; yield each source of them with their number.

    Only rows whose rule looks at nothing but the row: the source has to send the others again.
    """
    held = entries(connection, status=Status.HELD, sources=sources).filter(
        pl.col("stored_row").is_not_null(), pl.col("rule").is_in([rule for rule in Rule if rule.is_replayed])
    )
    for (source, name), waiting in held.group_by("source", "observed_table", maintain_order=True):
        table = ObservedTable(str(name))
        rows = rows_frame(table, waiting["stored_row"].to_list())
        holds: pl.Expr = (OBSERVED[table].metadata or {})[HOLDS]
        passing = waiting.filter(rows.select(holds.alias("passes"))["passes"])
        # Of rows that were sent one after the other the last one counts.
        passing = passing.unique("row_key", keep="last", maintain_order=True)
        if passing.is_empty():
            continue
        origin = f"quarantine: {passing.height:,} rows that were held and pass the rules of this version"
        with vintages.in_one_transaction(connection):
            batch = _batch(table, str(source), passing["stored_row"].to_list(), origin, at, is_decided=False)
            vintages.append_within(connection, batch, DECIDED)
            release(connection, passing["entry_id"].to_list(), PASSES, at)
        yield str(source), passing.height


def _named(entry: dict[str, Any]) -> str:
    """An entry in a message: its number, its source, and its key."""
    return f"entry {entry['entry_id']}, {entry['source']} {key_text(entry['row_key'])}"


def _batch(
    table: ObservedTable, source: str, rows: Sequence[str], origin: str, at: datetime, *, is_decided: bool = True
) -> Batch:
    return Batch(
        source=source,
        table=table,
        origin=origin,
        sha256=sha256("".join(rows).encode()).hexdigest(),
        observed_at=at,
        rows=rows_frame(table, rows),
        is_decided=is_decided,
    )


def _chosen(
    connection: duckdb.DuckDBPyConnection, entry_ids: Sequence[int], allowed: Sequence[Status], what: str
) -> list[dict[str, Any]]:
    """The entries of these numbers. Raises `QuarantineError` for one that is not there or in another state."""
    by_id = {entry["entry_id"]: entry for entry in entries(connection).iter_rows(named=True)}
    found = []
    for entry_id in dict.fromkeys(entry_ids):
        if (entry := by_id.get(entry_id)) is None:
            known = f"one from 1 to {max(by_id)}" if by_id else "none, as the quarantine is empty"
            raise QuarantineError(
                f"entry {entry_id}", "no such entry", known, "see `hashpivot quarantine list --status all`"
            )
        if entry["status"] not in allowed:
            because = f": {entry['released_because']}" if entry["released_because"] else ""
            raise QuarantineError(
                f"entry {entry_id}, {entry['source']} {entry['place']}",
                f"it {entry['status']}{because}",
                f"one to {what}: {' or '.join(allowed)}",
                "leave it as it is",
            )
        found.append(entry)
    return found


def _refuse_same_key(connection: duckdb.DuckDBPyConnection, chosen: Sequence[dict[str, Any]]) -> None:
    """Raise `QuarantineError` where two of the `chosen` have one key, or one has that of a row accepted before."""
    accepted = entries(connection, status=Status.ACCEPTED).iter_rows(named=True)
    taken: dict[tuple[str, ...], int] = {}
    for entry in (*accepted, *chosen):
        key = (entry["source"], entry["observed_table"], entry["row_key"])
        if (other := taken.setdefault(key, entry["entry_id"])) != entry["entry_id"]:
            raise QuarantineError(
                f"entries {min(other, entry['entry_id'])} and {max(other, entry['entry_id'])}",
                "two rows of the same key",
                "one of them to accept",
                "choose one; an accepted one is taken out by `hashpivot quarantine reject`",
            )


def _decide(
    connection: duckdb.DuckDBPyConnection,
    entry_id: int,
    status: Status,
    by: str,
    note: str,
    at: datetime,
    batch_id: int | None,
) -> None:
    connection.execute(
        statement("quarantine_decide"),
        {
            "entry_id": entry_id,
            "status": status,
            "decided_at": at.replace(tzinfo=None),
            "decided_by": by,
            "note": note,
            "batch_id": batch_id,
        },
    )


def _newest_batch(connection: duckdb.DuckDBPyConnection) -> int:
    return int(scalar(connection, "select max(batch_id) from raw.batch"))


def _those(connection: duckdb.DuckDBPyConnection, entry_ids: Sequence[int]) -> pl.DataFrame:
    return entries(connection).filter(pl.col("entry_id").is_in(list(entry_ids)))
