"""The profile `lake` from an empty home: flows by exchange and sums of thirty days out of the files of a bucket."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from btclib.script.script_pub_key import ScriptPubKey

from flows.run.pipeline import run_all
from flows.run.plan import plan
from flows.run.publish import Outcome
from flows.run.relabel import plan_relabel, relabel
from flows.settings import Settings, read_profile
from tests.lake.invented_lake import SAT_PER_BTC, block, exchange_addresses, heights_of, script_of_party
from tests.publication_facts import nulls_without_reason
from tests.replay import ReplayServer
from tests.replay.sites.coinmetrics import CoinMetricsReplay
from tests.replay.sites.lake import LakeReplay, invented_files
from tests.replay.sites.mempool import MempoolReplay
from warehouse.reading import query

NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
THROUGH = date(2026, 9, 10)
DAYS_COUNT = 30
Run = tuple[Path, Outcome, ReplayServer, list[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The home of a first run, what came of it, who served it, and the lines that were shown."""
    coinmetrics, mempool = CoinMetricsReplay(), MempoolReplay()
    coinmetrics.through, mempool.now = THROUGH, NOW
    lake = LakeReplay(invented_files(THROUGH - timedelta(days=DAYS_COUNT + 1), THROUGH))
    folder, shown = tmp_path_factory.mktemp("lake"), []
    with (
        ReplayServer([coinmetrics, mempool, lake], time_scale=0.1) as server,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        for variable, value in server.settings().items():
            monkeypatch.setenv(variable, value)
        profile = read_profile("lake").model_copy(update={"sources": ("coinmetrics", "mempool", "lake")})
        run = plan(Settings(home=folder, profile="lake"), profile, now=NOW)
        outcome = run_all(run, progress=shown.append)
        server.check()
        yield folder, outcome, server, shown


def rows(home: Path, sql: str) -> list[tuple[Any, ...]]:
    return query(home / "published", sql)[1]


def test_flows_of_whole_days_are_published_by_exchange(home: Run) -> None:
    folder = home[0]
    days = [THROUGH - timedelta(days=n) for n in range(DAYS_COUNT - 2, 0, -1)]
    sent: dict[date, int] = {}
    for day in days:
        for height in heights_of(day):
            paid = block(height)["tx"][1]["vout"][0]["value"]
            sent[day] = sent.get(day, 0) + round(float(paid) * SAT_PER_BTC)
    found = rows(
        folder, "select day, sum(miner_to_exchange_btc) from exchange_flow_by_exchange_daily group by day order by day"
    )
    assert [day for day, _ in found] == days
    # A pool's script counts from its first coinbase of these days on, or from the beginning where the list has it.
    assert found[-1][1] == pytest.approx(sent[days[-1]] / SAT_PER_BTC, abs=1e-6)
    exchanges = rows(folder, "select distinct exchange from exchange_flow_daily")
    assert len(exchanges) == len(exchange_addresses())
    month = (
        "select miner_to_exchange_30d_btc is not null from capitulation_daily where day in ('2026-09-07', '2026-09-09')"
    )
    assert rows(folder, f"{month} order by day") == [(False,), (True,)]


def test_windows_that_are_not_full_are_null_with_the_reason_and_its_price(
    home: Run,
) -> None:
    folder = home[0]
    assert rows(folder, "select count(mpi_zscore), count(miner_to_exchange_30d_rank_pct) from capitulation_daily") == [
        (0, 0)
    ]
    reasons = {
        reason
        for (reason,) in rows(
            folder, "select distinct flow_null_reason from capitulation_daily where day = '2026-09-09'"
        )
    }
    assert reasons == {"regime_too_young"}
    notices = [detail for (detail,) in rows(folder, "select detail from meta.quality where check_name like 'lake%'")]
    assert any("hashpivot backfill --from" in notice and "a year of it 35 GB" in notice for notice in notices)
    assert nulls_without_reason(folder / "published" / "hashpivot.duckdb") == []


def test_how_much_of_the_coinbases_is_known_is_published(home: Run) -> None:
    known = rows(
        home[0], "select coinbase_to_known_pct from capitulation_daily where day between '2026-08-20' and '2026-09-09'"
    )
    assert len(known) == 21
    assert all(90 < value <= 100 for (value,) in known)
    named = "table_name = 'capitulation_daily' and column_name = 'miner_to_exchange_btc'"
    ((error,),) = rows(home[0], f"select error from meta.columns where {named}")
    assert "lower bound" in error


def test_cost_is_shown_first_and_counts_for_itself(home: Run) -> None:
    _, outcome, _, shown = home
    first = next(number for number, line in enumerate(shown) if "HASHPIVOT_LAKE_MAX_BYTES allows" in line)
    assert f"{DAYS_COUNT} days of the lake" in shown[first]
    assert any("estimate: lake: " in line and "GB" in line for line in shown[:first])
    (of_lake,) = (each for each in outcome.ingested if each.source == "lake")
    assert of_lake.missing is None
    assert of_lake.row_count > 4_000


def test_blocks_of_lake_and_of_mempool_are_held_against_each_other(
    home: Run,
) -> None:
    assert [each.missing for each in home[1].ingested] == [None] * 3
    named = "check_name = 'blocks: mempool agrees with lake'"
    ((passed, detail),) = rows(home[0], f"select passed, detail from meta.quality where {named}")
    assert passed, detail
    assert rows(home[0], "select distinct sources from pool_daily") == [("lake",)]


@pytest.mark.long
def test_relabel_publishes_the_days_that_were_read_with_other_labels(home: Run, tmp_path: Path) -> None:
    folder, _, server, _ = home
    shutil.copytree(folder, tmp_path / "home", symlinks=True)
    labels = tmp_path / "labels.csv"
    party = ScriptPubKey(bytes.fromhex(script_of_party(f"to {next(heights_of(THROUGH))}"))).address
    labels.write_text(f"address,entity,kind\n{party},elsewhere,exchange\n")
    sent_count = len(server.log)
    profile = read_profile("lake").model_copy(update={"sources": ("coinmetrics", "mempool", "lake")})
    relabel(plan_relabel(Settings(home=tmp_path / "home", profile="lake", labels_file=labels), profile))
    assert len(server.log) == sent_count
    sets = "select distinct label_set from miner_flow_daily"
    assert len(rows(tmp_path / "home", sets)) == 1
    assert rows(tmp_path / "home", sets) != rows(folder, sets)
    same = "select day, sum(miner_to_exchange_btc) from exchange_flow_by_exchange_daily group by day order by day"
    assert rows(tmp_path / "home", same) == rows(folder, same)
    passed = "select passed from meta.quality where check_name = 'flows are attributed with the present labels'"
    assert rows(tmp_path / "home", passed) == [(True,)]
