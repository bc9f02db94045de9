"""Attributes stored history anew with the present labels, from candidates and without the node."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from flows.sources.node.checkpoints import Checkpoint, Checkpoints
from flows.sources.node.kind import NODE
from flows.sources.node.label_sets import ExchangesOn, label_set_after
from flows.sources.whole_blocks import flow_batches
from schemas.errors import WarehouseError
from schemas.miner_set import MinerSet, OneHop
from schemas.observations import Batch, Notice
from transforms.attribution.blocks import BlockFlows, attribute
from transforms.attribution.candidates import KeptPools, reduced_blocks
from warehouse.candidate_files import CandidateFiles, Start
from warehouse.miner_set import miner_set_block

BLOCKS_A_BATCH: Final = 10_000


class Relabelling:
    """From the first candidate to the newest miner set; what is above that is read from the node again anyway."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        files: CandidateFiles,
        label_set: str,
        exchanges_on: ExchangesOn,
    ) -> None:
        self._checkpoints, self._files = checkpoints, files
        self._label_set, self._exchanges_on = label_set, exchanges_on

    def observe(self, now: datetime) -> Iterator[Batch | Notice]:
        """Yield the flows of all candidates, and keep the miner sets they lead to aside until `adopt`.

        Raises `WarehouseError` where there are no candidates up to the newest miner set, or where they are damaged.
        """
        start, newest = self._range()
        label_set = self._label_set
        miners = self._files.start_set()
        if miners.one_hop != OneHop():
            label_set = label_set_after(self._label_set, start.label_set, miners.height)
            yield Notice(
                source=NODE.name,
                origin=str(self._files.folder),
                message=(
                    f"candidates are kept from block {start.first:,} on: flows of blocks below keep the labels they "
                    "were read with, and the 1-hop layer begins with what those labels left in it; to attribute all "
                    f"blocks with the present ones, remove {self._checkpoints.folder} and run `hashpivot daily`, which "
                    "reads them from the node again"
                ),
            )
        wanted = {kept.height for kept in self._checkpoints.newest_first()}
        self._checkpoints.drop_staged()
        flows: list[BlockFlows] = []
        for flow in self._flows(miners):
            flows.append(flow)
            if flow.height in wanted:
                self._checkpoints.stage(miners, label_set)
            if len(flows) == BLOCKS_A_BATCH or flow.height == newest.height:
                yield from flow_batches(NODE.name, flows, label_set, str(self._files.folder), now)
                flows = []

    def adopt(self) -> None:
        """Put the miner sets that `observe` led to in the place of those of other labels."""
        self._checkpoints.adopt_staged()

    def _range(self) -> tuple[Start, Checkpoint]:
        start, kept = self._files.start(), self._checkpoints.newest_first()
        if start is None or not kept:
            raise WarehouseError(
                f"{self._files.folder}: found no candidates, expected what a run keeps of the blocks it reads; "
                "run `hashpivot daily`, from whose next block on they are kept; to attribute the blocks below anew, "
                f"remove {self._checkpoints.folder} first, so that it reads them from the node again"
            )
        last = self._files.last() or (start.first - 1, "")
        # A miner set above the candidates is of a branch that died, or of blocks that were read without keeping any.
        usable = [each for each in kept if start.first - 1 <= each.height <= last[0]]
        newest = usable[0] if usable else kept[0]
        if usable:
            self._files.cut(newest.height)
        if self._files.last() != miner_set_block(newest.path):
            raise WarehouseError(
                f"{self._files.folder}: found candidates of blocks {start.first} to {last[0]}, expected them up to the "
                f"newest miner set, at {newest.height}; run `hashpivot daily` first"
            )
        return start, newest

    def _flows(self, miners: MinerSet) -> Iterator[BlockFlows]:
        pools = KeptPools()
        for rows in self._files.rows():
            try:
                for block in reduced_blocks(rows, miners.block_hash or None, pools):
                    exchanges = self._exchanges_on(datetime.fromtimestamp(block.time, UTC).date())
                    yield attribute(block, miners, exchanges, pools)
            except (ValueError, IndexError) as error:
                raise WarehouseError(
                    f"{self._files.folder}: found {str(error)!r} after block {miners.height}, expected candidates as "
                    "they were written; restore a backup"
                ) from error
