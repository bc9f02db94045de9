from datetime import UTC, datetime, timedelta

from flows.sources.protocol import Request
from tests.live.cases import Case

_NOW = datetime.now(UTC)
_YESTERDAY = _NOW.date() - timedelta(days=1)

CASE = Case(
    source="kraken",
    # Counted from today, as Kraken keeps 720 days.
    request=Request(since=_YESTERDAY - timedelta(days=9), through=_YESTERDAY, now=_NOW),
    # One page, requested as often as the retry policy allows.
    most_requests_count=4,
)
