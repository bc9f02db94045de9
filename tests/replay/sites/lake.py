"""A bucket of S3 with the block lake: listings in pages, ranges, and versions by ETag.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and API_GetObject.html.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from html import escape
from typing import Final

from tests.replay.faults import PORTAL
from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite

ROOT: Final = "v1.0/btc/"
PAGE_KEYS: Final = 20
"""1,000 at the real one."""
BINARY: Final = "binary/octet-stream"
RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
DAYS_COUNT: Final = 3
"""Up to yesterday, unless others are given."""


def error(status: int, code: str, message: str) -> ReplayResponse:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return ReplayResponse(status, body.encode(), "application/xml")


class LakeReplay(ReplaySite):
    """`files`: contents by key below the root. `before`: called with each key that is requested, before it is sent."""

    name = "lake"
    prefix = ""
    limits = (Limit(30, 1),)
    settings: Mapping[str, str] = {"HASHPIVOT_LAKE_URL": "{base}"}

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        super().__init__()
        self._files = None if files is None else dict(files)
        self.before: Callable[[str], None] = lambda _key: None
        self.sent_bytes = 0
        self.flavours = {
            "503 text": error(503, "SlowDown", "Please reduce your request rate."),
            "500 json": error(500, "InternalError", "We encountered an internal error. Please try again."),
            "html as json": ReplayResponse(200, PORTAL, "application/xml"),
            "empty": ReplayResponse(200, b"", "application/xml"),
            "other shape": ReplayResponse(200, b"<ListBucketResult><Contents/></ListBucketResult>", "application/xml"),
            "other range": ReplayResponse(206, b"PAR1", BINARY, {"Content-Range": "bytes 0-3/4"}),
            "changed file": error(412, "PreconditionFailed", "At least one of the pre-conditions did not hold"),
            "gone": error(404, "NoSuchKey", "The specified key does not exist."),
            "closed bucket": error(403, "AccessDenied", "Access Denied"),
        }

    def prepare(self) -> None:
        for content in self.files.values():
            etag(content)

    @property
    def files(self) -> dict[str, bytes]:
        if self._files is None:
            last = datetime.now(UTC).date() - timedelta(days=1)
            self._files = invented_files(last - timedelta(days=DAYS_COUNT - 1), last)
        return self._files

    def error_object(self) -> ReplayResponse:
        return error(200, "InternalError", "We encountered an internal error. Please try again.")

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        path = request.path.removeprefix("/")
        if not path and request.query.get("list-type") == "2":
            return self._listing(request.query)
        if not path.startswith(ROOT):
            return None
        key = path.removeprefix(ROOT)
        self.before(key)
        content = self.files.get(key)
        if content is None:
            return self.flavours["gone"]
        if request.headers.get("if-match", etag(content)) != etag(content):
            return self.flavours["changed file"]
        wanted = RANGE.fullmatch(request.headers.get("range", ""))
        if wanted is None:
            return ReplayResponse(200, content, BINARY, {"ETag": etag(content)})
        first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
        if first > last:
            return error(416, "InvalidRange", "The requested range is not satisfiable")
        part = content[first : last + 1]
        self.sent_bytes += len(part)
        headers = {"ETag": etag(content), "Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return ReplayResponse(206, part, BINARY, headers)

    def _listing(self, query: Mapping[str, str]) -> ReplayResponse:
        keys = sorted(ROOT + key for key in self.files if (ROOT + key).startswith(query["prefix"]))
        start = int(query.get("continuation-token", "0"))
        page, rest = keys[start : start + PAGE_KEYS], keys[start + PAGE_KEYS :]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-02-18T16:30:00.000Z</LastModified>"
            f"<ETag>{escape(etag(self.files[key.removeprefix(ROOT)]))}</ETag>"
            f"<Size>{len(self.files[key.removeprefix(ROOT)])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{start + PAGE_KEYS}</NextContinuationToken>" if rest else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>aws-public-blockchain</Name><Prefix>{escape(query['prefix'])}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<MaxKeys>{PAGE_KEYS}</MaxKeys><IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{token}{entries}"
            "</ListBucketResult>"
        )
        return ReplayResponse(200, body.encode(), "application/xml")


@cache
def etag(content: bytes) -> str:
    """As of a file that was uploaded in parts: no digest of its content that a reader could check."""
    return f'"{sha256(content).hexdigest()[:32]}-4"'


def invented_files(first: date, last: date) -> dict[str, bytes]:
    """Days of the chain that the replayed explorers have too."""
    from tests.lake.invented_lake import invented_day

    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return {key: content for day in days for key, content in invented_day(day).items()}
