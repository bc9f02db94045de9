"""Columns of days as small as JSON can hold them: a first day, one value a day, no more digits than a chart shows."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

DIGITS: Final = 6
"""Significant digits of a value; the tables beside the report have all of them."""
FEWEST_DAYS_A_STEP: Final = 4
"""A column that changes less often than every so many days is written as steps."""

LARGEST_INTEGER: Final = 2.0**53
"""Above it JavaScript has no exact integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Days from `first` to `last`, without gaps."""

    first: date
    last: date

    @classmethod
    def of(cls, *frames: pl.DataFrame) -> "Axis":
        """The days of all `frames`, each sorted by `day`."""
        days = [frame["day"] for frame in frames if frame.height]
        return cls(first=min(day[0] for day in days), last=max(day[-1] for day in days))

    @property
    def count(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    def index(self, day: date) -> int:
        """Position of `day`, outside of 0 to `count` where it is no day of the axis."""
        return (day - self.first).days


def packed(values: pl.Series, first: int) -> dict[str, Any]:
    """Values of consecutive days, the first of them at position `first` of the axis, as an object of JSON.

    `{"from": 3, "values": [...]}` has one value a day and null where there is none. `{"at": [3, 9], "values": [1, 2],
    "until": 20}` is the same of a column that seldom changes: each value holds from its position to the next one.
    Days before and after have no value.
    """
    rounded = values.cast(pl.Float64).fill_nan(None).round_sig_figs(DIGITS)
    known = rounded.is_not_null().arg_true()
    if known.is_empty():
        return {"from": 0, "values": []}
    begin, end = int(known[0]), int(known[-1]) + 1
    rounded = rounded.slice(begin, end - begin)
    if bool(((rounded == rounded.round(0)) & (rounded.abs() < LARGEST_INTEGER)).all()):
        rounded = rounded.cast(pl.Int64)
    changes = rounded.ne_missing(rounded.shift(1))
    changes[0] = True
    if changes.sum() * FEWEST_DAYS_A_STEP < rounded.len():
        at = changes.arg_true()
        return {
            "at": (at + (first + begin)).to_list(),
            "values": rounded.gather(at).to_list(),
            "until": first + end,
        }
    return {"from": first + begin, "values": rounded.to_list()}
