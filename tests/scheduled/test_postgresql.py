"""The same under PostgreSQL as the scheduler's database, for real, where one is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scheduled.serving import Serving, free_port

USER = "postgres"


def program(name: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if found:
        return found[-1]
    if (path := shutil.which(name)) is None:
        pytest.skip("no PostgreSQL here; `apt-get install postgresql`")
    return Path(path)


def as_other_user() -> list[str]:
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return []
    try:
        pwd.getpwnam(USER)
    except KeyError:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {USER}")
    return ["runuser", "-u", USER, "--"]


@pytest.fixture
def database() -> Iterator[str]:
    """A new cluster on a free port of this machine; yields the address as SQLAlchemy wants it."""
    initdb, postgres, asker = program("initdb"), program("postgres"), as_other_user()
    folder = Path(tempfile.mkdtemp(prefix="hashpivot-postgresql-"))
    if asker:
        shutil.chown(folder, USER)
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [*asker, initdb, "-D", folder / "data", "-A", "trust", "-U", "prefect", "-E", "UTF8", "--no-sync"],
        check=True,
        timeout=120,
        **quiet,
    )
    server = subprocess.Popen(
        [*asker, postgres, "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"], **quiet
    )
    try:
        ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        deadline = time.monotonic() + 120
        while subprocess.run(ready, check=False, **quiet).returncode != 0:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
def test_runs_complete_with_postgresql_as_the_database(database: str, tmp_path: Path) -> None:
    serving = Serving(tmp_path, environment={"PREFECT_API_DATABASE_CONNECTION_URL": database})
    serving.start()
    try:
        run_id = serving.finish("daily", profile="demo", day="2026-01-16")
        assert "hashpivot-brief" in serving.artifacts(run_id)
        assert serving.stop() == 0
    finally:
        if serving.process is not None and serving.process.poll() is None:
            serving.kill()
    assert not (serving.home / "prefect" / "prefect.db").exists()
