"""Which exchanges and pools carried most when all of them were last fetched, so that a daily run fetches only those."""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from flows.sources.decoders import decoder
from flows.sources.web.state_files import write_state_file

_FILE: Final = "busiest.json"


class Pair(msgspec.Struct, frozen=True):
    """Who sends to whom; 'all' in place of a name."""

    exchange: str
    pool: str


class Kept(msgspec.Struct, frozen=True):
    """`pairs`, the busiest first, as they were when everything was read at `read_at`."""

    read_at: datetime
    pairs: list[Pair]


class Busiest:
    """One small file in `folder`. Whatever is wrong with it, it counts as not there: the cost is one full reading."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def read(self) -> Kept | None:
        """What was kept, None where there is nothing that can be used."""
        try:
            kept = decoder(Kept).decode(self._path.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return kept if kept.read_at.utcoffset() is not None else None

    def write(self, kept: Kept) -> None:
        """Keep it, or leave it where the disk does not take it."""
        write_state_file(self._path, msgspec.json.encode(kept))
