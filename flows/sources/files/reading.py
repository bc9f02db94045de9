"""The content of one recognised file, before overlaps between files are resolved."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from schemas.observations import ObservedTable
from schemas.quarantine import FailedRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Every row one file states, in the shape of `table` and sorted by its key, with notices of what was dropped.

    `failed`: rows that are set aside, as they cannot be believed.

    `last_day` is the last day the file mentions, dropped rows included: the later it is, the newer the export.
    """

    source: str
    table: ObservedTable
    origin: str
    sha256: str
    last_day: date
    rows: pl.DataFrame
    notices: tuple[str, ...]
    failed: tuple[FailedRow, ...] = ()
