"""Rows and batches of blocks that were read whole, of a node or of a lake, and of the flows that were found in them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple, overload

import polars as pl

from schemas.node_block import NodeBlock, Transaction, satoshi
from schemas.observations import Batch, ObservedTable
from transforms.attribution.blocks import BlockFlows
from transforms.attribution.transfers import block_flow_rows, transfer_rows
from transforms.chain import BLOCKS_PER_HALVING, subsidy_sat

REGTEST_BLOCKS_PER_HALVING: Final = 150

PoolOf = Callable[[Transaction], str]
"""The pool that made a coinbase transaction."""


class BlockRow(NamedTuple):
    """One block in whole satoshi. `coinbase_sat` is all that the coinbase pays out."""

    height: int
    hash: str
    time: int
    difficulty: float
    coinbase_sat: int
    fees_sat: int
    pool: str

    @property
    def subsidy_claimed_sat(self) -> int:
        """What the coinbase pays beyond the fees. A miner who leaves even fees behind claims no subsidy."""
        return max(self.coinbase_sat - self.fees_sat, 0)


class BlockTransactions(Sequence[Transaction], ABC):
    """The transactions of a block in the shape of `getblock`, each made when it is read."""

    __slots__ = ()

    @overload
    def __getitem__(self, number: int) -> Transaction: ...

    @overload
    def __getitem__(self, number: slice) -> list[Transaction]: ...

    def __getitem__(self, number: int | slice) -> Transaction | list[Transaction]:
        if isinstance(number, slice):
            return [self._transaction(each) for each in range(len(self))[number]]
        return self._transaction(range(len(self))[number])

    @abstractmethod
    def _transaction(self, number: int) -> Transaction:
        """The transaction at `number`, from 0 for the coinbase."""


def block_row(block: NodeBlock, pool_of: PoolOf) -> BlockRow:
    """The row of a block that was fetched with its fees. Raises `ValueError` for an invalid amount."""
    coinbase, fees_sat = block.tx[0], block.fees_sat
    return BlockRow(
        height=block.height,
        hash=block.hash,
        time=block.time,
        difficulty=block.difficulty,
        coinbase_sat=sum(satoshi(output.value) for output in coinbase.vout),
        fees_sat=sum(satoshi(tx.fee) for tx in block.tx[1:]) if fees_sat is None else fees_sat,
        pool=pool_of(coinbase),
    )


def allowed_subsidy_sat(chain: str, height: int) -> int:
    """Coins that a block may create, by the rule of Core for its chains; an own chain may have another."""
    return subsidy_sat(height * BLOCKS_PER_HALVING // REGTEST_BLOCKS_PER_HALVING if chain == "regtest" else height)


def block_batch(source: str, origin: str, rows: pl.DataFrame, hashes: Iterable[str], now: datetime) -> Batch:
    """`rows` of blocks with these `hashes`, read from `origin`."""
    return Batch(
        source=source,
        table=ObservedTable.BLOCK,
        origin=f"{origin} blocks {rows['height'][0]}..{rows['height'][-1]}",
        sha256=sha256("".join(hashes).encode()).hexdigest(),
        observed_at=now,
        rows=rows,
    )


def flow_batches(
    source: str, flows: Sequence[BlockFlows], label_set: str, origin: str, now: datetime
) -> Iterator[Batch]:
    """Transfers and sums of the blocks of `flows`, attributed with the labels of the version `label_set`."""
    digest = sha256("".join(flow.block_hash for flow in flows).encode()).hexdigest()
    for table, rows in (
        (ObservedTable.MINER_TRANSFER, transfer_rows(flows, label_set)),
        (ObservedTable.MINER_BLOCK_FLOW, block_flow_rows(flows, label_set)),
    ):
        if not rows.is_empty():
            yield Batch(
                source=source,
                table=table,
                origin=f"{origin} blocks {flows[0].height}..{flows[-1].height}",
                sha256=digest,
                observed_at=now,
                rows=rows,
            )
