"""The cold start: coinbases only, in shards, give what whole blocks give of everything that depends on coinbases."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.node.cold_start import ColdStart
from flows.sources.node.walk import STATS_A_BATCH_COUNT
from flows.sources.protocol import Shard
from schemas.errors import ChainReorganisedError, WarehouseError
from schemas.miner_set import MinerSet
from schemas.observations import Batch
from tests.attribution.recorded_chain import decoded_blocks, exchanges, run
from tests.node.chain_walks import unknown_pool, walk_to
from tests.node.node_command import hashpivot, published
from tests.node.replay_node import Fault, ReplayNode
from warehouse.coinbase_shards import CoinbaseShards
from warehouse.miner_set import save_miner_set

StartNode = Callable[..., ReplayNode]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
WHOLE_FROM = 700
TIP = 1533
OPTIONS: tuple[dict[str, bool], ...] = ({}, {"rest": True}, {"rest": True, "parts": True})
BACKFILL = ("backfill", "--profile", "node-only", "--from", "2026-01-06")
ZERO_HOP = "from miner_transfer where hop_count = 0 and day between '2026-01-07' and '2026-01-10' order by all"
MINERS = (
    "select day, miner_outflow_btc, miner_to_exchange_btc, miner_to_exchange_count "
    "from capitulation_daily where day between '2026-01-07' and '2026-01-10' order by day"
)
REVENUE = "select day, block_count, issuance_btc, fees_btc, difficulty from capitulation_daily order by day"


def cold_start(node: ReplayNode, folder: Path, blocks_a_shard: int = 200) -> ColdStart:
    return ColdStart(walk_to(node), CoinbaseShards(folder, "regtest"), unknown_pool, blocks_a_shard)


def opened(start: ColdStart, height: int = WHOLE_FROM) -> tuple[MinerSet, list[Batch]]:
    miners = MinerSet()
    return miners, list(start.load_into(miners, height, NOW))


@pytest.fixture(scope="module")
def whole() -> MinerSet:
    """The state before `WHOLE_FROM` of a walk that read every block whole, with no pool known."""
    miners = MinerSet()
    run(decoded_blocks()[:WHOLE_FROM], miners, exchanges())
    return miners


@pytest.mark.parametrize("options", OPTIONS)
def test_coinbases_are_those_of_whole_blocks_whichever_way_the_node_gives_them(
    start_node: StartNode, options: dict[str, bool], monkeypatch: Any
) -> None:
    # Every recorded block is small.
    monkeypatch.setattr("flows.sources.node.rest.FEW_TRANSACTIONS_COUNT", 0)
    node = start_node(**options)
    walk = walk_to(node)
    for (header, coinbase), block in zip(walk.coinbases(0, TIP), decoded_blocks(), strict=True):
        assert (header.hash, coinbase.txid) == (block.hash, block.tx[0].txid)
        assert [(bytes(out.value), out.script) for out in coinbase.vout] == [
            (f"{float(bytes(out.value)):.8f}".encode(), out.script) for out in block.tx[0].vout
        ]
        assert coinbase.vin[0].coinbase == block.tx[0].vin[0].coinbase
    requested = {"getblock": node.seen["getblock"], "parts": node.seen["/rest/blockpart"]}
    assert (requested["getblock"] > 0) == (not options)
    assert (requested["parts"] > TIP) == ("parts" in options)


def test_a_small_block_is_requested_whole_at_once(start_node: StartNode) -> None:
    node = start_node(rest=True, parts=True)
    assert len(list(walk_to(node).coinbases(0, TIP))) == TIP + 1
    # The tip: once to find out whether the node serves parts.
    assert (node.seen["/rest/blockpart"], node.seen["/rest/block"]) == (1, TIP + 1)


def test_only_blocks_with_fees_are_counted_by_the_node(tmp_path: Path, start_node: StartNode) -> None:
    node = start_node(rest=True)
    cold_start(node, tmp_path, blocks_a_shard=TIP).read(Shard(0, TIP))
    alone = sum(len(each["getblock3"]["tx"]) == 1 for each in node.chain)
    assert alone > TIP / 3
    assert node.seen["batch getblockstats"] == -(-(TIP + 1 - alone) // STATS_A_BATCH_COUNT)


def test_a_small_first_part_is_followed_by_the_whole_block(start_node: StartNode, monkeypatch: Any) -> None:
    monkeypatch.setattr("flows.sources.node.rest.FIRST_PART_BYTES", 100)
    monkeypatch.setattr("flows.sources.node.rest.FEW_TRANSACTIONS_COUNT", 0)
    node = start_node(rest=True, parts=True)
    assert [header.height for header, _ in walk_to(node).coinbases(1000, 1020)] == list(range(1000, 1021))
    assert node.seen["/rest/block"] >= 21


@pytest.mark.parametrize("blocks_a_shard", [100, 333, 700, 5000])
def test_any_shards_in_any_order_give_the_set_and_the_rows_of_one_long_walk(
    tmp_path: Path, start_node: StartNode, whole: MinerSet, blocks_a_shard: int
) -> None:
    start = cold_start(start_node(), tmp_path / "shards", blocks_a_shard)
    shards = start.missing(WHOLE_FROM)
    assert [height for shard in shards for height in range(shard.first, shard.last + 1)] == list(range(WHOLE_FROM))
    for shard in [*reversed(shards), *shards[:1]]:
        start.read(shard)
    assert start.missing(WHOLE_FROM) == []
    miners, batches = opened(start)
    assert miners.coinbase_txids == whole.coinbase_txids
    paid = [(payee.script, payee.first_height) for payee in miners.zero_hop]
    assert paid == [(payee.script, payee.first_height) for payee in whole.zero_hop]
    assert (miners.height, miners.block_hash) == (whole.height, whole.block_hash)
    rows = pl.concat(batch.rows for batch in batches)
    assert rows["height"].to_list() == list(range(WHOLE_FROM))
    fees = [block.tx for block in decoded_blocks()[:WHOLE_FROM]]
    assert rows["fees_sat"].to_list() == [
        round(sum(float(bytes(tx.fee)) for tx in others) * 10**8) for _, *others in fees
    ]
    one, _ = opened(cold_start(start_node(), tmp_path / "one", WHOLE_FROM))
    assert save_miner_set(tmp_path / "a", miners) == save_miner_set(tmp_path / "b", one)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ReplayNode, list[Path]]]:
    """A node, and the shards of its blocks below `WHOLE_FROM`, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("parted")
    node = ReplayNode(folder / "cookie")
    node.start()
    shards = cold_start(node, folder, 100).missing(WHOLE_FROM)
    yield node, [cold_start(node, folder / str(shard), 100).read(shard) for shard in shards]
    node.stop()


@given(data=st.data())
def test_folders_of_shards_merge_in_any_order_and_any_groups(
    parted: tuple[ReplayNode, list[Path]],
    tmp_path_factory: pytest.TempPathFactory,
    whole: MinerSet,
    data: st.DataObject,
) -> None:
    """As workers may leave them: some twice, in folders that are merged in pairs until there is one."""
    node, paths = parted
    arriving = data.draw(st.permutations([*paths, *data.draw(st.lists(st.sampled_from(paths), max_size=3))]))
    folders = [path.parent for path in arriving]
    while len(folders) > 1:
        first = data.draw(st.integers(0, len(folders) - 2))
        merged = tmp_path_factory.mktemp("merged")
        for each in folders[first : first + 2]:
            shutil.copytree(each, merged, dirs_exist_ok=True)
        folders[first : first + 2] = [merged]
    (folder,) = folders
    requested = node.seen["getblock"]
    miners, batches = opened(cold_start(node, folder, 100))
    assert node.seen["getblock"] == requested, "nothing was left to read"
    assert miners.coinbase_txids == whole.coinbase_txids
    assert [payee.script for payee in miners.zero_hop] == [payee.script for payee in whole.zero_hop]
    assert [height for batch in batches for height in batch.rows["height"]] == list(range(WHOLE_FROM))


def test_reading_a_shard_again_gives_the_same_file(tmp_path: Path, start_node: StartNode) -> None:
    start = cold_start(start_node(), tmp_path / "shards")
    paths = {start.read(Shard(200, 399)), start.read(Shard(200, 399))}
    assert len(paths) == len(list((tmp_path / "shards").iterdir())) == 1


def test_a_damaged_shard_is_read_again(tmp_path: Path, start_node: StartNode) -> None:
    start = cold_start(start_node(), tmp_path)
    path = start.read(Shard(200, 399))
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    assert Shard(200, 399) in start.missing(WHOLE_FROM)
    assert start.read(Shard(200, 399)).read_bytes() == content


def test_a_full_or_broken_disk_leaves_no_partial_shard(tmp_path: Path, start_node: StartNode) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WarehouseError, match="free space and run again"):
        cold_start(start_node(), tmp_path / "file").read(Shard(0, 99))


def test_shards_of_an_abandoned_branch_are_removed_and_read_again(tmp_path: Path, start_node: StartNode) -> None:
    node = start_node()
    start = cold_start(node, tmp_path)
    opened(start)
    node.reorganise(450)
    with pytest.raises(ChainReorganisedError):
        opened(start)
    assert start.missing(WHOLE_FROM) == [Shard(400, 599), Shard(600, 699)]
    miners, _ = opened(start)
    assert miners.block_hash == node.hash(WHOLE_FROM - 1)


def test_whole_blocks_begin_before_the_day_and_never_where_a_fork_may_reach(start_node: StartNode) -> None:
    node = start_node()
    start = cold_start(node, Path("unused"))
    for day in (date(2026, 1, 3), date(2026, 1, 7)):
        midnight = datetime.combine(day, datetime.min.time(), UTC).timestamp()
        height = start.height(day)
        times = [each["getblock3"]["time"] for each in node.chain]
        assert all(time < midnight for time in times[:height])
        assert min(h for h, time in enumerate(times) if h and time >= midnight) - height < 40
    assert start.height(date(2020, 1, 1)) == 0
    assert start.height(date(2026, 1, 11)) == 0


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, clean: Path) -> tuple[Path, Path]:
    """One home that read every block whole, and one with a cold start, under the scheduler, in shards."""
    folder = tmp_path_factory.mktemp("homes")
    node = ReplayNode(folder / "cookie", rest=True)
    node.start()
    # Slow enough that readers which go side by side meet here, however busy the machine is.
    node.faults.append(Fault("slow", "batch getblockheader", times=10**6, seconds=0.1))
    done = hashpivot(node, folder / "cold", *BACKFILL, HASHPIVOT_NODE_SHARD_BLOCKS="100", **QUIET)
    node.stop()
    assert done.returncode == 0, done.stderr
    shards = list((folder / "cold" / "warehouse" / "coinbases").iterdir())
    assert len(shards) > 5
    assert node.most_at_once > 1
    return clean, folder / "cold"


QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "INFO"}


def test_a_cold_start_finds_the_same_first_layer_and_the_same_revenue(homes: tuple[Path, Path]) -> None:
    whole, cold = homes
    assert len(published(whole, ZERO_HOP)) > 20
    assert published(cold, ZERO_HOP) == published(whole, ZERO_HOP)
    assert published(cold, MINERS) == published(whole, MINERS)
    assert published(cold, REVENUE) == published(whole, REVENUE)


def test_days_before_whole_blocks_have_no_flows_and_the_second_layer_is_reported_as_a_bound(
    homes: tuple[Path, Path],
) -> None:
    whole, cold = homes
    before = "select count(miner_outflow_btc) from capitulation_daily where day < '2026-01-06'"
    assert published(cold, before) == [(0,)] != published(whole, before)
    one_hop = "select sum(transfer_sat) from miner_transfer where hop_count = 1 and day >= '2026-01-06'"
    assert published(cold, one_hop)[0][0] <= published(whole, one_hop)[0][0]
    (row,) = published(cold, "select detail from meta.quality where detail like '%1-hop layer begins%'")
    assert "lower bound" in row[0]


@pytest.mark.long
def test_an_earlier_day_makes_the_run_begin_there(
    homes: tuple[Path, Path], tmp_path: Path, start_node: StartNode
) -> None:
    whole, _ = homes
    node, home = start_node(), tmp_path / "home"
    for first in ("2026-01-06", "2026-01-02"):
        done = hashpivot(node, home, *BACKFILL[:-1], first, "--plain", HASHPIVOT_NODE_SHARD_BLOCKS="150")
        assert done.returncode == 0, done.stderr
    sums = "select day, miner_outflow_btc, miner_to_exchange_btc from capitulation_daily where day >= '2026-01-03'"
    assert published(home, sums) == published(whole, sums)
    requested = node.seen["getblock"]
    done = hashpivot(node, home, *BACKFILL, "--plain", HASHPIVOT_NODE_SHARD_BLOCKS="150")
    assert done.returncode == 0, done.stderr
    assert node.seen["getblock"] == requested


@pytest.mark.long
def test_a_run_that_dies_among_its_shards_reads_only_the_others_again(tmp_path: Path, start_node: StartNode) -> None:
    node, home = start_node(), tmp_path / "home"
    node.faults.append(Fault("forbidden", "getblock", times=10**6, skip=450))
    done = hashpivot(node, home, *BACKFILL, "--plain", HASHPIVOT_NODE_SHARD_BLOCKS="100")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()[-1]) < 300
    kept = {path.name for path in (home / "warehouse" / "coinbases").iterdir()}
    assert kept
    node.faults.clear()
    before = node.seen["getblock"]
    done = hashpivot(node, home, *BACKFILL, "--plain", HASHPIVOT_NODE_SHARD_BLOCKS="100")
    assert done.returncode == 0, done.stderr
    assert kept <= {path.name for path in (home / "warehouse" / "coinbases").iterdir()}
    assert node.seen["getblock"] - before <= TIP + 1 - 100 * len(kept)
