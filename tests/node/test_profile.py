"""The whole command over a node: what it publishes, what it survives, and which txids each figure consists of."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.rules_by_hand import ByHand
from flows.sources.node.checkpoints import REORGANISATION_BLOCKS, Checkpoints
from flows.sources.node.rows import ROWS_A_BATCH_COUNT
from schemas.errors import SettingsError, WarehouseError
from schemas.miner_set import MinerSet
from schemas.units import SAT_PER_BTC
from tests.invocation import COMMAND, eventually, run_command
from tests.node.node_command import DAILY, environment, hashpivot, published, tables
from tests.node.replay_node import Fault, ReplayNode
from tests.publication_facts import double_counted, nulls_without_reason, sums_that_differ

StartNode = Callable[..., ReplayNode]
WHOLE_DAYS = 11
MIDDLE = 800
FLOW_TABLES = (
    "exchange_flow_daily",
    "exchange_flow_by_exchange_daily",
    "exchange_flow_by_pool_daily",
    "exchange_flow_total_daily",
)
FORK = 1450
TRANSFER = (
    "height, block_hash, txid, exchange, pool, hop_count, transfer_sat, fresh_sat, miner_input_sat, total_input_sat, "
    "quality"
)


def miner_sets(home: Path) -> tuple[str, bytes]:
    newest = max((home / "warehouse" / "miner_set").iterdir())
    return newest.name, newest.read_bytes()


def test_published_transfers_are_those_of_the_rules_by_hand(clean: Path, by_hand: ByHand) -> None:
    day_of = dict(published(clean, "select distinct height, day from miner_transfer"))
    rows = [row for row in by_hand.rows if row[0] in day_of]
    assert len(day_of) > 100
    # Only blocks of the day that is not over are missing.
    assert {row[0] for row in by_hand.rows if row[0] not in day_of} <= set(range(1530, 1534))
    assert sorted(published(clean, f"select {TRANSFER} from miner_transfer")) == sorted(rows)
    sums: dict[Any, int] = {}
    for row in rows:
        if row[5] == 0:
            sums[day_of[row[0]]] = sums.get(day_of[row[0]], 0) + row[6]
    daily = published(clean, "select day, miner_to_exchange_btc from capitulation_daily where miner_outflow_btc > 0")
    assert len(daily) == WHOLE_DAYS
    assert {day: round(btc * SAT_PER_BTC) for day, btc in daily if btc} == sums
    for table in FLOW_TABLES:
        by_day = published(clean, f"select day, sum(miner_to_exchange_btc) from {table} group by day")
        assert {day: round(btc * SAT_PER_BTC) for day, btc in by_day} == sums


def test_without_a_price_usd_is_null_with_the_reason(clean: Path) -> None:
    usd = "miner_outflow_usd, price_usd, miner_revenue_usd"
    assert set(published(clean, f"select {usd} from capitulation_daily")) == {(None, None, None)}
    reasons = published(
        clean, "select reason from meta.nulls where column_name = 'miner_outflow_usd' and last_day = '2026-01-10'"
    )
    assert reasons == [("no observation of price_usd",)]
    assert published(clean, "select distinct sources from exchange_flow_daily") == [("node",)]


def test_blocks_as_bytes_publish_what_blocks_as_json_do(tmp_path: Path, start_node: StartNode, clean: Path) -> None:
    node = start_node(rest=True)
    done = hashpivot(node, tmp_path / "home", *DAILY)
    assert done.returncode == 0, done.stderr
    assert node.seen["/rest/spenttxouts"] > MIDDLE
    assert tables(tmp_path / "home") == tables(clean)
    assert published(clean, "select sum(fresh_sat) > 0 from miner_transfer") == [(True,)]


def test_daily_flows_are_the_sums_of_the_transfers(clean: Path) -> None:
    days = "day, round(100000000 * {}_btc)::bigint from miner_flow_daily order by day"
    transfers = "select day, coalesce(sum({}) filter (hop_count = {}), 0) from miner_transfer right join "
    transfers += "(select day from miner_flow_daily) using (day) group by day order by day"
    for column, summed, hop in (
        ("outflow_to_exchange", "transfer_sat", 0),
        ("outflow_to_exchange_fresh", "fresh_sat", 0),
        ("one_hop_to_exchange", "transfer_sat", 1),
    ):
        found = published(clean, f"select {days.format(column)}")
        assert sum(sat for _, sat in found) > 0
        assert found == published(clean, transfers.format(summed, hop))
    parts = "select sum(miner_to_exchange_fresh_btc), sum(one_hop_to_exchange_btc) from"
    by_both, *sums = (published(clean, f"{parts} {table}")[0] for table in FLOW_TABLES)
    assert [by_both] * 3 == [pytest.approx(each) for each in sums]
    assert published(clean, "select count(*) from exchange_flow_daily where label_set is null") == [(0,)]


def test_tables_of_transfers_add_up_and_give_reasons_of_their_nulls(clean: Path) -> None:
    database = clean / "published" / "hashpivot.duckdb"
    assert double_counted(database) == {}
    assert sums_that_differ(database) == []
    assert nulls_without_reason(database) == []


def test_two_runs_give_what_one_gives(tmp_path: Path, start_node: StartNode, clean: Path) -> None:
    node = start_node()
    whole, node.chain = node.chain, node.chain[:MIDDLE]
    home = tmp_path / "home"
    assert hashpivot(node, home, *DAILY).returncode == 0
    node.chain = whole
    second = hashpivot(node, home, *DAILY)
    assert second.returncode == 0, second.stderr
    assert f"blocks {MIDDLE}.." in second.stderr
    assert tables(home) == tables(clean)
    assert miner_sets(home) == miner_sets(clean)
    fetched = node.seen["getblock"]
    third = hashpivot(node, home, *DAILY)
    assert (third.returncode, node.seen["getblock"]) == (0, fetched)
    assert tables(home) == tables(clean)


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        pytest.param(100, 0, id="within the first batch"),
        pytest.param(160, 0, id="before the first pause between miner sets is over", marks=pytest.mark.long),
        pytest.param(1500, 1440, id="near the tip"),
    ],
)
def test_a_run_that_is_killed_and_started_again_gives_what_one_gives(
    tmp_path: Path, start_node: StartNode, clean: Path, at: int, kept: int
) -> None:
    node = start_node()
    node.faults.append(Fault("slow", "getblock", times=1, skip=at, seconds=60))
    home = tmp_path / "home"
    started = subprocess.Popen([COMMAND, *DAILY], env=environment(node, home), stderr=subprocess.DEVNULL)
    eventually(lambda: node.faults[0].times == 0, "the request that is never responded to")
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not (home / "published").exists()
    node.faults.clear()
    read_before = node.seen["getblock"]
    again = hashpivot(node, home, *DAILY)
    assert again.returncode == 0, again.stderr
    assert kept % ROWS_A_BATCH_COUNT == 0
    assert node.seen["getblock"] - read_before == len(node.chain) - kept
    assert tables(home) == tables(clean)
    assert miner_sets(home) == miner_sets(clean)


@pytest.mark.parametrize(
    "fork", [pytest.param(FORK, id="below the newest"), pytest.param(5, id="below all", marks=pytest.mark.long)]
)
def test_a_reorganisation_between_runs_gives_what_a_clean_run_on_the_other_branch_gives(
    tmp_path: Path, start_node: StartNode, fork: int
) -> None:
    node, home, other = start_node(), tmp_path / "home", tmp_path / "other"
    assert hashpivot(node, home, *DAILY).returncode == 0
    node.reorganise(fork)
    again = hashpivot(node, home, *DAILY)
    assert again.returncode == 0, again.stderr
    assert hashpivot(node, other, *DAILY).returncode == 0
    assert tables(home) == tables(other)
    assert miner_sets(home) == miner_sets(other)


@pytest.mark.long
def test_a_reorganisation_within_a_run_gives_what_a_clean_run_on_the_other_branch_gives(
    tmp_path: Path, start_node: StartNode
) -> None:
    node, home, other = start_node(), tmp_path / "home", tmp_path / "other"
    node.reorganise_when("getblock", 1000, 900)
    assert hashpivot(node, home, *DAILY).returncode == 0
    assert hashpivot(node, other, *DAILY).returncode == 0
    assert tables(home) == tables(other)
    assert miner_sets(home) == miner_sets(other)
    message = published(home, "select detail from meta.quality where severity = 'notice'")
    assert any("reorganised" in detail for (detail,) in message)


@pytest.mark.parametrize(
    ("changed", "exit_code", "message"),
    [
        pytest.param({"HASHPIVOT_NODE_CHAIN": "main"}, 2, "HASHPIVOT_NODE_CHAIN", id="another chain"),
        pytest.param({"HASHPIVOT_NODE_COOKIE_FILE": "nobody.cookie"}, 2, "nobody.cookie", id="no cookie"),
        pytest.param({"HASHPIVOT_LABELS_FILE": "nothing.csv"}, 3, "nothing.csv", id="no labels"),
    ],
)
def test_what_cannot_work_is_one_line_and_an_exit_code(
    tmp_path: Path, start_node: StartNode, changed: dict[str, str], exit_code: int, message: str
) -> None:
    node = start_node()
    done = hashpivot(node, tmp_path / "home", *DAILY, **changed)
    assert done.returncode == exit_code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("way", ["cookie", "password"])
def test_credentials_that_are_rejected_are_one_line_without_the_secret(
    tmp_path: Path, start_node: StartNode, way: str
) -> None:
    node, secret = start_node(), "open-sesame"
    cookie = tmp_path / "of_another_node"
    cookie.write_text(f"__cookie__:{secret}")
    given = {
        "cookie": {"HASHPIVOT_NODE_COOKIE_FILE": str(cookie)},
        "password": {"HASHPIVOT_NODE_USER": "somebody", "HASHPIVOT_NODE_PASSWORD": secret},
    }[way]
    kept = environment(node, tmp_path / "home", **given)
    if way == "password":
        del kept["HASHPIVOT_NODE_COOKIE_FILE"]
    done = run_command(*DAILY, folder=tmp_path, environment=kept)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "rejects" in done.stderr
    assert secret not in done.stderr


def test_other_labels_apply_from_the_next_block_on_and_are_reported(
    tmp_path: Path, start_node: StartNode, clean: Path
) -> None:
    node, home = start_node(), tmp_path / "home"
    whole, node.chain = node.chain, node.chain[:MIDDLE]
    assert hashpivot(node, home, *DAILY).returncode == 0
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("address,entity,kind\n2MyPejWtC8ZVuN5TkbEztE39DfT5dXvYePE,user,user\n")
    node.chain = whole
    assert hashpivot(node, home, *DAILY, HASHPIVOT_LABELS_FILE=str(fewer)).returncode == 0
    before = f"from miner_transfer where height < {MIDDLE} order by all"
    assert published(home, before) == published(clean, before)
    assert published(home, f"select count(*) from miner_transfer where height >= {MIDDLE}") == [(0,)]
    notices = published(home, "select detail from meta.quality where severity = 'notice'")
    assert any("labels changed" in detail for (detail,) in notices)


def test_doctor_checks_the_node(tmp_path: Path, start_node: StartNode) -> None:
    node = start_node()
    findings = json.loads(hashpivot(node, tmp_path / "home", "doctor", "--profile", "node-only", "--json").stdout)
    (source,) = [each for each in findings if each["what"] == "source node"]
    assert (source["state"], "block 1,533" in source["found"]) == ("ok", True)
    assert node.seen["getblock"] == 0


def saved(folder: Path, *heights: int, chain: str = "regtest") -> Checkpoints:
    checkpoints = Checkpoints(folder, chain)
    for height in heights:
        checkpoints.save(MinerSet(height=height, block_hash=f"{height:064x}"), "ab")
    return checkpoints


def heights(checkpoints: Checkpoints) -> list[int]:
    return [kept.height for kept in checkpoints.newest_first()]


@pytest.mark.parametrize(
    ("walked", "kept"),
    [
        pytest.param(range(143, 2000, 144), [1871, 1727], id="a day at a time"),
        pytest.param(range(0, 500), [499, 429, 286], id="a block at a time"),
        pytest.param([143, 287, 431, 300], [300, 287], id="what is above is of another branch"),
    ],
)
def test_few_checkpoints_are_kept_and_one_is_always_deep_enough(tmp_path: Path, walked: Any, kept: list[int]) -> None:
    assert heights(saved(tmp_path / "kept", *walked)) == kept


@pytest.mark.parametrize(
    ("pause_seconds", "written"),
    [
        pytest.param(0, range(143, 1999, 144), id="no pause"),
        pytest.param(3600, [1727, 1871], id="only near the tip"),
    ],
)
def test_a_long_walk_writes_few_miner_sets_and_ends_with_a_deep_one(
    tmp_path: Path, pause_seconds: float, written: Sequence[int]
) -> None:
    checkpoints, newest = Checkpoints(tmp_path / "kept", "regtest", pause_seconds), []
    for height in [*range(143, 1999, 144), 1999]:
        checkpoints.save_when_due(MinerSet(height=height, block_hash=f"{height:064x}"), "ab", 1999)
        newest += [kept for kept in heights(checkpoints)[:1] if kept not in newest]
    assert newest == [*written, 1999]
    kept = heights(checkpoints)
    assert kept[0] == 1999
    assert any(1999 - 3 * REORGANISATION_BLOCKS <= height <= 1999 - REORGANISATION_BLOCKS for height in kept)


def test_a_long_walk_writes_one_when_the_pause_is_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "kept", "regtest", 0.3)
    checkpoints.save_when_due(MinerSet(height=143, block_hash="1"), "ab", 10**6)
    assert heights(checkpoints) == []
    time.sleep(0.4)
    checkpoints.save_when_due(MinerSet(height=287, block_hash="2"), "ab", 10**6)
    checkpoints.save_when_due(MinerSet(height=431, block_hash="3"), "ab", 10**6)
    assert heights(checkpoints) == [287]


def test_a_damaged_checkpoint_gives_way_to_an_older_one(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "kept", 143, 287)
    newest, oldest = checkpoints.newest_first()
    newest.path.write_bytes(newest.path.read_bytes() + b"x")
    found = checkpoints.newest_on(lambda height, block_hash: True)
    assert found is not None
    assert found[1] == oldest
    oldest.path.write_bytes(b"")
    with pytest.raises(WarehouseError, match="expected an undamaged"):
        checkpoints.newest_on(lambda height, block_hash: True)


def test_checkpoints_of_another_chain_are_rejected(tmp_path: Path) -> None:
    saved(tmp_path / "kept", 143)
    with pytest.raises(SettingsError, match="regtest"):
        Checkpoints(tmp_path / "kept", "main").newest_first()


def test_no_other_profile_publishes_a_transfer(tmp_path: Path, start_node: StartNode) -> None:
    done = hashpivot(start_node(), tmp_path / "home", "daily", "--profile", "demo", "--plain")
    assert done.returncode == 0, done.stderr
    assert published(tmp_path / "home", "from miner_transfer") == []
    parquet = pl.read_parquet(tmp_path / "home" / "published" / "parquet" / "miner_transfer")
    assert parquet.schema["transfer_sat"] == pl.Int64
    explained = hashpivot(
        start_node(), tmp_path / "home", "explain", "capitulation_daily", "miner_to_exchange_btc", "2026-11-01"
    )
    assert explained.returncode == 0, explained.stderr
    assert "transaction " not in explained.stdout
