from datetime import UTC, datetime

from flows.sources.protocol import Request
from tests.live.cases import Case

_NOW = datetime.now(UTC)

CASE = Case(
    source="lake",
    # Of the days around, the file of yesterday is there.
    request=Request(since=_NOW.date(), through=_NOW.date(), now=_NOW),
    # Listings of two tables, each of a year or two, two files, and what is tried again.
    most_requests_count=60,
)
