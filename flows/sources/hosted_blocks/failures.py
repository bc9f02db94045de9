"""How explorers report errors."""

from http import HTTPStatus
from typing import Final

import msgspec

from flows.sources.web.site import Failure, FailureKind, RawResponse

REFUSED: Final = "refused"


class _Failure(msgspec.Struct):
    error: str


def classify(reply: RawResponse) -> Failure | None:
    """`{"error": sentence}` where a request is rejected; a server that banned us responds with 403.

    Their 429 is HTML without Retry-After, and after their 5xx a retry may help: the status is enough for both.
    """
    if reply.status == HTTPStatus.FORBIDDEN:
        return Failure(FailureKind.BLOCKED, "HTTP 403", "the server shuts us out")
    if reply.status not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
        return None
    found = reply.json(_Failure)
    if found is None:
        return None
    kind = REFUSED if reply.status == HTTPStatus.OK else f"HTTP {reply.status}"
    return Failure(FailureKind.REJECTED, kind, found.error)
