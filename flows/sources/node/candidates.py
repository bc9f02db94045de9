"""Keeps what of the blocks that are read could count under other labels, in step with the miner sets."""

from typing import Final

import polars as pl

from schemas.miner_set import MinerSet
from transforms.attribution.candidates import Candidates
from warehouse.candidate_files import BLOCKS_A_FILE, CandidateFiles

BEFORE_THE_FIRST: Final = -1


class KeptCandidates:
    """The candidates of a walk: collected batch by batch, on the disk before the miner set of the same block is."""

    def __init__(self, files: CandidateFiles) -> None:
        self._files = files
        self.keeper = Candidates()
        """What attribution hands transactions to."""
        self._waiting: list[pl.DataFrame] = []
        self._waiting_count = 0

    def begin(self, miners: MinerSet, label_set: str) -> None:
        """Keep candidates from the next block after `miners` on, and none of before."""
        self._forget()
        self._files.begin(miners, label_set)

    def resume(self, miners: MinerSet, label_set: str) -> None:
        """Go on after `miners`: drop what is above; begin there where they end below it or on another branch."""
        self._forget()
        at = (BEFORE_THE_FIRST if miners.height is None else miners.height, miners.block_hash)
        last = self._files.last()
        if last is not None and last[0] > at[0]:
            self._files.cut(at[0])
            last = self._files.last()
        if last != at:
            self._files.begin(miners, label_set)

    def collect(self) -> None:
        """Take what was kept since the last time into memory, and write it where it is enough for a file."""
        rows = self.keeper.take()
        self._waiting.append(rows)
        self._waiting_count += rows.height
        if self._waiting_count >= BLOCKS_A_FILE:
            self.write()

    def write(self) -> None:
        """Write what was collected."""
        if self._waiting_count:
            self._files.append(pl.concat(self._waiting))
        self._forget()

    def _forget(self) -> None:
        self.keeper.take()
        self.keeper.new_file()
        self._waiting, self._waiting_count = [], 0
