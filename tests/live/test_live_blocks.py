"""Blocks from explorers: sums hold to the satoshi, a lie is found out, and replaced blocks are read again."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import Settings
from flows.sources.block_frame import block_frame
from flows.sources.choose import source_named, web_session_of
from flows.sources.esplora.responses import Block as EsploraBlock
from flows.sources.esplora.responses import Transaction, with_coinbase
from flows.sources.hosted_blocks.block import HostedBlock, chained
from flows.sources.hosted_blocks.pool import NAMED_OTHERWISE
from flows.sources.mempool.difficulty import Adjustment, difficulty_days
from flows.sources.mempool.responses import Block, BulkBlock, hosted_block
from flows.sources.protocol import Estimate, Known, Planned, Request
from schemas.enforce import enforce
from schemas.errors import BadInputError, HashpivotError, RequestBudgetError, TransientError
from schemas.observations import BLOCK, DAILY_VALUE, Notice, ObservedTable
from tests.live.replaying import replayed
from tests.replay import ReplayServer
from tests.replay.chain import PAYOUT, Chain, mainlike_slot, young
from tests.replay.sites.esplora import EsploraReplay
from tests.replay.sites.mempool import MempoolReplay
from transforms.attribution.pool_names import PoolNames, slug
from transforms.calendar import dated, fold_blocks, whole_days
from transforms.chain import subsidy_sat
from warehouse.pool_list import read_pool_list

NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
THROUGH = date(2026, 9, 10)
SAMPLES = Path(__file__).parent / "samples"
NAMES = PoolNames(read_pool_list())


@pytest.fixture
def site() -> MempoolReplay:
    site = MempoolReplay()
    site.now = NOW
    return site


@pytest.fixture
def server(site: MempoolReplay, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    with replayed(monkeypatch, [site], time_scale=0.04) as server:
        yield server


class Home:
    """One home: what its source says is put together as the warehouse would, and known the next time."""

    def __init__(self, folder: Path, name: str = "mempool") -> None:
        self.settings, self.name = Settings(home=folder), name
        self.blocks: dict[int, tuple[Any, ...]] = {}
        self.days: dict[date, float] = {}
        self.received_at: dict[str, datetime] = {}

    @property
    def known(self) -> Known:
        heights = {self.name: max(self.blocks)} if self.blocks else {}
        newest = {(self.name, "difficulty"): max(self.days)} if self.days else {}
        return Known(newest_height=heights, newest_day=newest, received_at=self.received_at)

    def request(self, now: datetime, **changed: Any) -> Request:
        given = {"since": None, "through": now.date() - timedelta(days=1), "now": now, "known": self.known} | changed
        return Request(**given)

    def read(self, now: datetime, *, most_requests: int | None = None, **changed: Any) -> list[str]:
        settings = self.settings.model_copy(update={"max_requests": most_requests})
        session = web_session_of(settings)
        notices = []
        try:
            for item in source_named(self.name, settings, session).observe(self.request(now, **changed)):
                if isinstance(item, Notice):
                    notices.append(item.message)
                elif item.table is ObservedTable.BLOCK:
                    self.blocks.update((row[0], row) for row in item.rows.iter_rows())
                    self.received_at = {self.name: now}
                else:
                    self.days.update(item.rows.select("day", "value").iter_rows())
        finally:
            session.close()
        return notices

    def frame(self) -> pl.DataFrame:
        rows = [self.blocks[height] for height in sorted(self.blocks)]
        return pl.DataFrame(rows, schema=block_frame([]).schema, orient="row")


def truth(chain: Chain, height: int) -> tuple[int, datetime, int, int]:
    at = datetime.fromtimestamp(chain.time(height), UTC)
    return height, at, chain.subsidy(height), chain.fees(height)


def is_the_chain(home: Home, chain: Chain, first: int, last: int) -> bool:
    stored = [(row[0], row[1], row[3], row[4]) for _, row in sorted(home.blocks.items())]
    return stored == [truth(chain, height) for height in range(first, last + 1)]


# What real servers sent.


def real_blocks(shared_data: Path) -> list[dict[str, Any]]:
    page = json.loads((shared_data / "mempool" / "details_rbf__tx01_ws_blocks_01.json").read_bytes())["blocks"]
    documented = shared_data / "mempool" / "api_docs_examples"
    return [
        *page,
        *json.loads((documented / "get-blocks-v1.json").read_bytes()),
        json.loads((documented / "get-block-v1.json").read_bytes()),
    ]


def test_reward_of_real_blocks_is_subsidy_and_fees_to_the_satoshi(shared_data: Path) -> None:
    stored = real_blocks(shared_data)
    blocks = [hosted_block("real", msgspec.convert(block, Block), NAMES) for block in stored]
    assert len(blocks) == 10
    for block, stated in zip(blocks, stored, strict=True):
        assert block.subsidy_claimed_sat == subsidy_sat(block.height)
        assert block.fees_sat is not None
        assert subsidy_sat(block.height) + block.fees_sat == stated["extras"]["reward"]
    assert [block.height for block in chained("real", blocks[7::-1])] == list(range(890_440, 890_448))


def test_our_names_of_real_pools_are_the_servers(shared_data: Path) -> None:
    for stated in real_blocks(shared_data):
        assert hosted_block("real", msgspec.convert(stated, Block), NAMES).pool == stated["extras"]["pool"]["slug"]


def test_bulk_and_pages_agree_on_a_real_block(shared_data: Path) -> None:
    documented = shared_data / "mempool" / "api_docs_examples"
    (bulk,) = json.loads((documented / "get-blocks-bulk.json").read_bytes())
    block = hosted_block("real", msgspec.convert(bulk, BulkBlock).as_block(), NAMES)
    assert (block.height, block.reward_sat, block.fees_sat, block.pool) == (100_000, 50 * 10**8, 0, "unknown")
    plain = json.loads((documented / "get-blocks.json").read_bytes())
    two = [hosted_block("real", msgspec.convert(each, Block), NAMES) for each in plain]
    assert [block.subsidy_claimed_sat for block in chained("real", two)] == [None, None]


def test_names_of_our_list_are_those_of_the_public_one(shared_data: Path) -> None:
    public = {slug(pool["name"]) for pool in json.loads((shared_data / "pools" / "pools-v2.json").read_bytes())}
    assert {slug(pool.name) for pool in read_pool_list()} - set(NAMED_OTHERWISE.values()) <= public
    assert set(NAMED_OTHERWISE) <= public


SPOILED = [
    ({"timestamp": 1_743_535_678}, "header that hashes to"),
    ({"difficulty": 113_757_600_000_000.0}, "as its bits give"),
    ({"previousblockhash": "00" * 32}, "header that hashes to"),
    ({"height": 890_441}, "a coinbase that begins 0348960d"),
    ({"extras": {"reward": 312_500_001 + 7_338_750, "totalFees": 7_338_750}}, "a subsidy of 312,500,001"),
]


@pytest.mark.parametrize(("changed", "found"), SPOILED, ids=["time", "difficulty", "parent", "height", "reward"])
def test_spoiled_real_block_is_found_out(shared_data: Path, changed: dict[str, Any], found: str) -> None:
    stated = real_blocks(shared_data)[0] | changed
    with pytest.raises(BadInputError, match=found):
        hosted_block("real", msgspec.convert(stated, Block), NAMES)


def test_miner_who_leaves_fees_claims_no_subsidy() -> None:
    block = HostedBlock(501_726, "", "", 0, 0, 1.0, reward_sat=0, fees_sat=123)
    assert block.subsidy_claimed_sat == 0


# Runs.


def test_first_run_reads_eight_days_and_the_difficulty_of_all(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    assert home.read(NOW) == []
    assert len(server.log) <= 92
    assert is_the_chain(home, site.chain, min(home.blocks), site.tip)
    days = whole_days(dated(home.frame())).filter("is_whole")["day"].to_list()
    assert days == [THROUGH - timedelta(days=each) for each in range(7, -1, -1)]
    assert (min(home.days), max(home.days)) == (date(2009, 1, 3), THROUGH)
    # On days without an adjustment the list says just what the blocks say.
    folded = fold_blocks(dated(home.frame()), whole_days(dated(home.frame())))
    of_blocks = dict(folded.filter(pl.col("series") == "difficulty").select("day", "value").iter_rows())
    assert sum(of_blocks[day] == pytest.approx(home.days[day], rel=1e-12) for day in of_blocks) >= 7
    assert all(of_blocks[day] == pytest.approx(home.days[day], rel=2e-3) for day in of_blocks)


def test_requests_keep_a_second_between_them(server: ReplayServer, tmp_path: Path) -> None:
    Home(tmp_path).read(NOW)
    times = [sent.at for sent in server.log]
    assert times[-1] - times[0] >= 0.9 * (len(times) - 1) * server.time_scale


def test_pools_are_ours_where_known_and_the_servers_else(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    ours = {"ocean": "oceanxyz"}
    expected = [site.chain.pool(height)[1] for height in sorted(home.blocks)]
    assert home.frame()["pool"].to_list() == [ours.get(pool, pool) for pool in expected]
    assert set(expected) >= {"foundryusa", "backwaterpool", "unknown", "ocean"}


def test_later_day_costs_about_a_dozen_requests(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    first, before = min(home.blocks), len(server.log)
    site.next_day()
    assert home.read(site.now) == []
    assert len(server.log) - before <= 12
    assert is_the_chain(home, site.chain, first, site.tip)
    before = len(server.log)
    home.read(site.now)
    assert len(server.log) - before == 2


def test_plan_is_about_what_it_costs(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)

    def planned(**changed: Any) -> Estimate:
        source = source_named("mempool", home.settings)
        assert isinstance(source, Planned)
        return source.plan(home.request(site.now, **changed))

    costs = []
    for changed in ({}, {}, {"since": date(2026, 9, 1), "through": date(2026, 9, 3)}):
        before, estimate = len(server.log), planned(**changed)
        home.read(site.now, **changed)
        costs.append((estimate.requests_count, len(server.log) - before))
        assert estimate.seconds == estimate.requests_count
        site.next_day()
    assert all(abs(estimated - was) <= 6 for estimated, was in costs), costs


def test_probe_is_one_request(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    source: Any = source_named("mempool", Settings(home=tmp_path))
    assert f"block {site.tip:,}" in source.probe()
    assert len(server.log) == 1


def test_range_of_the_past_is_read_with_the_blocks_around_it(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.read(NOW, since=date(2026, 5, 1), through=date(2026, 5, 2))
    days = whole_days(dated(home.frame())).filter(pl.col("is_whole") & (pl.col("later_block_count") >= 6))["day"]
    assert days.to_list() == [date(2026, 5, 1), date(2026, 5, 2)]
    assert len(home.blocks) < 2.8 * 147
    assert set(home.days) == {date(2026, 5, 1), date(2026, 5, 2)}


def test_server_of_ones_own_gives_bulks(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    site.bulk_blocks = 500
    home.read(NOW)
    assert len(server.log) <= 10
    assert is_the_chain(home, site.chain, min(home.blocks), site.tip)


def test_bulks_that_are_switched_off_cost_one_request(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    site.bulk_blocks = 0
    home.read(NOW)
    assert sum("bulk" in sent.path for sent in server.log) == 1
    assert is_the_chain(home, site.chain, min(home.blocks), site.tip)


# Blocks that are replaced.


@pytest.mark.parametrize("depth", [1, 6, 40])
def test_blocks_replaced_between_two_runs_are_read_again(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path, depth: int
) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    first, old_tip = min(home.blocks), site.tip
    site.reorganise(depth)
    site.now += timedelta(hours=3)
    (notice,) = home.read(site.now)
    assert f"blocks above {old_tip - depth:,} were replaced" in notice
    assert is_the_chain(home, site.chain, first, site.tip)
    assert home.read(site.now) == []


def test_branch_that_is_no_longer_is_seen_too(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    first = min(home.blocks)
    site.reorganise(4)
    site.withheld_count = 1
    home.read(NOW)
    del home.blocks[max(home.blocks)]
    assert is_the_chain(home, site.chain, first, site.tip)
    site.withheld_count = 0
    site.now += timedelta(hours=2)
    home.read(site.now)
    assert is_the_chain(home, site.chain, first, site.tip)


@pytest.mark.parametrize("number", [5, 30, 60, 88])
def test_blocks_replaced_between_two_requests_are_read_again(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path, number: int
) -> None:
    home = Home(tmp_path)
    tip = site.tip
    # Deep enough that pages which were read are replaced, wherever the run stands.
    site.changes[number] = lambda: site.chain.replace(tip - 1_150 + 14 * number)
    home.read(NOW)
    assert is_the_chain(home, site.chain, min(home.blocks), site.tip)
    site.next_day()
    assert home.read(site.now) == []
    assert is_the_chain(home, site.chain, min(home.blocks), site.tip)


def test_chain_that_does_not_stand_still_is_given_time(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    site.next_day()
    for number in range(site.received_count + 3, site.received_count + 60):
        site.changes[number] = lambda: site.chain.replace(site.tip - 160)
    with pytest.raises(TransientError, match="6 reorganisations in one run"):
        home.read(site.now)


def test_other_chain_is_not_taken_for_ours(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    site.chain.replace(site.chain.floor)
    site.now += timedelta(hours=5)
    with pytest.raises(BadInputError, match="a chain without any of the 300 newest blocks"):
        home.read(site.now)


def test_server_that_is_far_behind_is_waited_for(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    site.withheld_count = 20
    assert home.read(NOW) == []
    site.withheld_count = 400
    with pytest.raises(TransientError, match="wait until the server has caught up"):
        home.read(NOW)


# What can go wrong at home.


def test_run_out_of_requests_is_gone_on_with(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(RequestBudgetError):
        home.read(NOW, most_requests=30)
    first, got = min(home.blocks), max(home.blocks)
    assert is_the_chain(home, site.chain, first, got)
    assert got - first > 300
    before = len(server.log)
    home.read(NOW)
    assert is_the_chain(home, site.chain, first, site.tip)
    assert len(server.log) - before < 70


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"first_height": -1, "hashes": []}', b"\xff\xfe"])
def test_damaged_memory_is_none(server: ReplayServer, site: MempoolReplay, tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    first = min(home.blocks)
    (home.settings.web / "mempool" / "blocks.json").write_bytes(content)
    site.reorganise(5)
    site.now += timedelta(hours=1)
    home.read(site.now)
    assert is_the_chain(home, site.chain, first, site.tip)


def test_memory_of_a_warehouse_that_is_gone_does_not_count(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    Home(tmp_path).read(NOW)
    again = Home(tmp_path)
    again.read(NOW)
    assert len(again.blocks) > 1_150


def test_home_unused_for_months_starts_again_and_reports_it(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    gap_from = max(home.blocks) + 1
    site.now += timedelta(days=60)
    before = len(server.log)
    (notice,) = home.read(site.now)
    assert notice.startswith(f"blocks from {gap_from:,} on were missed and are skipped")
    assert len(server.log) - before < 100
    site.next_day()
    before = len(server.log)
    assert home.read(site.now) == []
    assert len(server.log) - before <= 12


def test_range_of_the_past_is_not_where_the_next_run_goes_on(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    memory = home.settings.web / "mempool" / "blocks.json"
    for kept in (memory.read_bytes(), b""):
        memory.write_bytes(kept)
        home.read(NOW, since=date(2026, 8, 20), through=date(2026, 8, 20))
        before = len(server.log)
        site.next_day()
        assert home.read(site.now) == []
        assert len(server.log) - before < (13 if kept else 95)
        assert site.tip in home.blocks


def test_range_above_a_gap_leaves_the_gap_to_the_next_run(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.read(NOW)
    first = min(home.blocks)
    site.now += timedelta(days=5)
    home.read(site.now, since=site.now.date() - timedelta(days=1))
    assert len(home.blocks) < site.tip - first + 1
    home.read(site.now)
    assert is_the_chain(home, site.chain, first, site.tip)


def test_one_spoiled_block_stops_and_what_was_read_before_stays(
    server: ReplayServer, site: MempoolReplay, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    bad = site.tip - 500
    site.spoiled[bad] = {"reward": site.chain.subsidy(bad) + site.chain.fees(bad) + 1}
    with pytest.raises(BadInputError, match=f"block {bad:,}: found 'a subsidy of 312,500,001 satoshi'"):
        home.read(NOW)
    assert is_the_chain(home, site.chain, min(home.blocks), max(home.blocks))
    assert bad - 15 <= max(home.blocks) < bad
    site.spoiled.clear()
    home.read(NOW)
    assert is_the_chain(home, site.chain, min(home.blocks), site.tip)


def test_amounts_that_are_not_stated_are_null(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    tip = site.tip
    site.spoiled[tip] = {"extras": None}
    site.spoiled[tip - 1] = {"reward": None, "pool": None, "coinbaseRaw": None}
    home.read(NOW)
    assert home.blocks[tip][3:] == (None, None, None)
    assert home.blocks[tip - 1][3:] == (None, site.chain.fees(tip - 1), None)


# Difficulty.


def test_late_adjustment_is_not_guessed(server: ReplayServer, site: MempoolReplay, tmp_path: Path) -> None:
    home = Home(tmp_path)
    site.adjusts_until = site.tip - 2_016
    (notice,) = home.read(NOW)
    noted = site.adjustments()[0]
    stands_until = datetime.fromtimestamp(noted[0], UTC).date()
    assert notice == f"has no adjustment after {stands_until} yet"
    assert max(home.days) == stands_until < THROUGH


def test_difficulty_of_real_days_is_what_hash_rate_and_blocks_imply(shared_data: Path) -> None:
    steps = msgspec.json.decode(
        (SAMPLES / "mempool" / "difficulty_adjustments_1m.json").read_bytes(), type=list[Adjustment]
    )
    rows = difficulty_days("real", steps, None, date(2024, 1, 3))
    hashes = pl.col("HashRate") * 1e12 * 86_400 / 2**32
    implied = (
        pl.scan_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)
        .select(pl.col("time").str.head(10).str.to_date().alias("day"), (hashes / pl.col("BlkCnt")).alias("implied"))
        .collect()
    )
    compared = rows.join(implied, on="day").with_columns((pl.col("value") / pl.col("implied") - 1).abs().alias("off"))
    adjusted = [datetime.fromtimestamp(step.time, UTC).date() for step in steps]
    assert rows["day"].to_list()[0] == min(adjusted) + timedelta(days=1)
    assert compared.height == 38
    quiet = compared.filter(~pl.col("day").is_in(adjusted))
    assert quiet["off"].max() < 1e-8  # type: ignore[operator]
    assert compared["off"].max() < 0.005  # type: ignore[operator]


BAD_LISTS = [
    [(2, 4_032, 2.0, 2.0), (1, 2_016, 1.0, 0.0), (0, 2_016, 1.0, 0.0)],
    [(1, 2_016, 2.0, 2.0), (1, 0, 1.0, 0.0)],
    [(1, 2_017, 2.0, 2.0), (0, 0, 1.0, 0.0)],
    [(1, 2_016, 5.0, 5.0), (0, 0, 1.0, 0.0)],
    [(1, 2_016, 2.0, 1.9), (0, 0, 1.0, 0.0)],
    [(0, 7, 1.0, 0.0)],
]


@pytest.mark.parametrize("rows", BAD_LISTS, ids=["height", "time", "multiple", "five times", "ratio", "first"])
def test_list_that_no_chain_gives_is_refused(rows: list[tuple[int, int, float, float]]) -> None:
    with pytest.raises(BadInputError):
        difficulty_days("bad", [Adjustment(*row) for row in rows], None, date(2009, 2, 1))


# Esplora.


@pytest.fixture
def esplora(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ReplayServer, EsploraReplay]]:
    site = EsploraReplay()
    site.now = NOW
    with replayed(monkeypatch, [site], time_scale=0.04) as server:
        yield server, site


def test_probe_of_esplora_is_one_request_for_the_newest_block(
    esplora: tuple[ReplayServer, EsploraReplay], tmp_path: Path
) -> None:
    server, site = esplora
    source: Any = source_named("esplora", Settings(home=tmp_path))
    assert f"block {site.tip:,} of " in source.probe()
    assert len(server.log) == 1


def test_plan_of_esplora_counts_the_tip_pages_of_ten_and_each_block(
    esplora: tuple[ReplayServer, EsploraReplay], tmp_path: Path
) -> None:
    server, site = esplora
    home = Home(tmp_path, "esplora")
    plans = []
    for _ in range(2):
        source: Any = source_named("esplora", home.settings)
        before, estimate = len(server.log), source.plan(home.request(site.now))
        home.read(site.now)
        assert len(server.log) - before <= estimate.requests_count
        plans.append(estimate.requests_count)
        site.now += timedelta(days=1)
    # At a block in ten minutes. The first run has two requests more, to find where to begin, and 57 hours: two days,
    # six hours of the third, and three before all of them, as times in headers may be early.
    assert plans == [1 + 2 + 35 + 342, 1 + 15 + 144]


def test_esplora_states_pools_and_fees_of_small_blocks_only(
    esplora: tuple[ReplayServer, EsploraReplay], tmp_path: Path
) -> None:
    server, site = esplora
    home = Home(tmp_path, "esplora")
    home.read(NOW)
    chain, listed = site.chain, {"foundryusa", "antpool", "viabtc"}
    for height, (_, at, difficulty, subsidy, fees, pool) in home.blocks.items():
        small = height % 7 == 0
        assert (subsidy, fees) == ((50 * 10**8, chain.fees(height)) if small else (None, None))
        assert at.timestamp() == chain.time(height)
        assert difficulty == 1.0
        assert pool == (chain.pool(height)[1] if chain.pool(height)[1] in listed else "unknown")
    first, before = min(home.blocks), len(server.log)
    site.reorganise(2)
    site.next_day()
    (notice,) = home.read(site.now)
    assert "were replaced" in notice
    assert sorted(home.blocks) == list(range(first, site.tip + 1))
    assert all(home.blocks[height][1].timestamp() == chain.time(height) for height in home.blocks)
    assert len(server.log) - before <= 32


def test_real_coinbase_of_a_real_block() -> None:
    block = json.loads((SAMPLES / "esplora" / "block_170.json").read_bytes())
    page = json.loads((SAMPLES / "esplora" / "block_170_txs_0.json").read_bytes())
    stored = with_coinbase(
        "real", msgspec.convert(block, EsploraBlock), msgspec.convert(page, list[Transaction]), NAMES
    )
    assert (stored.reward_sat, stored.fees_sat, stored.subsidy_claimed_sat, stored.pool) == (
        50 * 10**8,
        0,
        50 * 10**8,
        "unknown",
    )
    for spoiled in (page[1:], [], [page[0] | {"status": {"block_hash": "00" * 32}}], [*page, page[1]]):
        with pytest.raises(BadInputError):
            with_coinbase(
                "real", msgspec.convert(block, EsploraBlock), msgspec.convert(spoiled, list[Transaction]), NAMES
            )


# Whatever is sent.

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=80),
    st.lists(st.text(max_size=40), max_size=3),
)
KEYS = ("id", "height", "version", "timestamp", "bits", "nonce", "difficulty", "merkle_root", "mediantime")
EXTRAS = ("reward", "totalFees", "pool", "coinbaseRaw", "coinbaseAddress", "coinbaseAddresses")
REAL = MempoolReplay(Chain(mainlike_slot, 945_000)).block(945_003)


@given(
    changed=st.dictionaries(st.sampled_from([*KEYS, "previousblockhash", "extras"]), VALUES, max_size=2),
    extras=st.dictionaries(st.sampled_from(EXTRAS), VALUES, max_size=3),
)
def test_any_block_gives_a_row_or_an_error_of_ours(changed: dict[str, Any], extras: dict[str, Any]) -> None:
    stated = {**REAL, "extras": {**REAL["extras"], **extras}} | changed
    try:
        block = hosted_block("fuzz", msgspec.convert(stated, Block), NAMES)
    except (HashpivotError, msgspec.ValidationError):
        return
    assert (block.hash, block.time) == (REAL["id"], REAL["timestamp"])
    # The height is in the coinbase, where that is stated and BIP 34 holds.
    assert block.height in (945_003, stated["height"])
    assert block.height == 945_003 or block.height < 227_931 or (stated["extras"] or {}).get("coinbaseRaw") is None
    enforce(block_frame([block]), BLOCK)


TRANSACTION = {"vin": [{"is_coinbase": True, "scriptsig": "03"}], "vout": [], "fee": 0, "status": {}}


@given(page=st.lists(st.dictionaries(st.sampled_from(sorted(TRANSACTION)), VALUES), max_size=3), bare=st.booleans())
def test_any_transactions_give_a_row_or_an_error_of_ours(page: list[dict[str, Any]], bare: bool) -> None:
    chain = young()
    stated = chain.block(14)
    stored = page if bare else [TRANSACTION | {"status": {"block_hash": stated["id"]}} | each for each in page]
    try:
        block = with_coinbase(
            "fuzz", msgspec.convert(stated, EsploraBlock), msgspec.convert(stored, list[Transaction]), NAMES
        )
    except (HashpivotError, msgspec.ValidationError):
        return
    enforce(block_frame([block]), BLOCK)


NUMBERS = st.one_of(VALUES, st.sampled_from([0, 2_016, 4_032, 1_231_006_505, 1_262_152_739]), st.floats(0.1, 10))


@given(rows=st.lists(st.lists(NUMBERS, min_size=4, max_size=4), max_size=4))
def test_any_adjustments_give_days_or_an_error_of_ours(rows: list[list[Any]]) -> None:
    try:
        days = difficulty_days("fuzz", msgspec.convert(rows, list[Adjustment]), None, date(2010, 3, 1))
    except (HashpivotError, msgspec.ValidationError):
        return
    enforce(days, DAILY_VALUE)


def test_addresses_that_cannot_be_read_name_no_pool() -> None:
    stated = {**REAL, "extras": {**REAL["extras"], "coinbaseAddresses": ["nonsense", PAYOUT]}}
    assert hosted_block("x", msgspec.convert(stated, Block), NAMES).hash == REAL["id"]
