"""Pools of eight real blocks of April 2025, as a public block explorer named them, from their coinbases.

The explorer has a far longer list than ours. Names are compared as slugs, the small letters and digits of a name, which
is what every table of ours holds: the explorer writes ULTIMUSPOOL where its list and ours write Ultimus Pool.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.addresses import script_of
from schemas.labels import UNKNOWN_POOL
from schemas.node_block import Input, Output, Script, Transaction
from transforms.attribution.pool_names import PoolNames, slug
from warehouse.pool_list import POOL_LIST, read_pool_list

HEIGHTS = list(range(890_440, 890_448))
PUBLIC_LISTS = ("pools-v2.json", "pools.json")


@pytest.fixture(scope="module")
def blocks(shared_data: Path) -> list[dict[str, Any]]:
    content = json.loads((shared_data / "mempool" / "details_rbf__tx01_ws_blocks_01.json").read_bytes())
    assert [block["height"] for block in content["blocks"]] == HEIGHTS
    return list(content["blocks"])


def coinbase(extras: dict[str, Any], *, signed: bool = True) -> Transaction:
    """The coinbase as far as the explorer states it: its script, and the addresses it pays; amounts do not matter."""
    scripts = [script_of(address) for address in extras["coinbaseAddresses"]]
    outputs = [Output(value=msgspec.Raw(b"0"), script=Script(hex=script)) for script in scripts]
    return Transaction(txid="", vin=(Input(coinbase=extras["coinbaseRaw"] if signed else ""),), vout=tuple(outputs))


def named(blocks: list[dict[str, Any]], pools: PoolNames, *, signed: bool = True) -> list[str]:
    return [pools.pool(coinbase(block["extras"], signed=signed)) for block in blocks]


def recorded(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["extras"]["pool"]["slug"] for block in blocks]


def test_our_short_list_names_every_block_as_the_explorer_did(blocks):
    assert named(blocks, PoolNames(read_pool_list())) == recorded(blocks)
    assert len(set(recorded(blocks))) == 5


def test_our_list_spells_the_names_as_the_explorer_does(blocks):
    ours = {slug(entry.name): entry.name for entry in read_pool_list(POOL_LIST)}
    for block in blocks:
        pool = block["extras"]["pool"]
        assert ours[pool["slug"]] == pool["name"]


@pytest.mark.parametrize("name", PUBLIC_LISTS)
def test_public_lists_name_every_block_as_the_explorer_did(blocks, shared_data, name):
    assert named(blocks, PoolNames(read_pool_list(shared_data / "pools" / name))) == recorded(blocks)


@pytest.mark.parametrize("name", PUBLIC_LISTS)
def test_payout_addresses_name_the_pools_that_a_public_list_knows_by_address(blocks, shared_data, name):
    by_address = named(blocks, PoolNames(read_pool_list(shared_data / "pools" / name)), signed=False)
    content = {height: pool for height, pool in zip(HEIGHTS, by_address, strict=True) if pool != UNKNOWN_POOL}
    assert content == {
        height: pool for height, pool in zip(HEIGHTS, recorded(blocks), strict=True) if height in content
    }
    assert content


def test_our_list_has_every_pool_that_found_a_block_in_a_recorded_week(shared_data):
    week = json.loads((shared_data / "mempool" / "details_rbf__api_mining_pools_1w.json").read_bytes())
    theirs = {pool["slug"] for pool in week["pools"]} - {UNKNOWN_POOL}
    assert theirs <= {slug(entry.name) for entry in read_pool_list()}
    assert all(slug(pool["name"]) == pool["slug"] for pool in week["pools"])
