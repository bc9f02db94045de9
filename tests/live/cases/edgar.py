from datetime import UTC, date, datetime

from flows.sources.protocol import Request
from tests.live.cases import Case

CASE = Case(
    source="edgar",
    request=Request(since=date(2026, 9, 8), through=date(2026, 9, 10), now=datetime(2026, 9, 11, 6, tzinfo=UTC)),
    # A list of each of thirteen companies, facts of five, a page of each filing, and three more tries.
    most_requests_count=30,
)
