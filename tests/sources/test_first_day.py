"""From which day on a source that is read whole once a week is fetched."""

from datetime import UTC, date, datetime, timedelta

import pytest

from flows.sources.protocol import Known, Request

TUESDAY = datetime(2026, 11, 24, 6, tzinfo=UTC)
SERIES = ("price_usd", "block_count")
STORED = {("vendor", "price_usd"): date(2026, 11, 22), ("vendor", "block_count"): date(2026, 11, 20)}
MONDAY = {"vendor": datetime(2026, 11, 23, tzinfo=UTC)}
SUNDAY = {"vendor": datetime(2026, 11, 22, 23, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("known", "since", "first"),
    [
        pytest.param(Known(newest_day=STORED, received_at=MONDAY), None, date(2026, 11, 17), id="behind the shortest"),
        pytest.param(Known(newest_day=STORED, received_at=SUNDAY), None, None, id="the first of a week"),
        pytest.param(Known(newest_day=STORED), None, None, id="no batch is known"),
        pytest.param(
            Known(newest_day={("vendor", "price_usd"): date(2026, 11, 22)}, received_at=MONDAY),
            None,
            None,
            id="a series is new",
        ),
        pytest.param(Known(), None, None, id="nothing is stored"),
        pytest.param(
            Known(newest_day=dict.fromkeys(STORED, date(2026, 12, 1)), received_at=MONDAY),
            None,
            date(2026, 11, 20),
            id="stored beyond the last day",
        ),
        pytest.param(Known(newest_day=STORED, received_at=SUNDAY), date(2026, 1, 5), date(2026, 1, 5), id="given"),
    ],
)
def test_first_day_that_is_fetched(known: Known, since: date | None, first: date | None) -> None:
    request = Request(since=since, through=date(2026, 11, 23), now=TUESDAY, known=known)
    assert request.first_day("vendor", SERIES, timedelta(days=3)) == first
