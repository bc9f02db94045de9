"""A finished version of the home, and what a place must be able to do that such versions are copied to.

The file target has written, checked and switched to it. Places beside the home take it from there: they need nothing of
the run, so that a place that failed is caught up at any later time.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from schemas.errors import WarehouseError
from warehouse.atomic_files import sha256_of
from warehouse.targets.files import DATABASE_NAME, MANIFEST_NAME

UNCHANGED: Final = "expected files to stay as they were published; find out who changed it, then run `hashpivot daily`"
REMEDY: Final = "run `hashpivot daily`, which publishes again"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFile:
    """A file of a version as its manifest states it."""

    path: str
    """Below the folder of the version, with slashes."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedVersion:
    """The folder of a version with all its files, which nobody changes any more."""

    folder: Path
    version: str
    manifest: bytes
    stated: Mapping[str, Any]
    """What the manifest states."""
    files: tuple[VersionFile, ...]
    """All but the manifest."""

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, and by the digests in it of everything in the version."""
        return hashlib.sha256(self.manifest).hexdigest()

    def unchanged(self, file: VersionFile) -> Path:
        """Where a file of the version is. Raises `WarehouseError` where it is not as it was published."""
        path = self.folder / file.path
        try:
            if sha256_of(path) != file.sha256:
                raise WarehouseError(f"{path}: found other bytes than its manifest states, {UNCHANGED}")
        except OSError as error:
            raise WarehouseError(f"{path}: found {error.strerror!r}, {UNCHANGED}") from error
        return path

    def database(self) -> Path:
        """Where its DuckDB file is. Raises `WarehouseError` without one, or where it is not as it was published."""
        file = next((file for file in self.files if file.path == DATABASE_NAME), None)
        if file is None:
            raise WarehouseError(f"{self.folder}: found no {DATABASE_NAME} in its manifest, expected it; publish again")
        return self.unchanged(file)

    def require_family(self, address: str, there: object, remedy: str) -> None:
        """Real and simulated data, and those of two chains, never take each other's place.

        `there` is the family of what the target shows. Raises `WarehouseError`.
        """
        family = self.stated.get("family")
        if there != family:
            raise WarehouseError(
                f"target {address}: found data of {there!r} there, expected {family!r} as in this home; {remedy}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The version that a place leads its readers to."""

    version: str
    day: str
    """Last day of its tables, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What it took to let a place show a version; nothing where it did so before."""

    version: str
    is_new: bool = True
    uploaded_count: int = 0
    uploaded_bytes: int = 0
    reused_count: int = 0
    """Files that were there already, from the version before or from an attempt that was killed."""
    pruned: tuple[str, ...] = ()
    """Versions that the place no longer keeps."""
    kind: str = "files"
    """What is counted."""

    def __str__(self) -> str:
        if not self.is_new:
            return f"shows {self.version} already"
        uploaded = f"{self.uploaded_count:,} {self.kind} uploaded, {self.uploaded_bytes / 1e6:,.1f} MB"
        return f"shows {self.version}: {uploaded}; {self.reused_count:,} files were there"


class CopyTarget(Protocol):
    """A place beside the home that finished versions are copied to.

    Its readers see one whole version: the one before until `publish` returns, also after a kill at any moment. What an
    attempt has left that was killed is used or removed by the next one.
    """

    @property
    def address(self) -> str:
        """Names the place in settings and reports; without any secret."""

    def publish(self, version: FinishedVersion) -> Copied:
        """Copy the version, read it back, lead readers to it, and remove versions that are not kept.

        Raises `TargetUnreachableError` where another try may help, `WarehouseError` where it cannot, also where another
        writer has published there meanwhile: thing, found, expected, what to do, in one line.
        """

    def shown(self) -> Shown | None:
        """The version that readers see; None before the first. Raises as `publish`."""


def finished_version(published: Path) -> FinishedVersion:
    """The version that readers see under `published`. Raises `WarehouseError` where there is none that can be read."""
    current = published / "current"
    try:
        folder = current.resolve(strict=True)
        manifest = (folder / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise WarehouseError(f"{current}: found {error.strerror!r}, expected a version; {REMEDY}") from error
    try:
        stated = json.loads(manifest)
        files = tuple(_version_file(file) for file in stated["files"])
        return FinishedVersion(
            folder=folder, version=str(stated["version"]), manifest=manifest, stated=stated, files=files
        )
    except (ValueError, LookupError, TypeError) as error:
        raise WarehouseError(
            f"{folder / MANIFEST_NAME}: found no manifest ({type(error).__name__}), expected one; {REMEDY}"
        ) from error


def _version_file(file: Mapping[str, Any]) -> VersionFile:
    path = PurePosixPath(file["path"])
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} is not below the version")
    return VersionFile(path=str(path), size_bytes=int(file["bytes"]), sha256=str(file["sha256"]))
