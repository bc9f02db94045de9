"""How tests start the command: in a process of its own, without the caller's settings, and how they wait for it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from tests import forked
from transforms.calendar import FINALITY_DELAY

REPOSITORY = Path(__file__).parents[1]
_USER = REPOSITORY / ".venv" / "user" / "bin"
_FOLDER = _USER if (_USER / "hashpivot").exists() else Path(sys.executable).parent
PYTHON = str(_FOLDER / "python")
"""Of the environment that `make test` keeps for processes: what a user installs, and nothing of the tests."""
COMMAND = str(_FOLDER / "hashpivot")
Hashpivot = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment(**extra: str) -> dict[str, str]:
    """The caller's environment without settings of hashpivot and of Prefect."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HASHPIVOT_", "PREFECT_"))}
    quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "COLUMNS": "120"}
    quiet["PYTHONFAULTHANDLER"] = "1"  # where a native module crashes, the failed test says where
    return kept | quiet | extra


def invoke(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `folder`, which is the user's home directory too."""
    return run_command(*arguments, folder=folder, environment=clean_environment(HOME=str(folder), **environment))


def run_command(
    *arguments: str, folder: Path, environment: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `folder` with exactly that environment."""
    if forked.is_possible(environment):
        return forked.run(PYTHON, [COMMAND, *arguments], folder, environment, timeout)
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` that `make` fills, once for all processes of the tests; they only read it."""
    is_one_of_several = "PYTEST_XDIST_WORKER" in os.environ
    shared = factory.getbasetemp().parent if is_one_of_several else factory.getbasetemp()
    folder, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def last_final_day() -> date:
    """The day that a run of this moment publishes: before 02:00 UTC that is not yesterday."""
    return (datetime.now(UTC) - FINALITY_DELAY).date() - timedelta(days=1)


def eventually(holds: Callable[[], object], what: str, timeout: float = 120) -> None:
    """Wait until `holds`, and fail with `what` after `timeout` seconds, far more than a busy machine needs."""
    deadline, waits = time.monotonic() + timeout, longer_waits()
    while not holds():
        assert time.monotonic() < deadline, what
        next(waits)


def longer_waits() -> Iterator[float]:
    """Wait a little at each step, soon half a second: who waits takes the processor from what is waited for."""
    seconds = 0.05
    while True:
        time.sleep(seconds)
        yield seconds
        seconds = min(seconds * 1.5, 0.5)
