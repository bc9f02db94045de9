"""Windows over consecutive days: every mean, sum and streak of the house, with one rule for missing days.

The frame must be a gap-free calendar sorted by day, so that n rows are n days. A window of n days needs
ceil(0.9 n) known days, unless the caller requires all of them; otherwise its result is NULL.
"""

import math
from typing import Final

import polars as pl

LEAST_KNOWN_SHARE: Final = 0.9
MAD_TO_SD: Final = 1.4826
"""Factor that makes the median absolute deviation estimate the standard deviation of a normal variable."""


def least_known(days: int) -> int:
    """Fewest known days a window of `days` needs."""
    return math.ceil(round(LEAST_KNOWN_SHARE * days, 9))


def mean_over(column: pl.Expr, days: int, *, least: int | None = None) -> pl.Expr:
    """Simple mean of the last `days` days, today included."""
    least = least or least_known(days)
    # The sum runs along and keeps a rounding rest of values that have left the window: seven days of zero would not
    # be zero, or even be negative. A mean lies between the least and the greatest value.
    lowest, highest = column.rolling_min(days, min_samples=least), column.rolling_max(days, min_samples=least)
    return column.rolling_mean(days, min_samples=least).clip(lowest, highest)


def sum_over(column: pl.Expr, days: int) -> pl.Expr:
    """Sum of the last `days` days, missing days counted at the mean of the known ones."""
    return mean_over(column, days) * days


def max_over(column: pl.Expr, days: int) -> pl.Expr:
    """Greatest value of the last `days` days, today included."""
    return column.rolling_max(days, min_samples=least_known(days))


def median_over(column: pl.Expr, days: int, *, least: int | None = None) -> pl.Expr:
    """Median of the last `days` days, today included."""
    return column.rolling_median(days, min_samples=least or least_known(days))


def sd_over(column: pl.Expr, days: int) -> pl.Expr:
    """Population standard deviation of the last `days` days, today included."""
    return column.rolling_std(days, min_samples=least_known(days), ddof=0)


def held_for(condition: pl.Expr, days: int) -> pl.Expr:
    """Whether `condition` was true on each of the last `days` days; an unknown day breaks the streak."""
    return condition.fill_null(False).cast(pl.Int32).rolling_sum(days, min_samples=days).fill_null(0) == days


def median_and_mad_before(column: pl.Expr, days: int) -> tuple[pl.Expr, pl.Expr]:
    """Median and median absolute deviation of the `days` days before today, today left out.

    The deviation is taken from the median of the same window, so it is computed window by window.
    """
    enough = column.is_not_null().sum() >= least_known(days)
    deviation = (column - column.median()).abs().median()

    def before_today(statistic: pl.Expr) -> pl.Expr:
        row = pl.int_range(pl.len(), dtype=pl.Int64)
        return pl.when(enough).then(statistic).rolling(row, period=f"{days}i", closed="left")

    return before_today(column.median()), before_today(deviation)


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """`numerator / denominator`, NULL where the denominator is NULL, zero or negative."""
    return pl.when(denominator > 0).then(numerator / denominator)
