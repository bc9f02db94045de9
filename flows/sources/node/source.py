"""The node as a source: blocks, and what they move from miners to exchanges, read once and in order."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import polars as pl

from flows.sources.node.candidates import KeptCandidates
from flows.sources.node.checkpoints import Checkpoint, Checkpoints
from flows.sources.node.cold_start import ColdStart
from flows.sources.node.kind import NODE
from flows.sources.node.label_sets import exchanges_by_day, label_set_after
from flows.sources.node.relabel import Relabelling
from flows.sources.node.rows import block_batches
from flows.sources.node.walk import ChainWalk
from flows.sources.protocol import SHARDS_AT_ONCE, Request, Shard
from flows.sources.whole_blocks import flow_batches
from schemas.errors import BadInputError, ChainReorganisedError, TransientError
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from schemas.observations import REMEMBERED_BLOCKS, Batch, Notice, Retraction
from transforms.attribution.blocks import ONE_HOP_MEMORY_BLOCKS, BlockFlows, attribute
from transforms.attribution.pool_names import PoolNames
from warehouse.candidate_files import CandidateFiles

MOST_REORGANISATIONS_COUNT: Final = 5
"""In one run. After more of them the node gets time to settle."""
WHOLE_BLOCKS_SPAN: Final = timedelta(days=1096)
"""How far back a first run reads whole blocks by default: the two years that the Miners' Position Index and the 1-hop
layer need, and one year in which both are complete."""


class Node:
    """Blocks of an own node from where the last run ended up to the tip.

    `labels`: version and rows of the label set. The miner set is carried from block to block, so no block can be
    skipped; `since` of a request is the day from which blocks are read whole, and of those before only the coinbase.
    A miner set is stored only when the next batch is requested, which is after its batch was stored; what a run that
    follows a killed one reads again was stored before, and adds nothing. What other labels would need of each
    block is on the disk before its miner set is.
    """

    name = NODE.name

    def __init__(
        self,
        walk: ChainWalk,
        checkpoints: Checkpoints,
        cold_start: ColdStart,
        pools: PoolNames,
        labels: tuple[str, pl.DataFrame],
        candidates: CandidateFiles,
        *,
        readers_count: int = SHARDS_AT_ONCE,
    ) -> None:
        """`readers_count`: how many threads of this process read shards at once; they share its connections."""
        self._readers_count = readers_count
        self._walk, self._checkpoints, self._cold_start, self._pools = walk, checkpoints, cold_start, pools
        self.label_set, self.labels = labels
        self._exchanges_on = exchanges_by_day(labels[1])
        self._candidates = KeptCandidates(candidates)
        self._relabelling = Relabelling(checkpoints, candidates, labels[0], self._exchanges_on)
        self._stored: dict[int, str] = {}
        """Hashes of the newest blocks that are stored, by height."""

    def probe(self) -> str:
        """Chain and height of the node, after a check that it has the next blocks. Raises as `ChainWalk.facts`."""
        kept = self._checkpoints.newest_first()
        return self._walk.summary(kept[0].height + 1 if kept else self._cold_start.first_missing())

    def advice(self) -> str:
        """How the node could be faster to read. Raises as `ChainWalk.advice`."""
        return self._walk.advice()

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
            self._cold_start.read(shard, readers_count=self._readers_count)
        except ChainReorganisedError as error:
            raise TransientError(f"{self._walk.origin}: {error}; try again later") from error

    def relabel(self, now: datetime) -> Iterator[Batch | Notice]:
        """The flows of stored blocks with the present labels; sends no request. Raises as `Relabelling.observe`."""
        return self._relabelling.observe(now)

    def adopt(self) -> None:
        """Go on from the miner sets of the last `relabel`."""
        self._relabelling.adopt()

    def observe(self, request: Request) -> Iterator[Batch | Notice | Retraction]:
        """Yield flows and blocks, about a day of blocks at a time, the flows before their blocks.

        Blocks that were stored before and are no longer on the chain are retracted first.

        Raises as `ChainWalk.blocks` and `attribute`.
        """
        self._stored = dict(request.known.block_hashes.get(self.name, {}))
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

    def _observe_once(self, request: Request) -> Iterator[Batch | Notice | Retraction]:
        now, found = request.now, self._kept()
        if self._stored:
            facts, top_height = self._walk.facts(max(self._stored) + 1), max(self._stored)
            if facts.tip_height < top_height and self._walk.is_catching_up(facts):
                yield self._notice(
                    f"the node has {facts.tip_height:,} of {facts.headers:,} blocks, fewer than the {top_height:,} "
                    "that were read before; nothing is read until it has caught up"
                )
                return
            yield from self._retraction(top_height, now)
        whole_from_height = self._whole_from_height(request, found)
        if found is not None and whole_from_height is None:
            miners, checkpoint = found
            label_set = label_set_after(self.label_set, checkpoint.label_set, checkpoint.height)
            if label_set != checkpoint.label_set:
                yield self._notice(
                    f"labels changed from {checkpoint.label_set} to {self.label_set}: the new ones apply from block "
                    f"{checkpoint.height + 1:,} on; `hashpivot relabel` attributes the blocks below with them"
                )
            self._candidates.resume(miners, checkpoint.label_set)
        else:
            miners, label_set = MinerSet(), self.label_set
            yield from self._cold_start.load_into(miners, whole_from_height or 0, now)
            self._candidates.begin(miners, label_set)
            self._checkpoints.save(miners, label_set)
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
                yield from flow_batches(NODE.name, flows, label_set, self._walk.origin, now)
                self._remember(flows)
                flows.clear()
                yield item
                self._candidates.collect()
                self._checkpoints.save_when_due(miners, label_set, tip_height, first=self._candidates.write)
            else:
                yield item

    def _kept(self) -> tuple[MinerSet, Checkpoint] | None:
        """The newest usable miner set of this chain; None where there is none.

        Raises `TransientError` where the node is far behind what was read before and is catching up.
        """
        kept = self._checkpoints.newest_first()
        if not kept:
            return None
        facts = self._walk.facts(kept[0].height + 1)
        if facts.tip_height < kept[-1].height and self._walk.is_catching_up(facts):
            raise TransientError(
                f"{self._walk.origin}: found a chain of {facts.tip_height:,} blocks, expected at least the "
                f"{kept[0].height:,} that were read before; wait until the node has caught up"
            )
        return self._checkpoints.newest_on(self._has_block)

    def _remember(self, flows: Sequence[BlockFlows]) -> None:
        """Keep the hashes of the newest blocks, those of `flows` included."""
        known = self._stored | {flow.height: flow.block_hash for flow in flows}
        lowest = flows[-1].height - REMEMBERED_BLOCKS
        self._stored = {height: block_hash for height, block_hash in known.items() if height > lowest}

    def _retraction(self, top_height: int, now: datetime) -> Iterator[Retraction]:
        """Retract what is stored above the fork, if it is below the highest block that is stored.

        Where the fork is too deep to be found, all blocks whose hash is known are retracted.
        """
        fork_height = self._walk.fork_height(self._stored.get, top_height)
        if fork_height == top_height:
            return
        above_height = min(self._stored) - 1 if fork_height is None else fork_height
        gone = self._stored[top_height]
        self._stored = {height: each for height, each in self._stored.items() if height <= above_height}
        yield Retraction(
            source=NODE.name,
            origin=self._walk.origin,
            sha256=sha256(gone.encode()).hexdigest(),
            observed_at=now,
            above_height=above_height,
        )

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
                flows.append(attribute(block, miners, exchanges, self._pools, self._candidates.keeper))
            except ValueError as error:
                raise BadInputError(
                    f"{self._walk.origin} block {block.height:,}",
                    str(error),
                    "amounts of bitcoin",
                    "check what kind of node this is",
                ) from error
            yield block

    def _notice(self, message: str) -> Notice:
        return Notice(source=NODE.name, origin=self._walk.origin, message=message)
