"""Whether the rule of capitulation still shows distress, and not hash rate that left for AI."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts
from schemas.units import PERCENT

SINCE: Final = date(2025, 1, 1)
MOST_LOST_DIVISOR: Final = 3
"""At most this part of the days: a third."""
DRIFT: Final = CheckFacts(
    name="capitulation is not hash rate that left for AI",
    severity="warning",
    window="all days since 2025",
    reason=(
        "With the hash rate of sites that AI took added back, more than a third fewer days in capitulation would mean "
        "that the rule shows conversion and not distress, and that the adjusted one should lead."
    ),
    fault="sites of a tenth of the hash rate that serve AI",
)
CATALOGUE: Final = (DRIFT,)


def check_drift(years: pl.DataFrame) -> Iterator[Check]:
    """Compare the days in capitulation of `years`, rows of `hashrate_left_for_ai`, with those of the adjusted rule."""
    recent = years.filter(pl.col("year_start") >= SINCE)
    counts = ("capitulation_day_count", "capitulation_adjusted_day_count", "hashrate_decline_day_count", "day_count")
    now, adjusted, declines, days = recent.select(pl.sum(*counts)).row(0)
    lost_pct = PERCENT * (now - adjusted) / now if now else 0.0
    yield Check(
        check_name=DRIFT.name,
        severity=DRIFT.severity,
        passed=MOST_LOST_DIVISOR * (now - adjusted) <= now,
        value=lost_pct,
        expected="at most a third fewer days in capitulation with that hash rate added back",
        detail=(
            f"{adjusted} of {now} days in capitulation since {SINCE} with it; "
            f"hashrate_decline on {declines} of {days} days"
        ),
    )
