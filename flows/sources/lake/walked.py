"""What the walk over a lake has read: versions of its days, and where each day ended, kept beside its miner sets."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec

from flows.sources.decoders import decoder
from flows.sources.web.state_files import write_state_file


class Walked(msgspec.Struct):
    """A walk from the file of the day `first` on.

    `versions`: by day of a file that was read to its end, its version; `ends`: by day, the height of its last block.
    """

    first: date
    versions: dict[date, str] = {}
    ends: dict[date, int] = {}


class WalkedDays:
    """One small file. A missing or damaged one means that nothing was walked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Walked | None:
        """What was kept last."""
        with suppress(OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return decoder(Walked).decode(self._path.read_bytes())
        return None

    def begin(self, first: date) -> Walked:
        """Forget the walk before, and keep that one begins."""
        walked = Walked(first)
        self.write(walked)
        return walked

    def write(self, walked: Walked) -> None:
        """Keep `walked`."""
        write_state_file(self._path, msgspec.json.encode(walked))


def changed(walked: Walked, versions: Mapping[date, str], look_from: date) -> list[date]:
    """Days that the walk has not read, and those from `look_from` on that are of another version, sorted."""
    return sorted(
        day
        for day, version in versions.items()
        if day >= walked.first
        and (day not in walked.versions or (day >= look_from and walked.versions[day] != version))
    )
