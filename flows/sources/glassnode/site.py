"""Where Glassnode's API is, its rate limit and its errors.

Source: https://docs.glassnode.com/. Errors are plain text; an HTML page is not from Glassnode.
"""

from typing import Final

import msgspec

from flows.sources.glassnode.kind import GLASSNODE
from flows.sources.web.site import Failure, FailureKind, InParameter, Key, Limit, RawResponse, Site

PLAN: Final = "plan"
UNKNOWN: Final = "unknown metric"
_KINDS: Final = {403: PLAN, 404: UNKNOWN}


class _Error(msgspec.Struct):
    error: str


def classify(reply: RawResponse) -> Failure | None:
    """What a plan does not reach and what is no longer there, distinguished from pages of proxies in between.

    Data is an array, so an object with an error is one, whatever its status.
    """
    if reply.status == 200:
        found = reply.json(_Error)
        return Failure(FailureKind.REJECTED, "error", found.error) if found else None
    kind = _KINDS.get(reply.status)
    if kind is None or reply.content_type not in ("text/plain", "application/json"):
        return None
    return Failure(FailureKind.REJECTED, kind, reply.body[:200].decode("utf-8", "replace"))


SITE: Final = Site(
    name=GLASSNODE.name,
    title="Glassnode",
    address="https://api.glassnode.com/v1",
    limits=(Limit(600, 60),),
    key=Key(
        place=InParameter("api_key"),
        needed=True,
        remedy="make one in your account there (Professional plan with the API add-on)",
    ),
    reset_header="x-rate-limit-reset",
    limited_pause_seconds=30,
    classify=classify,
)
