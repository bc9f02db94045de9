"""What a version takes over from the one before it: parts of tables that are made from the same as they were then.

Of the Parquet files a link to the same bytes, which nobody may write, and their digests from the manifest; of the
database a copy, in which only what changed is written anew, or, without copying, the one of the version that was
dropped last. A file counts as it was published while size and time are those that the manifest states; of the database
its digest as well, where it was touched after the manifest.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import polars as pl

from schemas.partition import Partition, Partitions
from warehouse.atomic_files import sha256_of
from warehouse.targets.protocol import Publication
from warehouse.working import is_let_go

PIECE_BYTES: Final = 1 << 26
PARQUET_WRITER: Final = f"polars {pl.__version__}"
"""Another release may write other bytes for the same rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The version that readers see while the next one is written; without anything stated there is none of use."""

    folder: Path
    stated: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, version: Path, manifest_name: str) -> "Before":
        """The version in the folder `version`, as its manifest states it."""
        with suppress(OSError, ValueError):
            stated = json.loads((version / manifest_name).read_bytes())
            if isinstance(stated, dict):
                return cls(folder=version, stated=stated)
        return cls(folder=version)

    def parts(self, table: str) -> list[tuple[str, str]]:
        """Key and digest of each part of `table`, in their order."""
        try:
            stated = self.stated["tables"][table]["partitions"]
            return [(str(key), str(part["digest"])) for key, part in stated.items()]
        except (LookupError, TypeError, AttributeError):
            return []

    def digest_of(self, name: str) -> str | None:
        """The stated digest of a file whose size and time are as stated; None of any other."""
        with suppress(OSError, LookupError, TypeError, StopIteration):
            file = next(file for file in self.stated["files"] if file["path"] == name)
            facts = (self.folder / name).stat()
            if (facts.st_size, facts.st_mtime_ns) == (file["bytes"], file["modified_ns"]):
                return str(file["sha256"])
        return None

    def has_part(self, table: str, part: Partition, schema: pl.Schema, facts_digest: str) -> bool:
        """Whether the Parquet file of that part of `table` holds the same rows and states the same, in the same way."""
        return (
            self.stated.get("parquet_writer") == PARQUET_WRITER
            and (part.key, stated_digest(part, schema)) in self.parts(table)
            and self.stated["tables"][table].get("stated_digest") == facts_digest
        )

    def is_untouched(self, name: str, manifest_name: str) -> bool:
        """Whether a file without another name is as it was published: by its times, where they differ by its digest."""
        stated = self.digest_of(name)
        with suppress(OSError):
            path = self.folder / name
            # The time of the last change of any kind, which no program can set; the manifest was written last.
            is_older = path.stat().st_ctime_ns <= (self.folder / manifest_name).stat().st_ctime_ns
            return stated is not None and (is_older or sha256_of(path) == stated)
        return False


def stated_digest(part: Partition, schema: pl.Schema) -> str:
    """What a manifest states of a part: of what it is made from, and which columns it has."""
    return hashlib.sha256(f"{part.digest} {schema}".encode()).hexdigest()


def same_parts(before: Before, publication: Publication) -> dict[str, int]:
    """By table in parts that has any as before, how many of its first ones are; all after them are written anew."""
    found = {}
    for name, rows in publication.tables.items():
        if isinstance(rows, Partitions):
            now = [(part.key, stated_digest(part, rows.schema)) for part in rows.parts]
            alike = (old == new for old, new in zip(before.parts(name), now, strict=False))
            if count := sum(1 for _ in takewhile(bool, alike)):
                found[name] = count
    return found


def link(source: Path, name: Path) -> bool:
    """Give the file `source` the further name `name`; False where the disk has no such links."""
    try:
        os.link(source, name)
    except OSError:
        return False
    return True


def take(source: Path, target: Path) -> bool:
    """Move a database that nobody needs any more; False, and it is removed, where somebody still reads it.

    Readers of DuckDB lock what they read, but for one in this process; a second name is somebody's copy.
    """
    try:
        is_free = source.stat().st_nlink == 1 and is_let_go(source)
        if is_free:
            source.chmod(0o600)
            with source.open("r+b") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            source.rename(target)
        else:
            source.unlink()
    except OSError:
        with suppress(OSError):
            source.unlink()
        return False
    return is_free


def copy(source: Path, target: Path) -> bool:
    """Copy a file, by sharing its blocks where the disk can; True."""
    with source.open("rb") as reader, target.open("xb") as writer:
        size = left = os.fstat(reader.fileno()).st_size
        while left:
            try:
                copied = os.copy_file_range(reader.fileno(), writer.fileno(), min(left, PIECE_BYTES))
            except (AttributeError, OSError):  # another kind of disk, or a system without it
                reader.seek(size - left)
                piece = reader.read(PIECE_BYTES)
                copied = writer.write(piece)
            if not copied:
                raise OSError(f"{source} is shorter than it was")
            left -= copied
    return True
