"""A home that its tests change, a copy of the one that is made once."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def home(published_demo: Path, tmp_path: Path) -> Path:
    """A user's folder whose home has a version up to `tests.run.target_homes.FIRST_DAY`, and no target."""
    shutil.copytree(published_demo.parent, tmp_path / "user" / "data", symlinks=True)
    return tmp_path / "user"
