"""How explorers say no."""

from http import HTTPStatus
from typing import Final

import msgspec

from flows.sources.web.site import Failure, FailureKind, RawResponse

REFUSED: Final = "refused"


class _Failure(msgspec.Struct):
    error: str


def explain(reply: RawResponse) -> Failure | None:
    """`{"error": sentence}` where a request is refused; 403 is what is left of a server that banned us.

    Their 429 is HTML without Retry-After, and their 5xx means that another try may help: both as the status says.
    """
    if reply.status == HTTPStatus.FORBIDDEN:
        return Failure(FailureKind.BLOCKED, "HTTP 403", "the server shuts us out")
    if reply.status not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
        return None
    try:
        error = msgspec.json.decode(reply.body, type=_Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    kind = REFUSED if reply.status == HTTPStatus.OK else f"HTTP {reply.status}"
    return Failure(FailureKind.REFUSED, kind, error)
