"""Capitulation with the hash rate added back that AI took, on invented days where it took all that left, or nothing."""

from datetime import date, timedelta

import polars as pl
import pytest

from transforms.capitulation import CAPITULATIONS, RULE
from transforms.checks.ai_drift import check_drift
from transforms.inputs.ai_drift import DISPLACED, drift_years
from transforms.variants import states_of

FIRST = date(2024, 1, 1)
DAYS = 900
FALL = 600
"""The day from which price and hash rate fall."""


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    """A price that halves while four tenths of the hash rate leave in two months."""
    fallen = [min(max(n - FALL, 0) / 60, 1.0) for n in range(DAYS)]
    frame = pl.DataFrame(
        {
            "day": [FIRST + timedelta(n) for n in range(DAYS)],
            "price_usd": [100_000 * (1 - 0.5 * part) for part in fallen],
            "difficulty": [1e14] * DAYS,
            "hashrate_ehs": [1_000 * (1 - 0.4 * part) for part in fallen],
            "is_final": [True] * DAYS,
            "outage_event": pl.Series([None] * DAYS, dtype=pl.String),
        }
    )
    return frame.with_columns(states_of(frame, RULE).alias("capitulation_state"))


def conversion(days: pl.DataFrame, taken: pl.Expr) -> pl.DataFrame:
    return days.select("day", taken.cast(pl.Float64).alias(DISPLACED))


def test_all_that_left_is_added_back(days: pl.DataFrame) -> None:
    years = drift_years(days, conversion(days, 1_000 - pl.col("hashrate_ehs")))
    on = days.filter(pl.col("capitulation_state").is_in(CAPITULATIONS))["day"]
    assert on.len() > 30
    found = dict(years.select("year_start", "capitulation_day_count").rows())
    assert found == {date(year, 1, 1): (on.dt.year() == year).sum() for year in (2024, 2025, 2026)}
    assert years["day_count"].sum() == days["capitulation_state"].count()
    assert years["capitulation_adjusted_day_count"].sum() == years["hashrate_decline_adjusted_day_count"].sum() == 0
    assert years["displaced_hashrate_max_ehs"].to_list() == [0, pytest.approx(400), pytest.approx(400)]
    (check,) = check_drift(years)
    assert (check.passed, check.value) == (False, 100.0)


@pytest.mark.parametrize("taken", [pl.lit(None), pl.lit(0.0), pl.lit(5.0)])
def test_what_is_unknown_or_did_not_change_takes_nothing(days: pl.DataFrame, taken: pl.Expr) -> None:
    years = drift_years(days, conversion(days, taken))
    for state in ("capitulation", "hashrate_decline"):
        assert years[f"{state}_day_count"].equals(years[f"{state}_adjusted_day_count"])
    (check,) = check_drift(years)
    assert (check.passed, check.value) == (True, 0.0)


@pytest.mark.parametrize(("adjusted", "passes"), [(9, True), (6, True), (5, False)])
def test_more_than_a_third_fewer_days_warn(adjusted: int, passes: bool) -> None:
    """Days before 2025 are not looked at."""
    rows = pl.DataFrame(
        {
            "year_start": [date(2024, 1, 1), date(2025, 1, 1)],
            "day_count": [366, 365],
            "capitulation_day_count": [50, 9],
            "capitulation_adjusted_day_count": [0, adjusted],
            "hashrate_decline_day_count": [1, 2],
        }
    )
    (check,) = check_drift(rows)
    assert check.passed is passes
    assert (
        check.detail
        == f"{adjusted} of 9 days in capitulation since 2025-01-01 with it; hashrate_decline on 2 of 365 days"
    )
    (none,) = check_drift(rows.head(1))
    assert none.passed
