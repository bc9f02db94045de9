"""A publication goes to several targets at once, each all or nothing; one that fails is reported and stops no other."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.errors import WarehouseError
from tests.warehouse.warehouse_rows import publication
from warehouse.atomic_files import write_whole
from warehouse.publish import publish
from warehouse.targets.files import FileTarget, current_version
from warehouse.targets.protocol import Publication, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetTarget:
    """Parquet files of each version in a folder of its own; a small file names the one that readers take."""

    folder: Path
    name: str = "parquet"

    def prepare(self, publication: Publication) -> None:
        try:
            self._draft(publication).mkdir(parents=True)
        except OSError as error:
            raise WarehouseError(f"{self.folder}: found {error.strerror!r}, expected a folder; make it") from error

    def write(self, publication: Publication) -> None:
        for name, rows in publication.tables.items():
            rows.write_parquet(self._draft(publication) / f"{name}.parquet")

    def check(self, publication: Publication) -> None:
        for name, rows in publication.tables.items():
            written = pl.read_parquet(self._draft(publication) / f"{name}.parquet").height
            if written != rows.height:
                raise WarehouseError(f"{name}: found {written} rows, expected {rows.height}; publish again")

    def switch(self, publication: Publication) -> None:
        self._draft(publication).rename(self.folder / publication.version)
        try:
            write_whole(self.folder / "CURRENT", publication.version.encode())
        except OSError as error:
            shutil.rmtree(self.folder / publication.version)
            raise WarehouseError(f"{self.folder}/CURRENT: found {error.strerror!r}, expected a file") from error

    def prune(self, publication: Publication) -> tuple[str, ...]:
        return ()

    def discard(self, publication: Publication) -> None:
        shutil.rmtree(self._draft(publication), ignore_errors=True)

    def current(self) -> str:
        return (self.folder / "CURRENT").read_text()

    def _draft(self, publication: Publication) -> Path:
        return self.folder / f".draft-{publication.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedTarget(ParquetTarget):
    """The process is stopped while this one writes."""

    def write(self, publication: Publication) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def files(tmp_path: Path) -> FileTarget:
    return FileTarget(folder=tmp_path / "published", keep=2)


@pytest.fixture
def parquet(tmp_path: Path) -> ParquetTarget:
    return ParquetTarget(folder=tmp_path / "lake")


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_two_targets_show_the_same_version(files: FileTarget, parquet: ParquetTarget) -> None:
    targets: list[Target] = [files, parquet]
    for version in ("v1", "v2", "v3"):
        given = publication(version)
        published = publish(given, targets)
        assert (published.version, published.failed) == (version, {})
        assert current_version(files.folder) == parquet.current() == version
        for name, rows in given.tables.items():
            assert_frame_equal(pl.read_parquet(parquet.folder / version / f"{name}.parquet"), rows)
            assert_frame_equal(pl.read_parquet(files.folder / "parquet" / f"{name}.parquet"), rows)
    assert published.pruned == {"files": ("v1",), "parquet": ()}
    assert entries(files.folder / "versions") == ["v2", "v3"]
    assert entries(parquet.folder) == ["CURRENT", "v1", "v2", "v3"]


@pytest.mark.parametrize("file_target_first", [True, False])
def test_a_target_that_cannot_be_written_is_reported_and_the_other_publishes(
    files: FileTarget, parquet: ParquetTarget, file_target_first: bool
) -> None:
    targets: list[Target] = [files, parquet] if file_target_first else [parquet, files]
    parquet.folder.write_text("a file in its place")
    published = publish(publication("v1"), targets)
    assert current_version(files.folder) == "v1"
    assert list(published.pruned) == ["files"]
    assert list(published.failed) == ["parquet"]
    assert str(parquet.folder) in str(published.failed["parquet"])


def test_the_file_target_may_be_the_one_that_fails(files: FileTarget, parquet: ParquetTarget) -> None:
    publish(publication("v1"), [files, parquet])
    incomplete = publication("v2")
    tables = {name: rows.with_columns(pl.lit(1).alias("surprise")) for name, rows in incomplete.tables.items()}
    undescribed = Publication(
        version="v2",
        created_at=incomplete.created_at,
        tables=tables,
        facts=incomplete.facts,
        meta=incomplete.meta,
        about=incomplete.about,
    )
    published = publish(undescribed, [files, parquet])
    assert "surprise" in str(published.failed["files"])
    assert current_version(files.folder) == "v1"
    assert entries(files.folder / "versions") == ["v1"]
    assert parquet.current() == "v2"


def test_a_target_that_fails_while_switching_keeps_its_version_and_undoes_no_other(
    files: FileTarget, parquet: ParquetTarget
) -> None:
    publish(publication("v1"), [parquet, files])
    (parquet.folder / "CURRENT").unlink()
    (parquet.folder / "CURRENT").mkdir()
    published = publish(publication("v2"), [parquet, files])
    assert list(published.failed) == ["parquet"]
    assert current_version(files.folder) == "v2"
    assert entries(parquet.folder) == ["CURRENT", "v1"]


def test_an_error_names_every_target_where_all_fail(files: FileTarget, parquet: ParquetTarget) -> None:
    files.folder.write_text("a file in its place")
    parquet.folder.write_text("a file in its place")
    with pytest.raises(WarehouseError) as caught:
        publish(publication("v1"), [files, parquet])
    assert str(files.folder) in str(caught.value)
    assert str(parquet.folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stop_while_one_target_is_written_shows_nothing_at_any(tmp_path: Path, files: FileTarget) -> None:
    publish(publication("v1"), [files])
    stopped = StoppedTarget(folder=tmp_path / "lake")
    with pytest.raises(KeyboardInterrupt):
        publish(publication("v2"), [files, stopped])
    assert current_version(files.folder) == "v1"
    assert entries(files.folder / "versions") == ["v1"]
    assert entries(stopped.folder) == []
