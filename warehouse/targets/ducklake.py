"""A target that is a DuckLake: each publication is one snapshot, made of the rows that are not as before.

A snapshot of ours has `hashpivot` as its author, a message that begins with the version, and the facts of the
publication as JSON. One transaction makes it, so that readers see all of it or nothing, also after a kill. The table
`hashpivot.publication` has one row, which every publication replaces: of two writers that cross, one finds it replaced.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from schemas.errors import HashpivotError, WarehouseError
from warehouse.statements import one_line, scalar, statement, text
from warehouse.targets.files import MANIFEST_NAME
from warehouse.targets.finished import Copied, FinishedVersion, Shown
from warehouse.targets.lake_catalog import LAKE, Catalog
from warehouse.targets.lake_rows import HOME, Changes, bring

logger = logging.getLogger(__name__)

AUTHOR: Final = "hashpivot"
LEFT_HOURS: Final = 24
"""How long files stay that no snapshot names any more: a reader may still have them, a writer may just be writing."""
Facts = Mapping[str, Any]
"""What a snapshot states of its publication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot that is a publication."""

    number: int
    is_newest: bool
    """Whether nobody has changed the lake since."""
    facts: Facts

    @property
    def version(self) -> str:
        """Of the publication."""
        return str(self.facts["version"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedRows(Copied):
    """The same of a target that takes rows and not files; `uploaded_*` count its own new files."""

    changes: Changes

    def __str__(self) -> str:
        files = f"{self.uploaded_count:,} new files, {self.uploaded_bytes / 1e6:,.1f} MB"
        return f"shows {self.version}: {self.changes}; {files}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckLakeTarget:
    """The lake at `address`, in which the newest `keep` publications stay; all without `keep`."""

    address: str
    keep: int | None
    time_scale: float = 1
    """Shrinks pauses and time-outs of requests to a bucket."""

    def shown(self) -> Shown | None:
        """The newest publication; see `CopyTarget`."""
        with self._catalog.opened(to_write=False) as connection:
            found = _publications(connection) if connection else []
        return Shown(version=found[0].version, day=str(found[0].facts["day"])) if found else None

    def publish(self, version: FinishedVersion) -> Copied:
        """Write what is not as before in one transaction, then remove what is not kept; see `CopyTarget`."""
        with self._catalog.opened(to_write=True) as connection:
            assert connection is not None
            found = _publications(connection)
            before = found[0] if found else None
            if before is not None and before.facts["manifest_sha256"] == version.digest and before.is_newest:
                return Copied(version=version.version, is_new=False)
            self._refuse(connection, before, version)
            self._attach_home(connection, version)
            try:
                changes = self._write(connection, before, version)
            except duckdb.Error as error:
                with suppress(duckdb.Error):
                    connection.rollback()
                self._refuse_crossing(before, error)
                raise
            files = connection.execute(statement("lake_files")).fetchone() or (0, 0, 0)
            pruned = self._prune(connection)
        return CopiedRows(
            version=version.version,
            uploaded_count=files[0],
            uploaded_bytes=files[1],
            reused_count=files[2],
            pruned=pruned,
            changes=changes,
        )

    def _write(
        self, connection: duckdb.DuckDBPyConnection, before: Snapshot | None, version: FinishedVersion
    ) -> Changes:
        facts = {name: version.stated.get(name) for name in ("version", "day", "profile", "family", "created_at")}
        facts["manifest_sha256"] = version.digest
        connection.begin()
        changes = bring(connection, _files_before(before, version), {file.path: file.sha256 for file in version.files})
        _write_control_row(connection, facts)
        message = f"{version.version}: {_reason(before, facts)}; {changes}"
        connection.execute(
            f"call {LAKE}.set_commit_message(?, ?, extra_info => ?)", [AUTHOR, message, json.dumps(facts)]
        )
        self._catalog.open_to_readers()
        connection.commit()
        return changes

    @property
    def _catalog(self) -> Catalog:
        return Catalog.of(self.address, self.time_scale)

    def _refuse(self, connection: duckdb.DuckDBPyConnection, before: Snapshot | None, version: FinishedVersion) -> None:
        """Other data, and what is older than what is there, never take its place."""
        if before is None:
            tables = scalar(connection, f"select count(*) from duckdb_tables() where database_name = {text(LAKE)}")
            if tables:
                raise WarehouseError(
                    f"target {self.address}: found {tables} tables that are not of hashpivot, expected a lake of its "
                    "own; name another catalog"
                )
            return
        version.require_family(self.address, before.facts["family"], "name another catalog")
        if before.version > version.version:
            raise WarehouseError(
                f"target {self.address}: found version {before.version} there, expected none after {version.version}, "
                "which this home shows; run `hashpivot daily`, which publishes a newer one"
            )

    def _attach_home(self, connection: duckdb.DuckDBPyConnection, version: FinishedVersion) -> None:
        connection.execute(f"attach {text(str(version.database()))} as {HOME} (read_only)")

    def _refuse_crossing(self, before: Snapshot | None, error: duckdb.Error) -> None:
        now = None
        with suppress(HashpivotError):
            now = self.shown()
        if now is not None and (before is None or before.version != now.version):
            raise WarehouseError(
                f"target {self.address}: found version {now.version}, which another writer has published meanwhile, "
                "expected one home to publish there; its version stays, name another catalog for this home"
            ) from error

    def _prune(self, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
        """Remove snapshots before those that are kept, and files that nothing names any more."""
        publications = _publications(connection)
        dropped = publications[self.keep :] if self.keep is not None else []
        try:
            if dropped:
                oldest = publications[len(publications) - len(dropped) - 1].number
                numbers = connection.execute(statement("lake_snapshots")).fetchall()
                doomed = [number for number, *_ in numbers if number < oldest]
                connection.execute(f"call ducklake_expire_snapshots({text(LAKE)}, versions => {doomed})")
            for remove in ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"):
                connection.execute(f"call {remove}({text(LAKE)}, older_than => now() - interval {LEFT_HOURS} hours)")
        except duckdb.Error as error:
            # Readers have the new version; the next publication removes it.
            bucket = self._catalog.bucket
            found = bucket.explained(error) if bucket else None
            logger.warning("target %s: what is not kept stays: %s", self.address, found or one_line(error))
            return ()
        return tuple(each.version for each in dropped)


def _publications(connection: duckdb.DuckDBPyConnection) -> list[Snapshot]:
    """Snapshots that are publications, the newest first."""
    rows = connection.execute(statement("lake_snapshots")).fetchall()
    return [
        Snapshot(number=number, is_newest=number == rows[0][0], facts=facts)
        for number, author, stated in rows
        if author == AUTHOR and (facts := _facts(stated)) is not None
    ]


def _facts(stated: str | None) -> Facts | None:
    with suppress(ValueError, TypeError):
        facts = json.loads(stated or "")
        if {"version", "day", "family", "manifest_sha256"} <= facts.keys():
            return dict(facts)
    return None


def _write_control_row(connection: duckdb.DuckDBPyConnection, facts: Facts) -> None:
    """Replace the row of the publication, which a writer that crosses has replaced too: only one of them can commit."""
    table = f"{LAKE}.{AUTHOR}.publication"
    connection.execute(f"create schema if not exists {LAKE}.{AUTHOR}")
    connection.execute(f"create table if not exists {table} ({', '.join(f'{name} varchar' for name in facts)})")
    connection.execute(f"delete from {table}")
    connection.execute(f"insert into {table} values ({', '.join('?' * len(facts))})", [*facts.values()])


def _reason(before: Snapshot | None, facts: Facts) -> str:
    """Why there is this publication, for who reads the history."""
    day, of_profile = facts["day"], f"of profile {facts['profile']}"
    if before is None:
        return f"first publication here, with days up to {day} {of_profile}"
    if str(before.facts["day"]) < day:
        return f"days after {before.facts['day']} up to {day} {of_profile}"
    return f"published again with days up to {day} {of_profile}"


def _files_before(before: Snapshot | None, version: FinishedVersion) -> Mapping[str, str]:
    """By path the digests of the files of the version that the lake shows; empty where the home no longer has it."""
    if before is None or not before.is_newest:
        return {}
    with suppress(OSError, ValueError, LookupError, TypeError):
        manifest = (version.folder.parent / before.version / MANIFEST_NAME).read_bytes()
        if hashlib.sha256(manifest).hexdigest() == before.facts["manifest_sha256"]:
            return {str(file["path"]): str(file["sha256"]) for file in json.loads(manifest)["files"]}
    return {}
