"""Publication: check, write a fresh file, look at it again, then switch every stable name at once.

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
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from schemas.errors import WarehouseError
from schemas.published import TableFacts
from warehouse.atomic_files import sha256_of, switch_link, sync, sync_tree
from warehouse.statements import ArrowStream, one_line, quoted, scalar, statement, text

STORAGE_VERSION: Final = "v1.2.0"
"""Readers' drivers lag behind; DuckDB 1.2 and everything after it opens this."""
SLOW_COMPRESSIONS: Final = "alp,alprd,chimp,dict_fsst,fsst,patas,zstd"
"""Weighing these for each column took as long as all the writing, for a file between 4 % larger and 11 % smaller."""
DATABASE_NAME: Final = "hashpivot.duckdb"
MANIFEST_NAME: Final = "manifest.json"
STABLE_NAMES: Final = (DATABASE_NAME, "parquet", MANIFEST_NAME)
DRAFT_PREFIX: Final = ".draft-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Everything that goes into one version: tables that have passed their schemas, and rows of the meta tables."""

    version: str
    tables: Mapping[str, pl.DataFrame]
    facts: Sequence[TableFacts]
    meta: Mapping[str, pl.DataFrame]
    about: Mapping[str, Any]
    """Facts for the manifest: profile, day, run, whether simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where a publication stands and how large it is."""

    version: str
    database: Path
    rows: Mapping[str, int]
    pruned: tuple[str, ...]


def publish(folder: Path, publication: Publication, *, keep: int, created_at: datetime) -> Published:
    """Write `publication` under `folder` and make it the current one; keep the newest `keep` versions.

    Raises `WarehouseError` when the disk refuses or the written file does not hold what was to be written; what was
    current before stays so.
    """
    versions = folder / "versions"
    draft = versions / f"{DRAFT_PREFIX}{publication.version}"
    final = versions / publication.version
    try:
        versions.mkdir(parents=True, exist_ok=True)
        for leftover in versions.glob(f"{DRAFT_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        draft.mkdir()
        # Both writers leave the interpreter while they compress, so two cores can do both at once.
        with ThreadPoolExecutor(max_workers=1) as pool:
            parquet = pool.submit(_write_parquet, draft / "parquet", publication.tables)
            _write_database(draft / DATABASE_NAME, publication)
            parquet.result()
        _check(draft / DATABASE_NAME, publication)
        _write_manifest(draft, publication, created_at)
        sync_tree(draft)
        draft.rename(final)
        try:
            sync(versions)
            _switch(folder, publication.version)
        except OSError:
            if current_version(folder) != publication.version:
                shutil.rmtree(final, ignore_errors=True)
            raise
    except (OSError, duckdb.Error, pl.exceptions.PolarsError) as error:
        raise WarehouseError(
            f"publication {publication.version}: found {one_line(error)!r}, expected to write it whole; "
            "the last publication stays, free space or fix permissions and run again"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Published(
        version=publication.version,
        database=folder / DATABASE_NAME,
        rows={name: rows.height for name, rows in publication.tables.items()},
        pruned=_prune(versions, current=publication.version, keep=keep),
    )


def current_version(folder: Path) -> str | None:
    """Name of the current version under `folder`, None before the first publication."""
    link = folder / "current"
    return link.readlink().name if link.is_symlink() else None


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


def _write_manifest(draft: Path, publication: Publication, created_at: datetime) -> None:
    """Write what the version holds, with the digest of each file."""
    contents = sorted(path for path in draft.rglob("*") if path.is_file())
    manifest = {
        "version": publication.version,
        "created_at": created_at.isoformat(),
        **publication.about,
        "duckdb_version": duckdb.__version__,
        "storage_version": STORAGE_VERSION,
        "tables": {name: {"rows": rows.height} for name, rows in publication.tables.items()},
        "files": [
            {"path": str(path.relative_to(draft)), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in contents
        ],
    }
    (draft / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2, sort_keys=False) + "\n", encoding="utf-8")


def _switch(folder: Path, version: str) -> None:
    """Make sure that the stable names go through `current`, then point it at the version: all of them at once."""
    for name in STABLE_NAMES:
        stable = folder / name
        target = Path("current") / name
        if not (stable.is_symlink() and stable.readlink() == target):
            switch_link(stable, target)
    switch_link(folder / "current", Path("versions") / version)
    sync(folder)


def _prune(versions: Path, *, current: str, keep: int) -> tuple[str, ...]:
    """Remove all but the newest `keep` versions, never the current one; names sort by time."""
    names = sorted((path.name for path in versions.iterdir() if path.name != current), reverse=True)
    dropped = names[max(keep - 1, 0) :]
    for name in dropped:
        shutil.rmtree(versions / name, ignore_errors=True)
    return tuple(dropped)
