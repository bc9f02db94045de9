"""Glassnode: each metric by itself, what each exchange received, and nothing that cannot be believed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.settings import Settings
from flows.sources.choose import source_named
from flows.sources.glassnode.kind import GLASSNODE
from flows.sources.glassnode.metrics import METRICS, TO_EACH_EXCHANGE
from flows.sources.glassnode.site import classify
from flows.sources.glassnode.source import Glassnode, Point, Split, flows_of, parsed, parsed_split
from flows.sources.protocol import Known, Request
from flows.sources.unix_days import day_text, midnight_seconds
from flows.sources.web.site import RawResponse
from schemas.errors import BadInputError, HashpivotError, RequestRejectedError, SettingsError
from schemas.observations import Batch, ObservedTable
from tests.live.replaying import replayed, values_and_flows
from tests.replay import Fault, ReplayServer, json_response
from tests.replay.sites.glassnode import EXCHANGES, GlassnodeReplay, to_exchange, to_exchanges

THROUGH = date(2026, 9, 10)
NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
SERIES = {column.series for column in METRICS}


@pytest.fixture
def site() -> GlassnodeReplay:
    site = GlassnodeReplay()
    site.today = NOW.date()
    return site


@pytest.fixture
def server(site: GlassnodeReplay, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    with replayed(monkeypatch, [site], time_scale=0.05) as server:
        yield server


def source(home: Path) -> Glassnode:
    made = source_named("glassnode", Settings(home=home))
    assert isinstance(made, Glassnode)
    return made


def request_of(**changed: object) -> Request:
    return Request(**{"since": None, "through": THROUGH, "now": NOW} | changed)  # type: ignore[arg-type]


def observed(home: Path, **changed: object) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Values, flows, notices."""
    return values_and_flows("glassnode", home, request_of(**changed))


def known(until: date, received: datetime) -> Known:
    return Known(newest_day={("glassnode", each): until for each in SERIES}, received_at={"glassnode": received})


def test_everything_is_read_at_first(server: ReplayServer, tmp_path: Path) -> None:
    values, flows, _ = observed(tmp_path)
    assert len(server.log) == source(tmp_path).plan(request_of()).requests_count == 6
    assert set(values["series"]) == SERIES
    assert values["day"].max() == THROUGH
    observed_flows = {row[0]: row[1:] for row in flows.filter(pl.col("day") == THROUGH).drop("day").iter_rows()}
    assert observed_flows == {
        "all": ("all", round(to_exchanges(THROUGH) * 1e8), None, None),
        **{name: ("all", round(to_exchange(THROUGH, name) * 1e8), None, None) for name in EXCHANGES},
    }
    by_name = flows.group_by("exchange").agg(pl.col("day").min()).sort("exchange")
    assert dict(by_name.iter_rows()) == {"all": date(2009, 1, 3)} | dict.fromkeys(EXCHANGES, date(2011, 6, 1))


def test_later_run_fetches_thirty_days_and_a_new_week_everything(server: ReplayServer, tmp_path: Path) -> None:
    until = THROUGH - timedelta(days=1)
    values, flows, _ = observed(tmp_path, known=known(until, NOW - timedelta(days=1)))
    assert (values["day"].min(), values["day"].max()) == (until - timedelta(days=30), THROUGH)
    assert flows["day"].min() == until - timedelta(days=30)
    values, _, _ = observed(tmp_path, known=known(until, NOW - timedelta(days=7)))
    assert values["day"].min() == date(2009, 1, 3)


def test_running_day_is_never_stated(server: ReplayServer, tmp_path: Path) -> None:
    values, flows, _ = observed(tmp_path, since=THROUGH, through=NOW.date())
    assert set(values["day"]) == set(flows["day"]) == {THROUGH}


def test_relabelled_value_is_seen(server: ReplayServer, site: GlassnodeReplay, tmp_path: Path) -> None:
    site.relabel()
    values, _, _ = observed(tmp_path, known=known(THROUGH, NOW))
    cell = (pl.col("series") == "miner_outflow_sat") & (pl.col("day") == date(2026, 9, 8))
    assert values.filter(cell)["value"].to_list() == [333_350_000_000]


def test_metric_beyond_the_plan_costs_itself_alone(server: ReplayServer, site: GlassnodeReplay, tmp_path: Path) -> None:
    site.beyond_plan = {TO_EACH_EXCHANGE, "distribution/balance_miners_sum"}
    values, flows, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert set(values["series"]) == SERIES - {"miner_reserve_sat"}
    assert set(flows["exchange"]) == {"all"}
    assert notices == ["missing: plan"] * 2


def test_plan_that_reaches_nothing_is_an_error(server: ReplayServer, site: GlassnodeReplay, tmp_path: Path) -> None:
    site.beyond_plan = {column.header for column in METRICS}
    with pytest.raises(RequestRejectedError, match="not available in your current plan"):
        observed(tmp_path)


def test_key_that_is_not_taken_is_named(server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults.append(Fault("401 text", "glassnode"))
    with pytest.raises(SettingsError, match=r"HASHPIVOT_GLASSNODE_KEY.*invalid api key"):
        observed(tmp_path)
    monkeypatch.delenv("HASHPIVOT_GLASSNODE_KEY")
    with pytest.raises(SettingsError, match="HASHPIVOT_GLASSNODE_KEY"):
        observed(tmp_path)
    assert len(server.log) == 1


def test_key_is_in_no_origin(server: ReplayServer, site: GlassnodeReplay, tmp_path: Path) -> None:
    items = list(source(tmp_path).observe(request_of(since=THROUGH)))
    assert items
    assert all("api_key" not in item.origin and str(site.secret) not in item.origin for item in items)


def test_probe_costs_one_request(server: ReplayServer, tmp_path: Path) -> None:
    assert source(tmp_path).probe() == "takes the key, 1,204 credits used"
    assert len(server.log) == 1


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 61, "Ⅻ"])
def test_odd_name_of_an_exchange_is_refused(name: str) -> None:
    rows = [Split(t=midnight_seconds(THROUGH), o={name: Decimal(1)})]
    with pytest.raises(BadInputError, match="the name of an exchange"):
        parsed_split("sample", rows, request_of(), whole=True)


def test_exchange_by_any_name_is_a_name() -> None:
    """Names of columns that the parser uses itself are no exception."""
    rows = [Split(t=midnight_seconds(THROUGH), o=dict.fromkeys(["day", "row", "o", "value", "cell"], Decimal(1)))]
    flows, _ = parsed_split("sample", rows, request_of(), whole=True)
    assert flows["exchange"].to_list() == ["cell", "day", "o", "row", "value"]


def test_sum_among_the_exchanges_is_none_of_them() -> None:
    rows = [Split(t=midnight_seconds(THROUGH), o={"binance": Decimal(1), "aggregated": Decimal(1), "all": Decimal(1)})]
    flows, _ = parsed_split("sample", rows, request_of(), whole=True)
    assert flows["exchange"].to_list() == ["binance"]


def test_recorded_shapes_are_read() -> None:
    points = msgspec.json.decode(b'[{"t": 1788912000, "v": 371.0092}, {"t": 1788998400, "v": null}]', type=list[Point])
    column = next(each for each in METRICS if each.series == "miner_to_exchange_sat")
    values, _, _ = parsed("sample", [(each.t, each.v) for each in points], column, request_of(), whole=True)
    assert values.rows() == [("miner_to_exchange_sat", date(2026, 9, 9), 37_100_920_000.0)]
    body = b'[{"t": 1788998400, "o": {"binance": 120.22, "coinbase": 88.1, "kraken": 12.004}}]'
    flows, _ = parsed_split("sample", msgspec.json.decode(body, type=list[Split]), request_of(), whole=True)
    assert flows.select("exchange", "transfer_sat").rows() == [
        ("binance", 12_022_000_000),
        ("coinbase", 8_810_000_000),
        ("kraken", 1_200_400_000),
    ]


@pytest.mark.parametrize(
    "body", [[{"t": 1788998400}], [{"t": "2026-09-10T00:00:00Z", "v": 1}], {"data": []}, [{"t": 1788998401, "v": 1}]]
)
def test_response_of_another_shape_is_rejected(
    server: ReplayServer, site: GlassnodeReplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: object
) -> None:
    monkeypatch.setattr(site, "respond", lambda request, base: json_response(body))
    with pytest.raises(BadInputError):
        observed(tmp_path)


TIMES = st.integers() | st.dates(date(2008, 1, 1), date(2026, 9, 12)).map(midnight_seconds)
NUMBERS = st.none() | st.decimals() | st.decimals(min_value=0, max_value=10**7, places=8)


@given(cells=st.lists(st.tuples(TIMES, NUMBERS), max_size=6), column=st.sampled_from(METRICS), whole=st.booleans())
def test_any_points_give_values_within_bounds_or_an_error_of_ours(
    cells: list[tuple[int, Decimal | None]], column: object, whole: bool
) -> None:
    try:
        values, _, _ = parsed("fuzz", cells, column, request_of(), whole=whole)  # type: ignore[arg-type]
    except HashpivotError:
        return
    facts: Mapping[str, object] = {"source": GLASSNODE.name, "origin": "", "sha256": "", "observed_at": NOW}
    assert not Batch(table=ObservedTable.DAILY_VALUE, rows=values, **facts).failed  # type: ignore[arg-type]
    of_flow = values.filter(pl.col("series") == "miner_to_exchange_sat")
    Batch(table=ObservedTable.EXCHANGE_FLOW, rows=flows_of(of_flow, "all"), **facts)  # type: ignore[arg-type]


@given(
    rows=st.lists(
        st.builds(Split, t=TIMES, o=st.dictionaries(st.text("abc.", max_size=3), NUMBERS, max_size=4)), max_size=5
    ),
    whole=st.booleans(),
)
def test_any_split_gives_flows_or_an_error_of_ours(rows: list[Split], whole: bool) -> None:
    try:
        flows, _ = parsed_split("fuzz", rows, request_of(), whole=whole)
    except HashpivotError:
        return
    facts: Mapping[str, object] = {"source": GLASSNODE.name, "origin": "", "sha256": "", "observed_at": NOW}
    Batch(table=ObservedTable.EXCHANGE_FLOW, rows=flows, **facts)  # type: ignore[arg-type]


@given(
    body=st.binary(max_size=300),
    status=st.sampled_from([403, 404, 405]) | st.integers(200, 599),
    typed=st.sampled_from(["text/plain", "text/html"]),
)
def test_any_bytes_are_explained_or_not_but_never_break(body: bytes, status: int, typed: str) -> None:
    problem = classify(RawResponse(status, {"content-type": typed}, body))
    assert (problem is not None) is (status in (403, 404) and typed == "text/plain")


@given(day=st.dates(date(1970, 1, 1)), off=st.integers(1, 86_399))
@example(day=date(1970, 1, 1), off=1)
@example(day=date.max, off=1)
def test_midnight_is_a_day_and_any_other_time_is_not(day: date, off: int) -> None:
    assert day_text(midnight_seconds(day)) == str(day)
    assert day_text(midnight_seconds(day) + off) == str(midnight_seconds(day) + off)
