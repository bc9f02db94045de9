from datetime import UTC, date, datetime

from flows.sources.protocol import Request
from tests.live.cases import Case

CASE = Case(
    source="mempool",
    request=Request(since=date(2026, 9, 10), through=date(2026, 9, 10), now=datetime(2026, 9, 11, 6, tzinfo=UTC)),
    # The tip, the difficulty, two searches, a bulk that is refused, 16 pages, and a second try now and then.
    most_requests_count=40,
)
