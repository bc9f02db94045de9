"""Rows of blocks: what the miner claimed and users paid, compared with what the node itself counts."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import polars as pl

from flows.sources.block_frame import block_frame
from flows.sources.node.kind import NODE
from flows.sources.node.walk import BlockStats, ChainWalk
from schemas.errors import BadInputError
from schemas.node_block import NodeBlock, Transaction, satoshi
from schemas.observations import Batch, Notice, ObservedTable

ROWS_A_BATCH_COUNT: Final = 144
"""About a day: what a run that is killed has to fetch again."""

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


def block_row(block: NodeBlock, pool_of: PoolOf) -> BlockRow:
    """The row of a block that was fetched with its fees. Raises `ValueError` for an invalid amount."""
    coinbase, *others = block.tx
    return BlockRow(
        height=block.height,
        hash=block.hash,
        time=block.time,
        difficulty=block.difficulty,
        coinbase_sat=sum(satoshi(output.value) for output in coinbase.vout),
        fees_sat=sum(satoshi(tx.fee) for tx in others),
        pool=pool_of(coinbase),
    )


def block_batches(
    walk: ChainWalk, blocks: Iterable[NodeBlock], pool_of: PoolOf, now: datetime
) -> Iterator[Batch | Notice]:
    """Rows of `blocks`, checked against the node's own count of fees and the subsidy that its chain allows.

    Shape: `schemas.observations.BLOCK`, at most `ROWS_A_BATCH_COUNT` rows a batch, sorted by height. The digest is that
    of the block hashes, which commit to the whole content. Raises `BadInputError` where the sums do not hold, and
    whatever `blocks` raises.
    """
    rows: list[BlockRow] = []
    for block in blocks:
        try:
            rows.append(block_row(block, pool_of))
        except ValueError as error:
            raise BadInputError(
                f"{walk.origin} block {block.height:,}",
                str(error),
                "amounts of bitcoin",
                "check what kind of node this is",
            ) from error
        if len(rows) == ROWS_A_BATCH_COUNT:
            yield from _batch(walk, rows, now)
            rows = []
    if rows:
        yield from _batch(walk, rows, now)


def _batch(walk: ChainWalk, rows: list[BlockRow], now: datetime) -> Iterator[Batch | Notice]:
    # The genesis block has no undo data, and with it no statistics.
    counted = [row for row in rows if row.height]
    for row, stats in zip(counted, walk.stats([(row.height, row.hash) for row in counted]), strict=True):
        check_row(walk.origin, row, stats)
        if row.coinbase_sat < row.fees_sat:
            left_sat = row.fees_sat - row.coinbase_sat
            yield Notice(
                source=NODE.name,
                origin=walk.origin,
                message=f"block {row.height:,} left {left_sat:,} satoshi of its fees; its subsidy counts as 0",
            )
    yield block_batch(walk.origin, block_frame(rows), [row.hash for row in rows], now)


def block_batch(origin: str, rows: pl.DataFrame, hashes: Iterable[str], now: datetime) -> Batch:
    """`rows` of blocks with these `hashes`, fetched from the node at `origin`."""
    return Batch(
        source=NODE.name,
        table=ObservedTable.BLOCK,
        origin=f"{origin} blocks {rows['height'][0]}..{rows['height'][-1]}",
        sha256=sha256("".join(hashes).encode()).hexdigest(),
        observed_at=now,
        rows=rows,
    )


def check_row(origin: str, row: BlockRow, stats: BlockStats) -> None:
    """Raise `BadInputError` where `row` differs from what the node at `origin` counts."""
    place = f"{origin} block {row.height:,}"
    remedy = "do not trust this node; compare the block with another"
    if (stats.hash, stats.height) != (row.hash, row.height):
        raise BadInputError(place, f"statistics of {stats.hash}", row.hash, remedy)
    if stats.fees_sat != row.fees_sat:
        raise BadInputError(place, f"fees of {row.fees_sat}", f"{stats.fees_sat} as getblockstats counts", remedy)
    if row.subsidy_claimed_sat > stats.allowed_subsidy_sat:
        raise BadInputError(
            place, f"a subsidy of {row.subsidy_claimed_sat}", f"at most {stats.allowed_subsidy_sat}", remedy
        )
