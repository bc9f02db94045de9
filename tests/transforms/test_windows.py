"""Windows against slow, obvious ones: they count days, need nine tenths of them, and leave no rounding rest."""

import math
import statistics
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from transforms.windows import (
    held_for,
    least_known,
    mean_over,
    median_and_mad_before,
    ratio,
    sd_over,
    sum_over,
)

AMOUNT = st.one_of(st.just(0.0), st.floats(0, 1e12), st.floats(1e-8, 1e3))
DAYS = st.lists(st.none() | AMOUNT, min_size=1, max_size=60)
WINDOW = st.sampled_from([1, 2, 7, 10, 14, 30])

Column = Sequence[float | None]


def results(column: Column, expression: pl.Expr) -> list[float | None]:
    return pl.DataFrame({"x": column}, schema={"x": pl.Float64}).select(expression.alias("result"))["result"].to_list()


def known_in(column: Column, last: int, days: int) -> list[float] | None:
    """Known values of the window that ends with day `last`; None where the window is too empty."""
    known = [value for value in column[max(0, last - days + 1) : last + 1] if value is not None]
    return known if len(known) >= math.ceil(days * 9 / 10) else None


@pytest.mark.parametrize(
    ("days", "least"), [(1, 1), (2, 2), (7, 7), (10, 9), (14, 13), (30, 27), (90, 81), (100, 90), (365, 329)]
)
def test_a_window_needs_nine_tenths_of_its_days(days: int, least: int) -> None:
    assert least_known(days) == least


def test_nine_tenths_are_rounded_up_for_every_length() -> None:
    assert [least_known(days) for days in range(1, 2_001)] == [(9 * days + 9) // 10 for days in range(1, 2_001)]


@given(column=DAYS, days=WINDOW)
def test_mean_is_the_plain_mean_of_the_known_days(column: Column, days: int) -> None:
    for last, result in enumerate(results(column, mean_over(pl.col("x"), days))):
        known = known_in(column, last, days)
        if known is None:
            assert result is None
        else:
            # A running sum may be off by the rounding of the largest value it ever held.
            rounding = 1e-12 * max((abs(v) for v in column[: last + 1] if v is not None), default=0.0)
            assert result == pytest.approx(statistics.fmean(known), rel=1e-9, abs=rounding)
            assert min(known) <= result <= max(known)


@given(before=st.lists(AMOUNT, max_size=40), days=WINDOW)
def test_mean_of_a_window_of_zeros_is_zero_whatever_came_before(before: list[float], days: int) -> None:
    assert results([*before, *[0.0] * days], mean_over(pl.col("x"), days))[-1] == 0.0


def test_mean_of_zeros_is_zero_after_amounts_that_leave_a_rest_in_a_running_sum() -> None:
    fees_btc = [0.1, 0.7, 1e-8, 317.00000003, 0.3, 12.345678, 0.2, 0.00000001]
    assert results(fees_btc * 5 + [0.0] * 7, mean_over(pl.col("x"), 7))[-1] == 0.0


@given(value=AMOUNT, before=st.lists(AMOUNT, max_size=40), days=WINDOW)
def test_mean_of_a_window_of_one_value_is_that_value(value: float, before: list[float], days: int) -> None:
    assert results([*before, *[value] * days], mean_over(pl.col("x"), days))[-1] == value


def test_mean_counts_days_and_not_rows() -> None:
    column = [1.0, None, *[3.0] * 9]
    assert results(column, mean_over(pl.col("x"), 10))[-2:] == pytest.approx([25 / 9, 3.0])
    assert results([1.0, None, None, *[3.0] * 8], mean_over(pl.col("x"), 10))[9] is None


def test_fewest_known_days_can_be_set() -> None:
    column = [None, 1.0, 2.0]
    assert results(column, mean_over(pl.col("x"), 3))[-1] is None
    assert results(column, mean_over(pl.col("x"), 3, least=2))[-1] == 1.5
    assert results([1.0] * 9, mean_over(pl.col("x"), 10, least=10))[-1] is None
    assert results([1.0] * 9, mean_over(pl.col("x"), 10))[-1] == 1.0


@given(column=DAYS, days=WINDOW)
def test_sum_is_the_mean_of_the_known_days_times_the_length(column: Column, days: int) -> None:
    sums, means = results(column, sum_over(pl.col("x"), days)), results(column, mean_over(pl.col("x"), days))
    assert sums == [None if mean is None else pytest.approx(mean * days) for mean in means]


@given(column=st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=60), days=WINDOW)
def test_deviation_divides_by_the_number_of_known_days(column: Column, days: int) -> None:
    for last, result in enumerate(results(column, sd_over(pl.col("x"), days))):
        known = known_in(column, last, days)
        assert (result is None) == (known is None)
        if known is not None:
            assert result == pytest.approx(statistics.pstdev(known), rel=1e-6, abs=1e-5)


def test_deviation_of_two_and_four_is_one() -> None:
    assert results([2.0, 4.0], sd_over(pl.col("x"), 2))[-1] == pytest.approx(1.0)


@given(column=st.lists(st.none() | st.booleans(), max_size=40), days=st.sampled_from([1, 2, 3, 5]))
def test_condition_is_held_only_by_an_unbroken_run_of_known_days(column: list[bool | None], days: int) -> None:
    frame = pl.DataFrame({"x": column}, schema={"x": pl.Boolean})
    held = frame.select(held_for(pl.col("x"), days).alias("held"))["held"].to_list()
    runs = [[True] * days == column[max(0, n - days + 1) : n + 1] for n in range(len(column))]
    assert held == runs


@given(column=st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=60), days=WINDOW)
def test_median_and_its_deviation_look_at_the_days_before_today(column: Column, days: int) -> None:
    median, deviation = median_and_mad_before(pl.col("x"), days)
    medians, deviations = results(column, median), results(column, deviation)
    for today in range(len(column)):
        known = known_in(column, today - 1, days) if today else None
        if not known:
            assert medians[today] is None
            assert deviations[today] is None
        else:
            middle = statistics.median(known)
            assert medians[today] == pytest.approx(middle)
            assert deviations[today] == pytest.approx(statistics.median(abs(v - middle) for v in known))


@given(column=st.lists(st.floats(0, 100), min_size=8, max_size=20), today=st.floats(0, 1e6))
def test_today_does_not_move_the_median_before_it(column: list[float], today: float) -> None:
    median, deviation = median_and_mad_before(pl.col("x"), 7)
    other = [*column[:-1], today]
    assume(other != column)
    assert results(column, median)[-1] == results(other, median)[-1]
    assert results(column, deviation)[-1] == results(other, deviation)[-1]


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [(6.0, 3.0, 2.0), (6.0, 0.0, None), (6.0, -3.0, None), (6.0, None, None), (None, 3.0, None), (0.0, 3.0, 0.0)],
)
def test_ratio_is_null_unless_the_denominator_is_above_zero(
    above: float | None, below: float | None, expected: float | None
) -> None:
    frame = pl.DataFrame({"a": [above], "b": [below]}, schema={"a": pl.Float64, "b": pl.Float64})
    assert frame.select(ratio(pl.col("a"), pl.col("b"))).item() == expected
