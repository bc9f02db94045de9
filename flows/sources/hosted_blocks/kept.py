"""Hashes of the newest blocks that were stored, kept so that a later run finds which of them were replaced."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from flows.sources.decoders import decoder
from flows.sources.hosted_blocks.block import Hash, Height
from flows.sources.web.state_files import write_state_file

KEPT_COUNT: Final = 300
"""About two days. The deepest fork that the chain has seen was 53 blocks, in 2010."""


class _Kept(msgspec.Struct):
    first_height: Height
    hashes: list[Hash]


class KeptHashes:
    """One small file. A damaged one counts as missing, and recent blocks are read again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[int, str]:
        """Hash by height, without a gap, lowest first."""
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            kept = decoder(_Kept).decode(self._path.read_bytes())
            return dict(enumerate(kept.hashes, kept.first_height))
        return {}

    def write(self, hashes: Mapping[int, str]) -> None:
        """Keep the topmost stretch of `hashes`, replacing what was kept."""
        top = height = max(hashes)
        while height - 1 in hashes and top - height + 1 < KEPT_COUNT:
            height -= 1
        kept = _Kept(height, [hashes[each] for each in range(height, top + 1)])
        write_state_file(self._path, msgspec.json.encode(kept))
