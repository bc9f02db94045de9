"""Other processes, real ones: a lock, a kill or an old driver cannot be tried inside the process of the test."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.invocation import PYTHON
from tests.object_storage import ObjectStorage, object_storage

ROOT = Path(__file__).parents[2]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program in a process of its own; whatever still runs after the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_program(
        program: str, *arguments: object, before: tuple[str, ...] = (), python: str = PYTHON
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*before, python, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield start_program
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def working(tmp_path: Path) -> Path:
    """Where a test keeps its working database."""
    return tmp_path / "warehouse" / "working.duckdb"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Where a test publishes."""
    return tmp_path / "published"


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorage]:
    with object_storage() as running:
        yield running


@pytest.fixture
def address(storage: ObjectStorage, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix in a new bucket; the environment leads to it."""
    for name, value in storage.environment().items():
        monkeypatch.setenv(name, value)
    bucket = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    return f"{storage.make_bucket(bucket)}/team/tables"
