"""Miner sets on disk by height: the newest to continue from, and an older one for a reorganisation of the chain.

A name holds chain, height and version of the labels. At most three are kept: the newest, the one that is at least
`REORGANISATION_BLOCKS` below it, and one between them that will take the place of the second.

A long walk stores one every `PAUSE_SECONDS`, which is what a killed run has to read again; near the tip it stores one
after each batch, so that a run ends with one at the tip and one a reorganisation deeper.
"""

import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from schemas.errors import SettingsError, WarehouseError
from schemas.miner_set import MinerSet
from warehouse.miner_set import load_miner_set, move_miner_set, save_miner_set

REORGANISATION_BLOCKS: Final = 144
"""A day. No reorganisation of the main chain went deeper; after one that does, all blocks are read again."""
PAUSE_SECONDS: Final = 120
"""A set of the main chain takes 70 MB: written after each day of blocks, a walk of three years would write 78 GB."""
_NAME: Final = re.compile(r"(?P<chain>[a-z0-9]+)-(?P<height>\d{9})-(?P<label_set>[0-9a-f]+)\.bin")


class Checkpoint(NamedTuple):
    """A stored miner set, its chain, and the version of the labels at its newest block."""

    height: int
    label_set: str
    chain: str
    path: Path


class Checkpoints:
    """The folder of the miner sets of one chain."""

    def __init__(self, folder: Path, chain: str, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._folder, self._chain = folder, chain
        self._pause_seconds = pause_seconds
        self._saved_at_seconds = monotonic()

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def newest_first(self) -> list[Checkpoint]:
        """All checkpoints. Raises `SettingsError` for one of another chain, whose heights would mix with ours."""
        found = []
        for path in self._folder.glob("*.bin"):
            if name := _NAME.fullmatch(path.name):
                found.append(Checkpoint(int(name["height"]), name["label_set"], name["chain"], path))
        for other in found:
            if other.chain != self._chain:
                raise SettingsError(
                    "HASHPIVOT_NODE_CHAIN",
                    self._chain,
                    f"{other.chain}, whose blocks are in {self._folder}",
                    "correct it, or set HASHPIVOT_HOME to another folder",
                )
        return sorted(found, reverse=True)

    def newest_on(self, has: Callable[[int, str], bool]) -> tuple[MinerSet, Checkpoint] | None:
        """The newest miner set whose block is still on the chain, as `has` finds by height and hash, or None.

        A damaged one is skipped where an older one is whole.
        """
        damage: WarehouseError | None = None
        for kept in self.newest_first():
            try:
                miners = load_miner_set(kept.path)
            except WarehouseError as error:
                damage = damage or error
                continue
            if has(kept.height, miners.block_hash):
                return miners, kept
        if damage is not None:
            raise damage
        return None

    def save_when_due(
        self, miners: MinerSet, label_set: str, tip_height: int, first: Callable[[], None] = lambda: None
    ) -> None:
        """Do `first`, then `save`, if the last was `PAUSE_SECONDS` ago or the walk to `tip_height` is about to end."""
        is_near_tip = miners.height is not None and miners.height >= tip_height - 2 * REORGANISATION_BLOCKS
        if is_near_tip or monotonic() - self._saved_at_seconds >= self._pause_seconds:
            first()
            self.save(miners, label_set)

    def save(self, miners: MinerSet, label_set: str) -> None:
        """Store `miners`, then remove what is no longer needed, and everything above it, which is of another branch."""
        if miners.height is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / self._file_name(miners, label_set)
        save_miner_set(path, miners)
        self._saved_at_seconds = monotonic()
        below = [kept for kept in self.newest_first() if kept.path != path and kept.height <= miners.height]
        deep = [kept for kept in below if kept.height <= miners.height - REORGANISATION_BLOCKS]
        between = [kept for kept in below if kept not in deep]
        needed = {path, *(kept.path for kept in deep[:1]), *(kept.path for kept in between[-1:])}
        for kept in self.newest_first():
            if kept.path not in needed:
                kept.path.unlink(missing_ok=True)

    def stage(self, miners: MinerSet, label_set: str) -> None:
        """Store `miners` aside, to take the place of the one of the same block by `adopt_staged`."""
        self._staged.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_miner_set(self._staged / self._file_name(miners, label_set), miners)

    def adopt_staged(self) -> None:
        """Put what is stored aside into its place, the newest first, and remove what it replaces."""
        others = {kept.path: kept.height for kept in self.newest_first()}
        staged = sorted(self._staged.glob("*.bin"), reverse=True)
        adopted = [move_miner_set(path, self._folder) for path in staged]
        heights = {int(name["height"]) for path in adopted if (name := _NAME.fullmatch(path.name))}
        for path, height in others.items():
            if path not in adopted and height in heights:
                path.unlink(missing_ok=True)
        self.drop_staged()

    def drop_staged(self) -> None:
        """Remove what is stored aside."""
        for path in self._staged.glob("*"):
            path.unlink(missing_ok=True)
        if self._staged.exists():
            self._staged.rmdir()

    @property
    def _staged(self) -> Path:
        return self._folder / "relabelled"

    def _file_name(self, miners: MinerSet, label_set: str) -> str:
        return f"{self._chain}-{miners.height:09d}-{label_set}.bin"
