"""Blocks of a node through our own source's steps, from the first call to files: the contender of bitcoin-etl.

Run as `python -m benchmarks.node_extraction PORT FIRST LAST FOLDER {rest,rpc}`: walk, decode, attribute, compare fees
with what the coinbases claim, write transfers, block flows and blocks to Parquet. Prints the seconds it took after its
imports.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.live_chain import RPC_PASSWORD, RPC_USER, exchanges
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

WAYS: Final = ("rest", "rpc")


def walk_to(port: int) -> ChainWalk:
    """The walk over the chain of the node, as the source sets it up."""
    return ChainWalk(Connection(f"http://127.0.0.1:{port}", Password(RPC_USER, RPC_PASSWORD)), "regtest")


def extracted(walk: ChainWalk, first: int, last: int, folder: Path, way: str) -> None:
    """Write what blocks `first` to `last` moved, and the blocks, to `folder`."""
    pools, miners, flows = PoolNames(read_pool_list()), MinerSet(), list[BlockFlows]()
    labelled = exchanges()

    def attributed() -> Iterator[NodeBlock]:
        for block in walk.blocks(first, last, coinbase_txids=miners.coinbase_txids if way == "rest" else None):
            flows.append(attribute(block, miners, labelled, pools))
            yield block

    for number, item in enumerate(block_batches(walk, attributed(), pools.pool, datetime.now(UTC))):
        if isinstance(item, Batch):
            item.rows.write_parquet(folder / f"blocks_{number}.parquet")
    transfer_rows(flows, "benchmark").write_parquet(folder / "transfers.parquet")
    block_flow_rows(flows, "benchmark").write_parquet(folder / "block_flows.parquet")


def main() -> None:
    """Extract once."""
    port, first, last = map(int, sys.argv[1:4])
    walk = walk_to(port)
    started = perf_counter()
    extracted(walk, first, last, Path(sys.argv[4]), sys.argv[5])
    print(perf_counter() - started)


if __name__ == "__main__":
    main()
