"""The catalog of a DuckLake: what its address names, how it is opened, and one line for each way that fails."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from schemas.errors import TargetUnreachableError, WarehouseError
from warehouse import extensions
from warehouse.statements import one_line, scalar, statement, text
from warehouse.targets import lake_bucket
from warehouse.targets.lake_bucket import LakeBucket

SCHEME: Final = "ducklake:"
EXTENSION_OF: Final = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
"""By kind of the catalog the extension that reads it."""
LAKE: Final = "lake"
"""Name of the lake in our connections."""
MOST_INLINED_ROWS: Final = {"sqlite": 100, "postgres": 100, "duckdb": 0}
"""Up to so many new rows of a table are written into the catalog, and not into a file of their own. In that of DuckDB
the last bit of a number then is not always the one that was written (DuckLake 1.0 of DuckDB 1.5.5)."""
LOCKED: Final = re.compile(r"database is locked|Could not set lock on file")
UNREACHABLE: Final = re.compile(r"could not connect|Connection refused|connection to server|timeout expired")
OTHER_FORMAT: Final = re.compile(r"catalog version is (\S+), but the extension requires version (\S+)\.")
OF_A_BUCKET: Final = re.compile(r"extension '?\"?httpfs")
NO_CATALOG: Final = re.compile(r"does not exist - and creating a new DuckLake is explicitly disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Where the catalog of a lake is, and where a new one has its data."""

    address: str
    kind: str
    """`duckdb`, `sqlite` or `postgres`."""
    place: str
    """Path of a file, or what the library of PostgreSQL connects by."""
    data: str
    """Folder of the data files, or `s3://BUCKET/PREFIX`."""
    time_scale: float = 1
    """Shrinks pauses and time-outs of requests to a bucket."""

    @classmethod
    def of(cls, address: str, time_scale: float = 1) -> "Catalog":
        """The catalog at an address of the form that `schemas.targets` states."""
        named, _, data = address.removeprefix(SCHEME).partition("?data=")
        kind, separator, rest = named.partition(":")
        if not separator or kind not in EXTENSION_OF:
            kind, rest = "duckdb", named
        return cls(address=address, kind=kind, place=rest, data=data or f"{rest}.files", time_scale=time_scale)

    @contextmanager
    def opened(self, *, to_write: bool) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A connection with the lake as `lake`; None without one, where it is only read.

        Errors of DuckDB within become one line: `TargetUnreachableError` where another try may help, else
        `WarehouseError`.
        """
        path = None if self.kind == "postgres" else Path(self.place)
        if path is not None and not path.parent.is_dir():
            raise WarehouseError(
                f"target {self.address}: found no folder {path.parent}, expected one for the catalog; create it"
            )
        # With two threads small tables took twice the time of the processor.
        with duckdb.connect(config={"threads": 1}) as connection, self.in_one_line():
            self._load_extensions(connection)
            if self.bucket is not None:
                self.bucket.prepare(connection)
            is_there = (path is None or path.exists()) and self._attach(connection, to_write=to_write, create=False)
            if not is_there and to_write:
                self._refuse_other_content(connection)
                self._attach(connection, to_write=True, create=True)
            if is_there:
                self._refuse_other_data(connection)
            yield connection if is_there or to_write else None

    def open_to_readers(self) -> None:
        """Let those read the files who may read the folder that they are in; our own files are private otherwise.

        Called before the transaction ends, so that no reader is led to a file that is still closed to it.
        """
        for top in (*([] if self.bucket else [Path(self.data)]), *self._files_of_catalog()):
            rights = top.parent.stat().st_mode & 0o777
            for path in (top, *top.rglob("*")) if top.exists() else ():
                found = path.stat()
                wanted = rights if path.is_dir() else rights & 0o666
                if found.st_mode & 0o777 != wanted and found.st_uid == os.geteuid():
                    path.chmod(wanted)

    @property
    def bucket(self) -> LakeBucket | None:
        """The bucket of the data files; None where they are in a folder."""
        if not self.data.startswith(lake_bucket.SCHEME):
            return None
        return LakeBucket(address=self.address, data=self.data, time_scale=self.time_scale)

    def _files_of_catalog(self) -> list[Path]:
        """Of a catalog in a file, with the logs that DuckDB and SQLite keep beside it."""
        if self.kind == "postgres":
            return []
        return [Path(f"{self.place}{ending}") for ending in ("", ".wal", "-wal", "-shm")]

    @contextmanager
    def in_one_line(self) -> Iterator[None]:
        """Raise errors of DuckDB and of the system as ours."""
        try:
            yield
        except (duckdb.Error, OSError) as error:
            whole, found = str(error), one_line(error)
            if self.bucket is not None and (of_bucket := self.bucket.explained(error)):
                raise of_bucket from error
            if self.bucket is None and OF_A_BUCKET.search(whole):
                raise WarehouseError(
                    f"target {self.address}: found a catalog whose data are in a bucket, expected them in {self.data}; "
                    "name the bucket by ?data=s3://BUCKET/PREFIX at the end of the address, or name a new catalog"
                ) from error
            if LOCKED.search(whole):
                raise TargetUnreachableError(self.address, "the catalog locked by another process") from error
            if self.kind == "postgres" and UNREACHABLE.search(whole):
                raise TargetUnreachableError(self.address, "no connection to the PostgreSQL of the catalog") from error
            if other := OTHER_FORMAT.search(whole):
                raise WarehouseError(
                    f"target {self.address}: found a catalog of DuckLake {other[1]}, expected {other[2]}, which DuckDB "
                    f"{duckdb.__version__} writes; a newer one needs newer extensions, an older one is converted by "
                    "attaching it once with `automatic_migration true`"
                ) from error
            raise WarehouseError(
                f"target {self.address}: found {found!r}, expected a DuckLake to read and write; its readers "
                "keep the version before, correct that and run `hashpivot publish-only`"
            ) from error

    def _load_extensions(self, connection: duckdb.DuckDBPyConnection) -> None:
        needed = ("ducklake", EXTENSION_OF.get(self.kind), lake_bucket.EXTENSION if self.bucket else None)
        for name in filter(None, needed):
            try:
                extensions.load(connection, name)
            except WarehouseError as error:
                raise WarehouseError(f"target {self.address}: {error}") from error

    def _attach(self, connection: duckdb.DuckDBPyConnection, *, to_write: bool, create: bool) -> bool:
        options = [f"create_if_not_exists {str(create).lower()}"]
        if create:
            options.append(f"data_path {text(self.data)}")
        if to_write:
            options.append(f"data_inlining_row_limit {MOST_INLINED_ROWS[self.kind]}")
            # Readers and the writer then do not wait for each other. The file keeps it.
            options += ["meta_journal_mode 'WAL'"] if self.kind == "sqlite" else []
        else:
            options.append("read_only")
        named = self.place if self.kind == "duckdb" else f"{self.kind}:{self.place}"
        try:
            connection.execute(f"attach {text(SCHEME + named)} as {LAKE} ({', '.join(options)})")
        except duckdb.Error as error:
            if NO_CATALOG.search(str(error)):
                return False
            raise
        return True

    def _refuse_other_data(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Files of a lake are where its catalog says; an address that names another place would mislead."""
        kept = scalar(connection, statement("lake_data_path")).rstrip("/")
        if self.bucket and kept != self.data:
            raise WarehouseError(
                f"target {self.address}: found a catalog whose data are in {kept}, expected {self.data}; correct the "
                "address, or name a new catalog"
            )

    def _refuse_other_content(self, connection: duckdb.DuckDBPyConnection) -> None:
        """A new lake takes neither a database that something is in, nor a folder with files."""
        is_file = self.kind != "postgres"
        if not is_file or Path(self.place).exists():
            connection.execute(f"attach {text(self.place)} as other (type {self.kind}, read_only)")
            count = scalar(connection, statement("lake_other_tables"))
            connection.execute("detach other")
            if count:
                raise WarehouseError(
                    f"target {self.address}: found {count} tables of something else there, expected a DuckLake or "
                    "nothing; name a database of its own"
                )
        folder = Path(self.data)
        if not self.bucket.is_empty(connection) if self.bucket else folder.is_dir() and any(folder.iterdir()):
            raise WarehouseError(
                f"target {self.address}: found files in {self.data} without a catalog, expected a new folder; move "
                "them away, or name the catalog that they belong to"
            )
