"""The same under PostgreSQL as the scheduler's database, for real, where one is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres_server import DATABASE, HOST, PASSWORDS, PUBLISHER, postgres_server
from tests.scheduled.serving import Serving


@pytest.fixture
def database() -> Iterator[str]:
    """A database on this machine; yields the address as SQLAlchemy wants it."""
    with postgres_server() as server:
        yield f"postgresql+asyncpg://{PUBLISHER}:{PASSWORDS[PUBLISHER]}@{HOST}:{server.port}/{DATABASE}"


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
