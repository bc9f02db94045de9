"""Each published series against its own past: weeks against the year before, the last days against last year's scale.

A median over seventeen years hides last week, so that nothing here is averaged over all history. Ratios are judged as
logarithms: the scale of a flow is a factor.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeAlias

import polars as pl

from schemas.check import Check, CheckFacts
from schemas.series import SERIES
from transforms.checks.days import LABELLED_TIMES, NORMAL_TIMES, RECENT_DAYS, none_broken
from transforms.windows import MAD_TO_SD

LEVEL: Final = CheckFacts(
    name="no week is of another scale than the year before it",
    severity="error",
    window="each week since 2014",
    reason=(
        "The median of a week was never more than 32 times away from that of the 52 weeks before it (exchange to "
        "miner: 165 times), through every crash and halving; a factor of 100 (1,000) is another unit."
    ),
    fault="outflow times 1,000 over 322 days; flow times 0.001",
)
DAY_LEVEL: Final = CheckFacts(
    name="no new day is of another scale than last year",
    severity="error",
    window="last 30 days against the year before them",
    reason="Since 2018 no day was more than 74 times away from its year; a factor of 100 (1,000) is another unit.",
    fault="flow times 0.001 on the last day",
)
NOT_ZERO: Final = CheckFacts(
    name="no new day is zero where none was",
    severity="error",
    window="last 30 days against the year before them",
    reason="What thousands of people do each day does not stop on one day; a zero is a row that was not filled.",
    fault="last rows 0",
)
STEP: Final = CheckFacts(
    name="no day is three times the one before",
    severity="error",
    window="each day since 2013",
    reason="The largest fall of a day was to 51 %, in April 2013.",
    fault="price of another unit or day",
)
WEEK: Final = CheckFacts(
    name="last week is within last year's scale",
    severity="warning",
    window="last 7 days against the year up to 30 days ago",
    reason=(
        "Beyond 8 robust standard deviations and a factor of 2.5 is one week in a thousand since 2018: a vendor found "
        "wallets, or something happened that a reader should know."
    ),
    fault="a series that a vendor makes otherwise from one day on",
)
CATALOGUE: Final = (LEVEL, DAY_LEVEL, NOT_ZERO, STEP, WEEK)

WEEK_DAYS: Final = 7
YEAR_WEEKS: Final = 52
LEAST_WEEKS: Final = 26
YEAR_DAYS: Final = 365
LEAST_DAYS: Final = 300
MOST_FACTOR: Final = 100
MOST_FACTOR_OF: Final = {"exchange_to_miner_sat": 1_000}
"""What exchanges send to miners is a few transfers on some days."""
USUAL_FACTOR: Final = 2.5
USUAL_DEVIATIONS: Final = 8
MOST_STEP: Final = 3
STEPPED: Final = "price_usd"


def check_own_scale(days: pl.DataFrame) -> Iterator[Check]:
    """Check every series of the resolved `days`, one column a series; one result a check, over all series."""
    found: dict[str, list[Check]] = {facts.name: [] for facts in CATALOGUE}
    for name, series in SERIES.items():
        known = days.select("day", pl.col(name).alias("value")).drop_nulls()
        if known.is_empty() or series.ge < 0:  # what may be negative passes zero, and has no scale
            continue
        most = MOST_FACTOR_OF.get(name, MOST_FACTOR)
        for facts, check in (*_weeks(known, most), *_newest(known, most), *_steps(name, known)):
            found[facts.name].append(replace(check, check_name=name))
    for facts in CATALOGUE:
        if found[facts.name]:
            yield _of_all(facts, found[facts.name])


def _of_all(facts: CheckFacts, of_series: list[Check]) -> Check:
    """One result of those of all series, each called as its series."""
    broken = [each for each in of_series if not each.passed]
    named = "; ".join(f"{each.check_name}: {each.detail}" for each in broken)
    return Check(
        check_name=facts.name,
        severity=facts.severity,
        passed=not broken,
        value=float(len(broken)),
        expected=" or ".join(dict.fromkeys(each.expected for each in broken or of_series)),
        detail=f"{len(broken)} of {len(of_series)} series broken" + (f": {named}" if named else ""),
    )


Found: TypeAlias = Iterator[tuple[CheckFacts, Check]]


def _steps(name: str, known: pl.DataFrame) -> Found:
    if name == STEPPED:
        step = pl.col("value") / pl.col("value").shift()
        usual = step.is_between(1 / MOST_STEP, MOST_STEP)
        recent = known.filter(pl.col("day") >= NORMAL_TIMES)
        yield STEP, none_broken(recent, STEP.name, STEP.severity, usual, f"a factor up to {MOST_STEP}")


def _weeks(known: pl.DataFrame, most: int) -> Found:
    """Medians of seven known days each, counted from the newest, against those of the year before each."""
    back = (pl.lit(known.height, pl.Int64) - 1 - pl.int_range(pl.len(), dtype=pl.Int64)) // WEEK_DAYS
    weeks = (
        known.filter(pl.col("value") > 0)
        .group_by(back.alias("back"))
        .agg(pl.col("day").first(), pl.col("value").median().log10().alias("level"))
        .sort("back", descending=True)
        .with_columns((10 ** (pl.col("level") - _year_before())).alias("times_the_year"))
    )
    yield (
        LEVEL,
        none_broken(
            weeks.filter(pl.col("day") >= LABELLED_TIMES),
            LEVEL.name,
            LEVEL.severity,
            pl.col("times_the_year").is_between(1 / most, most),
            f"a factor up to {most:,}",
            counted="weeks",
        ),
    )


def _year_before() -> pl.Expr:
    return pl.col("level").shift().rolling_median(YEAR_WEEKS, min_samples=LEAST_WEEKS)


def _newest(known: pl.DataFrame, most: int) -> Found:
    """The last 30 known days against the 365 before them; nothing where too few of these are known."""
    newest = known.tail(RECENT_DAYS)
    year = known.slice(0, known.height - newest.height).tail(YEAR_DAYS)
    if year.height < LEAST_DAYS or not year.select((pl.col("value") > 0).all()).item():
        return
    logs = year["value"].log10()
    middle = float(logs.median() or 0)  # type: ignore[arg-type]
    spread = MAD_TO_SD * float((logs - middle).abs().median() or 0)  # type: ignore[arg-type]
    positive = pl.col("value") > 0
    yield NOT_ZERO, none_broken(newest, NOT_ZERO.name, NOT_ZERO.severity, positive, "above zero, as all last year")
    filled = newest.filter(positive).with_columns((pl.col("value") / 10**middle).alias("times_the_year"))
    near = pl.col("times_the_year").is_between(1 / most, most)
    yield DAY_LEVEL, none_broken(filled, DAY_LEVEL.name, DAY_LEVEL.severity, near, f"a factor up to {most:,}")
    if filled.height >= WEEK_DAYS:
        apart = math.log10(float(filled["value"].tail(WEEK_DAYS).median() or 0)) - middle  # type: ignore[arg-type]
        yield (
            WEEK,
            Check(
                check_name=WEEK.name,
                severity=WEEK.severity,
                passed=abs(apart) <= max(math.log10(USUAL_FACTOR), USUAL_DEVIATIONS * spread),
                value=10**apart,
                expected=f"within {USUAL_DEVIATIONS} robust deviations of the year or a factor of {USUAL_FACTOR}",
                detail=f"{10**apart:.3g} times the year before in the week up to {filled['day'][-1]}",
            ),
        )
