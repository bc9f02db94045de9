from datetime import UTC, date, datetime

from flows.sources.protocol import Request
from tests.live.cases import Case

CASE = Case(
    source="esplora",
    request=Request(since=date(2026, 9, 10), through=date(2026, 9, 10), now=datetime(2026, 9, 11, 6, tzinfo=UTC)),
    # The tip, two searches, 3 pages, 21 blocks, and a second try now and then.
    most_requests_count=110,
)
