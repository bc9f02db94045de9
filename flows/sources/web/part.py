"""A part of one version of a file, and what is checked of the response that has it."""

from dataclasses import dataclass
from typing import Final

from flows.sources.web.site import RawResponse
from schemas.errors import FileChangedError

FILE_CHANGED: Final = ("HTTP 404", "HTTP 412", "HTTP 416")
"""Responses to a request for a part where the file is gone, of another version, or shorter."""


@dataclass(frozen=True, slots=True)
class Part:
    """`size_bytes` of a file from byte `first` on, of the version `etag` and of no other."""

    first: int
    size_bytes: int
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        """Those of the request. What is compressed on its way would have another length."""
        last = self.first + self.size_bytes - 1
        return {"Range": f"bytes={self.first}-{last}", "If-Match": self.etag, "Accept-Encoding": "identity"}

    def content(self, reply: RawResponse, place: str) -> bytes:
        """The body of `reply`. Raises `FileChangedError` for another version, `ValueError` for anything else."""
        if reply.headers.get("etag", self.etag) != self.etag:
            raise FileChangedError(place, f"version {reply.headers['etag']}")
        stated, expected = reply.headers.get("content-range", ""), self.headers["Range"].replace("=", " ") + "/"
        if not stated.startswith(expected) or len(reply.body) != self.size_bytes:
            raise ValueError(f"{len(reply.body):,} bytes of range {stated!r} for {self.size_bytes:,} of {expected!r}")
        return reply.body
