"""Kept candidates attributed with other labels give what the whole blocks give with them, row for row."""

from collections.abc import Mapping, Sequence
from random import Random

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.invented_blocks import World
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from tests.attribution.generated_chains import SCRIPTS, chains
from tests.attribution.recorded_chain import decoded, decoded_blocks, exchanges, pool_names
from transforms.attribution import blocks as rules
from transforms.attribution import candidates as reduction
from transforms.attribution.blocks import BlockFlows, attribute
from transforms.attribution.candidates import Candidates, KeptPools, reduced_blocks, renumbered

Labels = Sequence[Mapping[str, str]]
"""Exchanges by block; a single one counts for all blocks."""


def labelled(labels: Labels, number: int) -> Mapping[str, str]:
    return labels[min(number, len(labels) - 1)]


def kept(blocks: Sequence[NodeBlock], labels: Labels) -> tuple[list[BlockFlows], MinerSet, pl.DataFrame]:
    """Flows and miner set of whole blocks, and what was kept of them."""
    miners, keeper, pools = MinerSet(), Candidates(), pool_names()
    flows = [attribute(block, miners, labelled(labels, n), pools, keeper) for n, block in enumerate(blocks)]
    return flows, miners, keeper.take()


def again(rows: pl.DataFrame, labels: Labels) -> tuple[list[BlockFlows], MinerSet]:
    """Flows and miner set of what was kept."""
    miners, pools = MinerSet(), KeptPools()
    blocks = enumerate(reduced_blocks(rows, None, pools))
    return [attribute(block, miners, labelled(labels, n), pools) for n, block in blocks], miners


def layers(miners: MinerSet) -> tuple[object, ...]:
    """All of a miner set but what is latent, which depends on the labels that were used before."""
    layer = miners.one_hop
    partners = {script: met for script, met in layer.partners.items() if met}
    return miners.height, miners.zero_hop, miners.coinbase_txids, layer.credits, partners, layer.hubs


def assert_same(blocks: Sequence[NodeBlock], first: Labels, then: Labels) -> list[BlockFlows]:
    """Whole blocks and those kept while they were read with other labels give the same."""
    expected, expected_miners, _ = kept(blocks, then)
    _, _, rows = kept(blocks, first)
    found, miners = again(rows, then)
    assert found == expected
    assert layers(miners) == layers(expected_miners)
    return found


labels = st.lists(st.dictionaries(st.sampled_from(SCRIPTS[:-1]), st.sampled_from(["binance", "kraken"])), min_size=1)


@settings(deadline=None)
@given(chains(), labels, labels)
def test_any_chain_gives_the_same_with_any_other_labels(as_json, first, then):
    assert_same(decoded(as_json), first, then)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 4), st.sampled_from([2, 4, 100]), chains(), labels, labels)
def test_hubs_and_time_that_ends_do_not_change_that(hub, memory, as_json, first, then):
    with pytest.MonkeyPatch.context() as limits:
        for module in (rules, reduction):
            limits.setattr(module, "COUNTERPARTY_SAMPLE", 1)
        limits.setattr(rules, "HUB_SAMPLED_COUNTERPARTIES", hub)
        limits.setattr(rules, "ONE_HOP_MEMORY_BLOCKS", memory)
        limits.setattr(rules, "PURGE_EVERY_BLOCKS", 2)
        assert_same(decoded(as_json), first, then)


def test_the_recorded_chain_with_labels_of_every_kind():
    blocks, known = decoded_blocks(), exchanges()
    _, miners, _ = kept(blocks, [{}])
    random = Random(14)
    of_chain = sorted({output.script.hex for block in blocks for tx in block.tx for output in tx.vout})
    some = {script: "kraken" for script in random.sample(of_chain, len(of_chain) // 4)}
    kinds = {
        "none": {},
        "coinbase-paid": {script: "okx" for script in random.sample(sorted(miners.zero_hop.index), 3)},
        "1-hop": {script: "okx" for script in random.sample(sorted(miners.one_hop.credits), 10)},
        "half of the known": dict(sorted(known.items())[::2]),
        "many": known | some,
    }
    whole = {name: kept(blocks, [one]) for name, one in (kinds | {"known": known}).items()}
    for name in kinds:
        for first, then in (("known", name), (name, "known")):
            found, state = again(whole[first][2], [(kinds | {"known": known})[then]])
            assert found == whole[then][0]
            assert layers(state) == layers(whole[then][1])
    transfers = whole["known"][0]
    assert sum(len(block.transfers) for block in transfers) > 500


def test_invented_full_blocks_with_hubs_and_labels_of_every_kind(monkeypatch):
    monkeypatch.setattr(rules, "HUB_SAMPLED_COUNTERPARTIES", 1)
    world = World(new_miners=True)
    decoder = msgspec.json.Decoder(NodeBlock)
    blocks = [decoder.decode(block) for block in world.blocks(10, (60, 100))]
    pools = {script: "okx" for script in list(world.pools.values())[:2]}
    miners = {script: "kraken" for script in world.miners[::7]}
    _, found, _ = kept(blocks, [world.exchanges])
    assert found.one_hop.hubs
    late = [world.exchanges] * 5 + [world.exchanges | pools | miners]
    for then in ([world.exchanges], [{}], [pools], [world.exchanges | miners], late):
        for first in ([world.exchanges], [{}], [pools | miners]):
            assert_same(blocks, first, then)


def test_a_script_that_is_no_hub_with_other_labels_is_kept():
    """With no labels the second payment comes too late to be the first; with them it is, and counting begins there."""
    pool, other, miner = SCRIPTS[4:7]
    strangers = [f"0014{i:040x}" for i in range(10**6, 10**6 + 2_500)]
    spends = [([stranger], [miner]) for stranger in strangers]
    blocks = decoded(
        [
            chain_block(0, [pool, other], [([pool], [miner]), *spends, ([other], [miner]), ([miner], [SCRIPTS[0]])]),
        ]
    )
    first, then = [{}], [{pool: "okx", SCRIPTS[0]: "kraken"}]
    assert kept(blocks, first)[1].one_hop.hubs == {miner}
    (flows,) = assert_same(blocks, first, then)
    assert [(t.hop, t.exchange) for t in flows.transfers] == [(1, "kraken")]


def test_a_script_stops_being_latent_once_it_is_a_hub_under_any_labels():
    pool, miner = SCRIPTS[4:6]
    strangers = [f"0014{i:040x}" for i in range(10**6, 10**6 + 2_500)]
    txs = [([pool], [miner]), *(([stranger], [miner]) for stranger in strangers), ([miner], [SCRIPTS[0]])]
    blocks = decoded([chain_block(0, [pool], txs)])
    _, miners, rows = kept(blocks, [{miner: "okx"}])
    assert miners.one_hop.latent == {}
    assert miner not in miners.watched
    assert rows["input_count"].explode().len() < 200
    assert_same(blocks, [{miner: "okx"}], [{SCRIPTS[0]: "kraken"}])


def chain_block(height, coinbase, txs):
    def coins(scripts):
        return [{"value": "0.00000100", "scriptPubKey": {"hex": script}} for script in scripts]

    tx = [{"txid": "ff", "vin": [{"coinbase": b"/AntPool/".hex()}], "vout": coins(coinbase)}]
    for number, (spent, paid) in enumerate(txs):
        prevouts = [{"prevout": {"generated": False, "height": 0, **coin}} for coin in coins(spent)]
        tx.append({"txid": f"{number:064x}", "vin": prevouts, "vout": coins(paid)})
    head = {"hash": f"{height + 1:064x}", "height": height, "time": 0, "mediantime": 0, "difficulty": 1.0}
    return head | {"tx": tx}


def test_files_that_are_joined_hold_the_same_blocks():
    blocks, known = decoded_blocks(), exchanges()
    miners, keeper, pools, parts = MinerSet(), Candidates(), pool_names(), []
    for start in range(0, len(blocks), 400):
        for block in blocks[start : start + 400]:
            attribute(block, miners, known, pools, keeper)
        parts.append(keeper.take())
        keeper.new_file()
    _, _, whole = kept(blocks, [known])
    assert renumbered(parts).equals(whole)
