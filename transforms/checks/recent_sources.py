"""The last 30 days that two sources state of one series, where a median over all history would hide them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts
from schemas.series import SERIES, Group
from transforms.checks.between_sources import JUDGED_BY_VENUE, LABELLED
from transforms.checks.days import RECENT_DAYS

DRIFT: Final = CheckFacts(
    name="keeps its ratio to the published one",
    severity="warning",
    window="last 30 common days against the year before them",
    reason=(
        "Two vendors' flows differ by 100 %, yet their ratio moved by a factor of at most 1.5 over 30 days in 2025 and "
        "2026: more means that one of them changed. It does not stop: the published one has checks of its own."
    ),
    fault="exchange inflow of one vendor times 10",
)
SAME: Final = CheckFacts(
    name="agrees lately with the published one",
    severity="warning",
    window="last 30 common days",
    reason="Figures of the chain are the same for everybody; more than 1 % apart at the median, one source is wrong.",
    fault="difficulty or fees times 1.5 for 20 days in one source",
)
CATALOGUE: Final = (DRIFT, SAME)

YEAR_DAYS: Final = 365
LEAST_DAYS: Final = 180
MOST_DRIFT: Final = 2.0
MOST_APART: Final = 0.01


def check_recent_sources(
    values: pl.DataFrame, precedence: Mapping[Group, Sequence[str]], chosen: Mapping[str, str]
) -> Iterator[Check]:
    """Compare each source that the `precedence` ranks with the `chosen` one of its series.

    `values`: long, (`source`, `series`, `day`, `value`). Prices are left to `check_prices`. One result a series and
    source with at least 30 common days.
    """
    ranked = values.filter(pl.col("value") > 0, ~pl.col("series").is_in(JUDGED_BY_VENUE))
    for name, supplier in chosen.items():
        group = SERIES[name].group
        others = [source for source in precedence.get(group, ()) if source != supplier]
        if name in JUDGED_BY_VENUE or SERIES[name].ge < 0 or not others:
            continue
        of_series = ranked.filter(series=name)
        ours = of_series.filter(source=supplier).select("day", pl.col("value").alias("ours"))
        for source in others:
            both = of_series.filter(source=source).join(ours, on="day", how="inner", validate="1:1").sort("day")
            if both.height >= RECENT_DAYS:
                ratios = both.select("day", (pl.col("value") / pl.col("ours")).log10().alias("ratio"))
                yield from _compared(f"{name}: {source}", ratios, by_labels=group in LABELLED)


def _compared(subject: str, ratios: pl.DataFrame, *, by_labels: bool) -> Iterator[Check]:
    recent = ratios.tail(RECENT_DAYS)
    year = ratios.slice(0, ratios.height - recent.height).tail(YEAR_DAYS)
    newest = recent["day"][-1]
    if not by_labels:
        apart = 10 ** abs(_median(recent)) - 1
        yield Check(
            check_name=SAME.of(subject),
            severity=SAME.severity,
            passed=apart <= MOST_APART,
            value=apart * 100,
            expected=f"within {MOST_APART:.0%} at the median of {RECENT_DAYS} days",
            detail=f"{apart:.4%} apart at the median of the {RECENT_DAYS} common days up to {newest}",
        )
    elif year.height >= LEAST_DAYS:
        drift = 10 ** (_median(recent) - _median(year))
        moved = max(drift, 1 / drift)
        yield Check(
            check_name=DRIFT.of(subject),
            severity=DRIFT.severity,
            passed=math.isfinite(moved) and moved <= MOST_DRIFT,
            value=drift,
            expected=f"a factor up to {MOST_DRIFT:g}",
            detail=f"ratio moved by a factor of {drift:.3g} in the {RECENT_DAYS} common days up to {newest}",
        )


def _median(ratios: pl.DataFrame) -> float:
    return float(ratios["ratio"].median() or 0)  # type: ignore[arg-type]
