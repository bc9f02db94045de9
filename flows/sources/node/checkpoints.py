"""Miner sets on disk by height: the newest to continue from, and an older one for a reorganisation of the chain.

A name holds chain, height and version of the labels. At most three are kept: the newest, the one that is at least
`REORGANISATION_BLOCKS` below it, and one between them that will take the place of the second.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from schemas.errors import SettingsError, WarehouseError
from schemas.miner_set import MinerSet
from warehouse.miner_set import load_miner_set, save_miner_set

REORGANISATION_BLOCKS: Final = 144
"""A day. No reorganisation of the main chain went deeper; after one that does, all blocks are read again."""
_NAME: Final = re.compile(r"(?P<chain>[a-z0-9]+)-(?P<height>\d{9})-(?P<label_set>[0-9a-f]+)\.bin")


class Checkpoint(NamedTuple):
    """A stored miner set, its chain, and the version of the labels at its newest block."""

    height: int
    label_set: str
    chain: str
    path: Path


class Checkpoints:
    """The folder of the miner sets of one chain."""

    def __init__(self, folder: Path, chain: str) -> None:
        self._folder, self._chain = folder, chain

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

    def save(self, miners: MinerSet, label_set: str) -> None:
        """Store `miners`, then remove what is no longer needed, and everything above it, which is of another branch."""
        if miners.height is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._chain}-{miners.height:09d}-{label_set}.bin"
        save_miner_set(path, miners)
        below = [kept for kept in self.newest_first() if kept.path != path and kept.height <= miners.height]
        deep = [kept for kept in below if kept.height <= miners.height - REORGANISATION_BLOCKS]
        between = [kept for kept in below if kept not in deep]
        needed = {path, *(kept.path for kept in deep[:1]), *(kept.path for kept in between[-1:])}
        for kept in self.newest_first():
            if kept.path not in needed:
                kept.path.unlink(missing_ok=True)
