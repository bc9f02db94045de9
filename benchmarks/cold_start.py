"""What a first run costs a thousand full blocks of a real Bitcoin Core: coinbases over REST and RPC, and whole blocks.

Run as `python -m benchmarks.cold_start [--quick] [--json]`. Reads the full blocks of `live_chain.py` again and again;
the main chain's older blocks are smaller: the extrapolation is to a chain of full blocks. On a machine with few
processors the node and we share them.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Final

from benchmarks.bitcoin_etl import BLOCKS, QUICK_BLOCKS, QUICK_TRANSACTIONS, TRANSACTIONS, processor_s, progress
from benchmarks.live_chain import OPTIONS, LiveChain, exchanges, opened
from benchmarks.node_extraction import walk_to
from flows.sources.node.cold_start import ColdStart
from flows.sources.node.walk import ChainWalk
from flows.sources.protocol import Shard
from schemas.miner_set import MinerSet
from transforms.attribution.blocks import attribute
from transforms.attribution.pool_names import PoolNames
from warehouse.coinbase_shards import CoinbaseShards
from warehouse.pool_list import read_pool_list

MAIN_CHAIN_BLOCKS: Final = 977_000
"""Of November 2026."""
READINGS: Final = 8
"""Of all full blocks in one measurement."""
ROUNDS: Final = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small blocks, one round: only whether it runs")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    chosen = parser.parse_args()
    try:
        figures = measured(quick=chosen.quick)
    except FileNotFoundError as error:
        progress(str(error))
        sys.exit(2)
    print(json.dumps(figures, indent=2) if chosen.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))


def measured(*, quick: bool) -> dict[str, str]:
    """Seconds a thousand blocks, of clock and of each processor, and hours for the whole chain by the clock."""
    pools, figures = PoolNames(read_pool_list()), {}
    rounds, readings = (1, 1) if quick else (ROUNDS, READINGS)
    blocks = (QUICK_BLOCKS, QUICK_TRANSACTIONS) if quick else (BLOCKS, TRANSACTIONS)
    for way, options in (("REST", OPTIONS), ("RPC", ("-rest=0", *OPTIONS[1:]))):
        with _node(*blocks, options) as chain, TemporaryDirectory() as folder:
            walk = walk_to(chain.node.port)
            start = ColdStart(walk, CoinbaseShards(Path(folder), "regtest"), pools.pool)
            shard = Shard(chain.heights[0], chain.heights[-1])
            for name, work in {
                f"coinbases over {way}": partial(_drained, walk, chain.heights),
                f"coinbases, fees and file over {way}": partial(start.read, shard),
                f"whole blocks over {way}, attributed": partial(_attributed, walk, chain.heights, pools),
            }.items():
                figures[name] = _timed(chain, work, readings, rounds)
    return figures


def _timed(chain: LiveChain, work: Callable[[], object], readings: int, rounds: int) -> str:
    clock, ours, nodes = [], [], []
    work()
    for _ in range(rounds):
        before = (perf_counter(), process_time(), processor_s(chain.node.pid))
        for _ in range(readings):
            work()
        after = (perf_counter(), process_time(), processor_s(chain.node.pid))
        for figures, start, end in zip((clock, ours, nodes), before, after, strict=True):
            figures.append((end - start) * 1000 / len(chain.heights) / readings)
    hours = median(clock) * MAIN_CHAIN_BLOCKS / 1000 / 3600
    return (
        f"{median(clock):.1f} s a 1,000 blocks (processor: {median(ours):.1f} s of ours, {median(nodes):.1f} s of the "
        f"node), {hours:.1f} h the whole chain"
    )


def _drained(walk: ChainWalk, heights: range) -> None:
    for _ in walk.coinbases(heights[0], heights[-1]):
        pass


def _attributed(walk: ChainWalk, heights: range, pools: PoolNames) -> None:
    miners, labelled = MinerSet(), exchanges()
    for block in walk.blocks(heights[0], heights[-1], coinbase_txids=miners.coinbase_txids):
        attribute(block, miners, labelled, pools)


@contextmanager
def _node(blocks_count: int, transactions: tuple[int, int], options: tuple[str, ...]) -> Iterator[LiveChain]:
    chain = opened(blocks_count, transactions)
    try:
        chain.node.restart(*options)
        yield chain
    finally:
        chain.node.stop()


if __name__ == "__main__":
    main()
