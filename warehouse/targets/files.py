"""A folder of versions behind stable names that switch at once: a DuckDB file, Parquet files, descriptions, a manifest.

```
published/
  hashpivot.duckdb -> current/hashpivot.duckdb      the stable names readers use
  parquet          -> current/parquet
  report           -> current/report                pages for people, `report/index.html` the first of them
  meta             -> current/meta
  datapackage.json -> current/datapackage.json
  manifest.json    -> current/manifest.json
  current          -> versions/<version>            the one link that a publication moves
  versions/<version>/{hashpivot.duckdb, parquet/*.parquet, parquet/<table>/<year>.parquet, report/*, meta/*.parquet,
                      datapackage.json, manifest.json}
```
A table of detail has a Parquet file a year, and those of years that did not change are links to the files of the
version before, as are pages that did not change; `warehouse.targets.carry` says what else is taken over from it. With
such a table the folder of versions has `.spare` as well: the database of the version that was dropped last, from which
the next one is made.
A reader that holds the old file open keeps reading it; whoever opens the stable name next gets the new one. A kill at
any moment leaves either the old version current or the new one, never a mixture.
Nobody may write a file of a version, and those may read it who may read the folder.

A copy may have put folders in the place of links (`cp -rL`, `rsync -L`, a zip file). They can be read; the next
publication makes links of them again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from schemas.partition import Partitions
from warehouse.atomic_files import sha256_of, switch_link, sync, sync_tree
from warehouse.private import PUBLISHED_FILE_MODE, protect_version
from warehouse.statements import one_line
from warehouse.targets import carry, database, datapackage, meta_files, parquet
from warehouse.targets.carry import Before
from warehouse.targets.json_files import as_json
from warehouse.targets.protocol import Publication, PublishedRows, parts_of
from warehouse.targets.stated import Stated, facts_stated

DATABASE_NAME: Final = "hashpivot.duckdb"
MANIFEST_NAME: Final = "manifest.json"
REPORT_NAME: Final = "report"
STABLE_NAMES: Final = (
    DATABASE_NAME,
    "parquet",
    REPORT_NAME,
    meta_files.FOLDER,
    datapackage.NAME,
    MANIFEST_NAME,
)
DRAFT_PREFIX: Final = ".draft-"
SPARE_NAME: Final = ".spare"
"""Folder with the database of the version that was dropped last, where it has a long table."""

Give: TypeAlias = Callable[[Path, Path], bool]
"""Put a database that may be written in the place of the second path, from that at the first; False where it cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTarget:
    """The folder `folder`, in which the newest `keep` versions stay."""

    folder: Path
    keep: int
    name: str = "files"
    least_carried_rows: int = database.LONG_ROWS
    """With fewer rows to take over, writing the database anew costs as little and leaves no gaps in it."""

    def prepare(self, publication: Publication) -> None:
        """Make the folder, remove drafts that a kill has left, and make links of copies."""
        with _as_warehouse_error(publication.version):
            versions = self._versions
            versions.mkdir(parents=True, exist_ok=True)
            for leftover in versions.glob(f"{DRAFT_PREFIX}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            _link_copies(self.folder)

    def write(self, publication: Publication) -> None:
        """Write the database, the Parquet files and the pages of a draft."""
        draft = self._draft(publication.version)
        with _as_warehouse_error(publication.version):
            before, stated = self._before(), facts_stated(publication)
            spare = Before.of(self._spare, MANIFEST_NAME)
            draft.mkdir()
            # Both writers leave the interpreter while they compress, so two cores can do both at once.
            with ThreadPoolExecutor(max_workers=1) as pool:
                # A year is fetched and built for its file, and from there goes into the database.
                files = parquet.write(draft, publication.tables, stated, before, pool)
                pages = pool.submit(publication.pages)
                path = draft / DATABASE_NAME
                if not (self._changed(spare, carry.take, path, publication, files.rows)) and not (
                    self._changed(before, carry.copy, path, publication, files.rows)
                ):
                    database.write(path, publication, files.rows)
                files.wait()
            _write_pages(draft, pages.result(), before)

    def check(self, publication: Publication) -> None:
        """Compare what was written with the publication, add what describes it, and force all to the disk."""
        draft = self._draft(publication.version)
        with _as_warehouse_error(publication.version):
            with database.checked(draft / DATABASE_NAME, publication) as reader:
                meta = meta_files.write(draft, reader)
            parquet.check(draft, publication.tables)
            _check_pages(draft, publication.pages())
            stated = facts_stated(publication)
            datapackage.write(draft, datapackage.describe(publication, stated, meta))
            protect_version(draft, self.folder)
            _write_manifest(draft, publication, stated, self._before())
            sync_tree(draft)

    def switch(self, publication: Publication) -> None:
        """Give the draft its name and lead every stable name to it, in one step."""
        version = publication.version
        with _as_warehouse_error(version):
            final = self._versions / version
            self._draft(version).rename(final)
            try:
                sync(self._versions)
                _switch(self.folder, version)
            except OSError:
                if current_version(self.folder) != version:
                    shutil.rmtree(final, ignore_errors=True)
                raise

    def prune(self, publication: Publication) -> tuple[str, ...]:
        """Remove all but the newest `keep` versions, never the current one; names sort by time.

        What was made after the current one was made by a clock that was ahead, and is the first to go.
        """
        others = (path.name for path in self._versions.iterdir() if path.name not in (publication.version, SPARE_NAME))
        names = sorted(others, key=lambda name: (name < publication.version, name), reverse=True)
        dropped = names[max(self.keep - 1, 0) :]
        for number, name in enumerate(dropped):
            if number or not self._set_aside(name, publication):
                shutil.rmtree(self._versions / name, ignore_errors=True)
        return tuple(dropped)

    def discard(self, publication: Publication) -> None:
        """Remove the draft, if it is still there."""
        shutil.rmtree(self._draft(publication.version), ignore_errors=True)

    def _changed(self, old: Before, give: Give, path: Path, publication: Publication, rows_of: database.RowsOf) -> bool:
        """Make the database out of that of `old`; False, and nothing of it, where too little of it can stay."""
        kept = self._kept(old, publication)
        return (
            bool(kept)
            and give(old.folder / DATABASE_NAME, path)
            and database.change(path, publication, rows_of, old.parts, kept)
        )

    def _set_aside(self, version: str, publication: Publication) -> bool:
        """Keep the database of a version that is dropped: the next publication changes it instead of a copy."""
        if database.long_rows(publication) < self.least_carried_rows:
            return False
        shutil.rmtree(self._spare, ignore_errors=True)
        try:
            (self._versions / version).rename(self._spare)
        except OSError:
            return False
        for name in ("parquet", REPORT_NAME, meta_files.FOLDER):
            shutil.rmtree(self._spare / name, ignore_errors=True)
        (self._spare / datapackage.NAME).unlink(missing_ok=True)
        return True

    @property
    def _spare(self) -> Path:
        return self._versions / SPARE_NAME

    def _before(self) -> Before:
        return Before.of(self._versions / (current_version(self.folder) or "none"), MANIFEST_NAME)

    def _kept(self, before: Before, publication: Publication) -> dict[str, int]:
        """By table in parts how many of its first ones a copy of the database before keeps; empty without a copy."""
        kept = carry.same_parts(before, publication)
        parts = [part for name, count in kept.items() for part in parts_of(publication.tables[name])[:count]]
        is_worth_it = sum(part.row_count for part in parts) >= self.least_carried_rows
        is_alike = (before.stated.get("duckdb_version"), before.stated.get("storage_version")) == (
            duckdb.__version__,
            database.STORAGE_VERSION,
        )
        return kept if is_worth_it and is_alike and before.is_untouched(DATABASE_NAME, MANIFEST_NAME) else {}

    @property
    def _versions(self) -> Path:
        return self.folder / "versions"

    def _draft(self, version: str) -> Path:
        return self._versions / f"{DRAFT_PREFIX}{version}"


def current_version(folder: Path) -> str | None:
    """Name of the current version under `folder`, None before the first publication."""
    link = folder / "current"
    return link.readlink().name if link.is_symlink() else None


def manifest(folder: Path) -> Mapping[str, Any]:
    """What the manifest of the publication that readers see under `folder` states; empty where none can be read."""
    try:
        stated = json.loads((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def current_publication(folder: Path) -> tuple[str, datetime] | None:
    """Version that readers see under `folder`, and when it was made, by its manifest; None where none can be read."""
    try:
        stated = manifest(folder)
        return str(stated["version"]), datetime.fromisoformat(stated["created_at"])
    except (ValueError, KeyError, TypeError):
        return None


def kept_publications(folder: Path) -> list[tuple[str, Path, datetime]]:
    """Every version under `folder` that can be read, the oldest first: its name, its folder, and when it was made."""
    folders = sorted((folder / "versions").glob("[!.]*"))
    found = [(each, current_publication(each)) for each in folders]
    return [(stated[0], each, stated[1]) for each, stated in found if stated is not None]


def published_day(folder: Path) -> date | None:
    """The last day of that publication; None where none can be read."""
    try:
        return date.fromisoformat(manifest(folder)["day"])
    except (ValueError, KeyError, TypeError):
        return None


def published_columns(folder: Path, profile: str, table: str, columns: Sequence[str]) -> pl.DataFrame | None:
    """`columns` of `table` as readers see it under `folder`; None where another profile published, or without them."""
    if manifest(folder).get("profile") != profile:
        return None
    return parquet.read(folder, table, columns)


def published_rows(
    folder: Path, table: str, year: str | None = None, *, columns: Sequence[str] | None = None
) -> pl.DataFrame | None:
    """`table`, or one year of it, as readers see it under `folder`; None where it is not there or cannot be read."""
    return parquet.read(folder, f"{table}/{year}" if year else table, columns)


def years_as_before(folder: Path, table: str, rows: Partitions) -> frozenset[str]:
    """Keys of those years of `rows` that are made from the same as the ones that readers see under `folder`."""
    before = carry.Before(folder=folder, stated=manifest(folder))
    then = frozenset(before.parts(table))
    return frozenset(part.key for part in rows.parts if (part.key, carry.stated_digest(part, rows.schema)) in then)


def version_before(folder: Path) -> Path | None:
    """Folder of the newest version under `folder` that is older than the current one; None where none was kept."""
    current = current_version(folder)
    names = [path.name for path in (folder / "versions").glob("[!.]*") if current is not None and path.name < current]
    return folder / "versions" / max(names) if names else None


def _write_pages(draft: Path, pages: Mapping[str, bytes], before: Before) -> None:
    """Write the pages and what they fetch; links where the version `before` has the same."""
    (draft / REPORT_NAME).mkdir()
    for page, content in pages.items():
        name = f"{REPORT_NAME}/{page}"
        is_there = before.digest_of(name) == hashlib.sha256(content).hexdigest()
        if not (is_there and carry.link(before.folder / name, draft / name)):
            (draft / name).write_bytes(content)


def _check_pages(draft: Path, pages: Mapping[str, bytes]) -> None:
    for name, content in pages.items():
        if (draft / REPORT_NAME / name).read_bytes() != content:
            raise WarehouseError(
                f"{REPORT_NAME}/{name}: found other bytes than were written, expected the same; "
                "the last publication stays, run again"
            )


@contextmanager
def _as_warehouse_error(version: str) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
        raise WarehouseError(
            f"publication {version}: found {one_line(error)!r}, expected to write it whole; "
            "the last publication stays, free space or fix permissions and run again"
        ) from error


def _write_manifest(draft: Path, publication: Publication, of_tables: Mapping[str, Stated], before: Before) -> None:
    """Write what the version holds, with the digest of each file, as the last of its files to change."""
    contents = sorted(path for path in draft.rglob("*") if path.is_file())
    stated = {
        "version": publication.version,
        "created_at": publication.created_at.isoformat(),
        **publication.about,
        "duckdb_version": duckdb.__version__,
        "storage_version": database.STORAGE_VERSION,
        "parquet_writer": carry.PARQUET_WRITER,
        "tables": {name: _table_facts(rows, of_tables[name]) for name, rows in publication.tables.items()},
        "files": [_file_facts(draft, path, before) for path in contents],
    }
    path = draft / MANIFEST_NAME
    path.write_bytes(as_json(stated))
    path.chmod(PUBLISHED_FILE_MODE)


def _table_facts(rows: PublishedRows, stated: Stated) -> dict[str, Any]:
    if isinstance(rows, pl.DataFrame):
        return {"rows": rows.height}
    return {
        "rows": rows.height,
        "stated_digest": stated.digest,
        "partitions": {
            part.key: {"rows": part.row_count, "digest": carry.stated_digest(part, rows.schema)} for part in rows.parts
        },
    }


def _file_facts(draft: Path, path: Path, before: Before) -> dict[str, Any]:
    """What the manifest states of a file; the digest of one that is a link to the version before is stated there."""
    name, facts = path.relative_to(draft).as_posix(), path.stat()
    is_link = facts.st_nlink > 1 and (before.folder / name).exists() and path.samefile(before.folder / name)
    return {
        "path": name,
        "bytes": facts.st_size,
        "sha256": (before.digest_of(name) if is_link else None) or sha256_of(path),
        "modified_ns": facts.st_mtime_ns,
    }


def _link_copies(folder: Path) -> None:
    """Replace folders that stand where links should be, if they hold nothing but a copy of the current version.

    Raises `WarehouseError` for one with anything else in it. Between the folder and its link a name is missing for a
    moment, which a reader of Parquet may meet.
    """
    current, versions = folder / "current", folder / "versions"
    copies = [path for path in (current, *(folder / name for name in STABLE_NAMES)) if _is_folder(path)]
    if not copies:
        return
    found = current_publication(current) or current_publication(folder)
    if found is None:
        raise WarehouseError(f"{copies[0]}: found a folder, expected a link; its version is unknown, {_MOVE_AWAY}")
    version = versions / Path(found[0]).name
    if _is_folder(current) and not version.exists():
        current.rename(version)
        switch_link(current, version.relative_to(folder))
    for path in filter(_is_folder, copies):
        original = version if path == current else version / path.name
        for file in (each for each in sorted(path.rglob("*")) if not each.is_dir()):
            name = file.relative_to(path)
            if not (original / name).is_file() or sha256_of(original / name) != sha256_of(file):
                raise WarehouseError(
                    f"{path}: found a folder with {name}, expected a link, or a copy of {original}; {_MOVE_AWAY}"
                )
        # By the name of a draft, which the next publication removes after a kill.
        aside = versions / f"{DRAFT_PREFIX}{path.name}"
        path.rename(aside)
        switch_link(path, original.relative_to(folder) if path == current else Path("current") / path.name)
        shutil.rmtree(aside, ignore_errors=True)


_MOVE_AWAY: Final = "move it away and run again"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _switch(folder: Path, version: str) -> None:
    """Make sure that the stable names go through `current`, then point it at the version: all of them at once."""
    for name in STABLE_NAMES:
        stable = folder / name
        target = Path("current") / name
        if not (stable.is_symlink() and stable.readlink() == target):
            switch_link(stable, target)
    switch_link(folder / "current", Path("versions") / version)
    sync(folder)
