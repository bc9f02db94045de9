"""What is read is correct: real blocks, checked by their sums and hashes, in every format they can be read in."""

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.node.rows import block_batches
from flows.sources.node.serialised import HeaderFacts, node_block, raw_block, spent_coins
from flows.sources.whole_blocks import block_row
from schemas.errors import BadInputError
from schemas.node_block import BlockScripts, NodeBlock, satoshi
from schemas.observations import Batch, Notice
from schemas.units import SAT_PER_BTC
from tests.node.chain_walks import content, unknown_pool, walk_to
from tests.node.replay_node import ReplayNode, block_bytes, spent_bytes, twice

StartNode = Callable[..., ReplayNode]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TIP = 1533


@pytest.fixture(scope="module")
def block_739990(shared_data: Path) -> bytes:
    return (shared_data / "raw_blocks" / "739990.json").read_bytes()


def typed(block: dict[str, Any]) -> NodeBlock:
    return msgspec.json.decode(json.dumps(block), type=NodeBlock)


def from_bytes(block: dict[str, Any]) -> NodeBlock:
    header = msgspec.json.decode(json.dumps(block), type=HeaderFacts)
    return node_block(header, raw_block(block_bytes(block)), spent_coins(spent_bytes(block)))


def test_every_recorded_block_agrees_with_the_node_that_made_it(start_node: StartNode, chain: list[Any]) -> None:
    walk = walk_to(start_node())
    batches = list(block_batches(walk, walk.blocks(0, TIP), unknown_pool, NOW))
    assert all(isinstance(batch, Batch) for batch in batches)
    rows = pl.concat(batch.rows for batch in batches if isinstance(batch, Batch))
    assert rows["height"].to_list() == list(range(TIP + 1))
    counted = pl.DataFrame([each["getblockstats"] for each in chain[1:]]).select("totalfee", "subsidy", "time")
    assert rows["fees_sat"][1:].to_list() == counted["totalfee"].to_list()
    assert (rows["subsidy_claimed_sat"][1:] <= counted["subsidy"]).all()
    # The chain was made by an honest miner: all that is allowed was claimed, and it halved every 150 blocks.
    assert rows["subsidy_claimed_sat"].to_list() == [(50 * SAT_PER_BTC) >> (height // 150) for height in range(TIP + 1)]
    assert rows["block_at"].dt.epoch("s")[1:].to_list() == counted["time"].to_list()
    assert rows["fees_sat"].sum() > 0


def test_json_and_bytes_give_the_same_for_every_recorded_block(start_node: StartNode) -> None:
    walk = walk_to(start_node(rest=True))
    for as_json, as_bytes in zip(walk.blocks(0, TIP), walk.blocks(0, TIP, coinbase_txids=frozenset()), strict=True):
        assert content(as_json) == content(as_bytes)


def scripts_of(block: NodeBlock) -> BlockScripts:
    """Those of its transactions, one by one."""
    others = block.tx[1:]
    return BlockScripts(
        [spent.prevout.script.hex for tx in others for spent in tx.vin if spent.prevout],
        [len(tx.vin) for tx in others],
        [out.script.hex for tx in others for out in tx.vout],
        [len(tx.vout) for tx in others],
    )


def test_scripts_and_fees_of_blocks_as_bytes_are_those_of_their_transactions(
    start_node: StartNode, block_739990: bytes
) -> None:
    recorded = walk_to(start_node(rest=True)).blocks(0, TIP, coinbase_txids=frozenset())
    for block in (*recorded, from_bytes(json.loads(block_739990))):
        assert block.scripts == scripts_of(block)
        assert block.fees_sat == sum(satoshi(tx.fee) for tx in block.tx[1:])
        assert len(block.tx) == len(block.scripts.inputs_counts) + 1


def compact(count: int) -> bytes:
    return bytes([count]) if count < 0xFD else b"\xfd" + count.to_bytes(2, "little")


@pytest.mark.parametrize("has_witness", [True, False])
@pytest.mark.parametrize(
    ("inputs", "outputs", "script", "items"), [(1, 1, 0, 0), (300, 300, 300, 300), (2, 252, 253, 1)]
)
def test_counts_and_sizes_of_any_length_are_read(
    inputs: int, outputs: int, script: int, items: int, has_witness: bool
) -> None:
    def transaction(spent: bytes, count: int) -> tuple[bytes, bytes]:
        body = compact(count) + (spent + compact(script) + b"s" * script + b"\xff" * 4) * count
        body += compact(outputs) + ((7).to_bytes(8, "little") + compact(script) + b"p" * script) * outputs
        witness = (compact(items) + (compact(script) + b"w" * script) * items) * count if has_witness else b""
        mark = b"\x00\x01" if has_witness else b""
        ends = (b"\x02\x00\x00\x00", bytes(4))
        return ends[0] + mark + body + witness + ends[1], twice(ends[0] + body + ends[1])

    (coinbase, first), (other, second) = transaction(bytes(36), 1), transaction(b"t" * 36, inputs)
    header = bytes(36) + twice(first + second) + bytes(12)
    block = raw_block(header + b"\x02" + coinbase + other)
    assert [block.transaction(number).txid for number in (0, 1)] == [first, second]
    assert (block.inputs_counts, block.outputs_counts, block.paid_sat) == ([inputs], [outputs], 7 * outputs)
    assert [(7, each) for each in block.paid] == block.transaction(1).outputs
    undo = b"\x02\x00" + compact(inputs) + ((9).to_bytes(8, "little") + compact(script) + b"u" * script) * inputs
    spent = spent_coins(undo)
    assert (spent.counts, spent.amounts_sat, set(spent.scripts)) == ([0, inputs], (9,) * inputs, {b"u" * script})
    facts = HeaderFacts(twice(header)[::-1].hex(), 5, 0, 0, 1.0, 1)
    if 9 * inputs < 7 * outputs:
        with pytest.raises(ValueError, match="fees of -"):
            node_block(facts, block, spent)
    else:
        assert node_block(facts, block, spent).fees_sat == 9 * inputs - 7 * outputs
    with pytest.raises(ValueError, match="do not fit"):
        node_block(facts, block, spent_coins(b"\x02\x00\x00"))


def test_blocks_as_bytes_are_fetched_only_where_they_are_offered_and_sufficient(start_node: StartNode) -> None:
    with_rest, without = start_node(rest=True), start_node()
    list(walk_to(with_rest).blocks(0, 20, coinbase_txids=frozenset()))
    assert with_rest.seen["getblock"] == 0
    list(walk_to(with_rest).blocks(0, 20))
    assert with_rest.seen["getblock"] == 21
    list(walk_to(without).blocks(0, 20, coinbase_txids=frozenset()))
    assert without.seen["getblock"] == 21


def test_coinbase_of_mainnet_block_739990_pays_subsidy_and_fees(block_739990: bytes) -> None:
    block = msgspec.json.decode(block_739990, type=NodeBlock)
    row = block_row(block, unknown_pool)
    loose = json.loads(block_739990, parse_float=str)["tx"]
    fees_sat = sum(round(float(tx["fee"]) * SAT_PER_BTC) for tx in loose[1:])
    coinbase_sat = sum(round(float(out["value"]) * SAT_PER_BTC) for out in loose[0]["vout"])
    assert (row.height, row.fees_sat, row.coinbase_sat) == (739990, fees_sat, coinbase_sat)
    assert row.subsidy_claimed_sat == 625_000_000
    assert row.fees_sat + row.subsidy_claimed_sat == row.coinbase_sat
    assert row.fees_sat == sum(spent_sat(tx) - paid_sat(tx) for tx in block.tx[1:])


def spent_sat(tx: Any) -> int:
    return sum(satoshi(each.prevout.value) for each in tx.vin)


def paid_sat(tx: Any) -> int:
    return sum(satoshi(out.value) for out in tx.vout)


def test_mainnet_block_739990_is_the_same_as_bytes(block_739990: bytes) -> None:
    block = json.loads(block_739990)
    assert content(from_bytes(block)) == content(typed(block))


@pytest.mark.parametrize(
    ("height", "block_hash", "transactions_count"),
    [
        (300025, "0000000000000000821c4e0acc40f88bedbce3b73ba2358b5ade58a9022cc78c", 461),
        (413567, "0000000000000000025aff8be8a55df8f89c77296db6198f272d6577325d4069", 1557),
        (426884, "00000000000000000431d0ead6e0bd9f90ff0d469e9b05d51e3d04971f472973", 409),
        (482683, "000000000000000000c238240ef6dcb26c37e75e16514e6ffc0aef7eee73e747", 12),
    ],
)
def test_mainnet_block_hashes_to_its_own_root(
    shared_data: Path, height: int, block_hash: str, transactions_count: int
) -> None:
    content = (shared_data / "raw_blocks" / f"block{height}.raw").read_bytes()
    block = raw_block(content)
    assert block.hash[::-1].hex() == block_hash
    assert len(block.starts) == transactions_count
    height_bytes = block.transaction(0).first_script[1:4]
    assert int.from_bytes(height_bytes, "little") == height
    for damaged in (content[:-1], content + b"\x00", content[:500] + bytes([content[500] ^ 1]) + content[501:]):
        with pytest.raises(ValueError, match=r"bytes|Merkle"):
            raw_block(damaged)


@given(content=st.binary(max_size=400))
def test_bytes_that_are_not_a_block_are_a_value_error(content: bytes) -> None:
    for parse in (raw_block, spent_coins):
        try:
            parse(content)
        except ValueError:
            continue


@given(amount_sat=st.integers(0, 21_000_000 * SAT_PER_BTC))
def test_satoshi_survives_every_spelling(amount_sat: int) -> None:
    whole, part = divmod(amount_sat, SAT_PER_BTC)
    exact = f"{whole}.{part:08d}"
    for text in (exact, exact.rstrip("0").rstrip("."), repr(amount_sat / SAT_PER_BTC), f"{amount_sat}e-8"):
        assert satoshi(text.encode()) == amount_sat


@pytest.mark.parametrize("text", [b"0.000000001", b"1e-9", b"1e400000000", b"true", b'"1"', b"null", b"[1]", b"{}"])
def test_what_is_not_an_amount_is_rejected(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        satoshi(text)


def claiming(each: dict[str, Any], coinbase_sat: int) -> NodeBlock:
    """A recorded block whose coinbase pays just that."""
    block = json.loads(json.dumps(each["getblock3"]))
    first, *others = block["tx"][0]["vout"]
    block["tx"][0]["vout"] = [{**first, "value": coinbase_sat / SAT_PER_BTC}, *({**out, "value": 0} for out in others)]
    return typed(block)


def test_a_block_that_claims_all_needs_no_count_of_the_node(start_node: StartNode) -> None:
    node = start_node()
    walk = walk_to(node)
    assert list(block_batches(walk, walk.blocks(0, TIP), unknown_pool, NOW))
    assert node.seen["batch getblockstats"] == 0


def test_node_whose_count_differs_is_rejected(start_node: StartNode, chain: list[Any]) -> None:
    """It is requested of each block whose coinbase does not claim what fees and subsidy are."""
    node = start_node()
    each = node.chain[700]
    stats, walk = each["getblockstats"], walk_to(node)
    whole_sat = stats["subsidy"] + stats["totalfee"]
    (batch,) = block_batches(walk, [claiming(each, whole_sat - 1)], unknown_pool, NOW)
    assert isinstance(batch, Batch)
    assert batch.rows.select("subsidy_claimed_sat", "fees_sat").rows() == [(stats["subsidy"] - 1, stats["totalfee"])]
    assert node.seen["batch getblockstats"] == 1
    with pytest.raises(BadInputError, match="a subsidy of"):
        list(block_batches(walk, [claiming(each, whole_sat + 1)], unknown_pool, NOW))
    node._by_hash[node.hash(700)] = {**each, "getblockstats": {**stats, "totalfee": stats["totalfee"] + 1}}
    with pytest.raises(BadInputError, match="fees of"):
        list(block_batches(walk, [claiming(each, whole_sat - 1)], unknown_pool, NOW))


def test_miner_who_leaves_fees_behind_claims_no_subsidy(start_node: StartNode, chain: list[Any]) -> None:
    block = json.loads(
        json.dumps(next(each for each in chain if each["getblockstats"] and each["getblockstats"]["totalfee"]))
    )
    block["getblock3"]["tx"][0]["vout"][0]["value"] = 0.00000001
    row = block_row(typed(block["getblock3"]), unknown_pool)
    assert (row.subsidy_claimed_sat, row.coinbase_sat) == (0, 1)
    walk = walk_to(start_node())
    found = list(block_batches(walk, [typed(block["getblock3"])], unknown_pool, NOW))
    (notice,) = [each for each in found if isinstance(each, Notice)]
    assert f"{row.fees_sat - 1:,} satoshi of its fees" in notice.message


def test_coinbase_that_another_block_had_already_changes_nothing(chain: list[Any]) -> None:
    """Two blocks of 2010 repeat the coinbase of an older one, before that was forbidden."""
    first, again = (json.loads(json.dumps(chain[height]["getblock3"])) for height in (20, 30))
    again["tx"][0] = first["tx"][0]
    rows = [block_row(typed(block), unknown_pool) for block in (first, again)]
    assert [row.coinbase_sat for row in rows] == [50 * SAT_PER_BTC] * 2


def test_memory_of_a_walk_does_not_grow_with_its_length(start_node: StartNode) -> None:
    walk = walk_to(start_node())
    blocks = walk.blocks(0, TIP)
    peaks = []
    tracemalloc.start()
    for _ in range(4):
        tracemalloc.reset_peak()
        before_bytes = tracemalloc.get_traced_memory()[0]
        for _ in islice(blocks, 380):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1] - before_bytes)
    end_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert max(peaks) < 32 * 1024**2
    assert end_bytes < 16 * 1024**2
