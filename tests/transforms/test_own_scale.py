"""Where a series is apart from its own year: the limits that the catalogue of checks states, from both sides."""

from datetime import date, timedelta

import polars as pl
import pytest

from schemas.series import SERIES
from transforms.checks import own_scale
from transforms.checks.own_scale import CATALOGUE, check_own_scale

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(600)]


def broken(series: str, factor: float, days_count: int) -> set[str]:
    """Checks that break where a series that was constant is `factor` times that in its last days."""
    values = [100.0] * (len(DAYS) - days_count) + [100.0 * factor] * days_count
    empty = {name: pl.lit(None, pl.Float64).alias(name) for name in SERIES}
    days = pl.DataFrame({"day": DAYS}).with_columns(empty.values()).with_columns(pl.Series(series, values))
    return {check.check_name for check in check_own_scale(days) if not check.passed}


@pytest.mark.parametrize(
    ("series", "factor", "is_broken"),
    [
        ("miner_outflow_sat", 99.9, False),
        ("miner_outflow_sat", 100.1, True),
        ("miner_outflow_sat", 1 / 99.9, False),
        ("miner_outflow_sat", 1 / 100.1, True),
        ("exchange_to_miner_sat", 999.0, False),
        ("exchange_to_miner_sat", 1_001.0, True),
    ],
)
def test_day_beyond_the_factor_of_its_series_breaks(series: str, factor: float, is_broken: bool) -> None:
    assert (own_scale.DAY_LEVEL.name in broken(series, factor, 1)) is is_broken


@pytest.mark.parametrize(("factor", "is_broken"), [(2.49, False), (2.51, True), (1 / 2.49, False), (1 / 2.51, True)])
def test_week_beyond_two_and_a_half_times_the_year_breaks(factor: float, is_broken: bool) -> None:
    assert (own_scale.WEEK.name in broken("miner_outflow_sat", factor, 7)) is is_broken


@pytest.mark.parametrize(("factor", "is_broken"), [(2.99, False), (3.01, True)])
def test_price_that_steps_by_more_than_three_breaks(factor: float, is_broken: bool) -> None:
    assert (own_scale.STEP.name in broken("price_usd", factor, 1)) is is_broken


def test_series_that_stays_as_it_was_breaks_nothing() -> None:
    assert len(CATALOGUE) == 5
    assert broken("miner_outflow_sat", 1.0, 1) == set()
