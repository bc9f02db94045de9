"""Requests to one bucket of an S3-compatible object storage, with limits; each failure becomes one line.

Keys, endpoint and region are those of the environment of the process (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and so
on) and stay in the library: nothing here reads them, and no message of the library is passed on, as it may hold them.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from schemas.errors import HashpivotError, WarehouseError
from warehouse.targets import bucket_lines
from warehouse.targets.finished import UNCHANGED

PART_BYTES: Final = 8 * 1024**2
"""Larger files are uploaded in parts of this size, and read back so."""
PARTS_AT_ONCE_COUNT: Final = 2
REQUEST_TIMEOUT_SECONDS: Final = 120.0
"""Of one part: at half a megabit a second."""
CONNECT_TIMEOUT_SECONDS: Final = 10.0
LEAST_TIMEOUT_SECONDS: Final = 2.0
MOST_RETRIES: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0
RETRY_TIMEOUT_SECONDS: Final = 120.0
NOT_IMPLEMENTED_STATUS: Final = 501
OF_A_ROLE: Final = re.compile(r"/latest/(api/token|meta-data)|//169\.254\.170\.")
"""Addresses at which machines of a cloud get a key of their role; requested where the environment holds none."""
TIMED_OUT: Final = re.compile(r"kind: Timeout|timed out")
WITHOUT_CONDITIONS: Final = (
    "expected conditional writes (If-Match, If-None-Match), without which two writers could cross"
)
CONDITIONS_REMEDY: Final = "use a storage that has them, and leave AWS_CONDITIONAL_PUT unset"
REVALIDATED: Final = "no-cache"
FOR_EVER: Final = "public, max-age=31536000, immutable"

Condition = Literal["create"] | dict[str, str]
"""Write only where there is no object, or only over the one with the given `e_tag`."""


class NotAsExpectedError(Exception):
    """A conditional write found another object, or one where none was expected; nothing was written."""


class StoppedError(Exception):
    """Another thread ends the publication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The objects below a prefix of a bucket; paths are relative to the prefix.

    Every call but those of a stop raises `TargetUnreachableError` or `WarehouseError`.
    """

    address: str
    bucket: str
    store: S3Store
    stopping: threading.Event = field(default_factory=threading.Event)
    """Ends uploads between two parts."""

    @classmethod
    def of(cls, address: str, time_scale: float = 1) -> "Storage":
        """The storage at `s3://BUCKET/PREFIX`; `time_scale` shrinks pauses and time-outs. Makes no request."""
        bucket, _, prefix = address.removeprefix("s3://").partition("/")

        def limit(seconds: float) -> timedelta:
            return timedelta(seconds=max(seconds * time_scale, min(seconds, LEAST_TIMEOUT_SECONDS)))

        with _one_line(address, bucket):
            store = S3Store(
                bucket,
                prefix=prefix or None,
                client_options={
                    # Whether it is http or https is stated by AWS_ENDPOINT_URL; without that it is https.
                    "allow_http": True,
                    "connect_timeout": limit(CONNECT_TIMEOUT_SECONDS),
                    "timeout": limit(REQUEST_TIMEOUT_SECONDS),
                },
                retry_config={
                    "max_retries": MOST_RETRIES,
                    "backoff": {
                        "init_backoff": timedelta(seconds=FIRST_PAUSE_SECONDS * time_scale),
                        "max_backoff": timedelta(seconds=LONGEST_PAUSE_SECONDS * time_scale),
                        "base": 2,
                    },
                    "retry_timeout": limit(RETRY_TIMEOUT_SECONDS),
                },
            )
        return cls(address=address, bucket=bucket, store=store)

    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small object whole, and its ETag; None where there is none. Raises where there is no such bucket."""
        with _one_line(self.address, self.bucket):
            try:
                found = obstore.get(self.store, path)
                return bytes(found.bytes()), str(found.meta["e_tag"])
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

    def sizes(self, prefix: str) -> dict[str, int]:
        """By path of the objects under a prefix their size in bytes."""
        with _one_line(self.address, self.bucket):
            return {
                found["path"]: found["size"]
                for page in obstore.list(self.store, prefix, chunk_size=1000)
                for found in page
            }

    def write(self, path: str, content: bytes, condition: Condition | None = None, *, lasts: bool = False) -> None:
        """Write a small object; one that `lasts` is never changed, so that caches may keep it.

        Raises `NotAsExpectedError` where a condition does not hold.
        """
        with _one_line(self.address, self.bucket):
            try:
                obstore.put(
                    self.store,
                    path,
                    content,
                    attributes=_attributes(path, lasts=lasts),
                    mode=_mode(condition),
                    use_multipart=False,
                )
            except (PreconditionError, AlreadyExistsError) as error:
                raise NotAsExpectedError from error

    def upload(self, path: str, file: Path, size_bytes: int, sha256: str) -> None:
        """Write a file, in parts where it is large; nothing of one that is not as stated."""
        pieces = _pieces(file, sha256, self.stopping)
        with _one_line(self.address, self.bucket):
            if size_bytes <= PART_BYTES:
                obstore.put(
                    self.store,
                    path,
                    b"".join(pieces),
                    attributes=_attributes(path, lasts=True),
                    use_multipart=False,
                )
            else:
                obstore.put(
                    self.store,
                    path,
                    pieces,
                    attributes=_attributes(path, lasts=True),
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE_COUNT,
                )

    def copy(self, source: str, path: str) -> None:
        """Copy an object within the storage; nothing of it comes here."""
        self.raise_if_stopping()
        with _one_line(self.address, self.bucket):
            obstore.copy(self.store, source, path)

    def digest_of(self, path: str, size_bytes: int) -> str:
        """SHA-256 of an object of that size, which is read whole, a part at a time."""
        digest = hashlib.sha256()
        for start in range(0, size_bytes, PART_BYTES):
            self.raise_if_stopping()
            with _one_line(self.address, self.bucket):
                length = min(PART_BYTES, size_bytes - start)
                digest.update(obstore.get_range(self.store, path, start=start, length=length))
        return digest.hexdigest()

    def delete(self, paths: list[str]) -> None:
        """Remove objects; one that is not there is none too many."""
        if paths:
            with _one_line(self.address, self.bucket):
                obstore.delete(self.store, paths)

    def raise_if_stopping(self) -> None:
        """Raise `StoppedError` once `stopping` is set."""
        if self.stopping.is_set():
            raise StoppedError


def _pieces(file: Path, sha256: str, stopping: threading.Event) -> Iterator[bytes]:
    """The content of a file in parts. The last is held back where the file turns out to be another one."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as content:
            piece = content.read(PART_BYTES)
            while following := content.read(PART_BYTES):
                if stopping.is_set():
                    raise StoppedError
                digest.update(piece)
                yield piece
                piece = following
    except OSError as error:
        raise WarehouseError(f"{file}: found {error.strerror!r}, {UNCHANGED}") from error
    digest.update(piece)
    if digest.hexdigest() != sha256:
        raise WarehouseError(f"{file}: found other bytes than its manifest states, {UNCHANGED}")
    yield piece


def _mode(condition: Condition | None) -> Any:
    return "overwrite" if condition is None else condition


_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}


def _attributes(path: str, *, lasts: bool) -> Any:
    return {
        "Content-Type": _TYPES.get(Path(path).suffix, "application/octet-stream"),
        "Cache-Control": FOR_EVER if lasts else REVALIDATED,
    }


@contextmanager
def _one_line(address: str, bucket: str) -> Iterator[None]:
    try:
        yield
    except HashpivotError:
        raise
    except (BaseError, OSError, NotImplementedError, ValueError) as error:
        raise explained(error, address, bucket) from error


def explained(error: Exception, address: str, bucket: str) -> HashpivotError:
    """What an error of the library means, in our words: its text holds addresses and may hold parts of a key."""
    place, code, status, text = f"target {address}", _code(error), _status(error), str(error)
    stated = " ".join(str(each) for each in (code, status) if each)
    if code == "NoSuchBucket":
        return bucket_lines.no_bucket(address, bucket)
    if OF_A_ROLE.search(text):
        return bucket_lines.no_key(address, ", or a role of this machine")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or status in bucket_lines.REJECTED_STATUSES:
        return bucket_lines.key_rejected(address, stated)
    if isinstance(error, (NotImplementedError, NotSupportedError)) or status == NOT_IMPLEMENTED_STATUS:
        return WarehouseError(f"{place}: found {stated or 'none'}, {WITHOUT_CONDITIONS}; {CONDITIONS_REMEDY}")
    if isinstance(error, FileNotFoundError):
        return WarehouseError(f"{place}: found an object gone, expected it to stay until it is not needed; run again")
    if status is not None:
        return bucket_lines.not_accepted(address, status, stated)
    if "HTTP error" in text:
        return bucket_lines.no_response(address, in_time=TIMED_OUT.search(text) is not None)
    return WarehouseError(
        f"{place}: found {type(error).__name__}, expected the request to be possible; look at the variables AWS_*"
    )


def _code(error: Exception) -> str | None:
    found = re.search(r"<Code>(\w{1,60})</Code>", str(error))
    return found.group(1) if found else None


def _status(error: Exception) -> int | None:
    found = re.search(r"status code: (\d{3})\b", str(error))
    return int(found.group(1)) if found else None
