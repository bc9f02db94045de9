from datetime import date
from functools import partial
from pathlib import Path

import pytest
from invocation import Hashpivot, invoke

from flows import pipeline, runs
from flows.settings import Settings, read_profile


@pytest.fixture
def hashpivot(tmp_path: Path) -> Hashpivot:
    """Run the installed command in a folder of its own and return what it said and how it ended."""
    return partial(invoke, tmp_path)


@pytest.fixture(scope="session")
def published_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a demo publication whose last day is in deep capitulation, with a burst."""
    settings = Settings(home=tmp_path_factory.mktemp("demo"))
    pipeline.run_all(runs.plan(settings, read_profile("demo"), day=date(2026, 11, 7)))
    return settings.published
