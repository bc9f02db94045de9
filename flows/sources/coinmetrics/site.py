"""Where Coin Metrics' API is, its rate limit and its errors.

Source: the OpenAPI description in the vendor's own client, https://pypi.org/project/coinmetrics-api-client/, and
https://docs.coinmetrics.io/api/v4.
"""

from typing import Final

import msgspec

from flows.sources.coinmetrics.kind import COINMETRICS
from flows.sources.web.site import MEBIBYTE, Failure, FailureKind, InParameter, Key, Limit, RawResponse, Site

PRO_ADDRESS: Final = "https://api.coinmetrics.io/v4"
FORBIDDEN: Final = "forbidden"
_TROUBLES: Final = {
    "too_many_requests": FailureKind.RATE_LIMITED,
    "unauthorized": FailureKind.KEY,
    "wrong_credentials": FailureKind.KEY,
    FORBIDDEN: FailureKind.REJECTED,
    "bad_parameter": FailureKind.REJECTED,
}


class _Error(msgspec.Struct):
    type: str
    message: str = ""


class _Failure(msgspec.Struct):
    error: _Error


def classify(reply: RawResponse) -> Failure | None:
    """The error object, which comes with the status 200 too. `type` is a fixed word, `message` is not."""
    found = reply.json(_Failure)
    if found is None:
        return None
    error = found.error
    trouble = _TROUBLES.get(error.type)
    if trouble is None:
        return None if reply.status >= 400 else Failure(FailureKind.REJECTED, error.type, error.message)
    return Failure(trouble, error.type, error.message)


SITE: Final = Site(
    name=COINMETRICS.name,
    title="Coin Metrics",
    address="https://community-api.coinmetrics.io/v4",
    limits=(Limit(10, 6),),
    key=Key(
        place=InParameter("api_key"),
        needed=False,
        remedy="unset it to use the community host, or copy your key of the pro API",
    ),
    reset_header="X-RateLimit-Reset",
    limited_pause_seconds=6,
    # A whole history of nine metrics is some 4 MB.
    largest_response_bytes=64 * MEBIBYTE,
    classify=classify,
)
