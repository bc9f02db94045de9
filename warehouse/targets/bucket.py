"""A target in object storage: versions side by side, and one small object that leads readers to one of them.

```
PREFIX/
  latest.json                         names the version that readers take; the one object that a publication changes
  index.html                          leads a browser to the report of that version
  versions/<digest of manifest>/...   the files of a version of the home, under their names there
```
`latest.json` is written last, and only over the one that was read first (If-Match, If-None-Match), so that of two
writers one publishes and the other changes nothing. Files that the version before has are copied within the storage.
What an attempt has left that was killed is used where the same version is published again, and removed otherwise.
"""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Literal

from schemas.errors import HashpivotError, WarehouseError
from warehouse.targets.files import MANIFEST_NAME
from warehouse.targets.finished import Copied, FinishedVersion, Shown, VersionFile
from warehouse.targets.json_files import as_json
from warehouse.targets.object_storage import (
    CONDITIONS_REMEDY,
    WITHOUT_CONDITIONS,
    Condition,
    NotAsExpectedError,
    Storage,
)

logger = logging.getLogger(__name__)

LATEST: Final = "latest.json"
INDEX: Final = "index.html"
VERSIONS: Final = "versions"
FILE_OF_VERSION: Final = re.compile(rf"({VERSIONS}/[0-9a-f]{{64}})/.+")
"""What may be removed; anything else in the bucket is not ours."""
MOST_COPIED_BYTES: Final = 5 * 1024**3
"""The largest object that S3 copies in one request; a larger one is uploaded again."""
AT_ONCE_COUNT: Final = 4
NO_ETAG: Final = '"00000000000000000000000000000000"'
"""Of no object."""

Way = Literal["uploaded", "reused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The object that leads readers, as it was read."""

    content: bytes
    e_tag: str
    version: str
    folder: str
    digest: str
    """SHA-256 of the manifest."""
    day: str
    family: str | None
    kept: Mapping[str, str]
    """By folder the versions that are kept, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketTarget:
    """The prefix at `s3://BUCKET/PREFIX`, under which the newest `keep` versions stay."""

    address: str
    keep: int
    time_scale: float = 1
    """Shrinks pauses and time-outs."""

    def shown(self) -> Shown | None:
        """The version that `latest.json` names; see `CopyTarget`."""
        latest = self._latest(Storage.of(self.address, self.time_scale))
        return None if latest is None else Shown(version=latest.version, day=latest.day)

    def publish(self, version: FinishedVersion) -> Copied:
        """Upload or copy the files, read them back, lead readers to them, remove what is not kept; see `CopyTarget`."""
        storage = Storage.of(self.address, self.time_scale)
        before = self._latest(storage)
        if before is not None and before.digest == version.digest:
            return Copied(version=version.version, is_new=False)
        if before is not None:
            version.require_family(self.address, before.family, f"name another prefix, or remove {LATEST} there")
        # Listed before the switch: of a writer that starts after it, nothing is in this list and will be removed.
        present = storage.sizes(VERSIONS)
        try:
            copied = self._transfer(storage, version, self._sources(storage, before, present), present)
            manifest = f"{_folder(version)}/{MANIFEST_NAME}"
            storage.write(manifest, version.manifest, lasts=True)
            self._check(storage, version)
            self._require_conditions(storage, manifest, version.manifest)
        except WarehouseError as error:
            now = before
            with suppress(HashpivotError):
                now = self._latest(storage)
            # The winner of a crossing removes the files of the loser, which then finds them gone.
            self._refuse_crossing(before, now, error)
            raise
        kept = self._switch(storage, version, before)
        pruned = self._prune(storage, before, kept, present)
        counts = {name: list(copied.values()).count(name) for name in ("uploaded", "reused")}
        uploaded_bytes = sum(file.size_bytes for file, way in copied.items() if way == "uploaded")
        return Copied(
            version=version.version,
            uploaded_count=counts["uploaded"] + 1,
            uploaded_bytes=uploaded_bytes + len(version.manifest),
            reused_count=counts["reused"],
            pruned=pruned,
        )

    def _latest(self, storage: Storage) -> Latest | None:
        found = storage.read(LATEST)
        if found is None:
            return None
        content, e_tag = found
        try:
            stated = json.loads(content)
            return Latest(
                content=content,
                e_tag=e_tag,
                version=str(stated["version"]),
                folder=str(stated["folder"]),
                digest=str(stated["manifest_sha256"]),
                day=str(stated["day"]),
                family=stated["family"],
                kept={str(each["folder"]): str(each["version"]) for each in stated["kept"]},
            )
        except (ValueError, LookupError, TypeError) as error:
            raise WarehouseError(
                f"target {self.address}: found a {LATEST} that is not of hashpivot, expected a prefix of its own; move "
                "it away, or name another prefix"
            ) from error

    def _sources(
        self, storage: Storage, before: Latest | None, present: Mapping[str, int]
    ) -> dict[tuple[str, int], str]:
        """By digest and size the objects of the version before that can be copied."""
        if before is None:
            return {}
        found = storage.read(f"{before.folder}/{MANIFEST_NAME}")
        if found is None or hashlib.sha256(found[0]).hexdigest() != before.digest:
            return {}
        named = ((f"{before.folder}/{file['path']}", file) for file in json.loads(found[0])["files"])
        return {
            (file["sha256"], file["bytes"]): path
            for path, file in named
            if present.get(path) == file["bytes"] <= MOST_COPIED_BYTES
        }

    def _transfer(
        self,
        storage: Storage,
        version: FinishedVersion,
        sources: Mapping[tuple[str, int], str],
        present: Mapping[str, int],
    ) -> dict[VersionFile, Way]:
        """Bring every file but the manifest to its place; how it came there."""

        def bring(file: VersionFile) -> tuple[VersionFile, Way]:
            path = f"{_folder(version)}/{file.path}"
            if present.get(path) == file.size_bytes and storage.digest_of(path, file.size_bytes) == file.sha256:
                return file, "reused"
            if source := sources.get((file.sha256, file.size_bytes)):
                storage.copy(source, path)
                return file, "reused"
            storage.upload(path, version.folder / file.path, file.size_bytes, file.sha256)
            if storage.digest_of(path, file.size_bytes) != file.sha256:
                raise WarehouseError(
                    f"target {self.address}: found other bytes in {file.path} than were uploaded, expected the same; "
                    "its readers keep the version before, run `hashpivot publish-only`"
                )
            return file, "uploaded"

        with ThreadPoolExecutor(AT_ONCE_COUNT, thread_name_prefix="upload") as executor:
            bringing = [executor.submit(bring, file) for file in version.files]
            try:
                return dict(done.result() for done in as_completed(bringing))
            except BaseException:
                storage.stopping.set()
                executor.shutdown(cancel_futures=True)
                storage.stopping.clear()
                raise

    def _check(self, storage: Storage, version: FinishedVersion) -> None:
        """Whether all files are there with their sizes; the digests of what was uploaded were compared before."""
        expected = {file.path: file.size_bytes for file in version.files} | {MANIFEST_NAME: len(version.manifest)}
        sizes = storage.sizes(_folder(version))
        for name, size_bytes in expected.items():
            found = sizes.get(f"{_folder(version)}/{name}")
            if found != size_bytes:
                raise WarehouseError(
                    f"target {self.address}: found {'no' if found is None else f'{found:,} bytes of'} {name}, expected "
                    f"{size_bytes:,} bytes; its readers keep the version before, run `hashpivot publish-only`"
                )

    def _require_conditions(self, storage: Storage, path: str, content: bytes) -> None:
        """Raise where the storage ignores conditions: writes that must be refused, with the bytes that are there."""
        conditions: tuple[Condition, ...] = ("create", {"e_tag": NO_ETAG})
        for condition in conditions:
            try:
                storage.write(path, content, condition, lasts=True)
            except NotAsExpectedError:
                continue
            header = "If-None-Match" if condition == "create" else "If-Match"
            raise WarehouseError(
                f"target {self.address}: found {header} ignored, {WITHOUT_CONDITIONS}; {CONDITIONS_REMEDY}"
            )

    def _switch(self, storage: Storage, version: FinishedVersion, before: Latest | None) -> dict[str, str]:
        """Lead readers to the version; by folder the versions that are kept."""
        folder = _folder(version)
        older = [each for each in (before.kept.items() if before else ()) if each[0] != folder]
        kept = dict([(folder, version.version), *older[: self.keep - 1]])
        stated = version.stated
        latest: dict[str, Any] = {
            "version": version.version,
            "folder": folder,
            "manifest_sha256": version.digest,
            **{name: stated.get(name) for name in ("created_at", "day", "profile", "family", "simulated")},
            "kept": [{"version": name, "folder": where} for where, name in kept.items()],
            # No two are the same, so that the ETag of one that was read stands for that one only.
            "publication_id": uuid.uuid4().hex,
        }
        content = as_json(latest)
        if storage.read(INDEX) is None:
            storage.write(INDEX, files("warehouse").joinpath("targets", "bucket_index.html").read_bytes())
        try:
            storage.write(LATEST, content, "create" if before is None else {"e_tag": before.e_tag})
        except NotAsExpectedError as error:
            now = self._latest(storage)
            # The response to the first try may have been lost.
            if now is None or now.content != content:
                self._refuse_crossing(before, now, error)
                raise WarehouseError(
                    f"target {self.address}: found a write of {LATEST} rejected and none there, expected nobody "
                    "else to write or remove it; run `hashpivot publish-only`"
                ) from error
        return kept

    def _refuse_crossing(self, before: Latest | None, now: Latest | None, error: Exception) -> None:
        if now is not None and (before is None or before.content != now.content):
            raise WarehouseError(
                f"target {self.address}: found version {now.version}, which another writer has published meanwhile, "
                "expected one home to publish there; its version stays, name another prefix for this home, or run "
                "`hashpivot publish-only` to take its place"
            ) from error

    def _prune(
        self, storage: Storage, before: Latest | None, kept: Mapping[str, str], present: Mapping[str, int]
    ) -> tuple[str, ...]:
        """Remove what is of no version that is kept, and return the versions that were shown once."""
        doomed = [path for path in present if (found := FILE_OF_VERSION.fullmatch(path)) and found.group(1) not in kept]
        try:
            storage.delete(doomed)
        except HashpivotError as error:
            # Readers have the new version; the next publication removes it.
            logger.warning("versions that are not kept stay: %s", error)
            return ()
        return tuple(name for folder, name in (before.kept if before else {}).items() if folder not in kept)


def _folder(version: FinishedVersion) -> str:
    return f"{VERSIONS}/{version.digest}"
