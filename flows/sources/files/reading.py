"""What one recognised file turned out to say, before files that overlap are set against each other."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.errors import BadInputError
from schemas.observations import ObservedTable

LONGEST_QUOTE_CHARACTERS: Final = 60
"""A bad cell is quoted up to here, so that a message stays one line a person can read."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One cell that cannot be believed, at a row counted the way a text editor counts lines, from 1."""

    row: int
    column: str
    value: object
    expected: str
    remedy: str = "download the file again or correct the cell"


def refuse_first(origin: str, faults: list[Fault]) -> None:
    """Raise `BadInputError` for the topmost fault; do nothing where there is none."""
    if faults:
        first = min(faults, key=lambda fault: fault.row)
        place = f"{origin} row {first.row}, column {first.column}"
        raise BadInputError(place, shortened(first.value), first.expected, first.remedy)


def shortened(value: object) -> object:
    """`value` as it is, or its beginning where it is a long text."""
    if isinstance(value, str) and len(value) > LONGEST_QUOTE_CHARACTERS:
        return value[:LONGEST_QUOTE_CHARACTERS] + "..."
    return value
