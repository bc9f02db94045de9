"""CryptoQuant: totals and pairs are taken, rewritten history is seen, and a metric that is gone costs itself alone."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import Settings
from flows.sources.choose import source_named
from flows.sources.cryptoquant.kind import CRYPTOQUANT
from flows.sources.cryptoquant.metrics import ENDPOINTS, MINER_TO_EXCHANGE
from flows.sources.cryptoquant.site import classify
from flows.sources.cryptoquant.source import CryptoQuant, Pair, Row, flows_of, last_rewriting, parsed
from flows.sources.protocol import Known, Request
from flows.sources.web.site import RawResponse
from schemas.errors import BadInputError, HashpivotError, RequestRejectedError, SettingsError
from schemas.observations import Batch, ObservedTable
from tests.live.replaying import replayed, values_and_flows
from tests.replay import Fault, ReplayServer
from tests.replay.sites.cryptoquant import (
    EXCHANGES,
    NULL_DAY,
    POOLS,
    CryptoQuantReplay,
    failure,
    flow,
    outflow,
    pair,
    success,
)

THROUGH = date(2026, 9, 10)
NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
"""A Friday; the clusters were rewritten on Tuesday the 8th."""
SERIES = {column.series for endpoint in ENDPOINTS for column in endpoint.columns}


@pytest.fixture
def site() -> CryptoQuantReplay:
    site = CryptoQuantReplay()
    site.today = NOW.date()
    return site


@pytest.fixture
def server(site: CryptoQuantReplay, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    with replayed(monkeypatch, [site], time_scale=0.1) as server:
        yield server


def source(home: Path) -> CryptoQuant:
    made = source_named("cryptoquant", Settings(home=home))
    assert isinstance(made, CryptoQuant)
    return made


def request_of(**changed: object) -> Request:
    return Request(**{"since": None, "through": THROUGH, "now": NOW} | changed)  # type: ignore[arg-type]


def observed(home: Path, **changed: object) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Values, flows, notices."""
    return values_and_flows("cryptoquant", home, request_of(**changed))


def known(until: date, received: datetime) -> Known:
    return Known(newest_day={("cryptoquant", each): until for each in SERIES}, received_at={"cryptoquant": received})


def test_everything_is_read_at_first(server: ReplayServer, tmp_path: Path) -> None:
    values, flows, _ = observed(tmp_path)
    # Each once; on a busy machine a response to one may come too late, and the request is repeated.
    requested = {request.target for request in server.log}
    assert len(requested) == len(ENDPOINTS) + 2 + len(EXCHANGES) + len(POOLS)
    assert set(values["series"]) == SERIES
    assert values["day"].max() == THROUGH
    assert values.filter(pl.col("series") == "miner_outflow_sat").sort("day").rows()[-1] == (
        *("miner_outflow_sat", THROUGH),
        round(outflow(THROUGH) * 1e8),
    )
    assert values.is_duplicated().any() is False
    observed_flows = {
        row[:2]: row[2:]
        for row in flows.filter(pl.col("day") == THROUGH)
        .select("exchange", "pool", "transfer_sat", "transfer_count", "top10_sat")
        .iter_rows()
    }
    expected = {}
    for exchange, name in [("all", "all_exchange"), *((each, each) for each in EXCHANGES)]:
        row = pair(THROUGH, "all_miner", name)
        expected[exchange, "all"] = (round((row["flow_total"] or 0) * 1e8), row["transactions_count_flow"], None)
    for pool in POOLS:
        row = pair(THROUGH, pool, "all_exchange")
        expected["all", pool] = (round((row["flow_total"] or 0) * 1e8), row["transactions_count_flow"], None)
    assert observed_flows == expected


def test_null_is_no_value_and_no_flow(server: ReplayServer, tmp_path: Path) -> None:
    values, flows, _ = observed(tmp_path, since=date(2026, 9, 1))
    assert NULL_DAY not in flows["day"]
    of_flow = values.filter(pl.col("series") == "miner_to_exchange_sat")
    assert NULL_DAY not in of_flow["day"]
    assert of_flow.height == 9


def test_flow_to_a_dead_exchange_begins_and_ends_with_it(server: ReplayServer, tmp_path: Path) -> None:
    _, flows, _ = observed(tmp_path)
    of_dead = flows.filter((pl.col("exchange") == "mtgox") & (pl.col("transfer_sat") > 0))
    assert flow(date(2011, 6, 1), "antpool", "mtgox") > 0
    assert (of_dead["day"].min(), of_dead["day"].max()) == (date(2011, 6, 1), date(2014, 1, 31))
    assert flows.filter(pl.col("exchange") == "mtgox")["day"].min() == date(2011, 6, 1)


def test_later_run_fetches_only_totals_and_the_busiest(server: ReplayServer, tmp_path: Path) -> None:
    observed(tmp_path)
    before = len(server.log)
    later = NOW + timedelta(days=1)
    request = request_of(known=known(THROUGH, NOW), now=later, through=THROUGH)
    planned = source(tmp_path).plan(request).requests_count
    values, flows, _ = observed(tmp_path, known=known(THROUGH, NOW), now=later)
    # Every pair but the dead exchange's.
    assert len(server.log) - before == planned == len(ENDPOINTS) + len(EXCHANGES) - 1 + len(POOLS)
    assert values["day"].min() == THROUGH - timedelta(days=45)
    assert flows["day"].min() == THROUGH - timedelta(days=45)
    assert "mtgox" not in flows["exchange"]
    assert all("entity-list" not in sent.path for sent in server.log[before:])


@pytest.mark.parametrize(
    ("now", "count"),
    [
        (datetime(2026, 9, 15, 1, 59, tzinfo=UTC), 16),
        (datetime(2026, 9, 15, 2, 0, tzinfo=UTC), 19),
        (datetime(2026, 9, 20, tzinfo=UTC), 19),
    ],
)
def test_everything_is_read_again_once_the_clusters_are_rewritten(
    server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path, now: datetime, count: int
) -> None:
    observed(tmp_path)
    site.today = now.date()
    before = len(server.log)
    values, _, _ = observed(tmp_path, now=now, through=now.date() - timedelta(days=1), known=known(THROUGH, NOW))
    assert len(server.log) - before == count
    assert (values["day"].min() == date(2009, 1, 3)) is (count == 19)


def test_rewriting_is_that_of_the_last_tuesday_at_two() -> None:
    tuesday = datetime(2026, 9, 8, 2, tzinfo=UTC)
    assert last_rewriting(NOW) == tuesday
    assert last_rewriting(tuesday) == tuesday
    assert last_rewriting(tuesday - timedelta(seconds=1)) == tuesday - timedelta(days=7)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"read_at": "2026-09-11T06:00:00", "pairs": []}'])
def test_broken_memory_costs_a_full_reading_and_nothing_else(
    server: ReplayServer, tmp_path: Path, content: bytes
) -> None:
    observed(tmp_path)
    (kept,) = (tmp_path / "web" / "cryptoquant").iterdir()
    kept.write_bytes(content)
    values, _, _ = observed(tmp_path, known=known(THROUGH, NOW))
    assert values["day"].min() == date(2009, 1, 3)


def test_rewritten_value_is_seen(server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path) -> None:
    observed(tmp_path)
    site.rewrite()
    values, _, _ = observed(tmp_path, known=known(THROUGH, NOW))
    cell = (pl.col("series") == "miner_outflow_sat") & (pl.col("day") == date(2026, 9, 8))
    assert values.filter(cell)["value"].to_list() == [777_750_000_000]


def test_metric_beyond_the_plan_costs_itself_alone(
    server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path
) -> None:
    site.forbidden = {"/btc/flow-indicator/mpi"}
    values, _, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert set(values["series"]) == SERIES - {"reported_mpi_zscore"}
    assert notices == ["missing: forbidden"]


def test_without_the_total_no_pair_is_fetched(server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path) -> None:
    site.forbidden = {MINER_TO_EXCHANGE}
    values, flows, _ = observed(tmp_path)
    assert flows.is_empty()
    assert "miner_outflow_sat" in values["series"]
    assert len(server.log) == len(ENDPOINTS)


def test_names_beyond_the_plan_leave_the_totals(server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path) -> None:
    site.forbidden = {"/btc/status/entity-list"}
    values, flows, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert set(values["series"]) == SERIES
    assert set(flows["exchange"]) == {"all"}
    assert "names of exchanges are missing: forbidden; their flows are not fetched" in notices


def test_plan_that_reaches_nothing_is_an_error(server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path) -> None:
    site.forbidden = {endpoint.path for endpoint in ENDPOINTS}
    with pytest.raises(RequestRejectedError, match="forbidden"):
        observed(tmp_path)


@pytest.mark.parametrize("has_rows", [True, False])
def test_deprecated_is_reported_with_or_without_rows(
    server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path, has_rows: bool
) -> None:
    site.deprecated = {"/btc/miner-flows/reserve": has_rows}
    values, _, notices = observed(tmp_path, since=date(2026, 9, 1))
    assert ("miner_reserve_sat" in values["series"]) is has_rows
    expected = "the vendor calls this deprecated, and may take it away" if has_rows else "missing: deprecated"
    assert notices == [expected]


def test_key_that_is_not_taken_is_named(
    server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: CryptoQuantReplay
) -> None:
    server.faults.append(Fault("401 json", "cryptoquant"))
    with pytest.raises(SettingsError, match=r"HASHPIVOT_CRYPTOQUANT_KEY.*Token does not exist"):
        observed(tmp_path)
    monkeypatch.delenv("HASHPIVOT_CRYPTOQUANT_KEY")
    with pytest.raises(SettingsError, match="HASHPIVOT_CRYPTOQUANT_KEY"):
        observed(tmp_path)
    assert len(server.log) == 1


def test_probe_costs_one_request(server: ReplayServer, tmp_path: Path) -> None:
    assert source(tmp_path).probe() == "takes the key, and knows 4 pools"
    assert len(server.log) == 1


def test_renamed_column_is_refused(
    server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = success({"window": "day", "data": [{"date": "2026-09-10", "outflow": 5}]})
    monkeypatch.setattr(site, "respond", lambda request, base: response)
    with pytest.raises(BadInputError, match="rows without outflow_total"):
        observed(tmp_path)


@pytest.mark.parametrize("symbol", ["../../status", "a&to_exchange=b", "", "x" * 61])
def test_odd_name_of_an_exchange_goes_into_no_request(
    server: ReplayServer, site: CryptoQuantReplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbol: str
) -> None:
    monkeypatch.setattr(site, "_entities", lambda request: success({"data": [{"symbol": symbol}]}))
    with pytest.raises(BadInputError, match="symbol"):
        observed(tmp_path, since=date(2026, 9, 1))
    assert server.log[-1].path == "/btc/status/entity-list"


def test_recorded_shape_of_a_flow_is_read() -> None:
    body = b"""[{"date": "2026-09-10", "flow_total": 412.83120411, "flow_mean": 3.93172575,
        "transactions_count_flow": 105}, {"date": "2026-09-08", "flow_total": null, "flow_mean": null,
        "transactions_count_flow": 0}]"""
    endpoint = next(each for each in ENDPOINTS if each.path == MINER_TO_EXCHANGE)
    values, notices, _ = parsed(
        "sample", msgspec.json.decode(body, type=list[Row]), endpoint.columns, request_of(), whole=False
    )
    assert notices == []
    assert sorted(values.rows()) == [
        ("miner_to_exchange_count", date(2026, 9, 8), 0.0),
        ("miner_to_exchange_count", THROUGH, 105.0),
        ("miner_to_exchange_mean_sat", THROUGH, 393_172_575.0),
        ("miner_to_exchange_sat", THROUGH, 41_283_120_411.0),
    ]
    assert flows_of(values, Pair(exchange="binance", pool="all")).rows() == [
        (THROUGH, "binance", "all", 41_283_120_411, 105, None)
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [('"NaN"', "plain finite number"), ("true", "plain finite number"), ("-1", "at least 0"), ("1e400", "plain")],
)
def test_cell_that_cannot_be_believed_is_refused(cell: str, expected: str) -> None:
    rows = msgspec.json.decode(f'[{{"date": "2026-09-10", "reserve": {cell}}}]'.encode(), type=list[Row])
    columns = next(each.columns for each in ENDPOINTS if each.path.endswith("miner-flows/reserve"))
    with pytest.raises(BadInputError, match=expected):
        parsed("sample", rows, columns, request_of(), whole=True)


HEADERS = sorted({"date", *(column.header for endpoint in ENDPOINTS for column in endpoint.columns)})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
DAYS = st.dates(date(2009, 1, 1), date(2026, 9, 12)).map(str)


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(HEADERS), JSON | st.floats(0, 1e6)), max_size=5),
    days=st.lists(DAYS, min_size=5, max_size=5),
    dated=st.booleans(),
    endpoint=st.sampled_from(ENDPOINTS),
    whole=st.booleans(),
)
def test_any_rows_give_values_within_bounds_or_an_error_of_ours(
    rows: list[dict[str, object]], days: list[str], dated: bool, endpoint: object, whole: bool
) -> None:
    if dated:
        rows = [row | {"date": day} for row, day in zip(rows, days, strict=False)]
    try:
        decoded = msgspec.json.decode(json.dumps(rows).encode(), type=list[Row])
    except msgspec.DecodeError:  # NaN and Infinity are no JSON
        return
    try:
        values, _, _ = parsed("fuzz", decoded, endpoint.columns, request_of(), whole=whole)  # type: ignore[attr-defined]
    except HashpivotError:
        return
    facts: Mapping[str, object] = {"source": CRYPTOQUANT.name, "origin": "", "sha256": "", "observed_at": NOW}
    assert not Batch(table=ObservedTable.DAILY_VALUE, rows=values, **facts).failed  # type: ignore[arg-type]
    flows = flows_of(values, Pair(exchange="x", pool="all"))
    Batch(table=ObservedTable.EXCHANGE_FLOW, rows=flows, **facts)  # type: ignore[arg-type]


@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), status=st.integers(200, 599))
def test_any_bytes_are_explained_or_not_but_never_break(body: bytes, status: int) -> None:
    classify(RawResponse(status, {}, body))


def test_unknown_message_with_status_200_is_rejected() -> None:
    problem = classify(RawResponse(200, {}, failure(200, "maintenance").body))
    assert problem is not None
    assert problem.code == "maintenance"
