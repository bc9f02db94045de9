from datetime import UTC, date, datetime

from flows.sources.protocol import Request
from tests.live.cases import Case

CASE = Case(
    source="coinmetrics",
    request=Request(since=date(2026, 9, 1), through=date(2026, 9, 10), now=datetime(2026, 9, 11, 6, tzinfo=UTC)),
    # Catalogue, all metrics at once, each by itself.
    most_requests_count=12,
)
