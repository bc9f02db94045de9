"""A run with the clock ahead ends nothing: what it dated in the future counts for nothing, and the step is reported."""

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.run.clock import Reading, clock_check, note_clock, reading, step
from flows.run.plan import plan_catch_up
from flows.settings import Settings, read_profile
from tests import clock
from tests.invocation import invoke, last_final_day
from warehouse.private import OWN_FILES, OWN_FOLDERS
from warehouse.publication_queries import newest_day, run_that_published

AHEAD_DAYS = 33
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(days: float, boot: str | None = "a", up_days: float = 10) -> Reading:
    """A reading so many days after `NOW` by the clock, on a machine that is up for `up_days`."""
    now = NOW + days * DAY
    return Reading(run_id=f"{days}", read_at=now, boot_id=boot, booted_at=None if boot is None else now - up_days * DAY)


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        (at(0), at(1, up_days=11), 0),
        (at(0), at(40, up_days=50), 0),
        (at(0), at(33, up_days=10), 33),
        (at(33), at(0, up_days=10), -33),
        (at(0), at(33, "b", up_days=0), 0),
        (at(33), at(0, "b", up_days=0), -33),
        (at(33, None), at(0, None), -33),
        (at(0, None), at(33, None), 0),
    ],
    ids=[
        "a day later",
        "idle for weeks",
        "set ahead",
        "set back",
        "restarted, later",
        "restarted, earlier",
        "unknown system, earlier",
        "unknown system, later",
    ],
)
def test_step_is_what_the_clock_moved_beyond_the_time_that_passed(before: Reading, after: Reading, days: int) -> None:
    assert step(before, after) == days * DAY


def test_check_compares_with_the_run_before_however_often_it_is_made(tmp_path: Path) -> None:
    first, second = at(0), at(33, up_days=10)
    assert clock_check(tmp_path, first).passed
    note_clock(tmp_path, first)
    assert clock_check(tmp_path, first).passed
    for _ in range(2):
        note_clock(tmp_path, second)
        check = clock_check(tmp_path, second)
        assert (check.passed, check.stops, check.value) == (False, False, AHEAD_DAYS)
        assert "set ahead by 33.0 days since run 0 of 2026-11-21 12:00 UTC, to 2026-12-24 12:00 UTC" in check.detail
    assert clock_check(tmp_path, at(33.9, up_days=10.5)).passed
    (tmp_path / "clock.json").write_text("{", encoding="utf-8")
    assert clock_check(tmp_path, second).passed


def test_reading_is_kept_among_the_files_of_the_home_that_nobody_else_reads(tmp_path: Path) -> None:
    note_clock(tmp_path, at(0))
    assert {entry.name for entry in tmp_path.iterdir()} <= OWN_FILES | OWN_FOLDERS


def test_two_readings_of_this_machine_show_no_step() -> None:
    assert abs(step(reading("a", datetime.now(UTC)), reading("b", datetime.now(UTC)))) < timedelta(minutes=1)


@dataclass(frozen=True)
class Stepped:
    """A home with a run of a week ago, one with the clock ahead, and then two of the right time."""

    folder: Path
    ahead: subprocess.CompletedProcess[str]
    examined: subprocess.CompletedProcess[str]
    idle: str | None
    caught_up: list[str]
    after: subprocess.CompletedProcess[str]
    again: subprocess.CompletedProcess[str]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(invoke(self.folder, "sql", statement, "--json").stdout)
        return rows


@pytest.fixture(scope="module")
def clock_ahead(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that sets the clock of a process ahead."""
    if not clock.can_be_set():
        pytest.skip("no C compiler for tests/clock_offset.c")
    return clock.preloaded(tmp_path_factory.mktemp("clock"), AHEAD_DAYS * DAY)


@pytest.fixture(scope="module")
def stepped(clock_ahead: str, tmp_path_factory: pytest.TempPathFactory) -> Stepped:
    folder = tmp_path_factory.mktemp("stepped")

    def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return invoke(folder, "daily", "--plain", "--json", *options, **environment)

    published, last = folder / "data" / "published", last_final_day()
    run("--day", str(last - 2 * DAY))
    ahead = run(LD_PRELOAD=clock_ahead)
    examined = invoke(folder, "doctor", "--json")
    idle = run_that_published(published, "demo", last, datetime.now(UTC) - DAY, datetime.now(UTC))
    settings = Settings(home=folder / "data")
    caught_up = [str(each.through) for each in plan_catch_up(settings, read_profile("demo"))]
    return Stepped(folder, ahead, examined, idle, caught_up, run(), run())


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


@pytest.mark.long
def test_run_after_the_clock_was_set_reports_it_and_the_next_one_does_not(stepped: Stepped) -> None:
    for done, way in ((stepped.ahead, "ahead"), (stepped.after, "back")):
        words = f"clock of this machine: set {way} by {AHEAD_DAYS}.0 days since run "
        assert [line for line in facts(done)["warnings"] if line.startswith(words)]
        assert [line for line in done.stderr.splitlines() if line.startswith("WARNING") and words in line]
    assert "clock of this machine" not in stepped.again.stdout + stepped.again.stderr


def test_doctor_finds_the_clock_set_and_the_publication_in_the_future(stepped: Stepped) -> None:
    found = {row["what"]: row for row in json.loads(stepped.examined.stdout)}
    assert stepped.examined.returncode == 1
    assert found["clock"]["state"] == "PROBLEM"
    assert f"set back by {AHEAD_DAYS}.0 days" in found["clock"]["found"]
    assert found["publication"]["state"] == "PROBLEM"
    assert "in the future" in found["publication"]["found"]


def test_schedule_goes_on_with_the_days_that_were_missed(stepped: Stepped) -> None:
    assert facts(stepped.ahead)["day"] == str(last_final_day() + AHEAD_DAYS * DAY)
    assert stepped.idle is None
    assert stepped.caught_up == [str(last_final_day() - DAY), str(last_final_day())]
    assert facts(stepped.after)["day"] == facts(stepped.again)["day"] == str(last_final_day())


def test_publication_holds_nothing_of_the_future_and_names_its_own_run(stepped: Stepped) -> None:
    last, today = str(last_final_day()), str(datetime.now(UTC).date())
    tables = stepped.rows("select table_name, last_day from meta.tables where last_day is not null")
    assert [row for row in tables if row["last_day"] > last] == []
    (source,) = stepped.rows("select last_day, last_observed_at from meta.sources where source = 'simulated'")
    assert source["last_day"] <= today
    assert source["last_observed_at"][:10] <= today
    assert newest_day(stepped.folder / "data" / "published", "demo", datetime.now(UTC)) == last_final_day()
    examined = invoke(stepped.folder, "doctor", "--json")
    (row,) = [row for row in json.loads(examined.stdout) if row["what"] == "publication"]
    assert row["state"] == "ok"
    assert row["found"].startswith(facts(stepped.again)["run_id"])
