"""One run at a time, and a record of how each one ended, whatever ended it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import WarehouseBusyError, WarehouseError
from schemas.observations import Notice
from tests.warehouse.warehouse_rows import DAY, NOW, run
from warehouse import journal
from warehouse.metadata import notices_of
from warehouse.vintages import Appended
from warehouse.working import open_working

HOLD = """
import sys
from pathlib import Path
from warehouse.journal import one_run_at_a_time

with one_run_at_a_time(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def runs(working: Path, columns: str) -> list[tuple[Any, ...]]:
    with open_working(working) as connection:
        return connection.execute(f"select {columns} from ops.run order by run_id").fetchall()


def test_a_second_process_is_rejected_with_the_name_of_the_first(tmp_path: Path, start: Any) -> None:
    lock = tmp_path / "home" / "run.lock"
    holder = start(HOLD, lock)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(WarehouseBusyError, match=f"process {holder.pid}") as caught, journal.one_run_at_a_time(lock):
        pass
    assert "\n" not in str(caught.value)
    holder.communicate("end\n", timeout=120)
    with journal.one_run_at_a_time(lock):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, start: Any) -> None:
    lock = tmp_path / "run.lock"
    holder = start(HOLD, lock)
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    with journal.one_run_at_a_time(lock):
        rival = start(HOLD, lock)
        _, error = rival.communicate(timeout=120)
        assert "WarehouseBusyError" in error
        assert str(holder.pid) not in lock.read_text()


def test_the_lock_is_free_after_an_error_and_taken_twice_in_one_process_it_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    with pytest.raises(ZeroDivisionError), journal.one_run_at_a_time(lock):
        _ = 1 / 0
    with journal.one_run_at_a_time(lock), pytest.raises(WarehouseBusyError), journal.one_run_at_a_time(lock):
        pass


def test_a_home_that_cannot_hold_the_lock_is_one_line_of_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    lock = tmp_path / "home" / "run.lock"
    with pytest.raises(WarehouseError, match=r"home/run\.lock") as caught, journal.one_run_at_a_time(lock):
        pass
    assert "\n" not in str(caught.value)


def test_a_run_that_never_ended_is_noted_as_abandoned_by_the_next_one(working: Path) -> None:
    for run_id, status in (("run-1", None), ("run-2", "published"), ("run-3", "failed"), ("run-4", None)):
        with open_working(working) as connection:
            journal.start(connection, run(run_id))
            if status:
                journal.end(connection, run_id, status=status, ended_at=NOW)
    assert runs(working, "run_id, status") == [
        ("run-1", "abandoned"),
        ("run-2", "published"),
        ("run-3", "failed"),
        ("run-4", "running"),
    ]


def test_the_run_of_the_current_publication_is_published_whatever_was_recorded_of_it(working: Path) -> None:
    made_at = datetime(2024, 6, 10, 3, 9, tzinfo=UTC)
    with open_working(working) as connection:
        journal.start(connection, run("run-1"))
        journal.end(connection, "run-1", status="failed", ended_at=NOW, error="no space left")
        journal.start(connection, run("run-2"))
        journal.end(connection, "run-2", status="published", ended_at=NOW, publication="run-2")
        journal.start(connection, run("run-3"))
        for publication in ("run-1", "run-2", "run-3", "of another home"):
            journal.note_current(connection, publication, made_at)
    made, now = made_at.replace(tzinfo=None), NOW.replace(tzinfo=None)
    assert runs(working, "run_id, status, publication, ended_at, error") == [
        ("run-1", "published", "run-1", made, "no space left"),
        ("run-2", "published", "run-2", now, None),
        ("run-3", "published", "run-3", made, None),
    ]


def test_a_run_that_is_started_again_under_its_name_is_neither_doubled_nor_abandoned(working: Path) -> None:
    with open_working(working) as connection:
        journal.start(connection, run("run-1"))
        journal.start(connection, run("run-1"))
    assert runs(working, "run_id, status") == [("run-1", "running")]


def test_a_failed_run_keeps_its_error_and_its_times_are_utc(working: Path) -> None:
    ended_at = datetime(2024, 6, 10, 3, 9, tzinfo=UTC)
    with open_working(working) as connection:
        journal.start(connection, run("run-1"))
        journal.end(
            connection, "run-1", status="failed", ended_at=ended_at, error="a.csv: found 'x', expected a number"
        )
    with open_working(working) as connection:
        journal.start(connection, run("run-2", started_at=NOW + timedelta(days=1)))
        journal.end(connection, "run-2", status="published", ended_at=NOW + timedelta(days=1), publication="run-2")
    assert runs(working, "run_id, profile, day, started_at, ended_at, status, error, publication") == [
        (
            "run-1",
            "demo",
            DAY,
            NOW.replace(tzinfo=None),
            ended_at.replace(tzinfo=None),
            "failed",
            "a.csv: found 'x', expected a number",
            None,
        ),
        (
            "run-2",
            "demo",
            DAY,
            (NOW + timedelta(days=1)).replace(tzinfo=None),
            (NOW + timedelta(days=1)).replace(tzinfo=None),
            "published",
            None,
            "run-2",
        ),
    ]


def test_the_totals_of_a_run_are_the_sums_of_its_batches_and_of_no_other(working: Path) -> None:
    with open_working(working) as connection:
        journal.start(connection, run("run-1"))
        journal.end(connection, "run-1", status="published", ended_at=NOW)
        journal.start(connection, run("run-2"))
        journal.count(connection, "run-2", Appended(row_count=10, new_count=4, revised_count=1))
        journal.count(connection, "run-2", Appended(row_count=5, new_count=0, revised_count=5))
    assert runs(working, "run_id, observed_count, new_count, revised_count") == [
        ("run-1", 0, 0, 0),
        ("run-2", 15, 4, 6),
    ]


def test_the_notices_of_a_run_are_its_own(working: Path) -> None:
    with open_working(working) as connection:
        journal.note(connection, "run-1", Notice(source="simulated", origin="b.csv", message="skipped"))
        journal.note(connection, "run-2", Notice(source="simulated", origin="b.csv", message="dropped 3 rows"))
        journal.note(connection, "run-2", Notice(source="simulated", origin="a.csv", message="it's empty"))
        assert notices_of(connection, "run-2") == [
            ("simulated", "a.csv", "it's empty"),
            ("simulated", "b.csv", "dropped 3 rows"),
        ]
        assert notices_of(connection, "run-3") == []
