"""The node as a source: blocks, and what they move from miners to exchanges, read once and in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final

import polars as pl

from flows.sources.node.checkpoints import Checkpoint, Checkpoints
from flows.sources.node.cold_start import ColdStart
from flows.sources.node.kind import NODE
from flows.sources.node.rows import block_batches
from flows.sources.node.walk import ChainWalk
from flows.sources.protocol import SHARDS_AT_ONCE, Request, Shard
from schemas.errors import BadInputError, ChainReorganisedError, TransientError
from schemas.labels import Kind
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from schemas.observations import Batch, Notice, ObservedTable
from transforms.attribution.blocks import ONE_HOP_MEMORY_BLOCKS, BlockFlows, attribute
from transforms.attribution.pool_names import PoolNames
from transforms.attribution.transfers import block_flow_rows, transfer_rows
from warehouse.labels import exchange_scripts

MOST_REORGANISATIONS_COUNT: Final = 5
"""In one run. After more of them the node gets time to settle."""
CACHED_LABEL_DAYS: Final = 4
WHOLE_BLOCKS_SPAN: Final = timedelta(days=1096)
"""How far back a first run reads whole blocks by default: the two years that the Miners' Position Index and the 1-hop
layer need, and one year in which both are complete."""

ExchangesOn = Callable[[date], Mapping[str, str]]


class Node:
    """Blocks of an own node from where the last run ended up to the tip.

    `labels`: version and rows of the label set. The miner set is carried from block to block, so no block can be
    skipped; `since` of a request is the day from which blocks are read whole, and of those before only the coinbase.
    The miner set of a batch is stored only when the next batch is requested, which is after the batch was stored; a run
    that is killed reads at most one batch again, and that adds nothing.
    """

    name = NODE.name

    def __init__(
        self,
        walk: ChainWalk,
        checkpoints: Checkpoints,
        cold_start: ColdStart,
        pools: PoolNames,
        labels: tuple[str, pl.DataFrame],
    ) -> None:
        self._walk, self._checkpoints, self._cold_start, self._pools = walk, checkpoints, cold_start, pools
        self._label_set = labels[0]
        self._exchanges_on = _by_day(labels[1])

    def probe(self) -> str:
        """Chain and height of the node. Raises as `ChainWalk.facts`."""
        return self._walk.summary()

    def close(self) -> None:
        """Close every connection; threads that still read get `RunOverError` at their next request."""
        self._walk.connection.close()

    def shards(self, request: Request) -> list[Shard]:
        """Ranges of old blocks whose coinbases are not stored yet."""
        if request.since is None and self._checkpoints.newest_first():
            return []
        whole_from_height = self._whole_from_height(request, self._kept())
        return [] if whole_from_height is None else self._cold_start.missing(whole_from_height)

    def read(self, shard: Shard) -> None:
        """Read the coinbases of one range. Raises `TransientError` where the chain was reorganised meanwhile."""
        try:
            self._cold_start.read(shard, readers_count=SHARDS_AT_ONCE)
        except ChainReorganisedError as error:
            raise TransientError(f"{self._walk.origin}: {error}; try again later") from error

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield flows and blocks, about a day of blocks at a time, the flows before their blocks.

        Raises as `ChainWalk.blocks` and `attribute`.
        """
        for _ in range(MOST_REORGANISATIONS_COUNT):
            try:
                yield from self._observe_once(request)
            except ChainReorganisedError as error:
                yield self._notice(f"{error}; blocks are read again from the newest miner set below the fork")
            else:
                return
        raise TransientError(
            f"{self._walk.origin}: found {MOST_REORGANISATIONS_COUNT} reorganisations in one run, "
            "expected a stable chain; try again later"
        )

    def _observe_once(self, request: Request) -> Iterator[Batch | Notice]:
        now, found = request.now, self._kept()
        whole_from_height = self._whole_from_height(request, found)
        if found is not None and whole_from_height is None:
            miners, checkpoint = found
            if checkpoint.label_set != self._label_set:
                yield self._notice(
                    f"labels changed from {checkpoint.label_set} to {self._label_set}: the new ones apply from block "
                    f"{checkpoint.height + 1:,} on; remove the folder of the miner sets to attribute all blocks anew"
                )
        else:
            miners = MinerSet()
            yield from self._cold_start.load_into(miners, whole_from_height or 0, now)
            self._checkpoints.save(miners, self._label_set)
        next_height = 0 if miners.height is None else miners.height + 1
        if miners.whole_from_height:
            yield self._notice(
                f"blocks are read whole from {miners.whole_from_height:,} on; the 1-hop layer begins there and is a "
                f"lower bound before {miners.whole_from_height + ONE_HOP_MEMORY_BLOCKS:,}"
            )
        tip_height = self._walk.facts(next_height).tip_height
        if tip_height < next_height:
            return
        flows: list[BlockFlows] = []
        blocks = self._walk.blocks(
            next_height,
            tip_height,
            previous_hash=miners.block_hash or None,
            coinbase_txids=miners.coinbase_txids,
        )
        attributed = self._attributed(blocks, miners, flows)
        for item in block_batches(self._walk, attributed, self._pools.pool, now):
            if isinstance(item, Batch):
                # The blocks last: flows without their block are ignored.
                yield from self._flow_batches(flows, now)
                flows.clear()
                yield item
                self._checkpoints.save(miners, self._label_set)
            else:
                yield item

    def _kept(self) -> tuple[MinerSet, Checkpoint] | None:
        """The newest usable miner set of this chain; None where there is none.

        Raises `TransientError` where the node is far behind what was read before.
        """
        kept = self._checkpoints.newest_first()
        if not kept:
            return None
        tip_height = self._walk.facts(kept[0].height + 1).tip_height
        if tip_height < kept[-1].height:
            raise TransientError(
                f"{self._walk.origin}: found a chain of {tip_height:,} blocks, expected at least the "
                f"{kept[0].height:,} that were read before; wait until the node has caught up"
            )
        return self._checkpoints.newest_on(self._has_block)

    def _whole_from_height(self, request: Request, found: tuple[MinerSet, Checkpoint] | None) -> int | None:
        """The height from which blocks are to be read whole; None where they already are, from `found` on.

        For a day before the first that was read whole, the run begins there, as all later state depends on it.
        """
        if found is not None and request.since is None:
            return None
        wanted = self._cold_start.height(request.since or request.through - WHOLE_BLOCKS_SPAN)
        return None if found is not None and wanted >= found[0].whole_from_height else wanted

    def _has_block(self, height: int, block_hash: str) -> bool:
        return self._walk.fork_height(lambda at: block_hash if at == height else None, height) == height

    def _attributed(
        self, blocks: Iterable[NodeBlock], miners: MinerSet, flows: list[BlockFlows]
    ) -> Iterator[NodeBlock]:
        """The same blocks; each is first added to `miners` and `flows`."""
        for block in blocks:
            exchanges = self._exchanges_on(datetime.fromtimestamp(block.time, UTC).date())
            try:
                flows.append(attribute(block, miners, exchanges, self._pools))
            except ValueError as error:
                raise BadInputError(
                    f"{self._walk.origin} block {block.height:,}",
                    str(error),
                    "amounts of bitcoin",
                    "check what kind of node this is",
                ) from error
            yield block

    def _flow_batches(self, flows: list[BlockFlows], now: datetime) -> Iterator[Batch]:
        digest = sha256("".join(flow.block_hash for flow in flows).encode()).hexdigest()
        for table, rows in (
            (ObservedTable.MINER_TRANSFER, transfer_rows(flows, self._label_set)),
            (ObservedTable.MINER_BLOCK_FLOW, block_flow_rows(flows, self._label_set)),
        ):
            if not rows.is_empty():
                yield Batch(
                    source=NODE.name,
                    table=table,
                    origin=f"{self._walk.origin} blocks {flows[0].height}..{flows[-1].height}",
                    sha256=digest,
                    observed_at=now,
                    rows=rows,
                )

    def _notice(self, message: str) -> Notice:
        return Notice(source=NODE.name, origin=self._walk.origin, message=message)


def _by_day(labels: pl.DataFrame) -> ExchangesOn:
    """Exchange scripts of any day, computed once for all days between two changes of the labels."""
    changes = labels.filter(pl.col("kind") == Kind.EXCHANGE.value)["valid_from"].drop_nulls().unique().sort().to_list()

    @lru_cache(CACHED_LABEL_DAYS)
    def since(change: date) -> Mapping[str, str]:
        return exchange_scripts(labels, on=change)

    return lambda day: since(max((change for change in changes if change <= day), default=date.min))
