"""How much of the back-test rests on days whose figures were published in time, and whether these are the same now."""

from typing import Final

import polars as pl

from schemas.metric import metric
from schemas.units import Unit

EXACT: Final = "Exact for the publications of this home."
NO_DAY: Final = "NULL where no day was published in time."


@metric(unit=Unit.DAY, error=EXACT, null_rule=NO_DAY)
def first_covered_on() -> pl.Expr:
    """First day whose state was published before the end of the day after it, from whose price signals are measured."""
    return pl.col("first_covered_on")


@metric(unit=Unit.DAY, error=EXACT, null_rule=NO_DAY)
def last_covered_on() -> pl.Expr:
    """Last day whose state was published in time."""
    return pl.col("last_covered_on")


@metric(unit=Unit.COUNT, error=EXACT, null_rule=None, ge=0)
def covered_day_count() -> pl.Expr:
    """Days whose state was published in time; signals of other days are left out, and nothing takes their place."""
    return pl.col("covered_day_count")


@metric(unit=Unit.COUNT, error=EXACT, null_rule=None, ge=0)
def differing_day_count() -> pl.Expr:
    """Days of covered_day_count on which the rule held as first published and does not as known now, or the reverse."""
    return pl.col("differing_day_count")


@metric(unit=Unit.COUNT, error=EXACT, null_rule=None, ge=0)
def entry_now_count() -> pl.Expr:
    """Signals on days of covered_day_count as known now; entry_count has those as first published."""
    return pl.col("entry_now_count")


@metric(unit=Unit.COUNT, error=EXACT, null_rule=None, ge=0)
def entry_same_count() -> pl.Expr:
    """Signals that both have on the same day."""
    return pl.col("entry_same_count")


COVERAGE: Final = (
    first_covered_on,
    last_covered_on,
    covered_day_count,
    differing_day_count,
    entry_now_count,
    entry_same_count,
)
