"""Rows that a source states and that fail their contract: what is known of each, and when so many mean a broken source.

A table states in its contract whether such a row may be set aside by itself (`Quarantine`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.text import cell

METADATA: Final = "quarantine"
"""In the metadata of the contract of a raw table: its `Quarantine`."""
ALWAYS_SET_ASIDE_COUNT: Final = 10
"""So many failing rows of one file or response are set aside whatever their share, as long as they are not most."""
MOST_SET_ASIDE_RATIO: Final = 0.01
MOST_SET_ASIDE_OF_FEW_RATIO: Final = 0.5
LIMIT: Final = (
    f"{ALWAYS_SET_ASIDE_COUNT} rows or {MOST_SET_ASIDE_RATIO:.0%} of a file or response, whichever is more, "
    "and never more than half of it"
)
LONGEST_RECEIVED_CHARACTERS: Final = 1_000
"""A cell is kept up to here."""


class Rule(StrEnum):
    """What a row broke; it decides what can become of the row."""

    VALUE = "value"
    """A value outside what its table or series may hold."""
    REPEATED = "repeated"
    """The same key twice in one file or response, with different values."""
    KEY = "key"
    """A part of the key that is not known, such as a name."""
    DAY = "day"
    """A day that was not over when the row was received, or before the first block."""
    UNREADABLE = "unreadable"
    """Not a value of the type of its column, or none where there must be one."""

    @property
    def is_acceptable(self) -> bool:
        """Whether a person may let the row in: the table can hold it as it is."""
        return self in (Rule.VALUE, Rule.REPEATED)

    @property
    def is_replayed(self) -> bool:
        """Whether a newer version may find the row sound: it needs to look at nothing but the row."""
        return self in (Rule.VALUE, Rule.KEY)


class Status(StrEnum):
    """What became of a row in the quarantine."""

    HELD = "held"
    """Waits for a decision, a sound row from the source, or a newer version."""
    ACCEPTED = "accepted"
    """Let in by a person; what is published from it is marked."""
    REJECTED = "rejected"
    """Kept out by a person, also when the source sends it again."""
    RELEASED = "released"
    """Needs no decision any more: a sound row took its place, or it passes the rules of a newer version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Whether a failing row of a raw table may be set aside while the others are stored, and why."""

    is_sound: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """One row that failed.

    `key`: of its table, as text where it cannot be read; `received`: cells as the source sent them; `row`: the same as
    the table would hold it, None where it cannot; `place`: where in a file or response. What others wrote is escaped
    in `place` and `reason`.
    """

    key: Mapping[str, Any]
    received: Mapping[str, Any]
    row: Mapping[str, Any] | None
    rule: Rule
    reason: str
    place: str

    def __post_init__(self) -> None:
        for name in ("reason", "place"):
            object.__setattr__(self, name, cell(getattr(self, name)))

    def message(self) -> str:
        """Place and reason in one line."""
        return f"{self.place}: {self.reason}"


def as_json(cells: Mapping[str, Any]) -> str:
    """Cells as JSON, the same for the same cells: in their order, days as text, long text cut."""
    return json.dumps(cells, default=str, ensure_ascii=True)


def key_text(key: str) -> str:
    """A key that is kept as JSON, as a part of a sentence."""
    return cell(" ".join(str(value) for value in json.loads(key).values()))


def received_cell(value: object) -> object:
    """A cell as it is kept."""
    return value[:LONGEST_RECEIVED_CHARACTERS] if isinstance(value, str) else value


def is_broken(failed_count: int, row_count: int) -> bool:
    """Whether so many of the rows of one file or response fail that the source itself is taken to be broken."""
    share = MOST_SET_ASIDE_RATIO * row_count
    return failed_count > min(max(ALWAYS_SET_ASIDE_COUNT, share), MOST_SET_ASIDE_OF_FEW_RATIO * row_count)


def too_many(failed_count: int, row_count: int) -> str:
    """The same in words, for a message."""
    return f"{failed_count:,} of {row_count:,} rows fail, more than are set aside"
