"""What it costs to keep candidates while blocks are read, and what it takes to attribute them anew.

`python -m benchmarks.relabel` walks invented full blocks (`invented_blocks.py`) with and without keeping candidates,
taking turns, then attributes what was kept with 10,000 more labels and compares every flow with the whole blocks'.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, Final

import msgspec
import polars as pl

from benchmarks.invented_blocks import EXCHANGES, World
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from transforms.attribution.blocks import BlockFlows, attribute
from transforms.attribution.candidates import Candidates, KeptPools, reduced_blocks, renumbered
from transforms.attribution.pool_names import PoolNames
from warehouse.candidate_files import BLOCKS_A_FILE, CandidateFiles
from warehouse.pool_list import read_pool_list

BLOCKS: Final = 1_008
PART: Final = 24
STRANGERS: Final = 4_000
NEW_LABELS: Final = 10_000
FIRST: Final = 900_000


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--new-miners", action="store_true", help="pools pay scripts not seen before, every time")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), given.blocks, new_miners=given.new_miners), indent=2))


def measured(folder: Path, count: int, *, new_miners: bool) -> dict[str, Any]:
    """Walk `count` blocks twice, a part at a time, then relabel them."""
    world = World(new_miners=new_miners, strangers_count=STRANGERS)
    decoder, pools = msgspec.json.Decoder(NodeBlock), PoolNames(read_pool_list())
    plain, kept = MinerSet(), MinerSet()
    relabelled, later = MinerSet(), more_labels(world)
    files, keeper = CandidateFiles(folder / "candidates", "main", renumbered), Candidates()
    files.begin(MinerSet(height=FIRST - 1, block_hash="0" * 64), "ab")
    seconds = dict.fromkeys(("without", "with", "writing", "relabel"), 0.0)
    expected: list[BlockFlows] = []
    raw = world.blocks(count)
    rows = []
    while part := list(islice(raw, PART)):
        turns = [("without", plain, None), ("with", kept, keeper)]
        for name, miners, used in turns if len(expected) % (2 * PART) else reversed(turns):
            started = process_time()
            for block in part:
                attribute(decoder.decode(block), miners, world.exchanges, pools, used)
            seconds[name] += process_time() - started
        started = process_time()
        rows.append(keeper.take())
        seconds["writing"] += process_time() - started
        expected += [attribute(decoder.decode(block), relabelled, later, pools) for block in part]
        print(f"{len(expected)} of {count} blocks", file=sys.stderr)
    started = process_time()
    files.append(pl.concat(rows))
    seconds["writing"] += process_time() - started
    started = process_time()
    found = again(files, later)
    seconds["relabel"] = process_time() - started
    touched = sum(len(each) for part_rows in files.rows() for each in part_rows["txid"].to_list())
    return {
        "blocks": count,
        "transactions kept a block": round(touched / count),
        "walk without, s": round(seconds["without"], 2),
        "walk with, s": round(seconds["with"], 2),
        "writing, s": round(seconds["writing"], 2),
        "ratio": round((seconds["with"] + seconds["writing"]) / seconds["without"], 3),
        "relabel, s a 1,000 blocks": round(seconds["relabel"] / count * 1_000, 2),
        "bytes a 1,000 blocks": round(files.size_bytes() / count * 1_000),
        "equal": found == expected,
        "transfers": sum(len(flow.transfers) for flow in expected),
        "latent scripts": len(kept.one_hop.latent),
        "1-hop scripts": len(kept.one_hop.credits),
        "blocks a file": BLOCKS_A_FILE,
    }


def more_labels(world: World) -> dict[str, str]:
    """The labels of the world and 10,000 more: of miners, and of scripts that nobody uses."""
    random = Random(1)
    miners = random.sample(world.miners, min(len(world.miners) // 2, NEW_LABELS))
    others = [f"0014{random.randbytes(20).hex()}" for _ in range(NEW_LABELS - len(miners))]
    return world.exchanges | {script: random.choice(EXCHANGES) for script in (*miners, *others)}


def again(files: CandidateFiles, exchanges: Mapping[str, str]) -> list[BlockFlows]:
    """The flows of what was kept."""
    miners, pools = files.start_set(), KeptPools()
    flows = []
    for rows in files.rows():
        for block in reduced_blocks(rows, miners.block_hash, pools):
            flows.append(attribute(block, miners, exchanges, pools))
    return flows


if __name__ == "__main__":
    main()
