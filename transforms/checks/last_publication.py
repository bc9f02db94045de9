"""What is about to be published against what readers have: finished days that change, known days that go missing."""

import math
from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts

REWRITTEN: Final = CheckFacts(
    name="finished days stay as they were published",
    severity="warning",
    window="all final days of the last publication",
    reason=(
        "Vendors revise a few recent days as they come to know wallets; more than 2 % of all days changed by more than "
        "0.1 % is another history, which readers should know of."
    ),
    fault="a vendor's history made anew",
)
RESCALED: Final = CheckFacts(
    name="no published history becomes one of another scale",
    severity="error",
    window="all final days of the last publication",
    reason=(
        "Whoever finds wallets changes flows by a factor of two or three; chain and prices do not change at all. A "
        "median change of 5 (flows) or 1.5 (chain, price) over five days is another unit."
    ),
    fault="outflow times 10 or 0.001 over all history",
)
COVERED: Final = CheckFacts(
    name="what was known is known again",
    severity="warning",
    window="all days of the last publication that are published again",
    reason="Observations are only ever added, so that a day goes missing only where another source was chosen.",
    fault="a source that states less than the one it takes the place of",
)
LOST: Final = CheckFacts(
    name="most of what was known is known again",
    severity="error",
    window="all days of the last publication that are published again",
    reason="Half of the days of a column gone is no revision.",
    fault="a history cut to 100 days",
)
CATALOGUE: Final = (REWRITTEN, RESCALED, COVERED, LOST)

MOST_SCALE: Final = {
    "price_usd": 1.5,
    "block_count": 1.5,
    "issuance_btc": 1.5,
    "difficulty": 1.5,
    "fees_btc": 1.5,
    "miner_outflow_btc": 5.0,
    "miner_to_exchange_btc": 5.0,
    "miner_to_exchange_count": 5.0,
}
"""Columns of `capitulation_daily` that are compared, with the factor from which a changed history stops."""
COLUMNS: Final = ("day", "is_final", *MOST_SCALE)
CHANGED: Final = 0.001
MOST_CHANGED_SHARE: Final = 0.02
LEAST_CHANGED_DAYS: Final = 5
MOST_LOST_SHARE: Final = 0.5


def check_last_publication(days: pl.DataFrame, published: pl.DataFrame) -> Iterator[Check]:
    """Compare `capitulation_daily` as it is now with the one that is published; both have `COLUMNS`."""
    both = published.select(COLUMNS).join(days.select(COLUMNS), on="day", how="inner", suffix="_now", validate="1:1")
    rewritten, rescaled, uncovered, lost = [], [], [], []
    for column, most in MOST_SCALE.items():
        was, now = pl.col(column), pl.col(f"{column}_now")
        known = both.filter(was.is_not_null()).sort("day")
        gone = known.filter(now.is_null())["day"]
        if gone.len():
            uncovered.append(f"{column}: {gone.len()} of {known.height} days, {gone[0]} to {gone[-1]}")
            if gone.len() > MOST_LOST_SHARE * known.height:
                lost.append(uncovered[-1])
        finished = known.filter(pl.col("is_final").fill_null(False), now.is_not_null())
        changed = finished.filter((now - was).abs() > CHANGED * was.abs())
        if changed.height < LEAST_CHANGED_DAYS:
            continue
        # A zero that becomes a figure, or the other way round, is a change beyond any factor.
        factor = 10 ** float(changed.select((now / was).log10().abs().median()).item() or 0)
        first, last = changed["day"][0], changed["day"][-1]
        found = f"{column}: {changed.height} of {finished.height} days, {first} to {last}, by a factor of {factor:.3g}"
        if changed.height > MOST_CHANGED_SHARE * finished.height:
            rewritten.append(found)
        if not math.isfinite(factor) or factor > most:
            rescaled.append(found)
    for facts, named, expected in (
        (REWRITTEN, rewritten, f"at most {MOST_CHANGED_SHARE:.0%} of the finished days changed"),
        (RESCALED, rescaled, "changes within a factor of 5, of 1.5 for chain and price"),
        (COVERED, uncovered, "no day lost"),
        (LOST, lost, f"at most {MOST_LOST_SHARE:.0%} of the known days lost"),
    ):
        yield Check(
            check_name=facts.name,
            severity=facts.severity,
            passed=not named,
            value=float(len(named)),
            expected=expected,
            detail="; ".join(named) or f"{both.height} days compared",
        )
