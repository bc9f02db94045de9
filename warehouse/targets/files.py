"""A folder of versions: a DuckDB file, Parquet files and a manifest each, behind stable names that switch at once.

```
published/
  hashpivot.duckdb -> current/hashpivot.duckdb      the stable names readers use
  parquet          -> current/parquet
  manifest.json    -> current/manifest.json
  current          -> versions/<version>            the one link that a publication moves
  versions/<version>/{hashpivot.duckdb, parquet/*.parquet, manifest.json}
```
A reader that holds the old file open keeps reading it; whoever opens the stable name next gets the new one. A kill at
any moment leaves either the old version current or the new one, never a mixture.
Nobody may write a file of a version, and those may read it who may read the folder.

A copy may have put folders in the place of links (`cp -rL`, `rsync -L`, a zip file). They can be read; the next
publication makes links of them again.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from warehouse.atomic_files import sha256_of, switch_link, sync, sync_tree
from warehouse.private import PUBLISHED_FILE_MODE, protect_version
from warehouse.statements import ArrowStream, one_line, quoted, scalar, statement, text
from warehouse.targets.protocol import Publication

STORAGE_VERSION: Final = "v1.2.0"
"""Readers' drivers lag behind; DuckDB 1.2 and everything after it opens this."""
SLOW_COMPRESSIONS: Final = "alp,alprd,chimp,dict_fsst,fsst,patas,zstd"
"""Weighing these for each column took as long as all the writing, for a file between 4 % larger and 11 % smaller."""
DATABASE_NAME: Final = "hashpivot.duckdb"
MANIFEST_NAME: Final = "manifest.json"
STABLE_NAMES: Final = (DATABASE_NAME, "parquet", MANIFEST_NAME)
DRAFT_PREFIX: Final = ".draft-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTarget:
    """The folder `folder`, in which the newest `keep` versions stay."""

    folder: Path
    keep: int
    name: str = "files"

    def prepare(self, publication: Publication) -> None:
        """Make the folder, remove drafts that a kill has left, and make links of copies."""
        with _as_warehouse_error(publication.version):
            versions = self._versions
            versions.mkdir(parents=True, exist_ok=True)
            for leftover in versions.glob(f"{DRAFT_PREFIX}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            _link_copies(self.folder)

    def write(self, publication: Publication) -> None:
        """Write the database and the Parquet files of a draft."""
        draft = self._draft(publication.version)
        with _as_warehouse_error(publication.version):
            draft.mkdir()
            # Both writers leave the interpreter while they compress, so two cores can do both at once.
            with ThreadPoolExecutor(max_workers=1) as pool:
                parquet = pool.submit(_write_parquet, draft / "parquet", publication.tables)
                _write_database(draft / DATABASE_NAME, publication)
                parquet.result()

    def check(self, publication: Publication) -> None:
        """Compare the written database with the publication, add the manifest and force all to the disk."""
        draft = self._draft(publication.version)
        with _as_warehouse_error(publication.version):
            _check(draft / DATABASE_NAME, publication)
            protect_version(draft, self.folder)
            _write_manifest(draft, publication)
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
        others = (path.name for path in self._versions.iterdir() if path.name != publication.version)
        names = sorted(others, key=lambda name: (name < publication.version, name), reverse=True)
        dropped = names[max(self.keep - 1, 0) :]
        for name in dropped:
            shutil.rmtree(self._versions / name, ignore_errors=True)
        return tuple(dropped)

    def discard(self, publication: Publication) -> None:
        """Remove the draft, if it is still there."""
        shutil.rmtree(self._draft(publication.version), ignore_errors=True)

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
    try:
        return pl.read_parquet(folder / "parquet" / f"{table}.parquet", columns=list(columns))
    except (OSError, pl.exceptions.PolarsError):
        return None


@contextmanager
def _as_warehouse_error(version: str) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
        raise WarehouseError(
            f"publication {version}: found {one_line(error)!r}, expected to write it whole; "
            "the last publication stays, free space or fix permissions and run again"
        ) from error


def _write_database(path: Path, publication: Publication) -> None:
    """Write all tables, their comments and the meta schema to a fresh file."""
    # One thread: the other core compresses the Parquet files meanwhile.
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"attach {text(str(path))} as publication (storage_version {text(STORAGE_VERSION)})")
        connection.execute("use publication")
        connection.execute(f"set disabled_compression_methods = {text(SLOW_COMPRESSIONS)}")
        # However small the publication: the commit then writes the file at once, and not a log of it before that.
        connection.execute("set checkpoint_threshold = '1KB'")
        connection.begin()
        for facts in publication.facts:
            table = quoted(facts.name)
            connection.register("rows", ArrowStream(publication.tables[facts.name]))
            connection.execute(f"create table {table} as select * from rows")
            connection.unregister("rows")
            comments = [f"comment on table {table} is {text(facts.description)}"]
            comments += [
                f"comment on column {table}.{quoted(column.name)} is {text(column.comment())}"
                for column in facts.columns
            ]
            connection.execute("; ".join(comments))
        connection.execute(statement("meta"))
        for name, rows in publication.meta.items():
            connection.register("rows", ArrowStream(rows))
            connection.execute(f"insert into meta.{quoted(name)} by name select * from rows")
            connection.unregister("rows")
        connection.commit()
        connection.execute("checkpoint publication")
        connection.execute("use memory")
        connection.execute("detach publication")


def _write_parquet(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    folder.mkdir()
    for name, rows in tables.items():
        rows.write_parquet(folder / f"{name}.parquet", compression="zstd")


def _check(path: Path, publication: Publication) -> None:
    """Open the written file as a reader would and compare it with what was to be written."""
    with duckdb.connect(str(path), read_only=True) as reader:
        names: dict[str, list[str]] = dict(reader.execute(statement("columns_written")).fetchall())
        for name, rows in publication.tables.items():
            written = scalar(reader, f"select count(*) from {quoted(name)}")
            if written != rows.height:
                raise WarehouseError(
                    f"{path.name}: found {written} rows in {name}, expected {rows.height}; the last publication stays"
                )
            if names.get(name) != rows.columns:
                raise WarehouseError(
                    f"{path.name}: found columns {names.get(name)} in {name}, expected {rows.columns}; "
                    "the last publication stays"
                )
        bare = reader.execute(statement("columns_without_comment")).fetchall()
        if bare:
            raise WarehouseError(f"{path.name}: found no comment on {bare[0][0]}, expected one; describe the column")


def _write_manifest(draft: Path, publication: Publication) -> None:
    """Write what the version holds, with the digest of each file, as the last of its files to change."""
    contents = sorted(path for path in draft.rglob("*") if path.is_file())
    stated = {
        "version": publication.version,
        "created_at": publication.created_at.isoformat(),
        **publication.about,
        "duckdb_version": duckdb.__version__,
        "storage_version": STORAGE_VERSION,
        "tables": {name: {"rows": rows.height} for name, rows in publication.tables.items()},
        "files": [
            {"path": str(path.relative_to(draft)), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in contents
        ],
    }
    path = draft / MANIFEST_NAME
    path.write_text(json.dumps(stated, indent=2, sort_keys=False) + "\n", encoding="utf-8")
    path.chmod(PUBLISHED_FILE_MODE)


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
