"""Attribution equals the rules written down a second time, satoshi for satoshi; and what it finds of the truth."""

from itertools import pairwise
from typing import Any
from zlib import crc32

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rules_by_hand import ByHand
from schemas.errors import BadInputError
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from tests.attribution.generated_chains import EXCHANGES, SCRIPTS, btc, chains
from tests.attribution.recorded_chain import (
    FIRST_DAY,
    decoded,
    decoded_blocks,
    exchanges,
    pool_names,
    recorded_blocks,
    run,
    true_deposits,
)
from transforms.attribution.blocks import (
    COUNTERPARTY_SAMPLE,
    HUB_COUNTERPARTIES,
    ONE_HOP_MEMORY_BLOCKS,
    PURGE_EVERY_BLOCKS,
    BlockFlows,
    quality,
)
from transforms.attribution.transfers import (
    block_flow_rows,
    miner_flow_days,
    transfer_days,
    transfer_rows,
)

POOLS = {"foundryusa", "antpool", "viabtc", "f2pool"}


@pytest.fixture(scope="module")
def flows() -> list[BlockFlows]:
    return run(decoded_blocks(), MinerSet(), exchanges())


def assert_equal_by_hand(flows: list[BlockFlows], as_json: list[dict[str, Any]], labelled: dict[str, str]) -> ByHand:
    by_hand = ByHand(labelled, {block.height: block.pool for block in flows})
    for block in as_json:
        by_hand.walk(block)
    assert [tuple(transfer) for block in flows for transfer in block.transfers] == by_hand.rows
    for ours, theirs in zip(flows, by_hand.blocks, strict=True):
        assert ours.outflow_sat == theirs["out"]
        assert ours.outflow_tx_count == len(theirs["outflows"])
        assert list(ours.largest_outflows_sat) == theirs["outflows"][:10]
        assert ours.inflow_sat == theirs["in"]
        assert ours.fee_sat == theirs["fee"]
        assert ours.one_hop_outflow_sat == theirs["out1"]
        assert ours.coinbase_direct_to_exchange_sat == theirs["direct"]
    return by_hand


def test_the_recorded_chain_gives_what_the_rules_by_hand_give(flows):
    by_hand = assert_equal_by_hand(flows, list(recorded_blocks()), exchanges())
    # No script comes near the limit of counterparties, so that sampling them may not matter.
    assert max(map(len, by_hand.partners.values())) < HUB_COUNTERPARTIES / 4


@settings(deadline=None)
@given(chains())
def test_any_chain_gives_what_the_rules_by_hand_give(as_json):
    assert_equal_by_hand(run(decoded(as_json), MinerSet(), EXCHANGES), as_json, EXCHANGES)


def found(flows: list[BlockFlows], hops: set[int]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for block in flows:
        for t in block.transfers:
            if t.hop in hops:
                sums[t.txid, t.exchange] = sums.get((t.txid, t.exchange), 0) + t.transfer_sat
    return sums


def deposits(senders: set[str]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for row in true_deposits():
        if row["from_entity"] in senders:
            key = row["txid"], row["to_entity"]
            sums[key] = sums.get(key, 0) + int(row["sats"])
    return sums


@pytest.mark.parametrize(
    ("senders", "hops", "transactions", "satoshi"),
    [
        pytest.param(POOLS, {0}, (217, 253), (337_899_427_143, 378_822_274_600), id="pools, 0-hop"),
        pytest.param(POOLS, {0, 1}, (252, 253), (378_607_818_387, 378_822_274_600), id="pools, both layers"),
        pytest.param(
            {"miner_a", "miner_b", "miner_c"},
            {1},
            (312, 321),
            (1_058_265_062_701, 1_111_772_844_900),
            id="miners, 1-hop",
        ),
    ],
)
def test_recall_against_what_was_really_sent(flows, senders, hops, transactions, satoshi):
    truth, ours = deposits(senders), found(flows, hops)
    hit = truth.keys() & ours.keys()
    assert (len(hit), len(truth)) == transactions
    assert (sum(min(ours[key], truth[key]) for key in hit), sum(truth.values())) == satoshi


def test_precision_nothing_is_found_that_was_not_sent(flows):
    truth = deposits(POOLS | {"miner_a", "miner_b", "miner_c"})
    for key, sat in found(flows, {0, 1}).items():
        assert sat <= truth[key]


def test_0_hop_transfers_come_from_pools_only_and_name_the_right_one(flows):
    sender = {(row["txid"], row["to_entity"]): row["from_entity"] for row in true_deposits()}
    assert all(t.pool == sender[t.txid, t.exchange] for block in flows for t in block.transfers if t.hop == 0)


def test_a_balance_of_miners_changes_by_inflow_less_outflow_less_fee(flows):
    # Regtest pools are paid by coinbases from their first coin on, so no script enters the set with coins on it.
    paid_by_coinbase, balance = set(), 0
    for block, as_json in zip(flows, recorded_blocks(), strict=True):
        paid_by_coinbase |= {o["scriptPubKey"]["hex"] for o in as_json["tx"][0]["vout"] if float(o["value"])}
        for tx in as_json["tx"]:
            balance += sat_of(o for o in tx["vout"] if o["scriptPubKey"]["hex"] in paid_by_coinbase)
            spent = [i["prevout"] for i in tx["vin"] if "prevout" in i]
            balance -= sat_of(p for p in spent if p["scriptPubKey"]["hex"] in paid_by_coinbase)
        balance -= block.inflow_sat - block.outflow_sat - block.fee_sat
        assert balance == 0


def sat_of(coins: Any) -> int:
    return sum(round(float(coin["value"]) * 10**8) for coin in coins)


@settings(deadline=None)
@given(chains(), st.sets(st.integers(1, 11)))
def test_a_range_split_into_runs_gives_the_same_transfers(as_json, cuts):
    blocks, miners = decoded(as_json), MinerSet()
    whole = run(blocks, MinerSet(), EXCHANGES)
    edges = [0, *sorted(cut for cut in cuts if cut < len(blocks)), len(blocks)]
    parts = [run(blocks[a:b], miners, EXCHANGES) for a, b in pairwise(edges)]
    assert [flows for part in parts for flows in part] == whole


def invented(height: int, coinbase: dict[str, int], *others: tuple[dict[str, int], dict[str, int]]) -> NodeBlock:
    """A block from its coinbase outputs and, for each transaction, what goes in and out by script."""

    def outputs(paid: dict[str, int]) -> list[dict[str, Any]]:
        return [{"value": btc(sat), "scriptPubKey": {"hex": script}} for script, sat in paid.items()]

    def inputs(spent: dict[str, int]) -> list[dict[str, Any]]:
        return [{"prevout": {"generated": False, "height": 0, **output}} for output in outputs(spent)]

    tx = [{"txid": "00", "vin": [{"coinbase": b"/AntPool/".hex()}], "vout": outputs(coinbase)}]
    tx += [{"txid": f"{i:02x}", "vin": inputs(a), "vout": outputs(b)} for i, (a, b) in enumerate(others, 1)]
    as_json = {"hash": f"{height:064x}", "previousblockhash": f"{height - 1:064x}", "height": height, "tx": tx}
    return decoded([as_json | {"time": 0, "mediantime": 0, "difficulty": 1.0}])[0]


BINANCE, POOL, MINER, OTHER, USER = SCRIPTS[0], *SCRIPTS[4:8]


def test_the_worked_example_60_to_an_exchange_and_the_change_back_to_the_miner():
    btc_100 = invented(1, {POOL: 1}, ({POOL: 100 * 10**8}, {BINANCE: 60 * 10**8, POOL: 3_999_000_000}))
    (flows,) = run([btc_100], MinerSet(), EXCHANGES)
    assert (flows.outflow_sat, flows.fee_sat) == (60 * 10**8, 10**6)
    assert [(t.transfer_sat, t.quality, t.pool) for t in flows.transfers] == [(60 * 10**8, "A", "antpool")]


def test_a_script_counts_in_the_block_that_pays_it_first_and_not_before():
    spend = ({POOL: 100}, {BINANCE: 100})
    before, after = run([invented(1, {OTHER: 1}, spend), invented(2, {POOL: 1}, spend)], MinerSet(), EXCHANGES)
    assert before.transfers == ()
    assert [t.transfer_sat for t in after.transfers] == [100]


def test_what_a_coinbase_pays_to_an_exchange_is_neither_outflow_nor_makes_a_miner():
    blocks = [invented(1, {BINANCE: 70, POOL: 30}), invented(2, {POOL: 1}, ({BINANCE: 70}, {USER: 70}))]
    first, second = run(blocks, MinerSet(), EXCHANGES)
    assert (first.coinbase_direct_to_exchange_sat, first.inflow_sat, first.outflow_sat) == (70, 30, 0)
    assert (second.outflow_sat, second.transfers) == (0, ())


def test_freshness_is_unknown_where_the_block_does_not_state_it():
    blocks = [invented(1, {POOL: 1}, ({POOL: 100}, {BINANCE: 100})), invented(2, {POOL: 1}, ({POOL: 7}, {BINANCE: 7}))]
    blocks[0].tx[1].vin[0].prevout.generated = None
    flows = run(blocks, MinerSet(), EXCHANGES)
    assert [t.fresh_sat for block in flows for t in block.transfers] == [None, 0]
    same_day = pl.DataFrame({"height": [1, 2], "day": [FIRST_DAY, FIRST_DAY]})
    for by in ((), ("exchange",), ("pool",), ("exchange", "pool")):
        assert transfer_days(transfer_rows(flows, "v1"), same_day, by)["fresh_sat"].to_list() == [None]


def test_what_rounding_drops_stays_unattributed():
    shared = ({POOL: 1, USER: 2}, {BINANCE: 1, SCRIPTS[1]: 1, OTHER: 1})
    (flows,) = run([invented(1, {POOL: 1}, shared)], MinerSet(), EXCHANGES)
    assert flows.transfers == ()
    assert flows.outflow_sat == 1


@pytest.mark.parametrize(
    ("miner_sat", "grade"), [(100, "A"), (99, "B"), (95, "B"), (94, "C"), (50, "C"), (6, "C"), (5, "B"), (1, "B")]
)
def test_grades_follow_the_miners_share(miner_sat, grade):
    assert quality(miner_sat, 100) == grade


def test_a_script_with_a_thousand_counterparties_is_no_miner_any_more():
    partners = [f"0014{i:040x}" for i in range(1_000_000, 1_000_000 + 2 * HUB_COUNTERPARTIES)]
    miners = MinerSet()
    run([invented(1, {POOL: 1}, ({POOL: 10}, {MINER: 10}))], miners, EXCHANGES)
    left = 0
    for height, partner in enumerate(partners, 2):
        run([invented(height, {POOL: 1}, ({partner: 5}, {MINER: 5}))], miners, EXCHANGES)
        if MINER not in miners.one_hop.credits:
            left = height
            break
    assert abs(left - HUB_COUNTERPARTIES) < 3 * HUB_COUNTERPARTIES * (COUNTERPARTY_SAMPLE / HUB_COUNTERPARTIES) ** 0.5
    sampled = [not crc32(partner.encode()) % COUNTERPARTY_SAMPLE for partner in partners[: left - 1]]
    assert (sum(sampled[:-1]), sum(sampled)) == (62, 63)
    again = invented(left + 1, {POOL: 1}, ({POOL: 10}, {MINER: 10}), ({MINER: 9}, {BINANCE: 9}))
    assert run([again], miners, EXCHANGES)[0].transfers == ()


@pytest.mark.parametrize(("blocks_later", "sent"), [(ONE_HOP_MEMORY_BLOCKS - 1, [9]), (ONE_HOP_MEMORY_BLOCKS, [])])
def test_the_1_hop_layer_expires_after_two_years_of_blocks(blocks_later, sent):
    miners = MinerSet()
    run([invented(PURGE_EVERY_BLOCKS, {POOL: 1}, ({POOL: 10}, {MINER: 10}))], miners, EXCHANGES)
    miners.height, miners.block_hash = None, ""
    later = PURGE_EVERY_BLOCKS + blocks_later
    (flows,) = run([invented(later, {POOL: 1}, ({MINER: 9}, {BINANCE: 9}))], miners, EXCHANGES)
    assert [(t.hop, t.transfer_sat) for t in flows.transfers] == [(1, s) for s in sent]


def test_expired_credits_are_removed():
    miners = MinerSet()
    run([invented(1, {POOL: 1}, ({POOL: 10}, {MINER: 10}))], miners, EXCHANGES)
    miners.height = None
    run([invented(110 * PURGE_EVERY_BLOCKS, {POOL: 1})], miners, EXCHANGES)
    assert miners.one_hop.credits == {}


def test_a_block_of_another_branch_is_rejected_and_changes_nothing():
    miners = MinerSet()
    run([invented(1, {POOL: 1})], miners, EXCHANGES)
    with pytest.raises(BadInputError, match="height 3 on"):
        run([invented(3, {MINER: 1})], miners, EXCHANGES)
    assert MINER not in miners.zero_hop.index


def test_an_input_without_prevout_is_rejected_and_changes_nothing():
    miners, block = MinerSet(), invented(1, {POOL: 1}, ({USER: 1}, {USER: 1}))
    block.tx[1].vin[0].prevout = None
    with pytest.raises(BadInputError, match="without prevout"):
        run([block], miners, EXCHANGES)
    assert len(miners.zero_hop) == 0


@pytest.fixture(scope="module")
def days(flows) -> pl.DataFrame:
    """144 blocks a day, which is all that these tests need of the calendar."""
    first = pl.date(2026, 1, 1)
    return pl.DataFrame({"height": [f.height for f in flows]}).with_columns(
        (first + pl.duration(days=pl.col("height") // 144)).alias("day")
    )


@pytest.mark.parametrize("by", [(), ("exchange",), ("pool",), ("exchange", "pool")])
def test_daily_sums_are_the_sums_of_the_transfers(flows, days, by):
    transfers = transfer_rows(flows, "v1")
    by_day = transfer_days(transfers, days, by)
    by_layer = transfers.group_by("hop").agg(pl.col("transfer_sat").sum()).sort("hop")["transfer_sat"].to_list()
    assert by_day.select(pl.col("transfer_sat", "one_hop_sat").sum()).row(0) == tuple(by_layer)
    if not by:
        assert by_day["transfer_count"].sum() == transfers.filter(pl.col("hop") == 0)["txid"].n_unique()
    assert (by_day["fresh_sat"] <= by_day["transfer_sat"]).all()
    assert (by_day["top10_sat"] <= by_day["transfer_sat"]).all()
    assert (
        by_day.filter(pl.col("transfer_count") <= 10)
        .select((pl.col("top10_sat") == pl.col("transfer_sat")).all())
        .item()
    )
    counted = by_day.filter(pl.col("transfer_count") > 0)
    assert (counted["mean_sat"] * counted["transfer_count"]).round().equals(counted["transfer_sat"].cast(pl.Float64))
    assert set(by_day["label_set"]) == {"v1"}


def test_miner_flow_days_add_up_and_give_the_unlabelled_share(flows, days):
    transfers, blocks = transfer_rows(flows, "v1"), block_flow_rows(flows, "v1")
    by_day = miner_flow_days(blocks, transfers, days)
    assert by_day["day"].to_list() == sorted(set(days["day"]))
    for column in ("outflow_sat", "inflow_sat", "fee_sat", "outflow_tx_count"):
        assert by_day[column].sum() == blocks[column].sum()
    assert by_day["to_exchange_sat"].sum() == transfers.filter(pl.col("hop") == 0)["transfer_sat"].sum()
    shares = by_day["unlabelled_ratio"].drop_nulls()
    assert shares.is_between(0, 1).all()
    assert by_day.filter(pl.col("outflow_sat") == 0)["unlabelled_ratio"].null_count() == len(by_day) - len(shares)
    assert by_day["outflow_top10_sat"].le(by_day["outflow_sat"]).all()


def test_pools_of_the_recorded_chain_are_all_known(flows):
    assert {flows.pool for flows in flows[1:]} == POOLS
    assert pool_names().pool(decoded_blocks()[1].tx[0]) == "foundryusa"
