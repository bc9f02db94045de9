"""Where CryptoQuant's API is, its rate limit and its errors.

Source: https://docs.cryptoquant.com/. Its rate limits are not published; one request a second is our own caution.
"""

from typing import Final

import msgspec

from flows.sources.cryptoquant.kind import CRYPTOQUANT
from flows.sources.web.site import Failure, FailureKind, InHeader, Key, Limit, RawResponse, Site

SUCCESS: Final = "success"
DEPRECATED: Final = "deprecated"
FORBIDDEN: Final = "forbidden"
NOT_FOUND: Final = "not_found"
_TROUBLES: Final = {
    "too_many_requests": FailureKind.RATE_LIMITED,
    "unauthorized": FailureKind.KEY,
    "internal_server_error": FailureKind.TRANSIENT,
    FORBIDDEN: FailureKind.REJECTED,
    NOT_FOUND: FailureKind.REJECTED,
    DEPRECATED: FailureKind.REJECTED,
    "bad_request": FailureKind.REJECTED,
    "not_allowed": FailureKind.REJECTED,
}


class Status(msgspec.Struct):
    """What every response begins with; `message` is one fixed word."""

    code: int
    message: str
    description: str = ""


class _Envelope(msgspec.Struct):
    status: Status
    result: msgspec.Raw = msgspec.Raw(b"null")


def classify(reply: RawResponse) -> Failure | None:
    """The status object, whatever the HTTP status. `deprecated` with a result is still a response."""
    envelope = reply.json(_Envelope)
    if envelope is None:
        return None
    status = envelope.status
    has_result = bytes(envelope.result).strip() != b"null"
    if reply.status == 200 and (status.message == SUCCESS or (status.message == DEPRECATED and has_result)):
        return None
    trouble = _TROUBLES.get(status.message)
    if trouble is None:
        return None if reply.status >= 400 else Failure(FailureKind.REJECTED, status.message, status.description)
    return Failure(trouble, status.message, status.description)


SITE: Final = Site(
    name=CRYPTOQUANT.name,
    title="CryptoQuant",
    address="https://api.cryptoquant.com/v1",
    limits=(Limit(1, 1),),
    share=1,
    key=Key(
        place=InHeader("Authorization", "Bearer {}"),
        needed=True,
        remedy="copy the token from your profile there (Professional or Premium plan; it is renewed about once a year)",
    ),
    limited_pause_seconds=10,
    classify=classify,
)
