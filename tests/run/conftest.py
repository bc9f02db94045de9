"""A home that its tests change, made once and copied for each."""

import shutil
from pathlib import Path

import pytest

from tests.invocation import invoke, made_once
from tests.run.target_homes import FIRST_DAY


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A user's folder whose home has a version and no target."""

    def publish(folder: Path) -> None:
        done = invoke(folder, "daily", "--plain", "--day", FIRST_DAY)
        assert done.returncode == 0, done.stderr

    made = made_once(tmp_path_factory, "home-before-targets", publish)
    return Path(shutil.copytree(made, tmp_path / "user", symlinks=True))
