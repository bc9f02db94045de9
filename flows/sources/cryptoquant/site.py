"""Where CryptoQuant's API is, how fast it may be asked and how it says no.

Source: https://docs.cryptoquant.com/. Its rate limits are not published; one request a second is our own caution.
"""

from typing import Final

import msgspec

from flows.sources.web.site import InHeader, Key, Limit, Problem, Reply, Site, Trouble

SUCCESS: Final = "success"
DEPRECATED: Final = "deprecated"
FORBIDDEN: Final = "forbidden"
NOT_FOUND: Final = "not_found"
_TROUBLES: Final = {
    "too_many_requests": Trouble.LIMITED,
    "unauthorized": Trouble.KEY,
    "internal_server_error": Trouble.PASSING,
    FORBIDDEN: Trouble.REFUSED,
    NOT_FOUND: Trouble.REFUSED,
    DEPRECATED: Trouble.REFUSED,
    "bad_request": Trouble.REFUSED,
    "not_allowed": Trouble.REFUSED,
}


class Status(msgspec.Struct):
    """What every answer begins with; `message` is one fixed word."""

    code: int
    message: str
    description: str = ""


class _Envelope(msgspec.Struct):
    status: Status
    result: msgspec.Raw = msgspec.Raw(b"null")


def explain(reply: Reply) -> Problem | None:
    """The status object, whatever the HTTP status. `deprecated` with a result is still an answer."""
    try:
        envelope = msgspec.json.decode(reply.body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    status = envelope.status
    has_result = bytes(envelope.result).strip() != b"null"
    if reply.status == 200 and (status.message == SUCCESS or (status.message == DEPRECATED and has_result)):
        return None
    trouble = _TROUBLES.get(status.message)
    if trouble is None:
        return None if reply.status >= 400 else Problem(Trouble.REFUSED, status.message, status.description)
    return Problem(trouble, status.message, status.description)


SITE: Final = Site(
    name="cryptoquant",
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
    explain=explain,
)
