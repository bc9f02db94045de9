"""Blocks of a node through our own source's steps, from the first call to files: the contender of bitcoin-etl.

Run as `python -m benchmarks.node_extraction PORT FIRST LAST FOLDER`: walk, decode, attribute, hold fees against the
node's own count, write transfers, block flows and blocks to Parquet. Prints the seconds it took after its imports.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.invented_blocks import World
from flows.sources.node.connection import Connection
from flows.sources.node.credentials import Password
from flows.sources.node.rows import block_batches
from flows.sources.node.walk import ChainWalk
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from schemas.observations import Batch
from transforms.attribution.blocks import BlockFlows, attribute
from transforms.attribution.pool_names import PoolNames
from transforms.attribution.transfers import block_flow_rows, transfer_rows
from warehouse.pool_list import read_pool_list

CONNECTIONS: Final = 2
"""One request in flight while another is processed; a node that has to work on its responses gets eight."""


def walk_to(port: int) -> ChainWalk:
    """The walk over the chain of the loopback node, as the source sets it up."""
    return ChainWalk(Connection(f"http://127.0.0.1:{port}", Password("user", "pass"), connections_count=CONNECTIONS))


def extracted(walk: ChainWalk, first: int, last: int, folder: Path, world: World) -> None:
    """Write what blocks `first` to `last` moved, and the blocks, to `folder`."""
    pools, miners, flows = PoolNames(read_pool_list()), MinerSet(), list[BlockFlows]()

    def attributed() -> Iterator[NodeBlock]:
        for block in walk.blocks(first, last):
            flows.append(attribute(block, miners, world.exchanges, pools))
            yield block

    for number, item in enumerate(block_batches(walk, attributed(), pools.pool, datetime.now(UTC))):
        if isinstance(item, Batch):
            item.rows.write_parquet(folder / f"blocks_{number}.parquet")
    transfer_rows(flows, "benchmark").write_parquet(folder / "transfers.parquet")
    block_flow_rows(flows, "benchmark").write_parquet(folder / "block_flows.parquet")


def main() -> None:
    """Extract once."""
    port, first, last = map(int, sys.argv[1:4])
    world, walk = World(), walk_to(port)
    started = perf_counter()
    extracted(walk, first, last, Path(sys.argv[4]), world)
    print(perf_counter() - started)


if __name__ == "__main__":
    main()
