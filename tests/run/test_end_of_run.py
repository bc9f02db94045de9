"""What the journal records of a run that ends between its publication and the record of it."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.run import plan, publish
from flows.settings import Settings, read_profile
from tests.invocation import REPOSITORY
from tests.warehouse.warehouse_rows import publication
from warehouse.publish import publish as put
from warehouse.targets.files import FileTarget, current_version
from warehouse.working import open_working

DAY = date(2026, 11, 18)

ENDED_AFTER_THE_SWITCH = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from flows.run import pipeline, plan
from flows.settings import Settings, read_profile

home, signal_number = Path(sys.argv[1]), int(sys.argv[2])
has_switched = False

def end_after_the_switch(event, arguments):
    # The link moves by a rename; the first thing that is opened after it is the folder, to force it to the disk.
    global has_switched
    if event == "os.rename" and str(arguments[1]).endswith("/published/current"):
        has_switched = True
    elif has_switched and event == "open":
        has_switched = False
        os.kill(os.getpid(), signal_number)

run = plan.plan(Settings(home=home), read_profile("demo"), day=datetime(2026, 11, 17).date())
print(run.run_id, flush=True)
sys.addaudithook(end_after_the_switch)
pipeline.run_all(run)
"""


def runs(database: Path, table: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as reader:
        return reader.execute(
            f"select run_id, status, publication, ended_at from {table} order by started_at"
        ).fetchall()


@pytest.mark.parametrize(
    ("signal_number", "recorded_status"),
    [(signal.SIGKILL, "running"), pytest.param(signal.SIGINT, "published", marks=pytest.mark.long)],
)
def test_run_that_ends_right_after_its_publication_is_recorded_as_published(
    tmp_path: Path, signal_number: int, recorded_status: str
) -> None:
    settings = Settings(home=tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", ENDED_AFTER_THE_SWITCH, tmp_path, str(int(signal_number))],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, env=os.environ | {"DO_NOT_TRACK": "1"},
    )  # fmt: skip
    assert ended.returncode == -signal_number, ended.stderr
    first = ended.stdout.splitlines()[0]
    assert current_version(settings.published) == first
    with open_working(settings.working_database) as connection:
        assert connection.execute("select run_id, status from ops.run").fetchall() == [(first, recorded_status)]
    stated = runs(settings.published / "hashpivot.duckdb", "meta.runs")

    following = plan.plan(settings, read_profile("demo"), day=DAY)
    with plan.recorded(following):
        publish.publish_run(following)
    found = runs(settings.working_database, "ops.run")
    assert [row[:3] for row in found] == [(run, "published", run) for run in (first, following.run_id)]
    assert found[:1] == stated
    assert runs(settings.published / "hashpivot.duckdb", "meta.runs") == found


def test_publication_beside_the_current_one_is_recorded_too(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    died, following = (plan.plan(settings, read_profile("demo"), day=DAY) for _ in range(2))
    plan.record_start(died)
    put(publication(died.run_id), [FileTarget(folder=settings.rebuilt / "2026-11-18", keep=1)])
    plan.record_start(following)
    assert [row[:3] for row in runs(settings.working_database, "ops.run")] == [
        (died.run_id, "published", died.run_id),
        (following.run_id, "running", None),
    ]
