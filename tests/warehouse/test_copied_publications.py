"""A published folder whose links a copy has turned into folders: it can be read, and the next publication heals it."""

import shutil
from pathlib import Path

import pytest

from schemas.errors import WarehouseError
from tests.warehouse.warehouse_rows import publication
from tests.warehouse.whole_versions import check_whole
from warehouse.publish import publish
from warehouse.targets.files import STABLE_NAMES, FileTarget, current_version

LINKS = sorted(["current", *STABLE_NAMES])


def put(folder: Path, version: str) -> None:
    publish(publication(version), [FileTarget(folder=folder, keep=5)])


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    """The copy that `cp -rL` makes of two publications."""
    put(published, "v1")
    put(published, "v2")
    return shutil.copytree(published, tmp_path / "copied", symlinks=False)


def versions(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "versions").iterdir())


def check_links(folder: Path, version: str) -> None:
    assert current_version(folder) == check_whole(folder) == version
    assert [name for name in LINKS if (folder / name).is_symlink()] == LINKS
    assert sorted(path.name for path in folder.iterdir()) == sorted([*LINKS, "versions"])


def test_copy_is_read_as_it_is_and_has_links_after_the_next_publication(copied: Path) -> None:
    assert not any((copied / name).is_symlink() for name in LINKS)
    assert check_whole(copied) == "v2"
    put(copied, "v3")
    check_links(copied, "v3")
    assert versions(copied) == ["v1", "v2", "v3"]


def test_copy_without_its_versions_keeps_what_it_has_as_one(copied: Path) -> None:
    shutil.rmtree(copied / "versions")
    put(copied, "v3")
    check_links(copied, "v3")
    assert versions(copied) == ["v2", "v3"]
    shutil.rmtree(copied / "versions" / "v3")
    (copied / "current").unlink()
    (copied / "current").symlink_to("versions/v2")
    assert check_whole(copied) == "v2"


def test_links_are_made_of_a_copy_though_the_process_was_killed_between_folder_and_link(copied: Path) -> None:
    (copied / "parquet").rename(copied / "versions" / ".draft-parquet")
    put(copied, "v3")
    check_links(copied, "v3")
    assert versions(copied) == ["v1", "v2", "v3"]


@pytest.mark.parametrize(
    "place", ["parquet/mine.csv", "parquet/deal.parquet", "current/mine.csv", "hashpivot.duckdb/x"]
)
def test_folder_with_something_else_in_it_is_named_and_stays_as_it_is(copied: Path, place: str) -> None:
    path = copied / place
    if path.parent.is_file():
        path.parent.unlink()
        path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(WarehouseError) as caught:
        put(copied, "v3")
    assert str(path.parent) in str(caught.value)
    assert path.name in str(caught.value)
    assert "move it away" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text(encoding="utf-8") == "mine"
    assert versions(copied) == ["v1", "v2"]
    path.parent.rename(copied.parent / "moved away")
    put(copied, "v3")
    check_links(copied, "v3")


def test_folder_without_a_manifest_is_named_and_stays_as_it_is(copied: Path) -> None:
    (copied / "current" / "manifest.json").unlink()
    (copied / "manifest.json").unlink()
    with pytest.raises(WarehouseError, match=r"current: found a folder, .*move it away"):
        put(copied, "v3")
    assert (copied / "current" / "parquet").is_dir()
