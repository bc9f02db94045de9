"""The profile `live` against the replay server: history from one source, blocks of recent days from another."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.run.pipeline import run_all
from flows.run.plan import plan
from flows.run.publish import Outcome
from flows.settings import Settings, read_profile
from tests.live.replaying import replayed
from tests.replay import ReplayServer
from tests.replay.sites.coinmetrics import CoinMetricsReplay
from tests.replay.sites.mempool import MempoolReplay
from warehouse.reading import query

NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
THROUGH = date(2026, 9, 10)


class World:
    """Both sites at one moment, and the home that fetches from them."""

    def __init__(self, home: Path) -> None:
        self.coinmetrics, self.mempool = CoinMetricsReplay(), MempoolReplay()
        self.coinmetrics.through, self.mempool.now = THROUGH, NOW
        self.home = home

    def run(self) -> Outcome:
        settings = Settings(home=self.home, profile="live")
        live = read_profile("live")
        sources = ("coinmetrics", "mempool")
        run = plan(settings, live.model_copy(update={"sources": sources}), now=self.mempool.now)
        return run_all(run)

    def next_day(self) -> None:
        self.coinmetrics.next_day()
        self.mempool.next_day()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.home / "published", sql)[1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def server(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    with replayed(monkeypatch, [world.coinmetrics, world.mempool], time_scale=0.04) as server:
        yield server


def test_blocks_of_some_days_do_not_displace_the_totals_of_all(server: ReplayServer, world: World) -> None:
    world.run()
    assert len(server.log) < 100
    # Coin Metrics' totals, from the first day to the last.
    first, last, counted = world.rows(
        "select min(day), max(day), count(block_count) from capitulation_daily where block_count is not null"
    )[0]
    assert (first, last) == (date(2009, 1, 3), THROUGH)
    assert counted == (THROUGH - first).days + 1
    # Difficulty of all days, so that there is a hash rate for all of them.
    assert world.rows("select count(*) from capitulation_daily where hashrate_ehs is null") == [(0,)]
    columns = dict(
        world.rows(
            "select column_name, sources from meta.columns where table_name = 'capitulation_daily' "
            "and column_name in ('block_count', 'issuance_btc', 'fees_btc', 'difficulty')"
        )
    )
    assert columns.pop("difficulty") == "mempool"
    assert set(columns.values()) == {"coinmetrics"}


def test_pools_are_those_of_the_blocks(server: ReplayServer, world: World) -> None:
    world.run()
    days = world.rows("select day, sum(block_count), any_value(sources) from pool_daily group by day order by day")
    assert [day for day, *_ in days] == [THROUGH - timedelta(days=each) for each in range(7, -1, -1)]
    totals = dict(world.rows("select day, block_count from capitulation_daily"))
    assert all(blocks == totals[day] and source == "mempool" for day, blocks, source in days)
    assert world.rows("select count(*) from pool_daily where pool_share_1008_pct is not null and day = '2026-09-10'")[
        0
    ] >= (5,)
    assert world.rows("select count(*) from meta.quality where check_name like '%blocks of all pools%' and passed") == [
        (1,)
    ]


def test_blocks_and_totals_are_held_against_each_other(server: ReplayServer, world: World) -> None:
    world.run()
    like = "select check_name, detail from meta.quality where check_name like '%agrees with mempool%'"
    details = dict(world.rows(like))
    for series in ("block_count", "issuance_sat", "fees_sat"):
        assert details[f"{series}: coinmetrics agrees with mempool"].startswith("0 of 8 days differ")


def test_second_day_costs_what_is_new_and_replaced_blocks_are_revisions(server: ReplayServer, world: World) -> None:
    world.run()
    before = len(server.log)
    world.mempool.reorganise(4)
    world.next_day()
    world.run()
    assert len(server.log) - before < 20
    assert world.rows("select max(day) from pool_daily") == [(THROUGH + timedelta(days=1),)]
    assert world.rows("select max(revised_count) from meta.runs")[0][0] >= 3
