"""Coin Metrics: what is offered is stored, what is not is reported, and implausible values are rejected."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import Settings
from flows.sources.choose import source_named
from flows.sources.coinmetrics.metrics import METRICS
from flows.sources.coinmetrics.source import parsed
from flows.sources.protocol import Known, Request
from schemas.errors import BadInputError, HashpivotError, RequestRejectedError
from schemas.observations import Batch, Notice, ObservedTable
from tests.live.replaying import replayed
from tests.replay import ReplayServer
from tests.replay.sites.coinmetrics import CoinMetricsReplay, blocks_and_subsidy

THROUGH = date(2026, 9, 10)
NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
SERIES = {column.series for column in METRICS}


@pytest.fixture
def site() -> CoinMetricsReplay:
    site = CoinMetricsReplay()
    site.through = THROUGH
    return site


@pytest.fixture
def server(site: CoinMetricsReplay, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    with replayed(monkeypatch, [site], time_scale=0.1) as server:  # 3 s for a whole history on a busy machine
        yield server


def observed(home: Path, **changed: object) -> tuple[pl.DataFrame, list[str]]:
    request = Request(**{"since": None, "through": THROUGH, "now": NOW} | changed)  # type: ignore[arg-type]
    items = list(source_named("coinmetrics", Settings(home=home)).observe(request))
    (batch,) = [item for item in items if isinstance(item, Batch)]
    return batch.rows, [item.message for item in items if isinstance(item, Notice)]


def known(until: date, received: datetime) -> Known:
    return Known(
        newest_day={("coinmetrics", series): until for series in SERIES}, received_at={"coinmetrics": received}
    )


def test_whole_history_costs_two_requests(server: ReplayServer, tmp_path: Path) -> None:
    rows, _ = observed(tmp_path)
    assert len(server.log) == 2
    assert set(rows["series"]) == SERIES
    assert rows.filter(pl.col("series") == "block_count")["day"].to_list() == [
        date(2009, 1, 3) + timedelta(days=each) for each in range((THROUGH - date(2009, 1, 3)).days + 1)
    ]
    count, subsidy = blocks_and_subsidy(THROUGH)
    last = dict(rows.filter(pl.col("day") == THROUGH).select("series", "value").iter_rows())
    assert last["issuance_sat"] == count * subsidy
    assert last["reported_hashrate_ehs"] == pytest.approx(850, rel=0.06)
    assert rows.filter(pl.col("series") == "price_usd")["day"].min() == date(2010, 7, 18)


def test_short_pages_give_the_same_rows_and_lead_nowhere_else(
    server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path
) -> None:
    whole, _ = observed(tmp_path, since=date(2026, 6, 1))
    site.most_page_rows, site.page_host = 30, "https://community-api.coinmetrics.io/v4"
    paged, _ = observed(tmp_path, since=date(2026, 6, 1))
    assert paged.equals(whole)
    assert len(server.log) == 2 + 1 + 4


def test_later_run_fetches_thirty_days_and_a_new_week_everything(server: ReplayServer, tmp_path: Path) -> None:
    until = THROUGH - timedelta(days=1)
    rows, _ = observed(tmp_path, known=known(until, NOW - timedelta(days=1)))
    assert rows["day"].min() == until - timedelta(days=30)
    assert rows["day"].max() == THROUGH
    rows, _ = observed(tmp_path, known=known(until, NOW - timedelta(days=7)))
    assert rows["day"].min() == date(2009, 1, 3)


@pytest.mark.parametrize("heeds_ignore", [True, False], ids=["ignored", "fails the request"])
@pytest.mark.parametrize("with_200", [False, True], ids=["403", "200"])
def test_forbidden_metric_costs_itself_alone(
    server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path, heeds_ignore: bool, with_200: bool
) -> None:
    site.forbidden, site.heeds_ignore, site.refuses_with_200 = {"SplyExNtv", "FeeTotNtv"}, heeds_ignore, with_200
    rows, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert set(rows["series"]) == SERIES - {"exchange_reserve_sat", "fees_sat"}
    assert "listed in the catalogue but forbidden: FeeTotNtv, SplyExNtv" in notices


def test_everything_forbidden_is_an_error(server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path) -> None:
    site.forbidden, site.heeds_ignore = {column.header for column in METRICS}, False
    with pytest.raises(RequestRejectedError, match="forbidden"):
        observed(tmp_path, since=date(2026, 9, 1))


def test_withdrawn_metric_is_reported_with_its_last_day(
    server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path
) -> None:
    site.offered -= {"SplyExNtv"}
    _, notices = observed(tmp_path, known=known(date(2026, 9, 9), NOW))
    assert "no longer offered: SplyExNtv; exchange_reserve_sat ends on 2026-09-09" in notices
    _, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert "not offered: SplyExNtv" in notices


def test_nothing_offered_is_an_error(server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path) -> None:
    site.offered = {"AdrActCnt"}
    with pytest.raises(BadInputError, match="of which we use none"):
        observed(tmp_path)


def test_day_with_nothing_but_rates_is_left_out(server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path) -> None:
    site.only_rates_on_last_day = True
    rows, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert rows["day"].max() == THROUGH - timedelta(days=1)
    assert any("not complete yet" in message for message in notices)


def test_revised_value_is_seen(server: ReplayServer, site: CoinMetricsReplay, tmp_path: Path) -> None:
    site.revise("FlowInExNtv", date(2026, 9, 7), "12345.67800001")
    rows, _ = observed(tmp_path, known=known(date(2026, 9, 9), NOW))
    cell = (pl.col("series") == "exchange_inflow_sat") & (pl.col("day") == date(2026, 9, 7))
    assert rows.filter(cell)["value"].to_list() == [1_234_567_800_001]


CELLS = st.one_of(st.none(), st.text(max_size=12), st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{0,10})?", fullmatch=True))
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["asset", "time", *(column.header for column in METRICS)]), CELLS), max_size=5
)
DAYS = st.dates(date(2009, 1, 1), date(2026, 9, 12)).map(lambda day: f"{day}T00:00:00.000000000Z")


@given(rows=ROWS, days=st.lists(DAYS, min_size=5, max_size=5), named=st.booleans())
def test_any_rows_give_values_within_bounds_or_an_error_of_ours(
    rows: list[dict[str, str | None]], days: list[str], named: bool
) -> None:
    if named:
        rows = [row | {"asset": "btc", "time": day} for row, day in zip(rows, days, strict=False)]
    try:
        values, _, _ = parsed("fuzz", rows, METRICS, Request(since=None, through=THROUGH, now=NOW), whole=True)
    except HashpivotError:
        return
    assert not Batch(
        source="coinmetrics",
        table=ObservedTable.DAILY_VALUE,
        origin="fuzz",
        sha256="",
        observed_at=NOW,
        rows=values,
    ).failed
