"""Rows that failed: kept once, decided about whole or not at all, replaced by a sound row."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import ContractError, QuarantineError
from schemas.observations import KEYS, QUARANTINE, Batch, ObservedTable
from schemas.quarantine import FailedRow, Rule, is_broken
from tests.invocation import REPOSITORY
from tests.warehouse.test_vintages import query
from tests.warehouse.warehouse_rows import DAY, NOW, ONE, PRICE, block, blocks, price, values
from warehouse import vintages
from warehouse.known import received_at
from warehouse.past import open_past
from warehouse.quarantine import DECIDED, SetAside, entries
from warehouse.quarantine_decisions import accept, reject, replay
from warehouse.working import Connection, open_working

LATER = NOW + timedelta(days=1)
LATEST = "select day, value from raw.latest_daily_value order by day"
BAD = -3.0


def days(*usd: float | None) -> list[tuple[Any, float]]:
    """Prices of consecutive days as `LATEST` gives them, without those that are None."""
    return [(DAY + timedelta(days=i), value) for i, value in enumerate(usd) if value is not None]


def states(connection: Connection) -> list[tuple[Any, ...]]:
    return entries(connection).select("entry_id", "status", "decided_by", "note", "released_because").rows()


def prices(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(LATEST).fetchall()


def test_a_failed_row_is_kept_once_with_when_it_was_seen_first_and_last(working: Path) -> None:
    with open_working(working) as connection:
        first = vintages.append(connection, price(1.0, 2.0, BAD), "run-1")
        again = vintages.append(connection, price(1.0, 2.0, BAD, observed_at=LATER), "run-2")
        assert (first.row_count, first.set_aside.new_count, first.set_aside.again_count) == (2, 1, 0)
        assert (again.set_aside.new_count, again.set_aside.again_count) == (0, 1)
        assert first.set_aside.first == (
            f"{PRICE} 2024-06-03: found series {PRICE}, day 2024-06-03, value -3.0, "
            "expected value within the bounds of its series"
        )
        (entry,) = entries(connection).iter_rows(named=True)
        assert (entry["first_seen_at"], entry["last_seen_at"]) == (NOW, LATER)
        assert (entry["first_run_id"], entry["last_run_id"]) == ("run-1", "run-2")
        assert entry["row_key"] == f'{{"series": "{PRICE}", "day": "2024-06-03"}}'
        assert (entry["rule"], entry["status"], entry["day"]) == ("value", "held", DAY + timedelta(days=2))
        assert prices(connection) == days(1.0, 2.0)


def test_an_accepted_row_counts_and_taken_out_again_what_was_before_it_counts(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, 5.0), "run-1")
        vintages.append(connection, price(1.0, 2.0, BAD, 4.0, BAD), "run-2")
        assert prices(connection) == days(1.0, 2.0, 5.0, 4.0)
        found = accept(connection, [1, 2], by="ann", note="seen elsewhere", at=LATER)
        assert found["status"].to_list() == ["accepted"] * 2
        assert prices(connection) == days(1.0, 2.0, BAD, 4.0, BAD)
        origin = "select origin, run_id, observed_at from raw.batch where batch_id = 3"
        assert connection.execute(origin).fetchall() == [
            ("quarantine entry 1: accepted by ann: seen elsewhere", DECIDED, LATER.replace(tzinfo=None))
        ]
        # It is not mistaken for a fetch.
        assert received_at(connection, LATER) == {ONE: NOW}
        sent_again = vintages.append(connection, price(1.0, 2.0, BAD, 4.0, BAD), "run-3")
        assert sent_again.set_aside.accepted_count == 2
        reject(connection, [1, 2], by="bob", note="was wrong", at=LATER)
        assert prices(connection) == days(1.0, 2.0, 5.0, 4.0)
        changes = "select value_before, value_after, detail from raw.revision where day = ? order by revision"
        assert connection.execute(changes, [DAY + timedelta(days=4)]).fetchall() == [
            (BAD, None, "quarantine entry 2: taken out again by bob: was wrong")
        ]


def test_a_rejected_row_stays_out_when_it_is_sent_again(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, BAD), "run-1")
        reject(connection, [1], by="ann", note="a typing error", at=NOW)
        again = vintages.append(connection, price(1.0, 2.0, BAD, observed_at=LATER), "run-2")
        assert again.set_aside == SetAside(rejected_count=1)
        assert states(connection) == [(1, "rejected", "ann", "a typing error", None)]
        assert prices(connection) == days(1.0, 2.0)


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_sound_row_takes_the_place_of_a_failed_one(working: Path, is_accepted: bool) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, BAD), "run-1")
        if is_accepted:
            accept(connection, [1], by="ann", note="right", at=NOW)
        sound = vintages.append(connection, price(1.0, 2.0, 3.0, observed_at=LATER), "run-2")
        assert sound.set_aside == SetAside(released_count=1)
        assert [each[1] for each in states(connection)] == ["released"]
        assert states(connection)[0][4] == "the source sent a sound row in its place"
        assert prices(connection) == days(1.0, 2.0, 3.0)
        # Sent again as it was, it needs a decision again.
        vintages.append(connection, price(1.0, 2.0, BAD, observed_at=LATER), "run-3")
        assert states(connection) == [(1, "held", None, None, None)]
        assert prices(connection) == days(1.0, 2.0, 3.0)


def test_a_sound_row_that_was_stored_before_releases_too(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, 3.0), "run-1")
        vintages.append(connection, price(1.0, 2.0, BAD), "run-2")
        sound = vintages.append(connection, price(1.0, 2.0, 3.0), "run-3")
        assert (sound.revised_count, sound.set_aside.released_count) == (0, 1)


def test_of_a_key_only_the_row_that_was_sent_last_waits(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, BAD), "run-1")
        other = vintages.append(connection, price(1.0, 2.0, -4.0), "run-2")
        assert (other.set_aside.new_count, other.set_aside.released_count) == (1, 1)
        assert [each[1] for each in states(connection)] == ["released", "held"]


def test_of_two_rows_with_one_key_one_is_accepted_and_the_other_rejected(working: Path) -> None:
    batch = price(1.0, 2.0, 3.0)
    twice = pl.concat([batch.rows, batch.rows.tail(1).with_columns(value=pl.lit(4.0)), price(*[5.0] * 9).rows.tail(6)])
    with open_working(working) as connection:
        added = vintages.append(connection, _with_rows(batch, twice), "run-1")
        assert added.set_aside.new_count == 2
        with pytest.raises(QuarantineError, match="entries 1 and 2: found two rows of the same key"):
            accept(connection, [1, 2], by="ann", note="both", at=NOW)
        accept(connection, [2], by="ann", note="the later one", at=NOW)
        assert states(connection) == [
            (1, "rejected", "ann", "another row of the same key was accepted: entry 2", None),
            (2, "accepted", "ann", "the later one", None),
        ]
        assert days(1.0, 2.0, 4.0) == prices(connection)[:3]
        with pytest.raises(QuarantineError, match="entries 1 and 2: found two rows of the same key"):
            accept(connection, [1], by="ann", note="the other", at=NOW)


def _with_rows(batch: Batch, rows: pl.DataFrame, failed: tuple[FailedRow, ...] = ()) -> Batch:
    return Batch(
        source=batch.source,
        table=batch.table,
        origin=batch.origin,
        sha256=batch.sha256,
        observed_at=batch.observed_at,
        rows=rows,
        failed=failed,
    )


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([3], "entry 3: found no such entry, expected one from 1 to 2"),
        ([1, 2], "found a row that breaks the rule 'unreadable'"),
    ],
)
def test_what_cannot_be_accepted_is_one_line_and_nothing_is(working: Path, chosen: list[int], message: str) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, BAD, float("nan"), 5.0), "run-1")
        with pytest.raises(QuarantineError, match=message) as refused:
            accept(connection, chosen, by="ann", note="x", at=NOW)
        assert "\n" not in str(refused.value)
        assert [each[1] for each in states(connection)] == ["held", "held"]
        assert prices(connection) == [*days(1.0, 2.0), (DAY + timedelta(days=4), 5.0)]


def test_a_row_that_passes_the_rules_of_a_newer_version_is_let_in(working: Path) -> None:
    """As an older version would have kept it, whose bounds were narrower; the other one fails still."""
    held = tuple(
        FailedRow(
            key={"series": PRICE, "day": DAY + timedelta(days=day)},
            received={"cell": str(value)},
            row={"series": PRICE, "day": DAY + timedelta(days=day), "value": value},
            rule=Rule.VALUE,
            reason="found too much",
            place=f"row {day}",
        )
        for day, value in ((2, 3.0), (3, BAD))
    )
    batch = price(1.0, 2.0)
    with open_working(working) as connection:
        vintages.append(connection, _with_rows(batch, batch.rows, held), "run-1")
        assert prices(connection) == days(1.0, 2.0)
        assert list(replay(connection, ["another"], LATER)) == []
        assert list(replay(connection, [ONE], LATER)) == [(ONE, 1)]
        assert prices(connection) == days(1.0, 2.0, 3.0)
        assert [each[1] for each in states(connection)] == ["released", "held"]
        assert list(replay(connection, [ONE], LATER)) == []


def test_too_many_failed_rows_are_an_error_and_nothing_is_stored() -> None:
    with pytest.raises(ContractError, match=r"daily_value: .*; 2 of 3 rows fail, more than are set aside"):
        price(1.0, BAD, BAD)


@pytest.mark.parametrize(
    ("failed", "of", "broken"),
    [
        (1, 1, True),
        (1, 2, False),
        (2, 3, True),
        (10, 20, False),
        (11, 1_099, True),
        (11, 1_100, False),
        (51, 100, True),
    ],
)
def test_limit_from_both_sides(failed: int, of: int, broken: bool) -> None:
    assert is_broken(failed, of) is broken


def test_only_values_of_a_day_are_set_aside_and_every_table_states_why() -> None:
    assert [table for table, stated in QUARANTINE.items() if stated.is_sound] == [ObservedTable.DAILY_VALUE]
    assert all(stated.why and KEYS[table] for table, stated in QUARANTINE.items())
    page = (REPOSITORY / "docs" / "quarantine.md").read_text(encoding="utf-8")
    for table, stated in QUARANTINE.items():
        assert f"| `{table}` | {'yes' if stated.is_sound else 'no'} | {stated.why} |" in page
    with pytest.raises(ContractError, match=r"^block: "):
        blocks(block(1), block(2, fees_sat=-1), block(3))


def test_quarantine_of_an_earlier_moment_is_seen_as_it_was(working: Path) -> None:
    moments: dict[datetime, str] = {
        NOW: "held",
        NOW + timedelta(hours=2): "accepted",
        NOW + timedelta(days=2): "released",
    }
    with open_working(working) as connection:
        vintages.append(connection, price(1.0, 2.0, BAD), "run-1")
        accept(connection, [1], by="ann", note="right", at=NOW + timedelta(hours=1))
        vintages.append(connection, price(1.0, 2.0, 3.0, observed_at=LATER), "run-2")
    for moment, status in moments.items():
        with open_past(working, moment) as past:
            assert entries(past)["status"].to_list() == [status]


DECIDE_FOREVER = """
import sys
from datetime import timedelta
from pathlib import Path
from tests.warehouse.warehouse_rows import NOW, price
from warehouse import vintages
from warehouse.quarantine_decisions import accept, reject
from warehouse.working import open_working

with open_working(Path(sys.argv[1])) as connection:
    vintages.append(connection, price(*[1.0] * 100, *[-1.0] * 10), "run-0")
    print("ready", flush=True)
    for i in range(1, 10_000):
        accept(connection, range(1, 11), by="ann", note=str(i), at=NOW + timedelta(hours=i))
        reject(connection, range(1, 11), by="ann", note=str(i), at=NOW + timedelta(hours=i))
"""


def test_a_kill_leaves_a_decision_whole(working: Path, start: Any) -> None:
    process = start(DECIDE_FOREVER, working)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.4)
    process.kill()
    process.wait()
    decided = query(working, "select distinct status, note from raw.quarantine")
    assert len(decided) == 1
    counting = query(working, "select count(*) from raw.latest_daily_value where value < 0")
    assert counting == [(10 if decided[0][0] == "accepted" else 0,)]


def test_a_thousand_bad_rows_of_two_hundred_thousand_cost_a_small_factor(working: Path) -> None:
    count = 200_000
    sound = values({}).rows.clear()
    base = pl.DataFrame(
        {
            "series": [
                f"{name}" for name in ("fees_sat", "supply_sat", "price_usd", "issuance_sat") for _ in range(count // 4)
            ],
            "day": [DAY + timedelta(days=i) for _ in range(4) for i in range(count // 4)],
            "value": [1.0] * count,
        },
        schema=sound.schema,
    )
    bad = base.with_columns(value=pl.when(pl.int_range(pl.len()) % 200 == 7).then(-1.0).otherwise(1.0))

    def seconds(rows: pl.DataFrame, path: Path) -> float:
        with open_working(path) as connection:
            began = time.process_time()
            added = vintages.append(connection, _with_rows(price(1.0), rows), "run-1")
            vintages.append(connection, _with_rows(price(1.0), rows), "run-2")
            spent = time.process_time() - began
            assert added.row_count + added.set_aside.held_count == count
            assert entries(connection).height == added.set_aside.held_count
        return spent

    without = seconds(base, working)
    assert seconds(bad, working.with_name("bad.duckdb")) < 3 * without + 0.5
