"""The last response to each conditional request, cached so that it can be revalidated instead of fetched again."""

import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from flows.sources.web.secrets import holds_secret
from flows.sources.web.site import RawResponse
from flows.sources.web.state_files import write_state_file

MOST_RESPONSES_COUNT: Final = 64
"""Cached for a site; the oldest are deleted."""


class _Kept(msgspec.Struct):
    place: str
    headers: dict[str, str]
    body: bytes


class CachedResponses:
    """One file an address in `folder`. Whatever is wrong with a file, or dated in the future, counts as not cached."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, place: str) -> RawResponse | None:
        """The cached response of the address `place`."""
        with suppress(OSError, msgspec.DecodeError):
            path = self._path(place)
            kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
            if kept.place == place and _written_at(path) > 0:
                return RawResponse(200, kept.headers, kept.body)
        return None

    def put(self, place: str, reply: RawResponse) -> None:
        """Cache a response that has a validator; one that holds a secret is never cached."""
        headers = {
            name: reply.headers[name] for name in ("etag", "last-modified", "content-type") if name in reply.headers
        }
        if headers.keys() <= {"content-type"} or holds_secret(reply.body):
            return
        write_state_file(self._path(place), msgspec.msgpack.encode(_Kept(place, headers, reply.body)))
        with suppress(OSError):
            oldest_first = sorted(self._folder.glob("*.response"), key=_written_at)
            for each in oldest_first[:-MOST_RESPONSES_COUNT]:
                each.unlink(missing_ok=True)

    def _path(self, place: str) -> Path:
        return self._folder / f"{sha256(place.encode()).hexdigest()}.response"


def _written_at(path: Path) -> float:
    """Unix time of the file in seconds; 0 where that is still to come, by a clock that was ahead."""
    written_at = path.stat().st_mtime
    return written_at if written_at <= time.time() else 0.0
