"""What chance alone gives: paths of the price put together from blocks of its own days, by the stationary bootstrap.

Source: Politis and Romano (1994) for the bootstrap; Politis and White (2004), corrected by Patton, Politis and White
(2009), for the length of its blocks. The library `arch` has the same, but needs SciPy, statsmodels and pandas, 200 MB
beside these lines; tests hold its figures.
"""

from collections.abc import Iterator
from math import ceil, log10, sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

SEED: Final = 20_260_205
"""So that the same prices give the same draws."""
DRAWS: Final = 10_000
_DRAWS_AT_ONCE: Final = 200
"""Bounds the memory at a few arrays of so many paths."""
_LEAST_LAGS: Final = 5
_SIGNIFICANT: Final = 2


def optimal_block_days(changes: Floats) -> float:
    """Mean length of blocks that keeps the dependence of daily `changes`, for the stationary bootstrap.

    At least 1, at most three times the root of the number of days. Needs 16 days; constant changes give 1.
    """
    count = changes.size
    centred = changes - changes.mean()
    if not centred.any():
        return 1.0
    lags = max(_LEAST_LAGS, int(log10(count)))
    most = ceil(sqrt(count)) + lags
    sums = np.array([centred[lag:] @ centred[: count - lag] for lag in range(most + 1)])
    sizes = [
        sqrt((centred[lag + 1 :] @ centred[lag + 1 :]) * (centred[: -(lag + 1)] @ centred[: -(lag + 1)]))
        for lag in range(most + 1)
    ]
    is_small = np.abs(sums) / sizes < _SIGNIFICANT * sqrt(log10(count) / count)
    last = next((lag for lag in range(most + 1 - lags) if is_small[lag : lag + lags].all()), None)
    width = most if last is None else min(2 * max(last, 1), most)
    lag = np.arange(1, width + 1)
    weights = 2 * np.minimum(1.0, 2 * (1 - lag / width))
    covariances = sums / count
    spread = covariances[0] + weights @ covariances[1 : width + 1]
    slope = (weights * lag) @ covariances[1 : width + 1]
    length = (slope**2 / spread**2) ** (1 / 3) * count ** (1 / 3)
    return float(min(max(length, 1.0), ceil(min(3 * sqrt(count), count / 3))))


def resampled_paths(
    changes: Floats, days: int, *, draws: int = DRAWS, block_days: float, seed: int = SEED
) -> Iterator[Floats]:
    """Paths of `days` steps that are put together from blocks of `changes`, some draws at a time.

    Blocks begin on any day, go on around the end, and have a length of `block_days` in the mean. Shape of each: one row
    a draw and `days + 1` columns, the sum of the changes before the first step, after it, and so on.
    """
    random = np.random.default_rng(seed)
    steps = np.arange(days)
    for done in range(0, draws, _DRAWS_AT_ONCE):
        count = min(_DRAWS_AT_ONCE, draws - done)
        begins = random.random((count, days), dtype=np.float32) < 1 / block_days
        begins[:, 0] = True
        # Of each step the place of the step that its block begins with, and the day that this was drawn from.
        begun = np.maximum.accumulate(np.where(begins, steps, 0), axis=1)
        drawn = np.take_along_axis(random.integers(changes.size, size=(count, days)), begun, axis=1)
        paths = np.zeros((count, days + 1))
        np.cumsum(changes[(drawn + steps - begun) % changes.size], axis=1, out=paths[:, 1:])
        yield paths
