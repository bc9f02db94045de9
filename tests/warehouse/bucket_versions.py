"""Small versions of a home, and the bucket that shows them."""

from pathlib import Path
from typing import Any

from tests.warehouse.warehouse_rows import publication
from warehouse.publish import publish
from warehouse.targets.bucket import BucketTarget
from warehouse.targets.files import FileTarget
from warehouse.targets.finished import FinishedVersion, finished_version

TIME_SCALE = 0.02


def target(address: str, keep: int = 2) -> BucketTarget:
    return BucketTarget(address=address, keep=keep, time_scale=TIME_SCALE)


def version(folder: Path, name: str, **about: Any) -> FinishedVersion:
    """A small version that the file target has published."""
    given = publication(name)
    about = {**given.about, "day": "2024-06-01", "family": "simulated"} | about
    changed = {field: getattr(given, field) for field in given.__slots__} | {"about": about}
    publish(type(given)(**changed), [FileTarget(folder=folder, keep=9)])
    return finished_version(folder)
