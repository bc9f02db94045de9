"""What one recognised file turned out to say, before files that overlap are set against each other."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from schemas.observations import ObservedTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Every row one file states, in the shape of `table` and sorted by its key, with what was left out and why.

    `last_day` is the last day the file mentions, rows left out included: the later it is, the newer the export.
    """

    source: str
    table: ObservedTable
    origin: str
    sha256: str
    last_day: date
    rows: pl.DataFrame
    notices: tuple[str, ...]
