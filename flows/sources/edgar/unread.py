"""Which documents could not be read, and on which days that was tried: so that one of them holds up no others."""

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from flows.sources.decoders import decoder
from flows.sources.web.state_files import write_state_file

MOST_DAYS_COUNT: Final = 7
"""A document that could not be read on so many days is left alone."""


class Unread:
    """One small file in `folder`. Whatever is wrong with it, it counts as empty."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "unread.json"
        self._days: dict[str, set[date]] = {}
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._days = decoder(dict[str, set[date]]).decode(self._file.read_bytes())

    def days_count(self, accession: str, until: date) -> int:
        """On how many days up to `until` the document of this filing could not be read."""
        return sum(day <= until for day in self._days.get(accession, ()))

    def add(self, accession: str, day: date) -> None:
        """It could not be read on this day either."""
        self._days.setdefault(accession, set()).add(day)
        write_state_file(self._file, msgspec.json.encode(self._days, order="sorted"))
