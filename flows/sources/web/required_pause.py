"""The pause that a site requires, from headers of its response that may state anything."""

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from flows.sources.web.site import RawResponse

LONGEST_PAUSE_SECONDS: Final = 86_400
"""No pause is longer, whatever a header states: a source that wants more states it again a day later."""
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_LEAST_MOMENT_SECONDS: Final = 1e9
"""A number from here on is a moment of Unix time and no duration of decades; from a thousand times that, in ms."""


def required_pause_seconds(reply: RawResponse, reset_header: str | None) -> float | None:
    """From 0 to `LONGEST_PAUSE_SECONDS`, of Retry-After or the site's own header; None where neither states a time."""
    for stated in (reply.headers.get("retry-after"), reset_header and reply.headers.get(reset_header.lower())):
        seconds = _seconds(stated.strip()) if stated else None
        if seconds is not None:
            return min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS)
    return None


def _seconds(stated: str) -> float | None:
    """Seconds from now, from a duration, a moment of Unix time or a date."""
    if _NUMBER.fullmatch(stated):
        number = float(stated)
        if number < _LEAST_MOMENT_SECONDS:
            return number
        return (number if number < 1000 * _LEAST_MOMENT_SECONDS else number / 1000) - time.time()
    try:
        at = parsedate_to_datetime(stated)
        return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
