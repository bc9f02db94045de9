"""After an outage: the days that were missed, and the runs that were planned for the time of it.

The tests of this file share one home and each has a profile of its own: days are missed by profile.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from flows.run.plan import CATCH_UP_DAYS
from tests.invocation import PYTHON, eventually, last_final_day
from tests.scheduled.serving import Serving, published_version

DEMO = Path(__file__).parents[2] / "flows" / "profiles" / "demo.toml"
LATE_RUNS = 3
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    serving = Serving(tmp_path_factory.mktemp("serve"), environment={"HASHPIVOT_DAILY_CRON": "30 2 * * *"})
    serving.start()
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.kill()


def own_profile(served: Serving, name: str) -> str:
    """Path of a profile that does what the demo does."""
    return str(shutil.copy(DEMO, served.folder / f"{name}.toml"))


def published_days(served: Serving, profile: str) -> list[date]:
    """Of the publications with `profile`, in the order they were made."""
    days = served.published(
        f"select day from meta.runs where status = 'published' and profile = '{profile}' order by ended_at"
    )
    return [day for (day,) in days]


@pytest.mark.long
def test_no_more_than_a_week_of_missed_days_gets_a_publication(served: Serving) -> None:
    last, profile = last_final_day(), own_profile(served, "week")
    first = last - (CATCH_UP_DAYS + 3) * DAY
    arguments = {"profile_file": profile, "since": str(first)}
    served.finish("daily", **arguments, day=str(first))
    run_id = served.finish("daily", **arguments, catch_up=True)
    week = [last - n * DAY for n in reversed(range(CATCH_UP_DAYS))]
    assert published_days(served, "week") == [first, *week]
    line = f"catching up: days {first + DAY} to {last} were not published"
    eventually(lambda: line in served.logs(run_id), line)
    skipped = (first + DAY, week[0] - DAY)
    counted = served.published(
        f"select count(*), count(price_usd) from capitulation_daily where day between '{skipped[0]}' and '{skipped[1]}'"
    )
    days = (skipped[1] - skipped[0]).days + 1
    assert counted == [(days, days)], "the days before are in the tables all the same"


@pytest.mark.long
def test_of_the_runs_that_an_outage_left_behind_one_catches_up_in_order_and_the_others_have_nothing_to_do(
    served: Serving,
) -> None:
    last = last_final_day()
    # The other profile has published later days.
    served.finish("daily", profile="demo", day=str(last - 3 * DAY), replace=True)
    file = served.home / "prefect" / "prefect.db"

    def are_planned() -> bool:
        with sqlite3.connect(file) as database:
            return len(planned(database)) >= LATE_RUNS

    eventually(are_planned, "runs that are planned")
    assert served.stop() == 0
    back = datetime.now(UTC)
    with sqlite3.connect(file) as database:
        late = planned(database)[:LATE_RUNS]
        for number, run_id in enumerate(late):
            move(database, run_id, back - timedelta(hours=20) - number * DAY)
    database.close()
    # The other profile has published the same days since they were due, which must not count for this one.
    served.start()
    states = {run_id: served.wait(run_id) for run_id in late}
    assert [state["type"] for state in states.values()] == ["COMPLETED"] * LATE_RUNS
    idle = [state["message"] for state in states.values() if "nothing left to do: " in (state["message"] or "")]
    (busy,) = [run_id for run_id, state in states.items() if state["message"] not in idle]

    assert published_days(served, "demo") == [last - n * DAY for n in (3, 2, 1, 0)]
    assert served.published("select max(day) from capitulation_daily") == [(last,)]
    ours = {run_id for (run_id,) in served.published("select run_id from meta.runs where profile = 'demo'")}
    assert len(idle) == LATE_RUNS - 1
    assert {words.rpartition(" ")[2] for words in idle} <= ours
    assert published_version(served) in ours
    eventually(lambda: publications(served, busy) == 3, "the log of the run that caught up")
    assert f"catching up: days {last - 2 * DAY} to {last} were not published" in served.logs(busy)
    assert sum(publications(served, run_id) for run_id in late) == 3
    times = served.published("select started_at, ended_at from meta.runs order by started_at")
    assert all(ended <= started for (_, ended), (started, _) in pairwise(times)), "one after the other"


def publications(served: Serving, run_id: str) -> int:
    """As many as the log of the run states."""
    return sum(line.startswith("published version=") for line in served.logs(run_id))


def planned(database: sqlite3.Connection) -> list[str]:
    """Runs of `daily` that the scheduler has planned, the next one first."""
    found = database.execute(
        "select flow_run.id from flow_run join deployment on deployment.id = deployment_id "
        "where deployment.name = 'daily' and auto_scheduled and state_type = 'SCHEDULED' "
        "order by next_scheduled_start_time"
    )
    return [run_id for (run_id,) in found]


def move(database: sqlite3.Connection, run_id: str, due: datetime) -> None:
    """Make it a run that was planned for `due`."""
    database.execute(
        "update flow_run set expected_start_time = ?1, next_scheduled_start_time = ?1 where id = ?2",
        [f"{due:%Y-%m-%d %H:%M:%S.%f}", run_id],
    )
    database.execute(
        "update flow_run_state set state_details = json_set(state_details, '$.scheduled_time', ?) "
        "where id = (select state_id from flow_run where id = ?)",
        [due.isoformat(), run_id],
    )


FORGET_PLANNED_RUNS = "from flows.scheduled.serve import forget_planned_runs; print(forget_planned_runs())"


@pytest.mark.long
def test_runs_that_were_planned_by_a_clock_that_was_ahead_are_planned_anew(served: Serving) -> None:
    file, now = served.home / "prefect" / "prefect.db", datetime.now(UTC)

    def next_due() -> list[datetime]:
        with sqlite3.connect(file) as database:
            found = database.execute(
                "select min(next_scheduled_start_time) from flow_run where auto_scheduled and state_type = 'SCHEDULED' "
                "group by deployment_id"
            ).fetchall()
        return [datetime.fromisoformat(due).replace(tzinfo=UTC) for (due,) in found]

    eventually(lambda: len(next_due()) == 2, "runs of both schedules")
    with sqlite3.connect(file, timeout=60) as database:
        database.execute(
            "update flow_run set next_scheduled_start_time = datetime(next_scheduled_start_time, '+33 days'), "
            "expected_start_time = datetime(expected_start_time, '+33 days') "
            "where auto_scheduled and state_type = 'SCHEDULED'"
        )
    assert min(next_due()) > now + 30 * DAY
    done = subprocess.run(
        [PYTHON, "-c", FORGET_PLANNED_RUNS],
        env={**os.environ, **served.client},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert int(done.stdout) > LATE_RUNS
    eventually(lambda: len(next_due()) == 2 and max(next_due()) < now + 8 * DAY, "runs of this week")
