"""The command and the walk over a real Bitcoin Core: first runs, pruned nodes, and miners that claim too little."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.sources.node.cold_start import ColdStart
from flows.sources.node.rows import block_batches
from flows.sources.protocol import Shard
from flows.sources.whole_blocks import allowed_subsidy_sat
from schemas.observations import Batch, Notice
from tests.node.bitcoind import Bitcoind, spending
from tests.node.chain_walks import content, unknown_pool, walk_to
from tests.node.node_command import DAILY, hashpivot, published
from warehouse.coinbase_shards import CoinbaseShards

StartBitcoind = Callable[..., Bitcoind]
NOW = datetime(2026, 11, 29, tzinfo=UTC)
DAY_SECONDS = 86_400
A_DAY = 144
"""Blocks of the one day, years ago, of which a first run reads the coinbases: the three last years are read whole."""
DAYS = 3
NEWEST = 6
"""Blocks of today, after which yesterday is final."""
YEARS_AGO = 4
SAT_PER_BTC = 10**8


def old_and_new_blocks(node: Bitcoind) -> None:
    """A whole day of blocks four years ago and three up to today, with payments in many of them."""
    now = int(datetime.now(UTC).timestamp())
    midnight = now - now % DAY_SECONDS
    node.set_clock(midnight - YEARS_AGO * 365 * DAY_SECONDS)
    wallet = node.wallet()
    wallet.mine(A_DAY, minutes_apart=10)
    node.set_clock(midnight - DAYS * DAY_SECONDS)
    for _ in range(DAYS * 12):
        wallet.send({wallet.address(): 1, wallet.address("legacy"): "0.5"})
        wallet.mine(A_DAY // 12, minutes_apart=10)
    node.set_clock(midnight)
    wallet.mine(NEWEST, minutes_apart=1)


def source_of(node: Bitcoind, home: Path) -> dict[str, Any]:
    """What `doctor` reports of the node."""
    findings = json.loads(hashpivot(node, home, "doctor", "--profile", "node-only", "--json").stdout)
    return dict(next(each for each in findings if each["what"] == "source node"))


REVENUE = "select day, block_count, issuance_btc, fees_btc, miner_outflow_btc from capitulation_daily order by day"


@pytest.mark.long
def test_a_first_run_ends_well_with_and_without_rest(start_bitcoind: StartBitcoind, tmp_path: Path) -> None:
    node, found = start_bitcoind("-rest=1"), []
    old_and_new_blocks(node)
    for option in ("-rest=1", "-rest=0"):
        node.restart(option)
        home = tmp_path / option
        doctor = source_of(node, home)
        assert doctor["state"] == "ok"
        assert ("set rest=1 in bitcoin.conf" in doctor["what to do"]) == (option == "-rest=0")
        done = hashpivot(node, home, *DAILY)
        assert done.returncode == 0, done.stderr
        assert list((home / "warehouse" / "coinbases").iterdir())
        found.append(published(home, REVENUE))
    assert found[0] == found[1]
    _, *of_days = [row for row in found[0] if row[1]]
    whole = {row[0]: row for row in of_days}
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    fees_sat = 0
    for height in range(A_DAY + 1, node.height + 1):
        counted = node.call("getblockstats", height, ["totalfee", "time"])
        fees_sat += counted["totalfee"] * (datetime.fromtimestamp(counted["time"], UTC).date() < yesterday)
    assert [row[1] for row in whole.values()] == [A_DAY] * len(whole)
    assert len(whole) >= DAYS
    assert round(sum(row[3] for day, row in whole.items() if day < yesterday) * SAT_PER_BTC) == fees_sat > 0


@pytest.mark.long
def test_a_pruned_node_serves_a_home_that_has_the_blocks_below(start_bitcoind: StartBitcoind, tmp_path: Path) -> None:
    node = start_bitcoind("-rest=1", "-fastprune")
    old_and_new_blocks(node)
    home, behind, empty = tmp_path / "home", tmp_path / "behind", tmp_path / "empty"
    assert hashpivot(node, behind, *DAILY).returncode == 0
    node.mine(700, minutes_apart=0.02)
    assert hashpivot(node, home, *DAILY).returncode == 0
    node.restart("-rest=1", "-fastprune", "-prune=1")
    node.call("pruneblockchain", node.height - 300)
    first = node.call("getblockchaininfo")["pruneheight"]
    assert first > 700
    node.mine(20, minutes_apart=0.02)

    done = hashpivot(node, home, *DAILY)
    assert done.returncode == 0, done.stderr
    finding = source_of(node, home)
    assert (finding["state"], f"pruned: serves blocks from {first:,} on" in finding["found"]) == ("ok", True)
    for other, wanted in ((empty, "0"), (behind, f"{A_DAY + DAYS * A_DAY + NEWEST + 1:,}")):
        done = hashpivot(node, other, *DAILY)
        assert done.returncode == 3
        message = f"a pruned node whose first block is {first:,}', expected blocks from {wanted} on"
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()[-1]) < 300
        finding = source_of(node, other)
        assert (finding["state"], message in finding["found"]) == ("PROBLEM", True)


@pytest.mark.parametrize("option", ["-rest=1", "-rest=0"])
def test_what_miners_leave_behind_is_exact_in_whole_blocks_and_in_coinbases(
    start_bitcoind: StartBitcoind, tmp_path: Path, option: str
) -> None:
    node = start_bitcoind(option, clock=1_767_225_600)
    coins = [node.call("getblock", each)["tx"][0] for each in node.mine(160)]
    left = [(0, 0), (1, 0), (7, 1), (999, 2), (1_000, 1), (None, 1), (None, 0), (0, 2)]
    for missing_sat, count in left:
        height = node.height + 1
        spends = []
        for _ in range(count):
            txid = coins.pop(0)
            paid_sat = node.call("gettxout", txid, 0)["value"] * SAT_PER_BTC
            spends.append(spending(txid, [("51", round(paid_sat) - 1_000)]))
        most_sat = allowed_subsidy_sat("regtest", height) + 1_000 * count
        node.mine_claiming(0 if missing_sat is None else most_sat - missing_sat, spends)
    with pytest.raises(AssertionError, match="bad-cb-amount"):
        node.mine_claiming(allowed_subsidy_sat("regtest", node.height + 1) + 1)
    node.mine(30)

    walk, tip = walk_to(node), node.height
    blocks = list(walk.blocks(0, tip, coinbase_txids=frozenset()))
    assert [content(block) for block in blocks] == [content(block) for block in walk.blocks(0, tip)]
    found = list(block_batches(walk, blocks, unknown_pool, NOW))
    whole = pl.concat(item.rows for item in found if isinstance(item, Batch))
    notices = [item.message for item in found if isinstance(item, Notice)]
    assert ["left 1,000 satoshi of its fees" in each for each in notices] == [True]

    start = ColdStart(walk, CoinbaseShards(tmp_path / "shards", "regtest"), unknown_pool)
    cold = pl.read_parquet(start.read(Shard(0, tip)))
    assert cold.select(whole.columns).equals(whole)
    counted = [node.call("getblockstats", height) for height in range(1, tip + 1)]
    assert whole["fees_sat"][1:].to_list() == [each["totalfee"] for each in counted]
    paid_sat = [
        round(node.call("getblock", each["blockhash"], 2)["tx"][0]["vout"][0]["value"] * 10**8) for each in counted
    ]
    claimed = [max(paid - each["totalfee"], 0) for paid, each in zip(paid_sat, counted, strict=True)]
    assert whole["subsidy_claimed_sat"][1:].to_list() == claimed
    assert [each["subsidy"] for each in counted] == [allowed_subsidy_sat("regtest", each["height"]) for each in counted]
