"""Rows of blocks: what the miner claimed and users paid, which must fit each other.

Fees are what inputs exceed outputs by. A coinbase that claims exactly that and the whole subsidy confirms them; only of
the few blocks whose miner left something behind is the node's own count requested, which costs it as much as the block.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from flows.sources.block_frame import block_frame
from flows.sources.node.kind import NODE
from flows.sources.node.walk import BlockStats, ChainWalk
from flows.sources.whole_blocks import BlockRow, PoolOf, allowed_subsidy_sat, block_batch, block_row
from schemas.errors import BadInputError
from schemas.node_block import NodeBlock
from schemas.observations import Batch, Notice

ROWS_A_BATCH_COUNT: Final = 144
"""About a day: what a run that is killed has to fetch again."""


def block_batches(
    walk: ChainWalk, blocks: Iterable[NodeBlock], pool_of: PoolOf, now: datetime
) -> Iterator[Batch | Notice]:
    """Rows of `blocks`, checked against what their coinbases claim, or else against the node's own count.

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
    counted = [row for row in rows if row.height and not claims_all(walk.chain, row)]
    for row, stats in zip(counted, walk.stats([(row.height, row.hash) for row in counted]), strict=True):
        check_row(walk.origin, row, stats)
        if row.coinbase_sat < row.fees_sat:
            left_sat = row.fees_sat - row.coinbase_sat
            yield Notice(
                source=NODE.name,
                origin=walk.origin,
                message=f"block {row.height:,} left {left_sat:,} satoshi of its fees; its subsidy counts as 0",
            )
    yield block_batch(NODE.name, walk.origin, block_frame(rows), [row.hash for row in rows], now)


def claims_all(chain: str, row: BlockRow) -> bool:
    """Whether the coinbase pays out the fees and all the subsidy that the chain allows, so that both are confirmed."""
    return row.coinbase_sat == row.fees_sat + allowed_subsidy_sat(chain, row.height)


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
