"""Exchanges: every day that is over has its close, the running one has none, and no venue's odd ways get through."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import Settings
from flows.sources.binance import source as binance
from flows.sources.bitstamp import source as bitstamp
from flows.sources.choose import source_named, web_session_of
from flows.sources.coinbase.source import Coinbase
from flows.sources.kraken import source as kraken
from flows.sources.prices import closes
from flows.sources.prices.closes import Candle, DailyCloses, Page, candle, parsed
from flows.sources.protocol import Known, Request
from flows.sources.unix_days import midnight_seconds
from flows.sources.web.site import FailureKind, RawResponse
from schemas.errors import BadInputError, HashpivotError, RequestBudgetError, RequestRejectedError, SourcePausedError
from schemas.observations import Batch, Notice, ObservedTable
from tests.live.replaying import replayed
from tests.replay import Fault, ReplayResponse, ReplayServer, ReplaySite, json_response
from tests.replay.faults import ALWAYS
from tests.replay.sites import prices as doubles

THROUGH = date(2026, 9, 10)
NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
DOUBLES: dict[str, type[ReplaySite]] = {
    "binance": doubles.BinanceReplay,
    "bitstamp": doubles.BitstampReplay,
    "coinbase": doubles.CoinbaseReplay,
    "kraken": doubles.KrakenReplay,
}
FIRST_RUN = {"binance": 4, "bitstamp": 6, "coinbase": 14, "kraken": 1}
FIRST_DAY = {
    "binance": date(2017, 8, 17),
    "bitstamp": date(2011, 8, 18),
    "coinbase": date(2015, 7, 20),
    "kraken": NOW.date() - timedelta(days=719),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    found = [double() for double in DOUBLES.values()]
    for site in found:
        site.today = NOW.date()  # type: ignore[attr-defined]
    with replayed(monkeypatch, found, time_scale=0.05) as server:
        yield server


def request_of(**changed: object) -> Request:
    return Request(**{"since": None, "through": THROUGH, "now": NOW} | changed)  # type: ignore[arg-type]


def observed(name: str, home: Path, **changed: object) -> tuple[pl.DataFrame, list[str]]:
    items = list(source_named(name, Settings(home=home)).observe(request_of(**changed)))
    batches = [item.rows for item in items if isinstance(item, Batch)]
    rows = pl.concat(batches) if batches else pl.DataFrame(schema={"series": pl.String, "day": pl.Date})
    return rows, [item.message for item in items if isinstance(item, Notice)]


def known(name: str, until: date) -> Known:
    return Known(newest_day={(name, "price_usd"): until})


@pytest.mark.parametrize("name", DOUBLES)
def test_first_run_gets_all_there_is_in_as_many_requests_as_planned(
    server: ReplayServer, tmp_path: Path, name: str
) -> None:
    source = source_named(name, Settings(home=tmp_path))
    assert isinstance(source, DailyCloses)
    assert source.plan(request_of()).requests_count == FIRST_RUN[name]
    rows, notices = observed(name, tmp_path)
    assert len(server.log) == FIRST_RUN[name]
    assert rows["day"].to_list() == doubles.days(FIRST_DAY[name], THROUGH)
    assert rows["value"].to_list() == [doubles.close(name, day, NOW.date()) for day in rows["day"]]
    assert set(rows["series"]) == {"price_usd"}
    assert notices == []


@pytest.mark.parametrize("name", DOUBLES)
def test_later_run_costs_one_request_for_the_new_days(server: ReplayServer, tmp_path: Path, name: str) -> None:
    rows, _ = observed(name, tmp_path, known=known(name, THROUGH - timedelta(days=1)))
    assert len(server.log) == 1
    assert rows["day"].to_list() == doubles.days(THROUGH - timedelta(days=3), THROUGH)


@pytest.mark.parametrize("name", DOUBLES)
def test_running_candle_is_never_stated(server: ReplayServer, tmp_path: Path, name: str) -> None:
    rows, _ = observed(name, tmp_path, since=date(2026, 9, 9), through=NOW.date())
    assert rows["day"].to_list() == [date(2026, 9, 9), date(2026, 9, 10)]
    assert doubles.RUNNING_USD not in rows["value"]


@pytest.mark.parametrize("name", DOUBLES)
def test_probe_costs_one_request(server: ReplayServer, tmp_path: Path, name: str) -> None:
    source = source_named(name, Settings(home=tmp_path))
    assert isinstance(source, DailyCloses)
    assert source.probe().startswith("newest candle: 2026-09-11, 1.0")
    assert len(server.log) == 1


@pytest.mark.parametrize("name", ["coinbase", "bitstamp", "binance"])
def test_first_run_that_is_cut_off_goes_on_where_it_ended(server: ReplayServer, tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path, max_requests=2)
    items = source_named(name, settings, web_session_of(settings)).observe(request_of())
    stored = [next(items), next(items)]
    with pytest.raises(RequestBudgetError):
        next(items)
    first_part = pl.concat(item.rows for item in stored if isinstance(item, Batch))
    rest, _ = observed(name, tmp_path, known=known(name, first_part["day"].max()))  # type: ignore[arg-type]
    together = pl.concat([first_part, rest]).unique().sort("day")
    assert together["day"].to_list() == doubles.days(FIRST_DAY[name], THROUGH)


def test_day_without_a_trade_is_reported_and_stays_null(server: ReplayServer, tmp_path: Path) -> None:
    quiet = date(2026, 9, 4)
    server.sites["coinbase"].quiet.add(quiet)  # type: ignore[attr-defined]
    rows, notices = observed("coinbase", tmp_path, since=date(2026, 9, 1))
    assert quiet not in rows["day"]
    assert notices == ["states no candle for 1 day(s) from 2026-09-04 to 2026-09-04"]


def test_kraken_reports_that_older_days_are_gone(server: ReplayServer, tmp_path: Path) -> None:
    rows, notices = observed("kraken", tmp_path, since=date(2020, 1, 1))
    assert rows["day"].min() == FIRST_DAY["kraken"]
    assert notices == [f"requested days from 2020-01-01 on, but its candles begin on {FIRST_DAY['kraken']}"]


def test_kraken_lockout_closes_it_for_everybody(server: ReplayServer, tmp_path: Path) -> None:
    server.faults.append(Fault("200 lockout", "kraken", 1, ALWAYS))
    for _ in range(2):
        with pytest.raises(SourcePausedError, match="Temporary lockout"):
            observed("kraken", tmp_path)
    assert len(server.log) == 1


def test_binance_where_it_serves_nobody(server: ReplayServer, tmp_path: Path) -> None:
    server.faults.append(Fault("451 location", "binance", 1, ALWAYS))
    with pytest.raises(RequestRejectedError, match=r"restricted location.*Take binance out of the profile") as raised:
        observed("binance", tmp_path)
    assert raised.value.code == binance.GEO_BLOCKED
    assert len(server.log) == 1


def test_binance_ban_closes_it(server: ReplayServer, tmp_path: Path) -> None:
    server.faults.append(Fault("418 banned", "binance"))
    with pytest.raises(SourcePausedError, match="IP banned"):
        observed("binance", tmp_path)
    assert len(server.log) == 1


def test_kraken_response_about_two_pairs_is_rejected(
    server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = json_response({"error": [], "result": {"XXBTZUSD": [], "XXBTZEUR": [], "last": 1}})
    monkeypatch.setattr(server.sites["kraken"], "respond", lambda request, base: both)
    with pytest.raises(BadInputError, match="candles of one pair"):
        observed("kraken", tmp_path)


@pytest.mark.parametrize("stated", ["1788998400.5", "9" * 5_000, "\u0663", ""])
def test_bitstamp_time_that_is_none_is_refused(
    server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str
) -> None:
    response = json_response({"data": {"ohlc": [{"timestamp": stated, "close": "1"}]}})
    monkeypatch.setattr(server.sites["bitstamp"], "respond", lambda request, base: response)
    with pytest.raises(BadInputError, match="a time in seconds"):
        observed("bitstamp", tmp_path)


SHAPES = {
    # The recorded shapes of one day: 2026-09-10, closes 76676.2, 76680.1, 77119.9 (of the 9th), and none.
    "coinbase": (
        [[1788998400, 76110.42, 77940.01, 77120.44, 76676.2, 8123.44120931]],
        ("2026-09-10", 76676.2),
    ),
    "kraken": (
        {
            "error": [],
            "result": {
                "XXBTZUSD": [
                    [1788998400, "77121.0", "77945.2", "76105.5", "76680.1", "76990.2", "1901.55120000", 30118]
                ],
                "last": 1788912000,
            },
        },
        ("2026-09-10", 76680.1),
    ),
    "binance": (
        [
            [
                *(1788912000000, "76990.01000000", "77820.00000000", "76490.10000000", "77119.90000000"),
                *("15230.12345000", 1788998399999, "1174521100.12345678", 2411203, "7511.10200000"),
                *("579201133.10220000", "0"),
            ]
        ],
        ("2026-09-09", 77119.9),
    ),
    "bitstamp": (
        {
            "data": {
                "pair": "BTC/USD",
                "ohlc": [
                    {
                        **{"timestamp": "1788998400", "open": "77120", "high": "77950", "low": "76100"},
                        **{"close": "76681", "volume": "1811.2"},
                    }
                ],
            }
        },
        ("2026-09-10", 76681.0),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_close_is_read_from_its_own_column(
    server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    body, (day, at) = SHAPES[name]
    monkeypatch.setattr(
        server.sites[name], "respond", lambda request, base: ReplayResponse(200, json.dumps(body).encode())
    )
    rows, _ = observed(name, tmp_path, since=date(2026, 9, 9))
    assert rows.rows() == [("price_usd", date.fromisoformat(day), at)]


@pytest.mark.parametrize(
    ("candles", "expected"),
    [
        ([("2026-09-10", "0")], "above 0"),
        ([("2026-09-10", "-5")], "above 0"),
        ([("2026-09-10", "NaN")], "plain finite number"),
        ([("2026-09-10", "1E+999")], "plain finite number"),
        ([("2026-09-12", "70000")], "a UTC day"),
        ([("1788998401", "70000")], "a UTC day"),
        ([("2026-09-10", "70000"), ("2026-09-10", "70001")], "as in row"),
    ],
)
def test_candle_that_cannot_be_believed_is_set_aside_and_refused_where_most_are(
    candles: list[tuple[str, str]], expected: str
) -> None:
    with pytest.raises(BadInputError, match=expected):
        parsed(Page([Candle(*each) for each in candles], "a venue", ""), (THROUGH, THROUGH), NOW.date())
    sound = [("2026-09-08", "69000"), ("2026-09-09", "70500")]
    page = Page([Candle(*each) for each in (*sound, *candles)], "a venue", "")
    values, _, failed = parsed(page, (date(2026, 9, 8), THROUGH), NOW.date())
    assert values.rows() == [("price_usd", date.fromisoformat(day), float(close)) for day, close in sound]
    assert [expected in each.reason for each in failed] == [True] * len(candles)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        ("EGeneral:Too many requests", FailureKind.RATE_LIMITED),
        ("EService:Unavailable", FailureKind.TRANSIENT),
        ("EGeneral:Temporary lockout", FailureKind.BLOCKED),
        ("EQuery:Unknown asset pair", FailureKind.REJECTED),
    ],
)
def test_kraken_errors_are_distinguished(error: str, trouble: FailureKind) -> None:
    problem = kraken.classify(RawResponse(200, {}, json.dumps({"error": [error]}).encode()))
    assert problem is not None
    assert (problem.kind, problem.code) == (trouble, error)


def test_kraken_warning_is_no_error() -> None:
    assert kraken.classify(RawResponse(200, {}, b'{"error": ["WGeneral:Danger"], "result": {}}')) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=13) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=40,
)


@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), status=st.integers(200, 599))
def test_any_bytes_are_explained_or_not_but_never_break(body: bytes, status: int) -> None:
    for classify in (binance.classify, bitstamp.classify, kraken.classify):
        classify(RawResponse(status, {}, body))


@pytest.mark.parametrize("name", DOUBLES)
def test_any_json_gives_closes_or_an_error_of_ours(
    server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    venue = {
        "binance": binance.Binance,
        "bitstamp": bitstamp.Bitstamp,
        "coinbase": Coinbase,
        "kraken": kraken.Kraken,
    }[name]
    source = source_named(name, Settings(home=tmp_path))
    assert isinstance(source, venue)
    good, _ = SHAPES[name]

    @given(body=mutated(good))
    def read(body: object) -> None:
        with pytest.MonkeyPatch.context() as patch:
            response = ReplayResponse(200, json.dumps(body).encode())
            patch.setattr(server.sites[name], "respond", lambda request, base: response)
            try:
                items = list(source.observe(request_of(since=date(2026, 9, 9))))
            except HashpivotError:
                return
        for item in items:
            if isinstance(item, Batch):
                assert item.rows["day"].max() <= THROUGH

    read()


def mutated(value: object) -> st.SearchStrategy[object]:
    """`value`, with any of its parts replaced by anything."""
    odd = st.sampled_from([None, "", "NaN", "-1", "1e999", -1, 0, 1.5, 10**30, [], {}, "0", 1788998400000000])
    if isinstance(value, dict):
        return st.fixed_dictionaries({name: mutated(each) for name, each in value.items()}) | odd
    if isinstance(value, list):
        whole = st.tuples(*(mutated(each) for each in value)).map(list)
        return whole | whole.map(lambda rows: rows * 2) | whole.map(lambda rows: rows[:-1]) | odd
    return st.just(value) | st.just(value) | st.just(value) | odd


@given(
    candles=st.lists(
        st.tuples(st.integers(), st.decimals() | st.decimals(min_value=1, max_value=10**6, places=2)), max_size=6
    )
    | st.lists(
        st.tuples(
            st.dates(date(2026, 9, 1), date(2026, 9, 12)).map(midnight_seconds),
            st.decimals(min_value=1, max_value=10**6, places=2),
        ),
        max_size=6,
    )
)
def test_any_candles_give_values_within_bounds_or_an_error_of_ours(candles: list[tuple[int, Decimal]]) -> None:
    page = Page([candle(at, close) for at, close in candles], "fuzz", "")
    try:
        values, _, _ = parsed(page, (date(2026, 9, 1), THROUGH), NOW.date())
    except HashpivotError:
        return
    assert values.is_empty() or values["day"].max() <= THROUGH  # type: ignore[operator]
    assert not Batch(
        source="coinbase",
        table=ObservedTable.DAILY_VALUE,
        origin="fuzz",
        sha256="",
        observed_at=NOW,
        rows=values,
    ).failed


def test_venues_of_the_package_are_the_four() -> None:
    assert {venue.site.name for venue in DailyCloses.__subclasses__()} == set(DOUBLES)
    assert closes.SERIES == "price_usd"
