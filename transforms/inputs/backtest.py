"""What followed each signal of a rule: one observation an episode, beside all days, days as deep, and shifted signals.

A signal of a day is known early on the next one, and measured from the price at the end of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.units import PERCENT
from transforms.bootstrap import optimal_block_days, resampled_paths
from transforms.inputs.signals import (
    ABLATIONS,
    ENTRIES,
    OURS,
    SIGNALS,
    Floats,
    Held,
    Places,
    held_by_rule,
    signals,
)
from transforms.variants import TRIED_COUNT

HORIZONS_DAYS: Final = (30, 90, 180, 365)
DELAY_DAYS: Final = 1
"""From the day of a signal to the end of day at which its price is taken."""
DEPTHS: Final = (0.2, 0.4, 0.6)
"""Limits of the buckets of drawdown: how far a price lies below the highest so far."""
SHIFT_LEAST_DAYS: Final = 180
SHIFT_STEP_DAYS: Final = 7
"""Every seventh shift is tried: two that are a day apart are nearly the same."""


ROWS: Final = pl.Schema(
    {
        "rule": pl.String(),
        "entry": pl.String(),
        "horizon_days": pl.Int64(),
        "episode_count": pl.Int64(),
        "entry_count": pl.Int64(),
        "returns_pct": pl.List(pl.Float64),
        "lows_pct": pl.List(pl.Float64),
        "trough_list_days": pl.List(pl.Int64),
        "all_day_count": pl.Int64(),
        "all_rose_count": pl.Int64(),
        "all_return_median_pct": pl.Float64(),
        "bucket_medians_pct": pl.List(pl.Float64),
        "bucket_rose_pct": pl.List(pl.Float64),
        "shift_count": pl.Int64(),
        "shift_as_good_count": pl.Int64(),
        "tried_count": pl.Int64(),
    }
)
"""What `backtest` lays out."""


@dataclass(frozen=True)
class Prices:
    """The price of each day, NaN where it is unknown, with the first and the last place that a signal may have."""

    values: Floats
    first: int
    last: int

    def after(self, days: int) -> Floats:
        """Change over `days` from the price at which a signal of each place is measured, in percent; NaN if unknown."""
        changes = np.full(self.values.size, np.nan)
        count = max(self.values.size - DELAY_DAYS - days, 0)
        start, end = self.values[DELAY_DAYS:][:count], self.values[DELAY_DAYS + days :]
        changes[:count] = PERCENT * (end / start - 1)
        return changes

    @cached_property
    def buckets(self) -> Places:
        """Bucket of drawdown of the price that a signal of each place is measured from."""
        highest = np.fmax.accumulate(self.values)
        depths = np.digitize(1 - self.values / highest, DEPTHS)
        return np.append(depths[DELAY_DAYS:], [depths[-1]] * DELAY_DAYS).astype(np.int64)

    @cached_property
    def _known(self) -> Floats:
        """The prices, endless where they are unknown, so that none of these is the lowest."""
        return np.where(np.isnan(self.values), np.inf, self.values)

    def low_after(self, place: int, days: int) -> tuple[float, int]:
        """Lowest price in `days` after a signal, against that at its start in percent, and after how many days."""
        window = self._known[place + DELAY_DAYS : place + DELAY_DAYS + days + 1]
        trough = int(window.argmin())
        return float(PERCENT * (window[trough] / window[0] - 1)), trough


def backtest(
    days: pl.DataFrame,
    held: Mapping[str, Held],
    first: date,
    last: date,
    *,
    only: NDArray[np.bool_] | None = None,
) -> pl.DataFrame:
    """What followed the signals from `first` to `last`, of which those count whose day `only` has, by default all.

    `days`: rows of `capitulation_daily`. `held`: where each rule holds on them.

    Shape: one row a rule, entry and horizon, with the columns `ROWS`; the lists have one value an observation: an entry
    after which the whole horizon has passed.
    """
    prices = _prices(days, first, last)
    found = signals(held, prices.first, prices.last)
    if only is not None:
        found = [replace(signal, places=signal.places[only[signal.places]]) for signal in found]
    rows: list[dict[str, Any]] = []
    for horizon in HORIZONS_DAYS:
        changes = prices.after(horizon)
        judged = changes[prices.first : prices.last + 1]
        known = judged[~np.isnan(judged)]
        medians, rises = _by_bucket(changes, prices)
        for signal in found:
            places = signal.places[~np.isnan(changes[signal.places])]
            lows = [prices.low_after(place, horizon) for place in places.tolist()]
            tried, as_good = _shifted(signal.places, changes, prices)
            buckets = prices.buckets[places]
            rows.append(
                {
                    "rule": signal.rule,
                    "entry": signal.entry,
                    "horizon_days": horizon,
                    "episode_count": signal.episode_count,
                    "entry_count": signal.places.size,
                    "returns_pct": changes[places].tolist(),
                    "lows_pct": [low for low, _ in lows],
                    "trough_list_days": [trough for _, trough in lows],
                    "all_day_count": known.size,
                    "all_rose_count": int((known > 0).sum()),
                    "all_return_median_pct": float(np.median(known)) if known.size else None,
                    "bucket_medians_pct": medians[buckets].tolist(),
                    "bucket_rose_pct": rises[buckets].tolist(),
                    "shift_count": tried,
                    "shift_as_good_count": as_good,
                    "tried_count": TRIED_COUNT if signal.rule in (*OURS, *ABLATIONS) else None,
                }
            )
    order = {name: place for place, name in enumerate((*SIGNALS, *ENTRIES))}
    rows.sort(key=lambda row: (order[row["rule"]], order[row["entry"]], row["horizon_days"]))
    return pl.DataFrame(rows, schema=ROWS)


def chance_as_good(days: pl.DataFrame, first: date, last: date, draws: int) -> tuple[pl.DataFrame, float]:
    """How many of `draws` resampled paths of the price give a median return that is as high, signals where they are.

    Shape: one row a rule, entry and horizon that has an observation: `rule`, `entry`, `horizon_days`, `draw_count`,
    `draw_as_good_count`; and the mean length of the blocks in days.
    """
    prices = _prices(days, first, last)
    found = signals(held_by_rule(days), prices.first, prices.last)
    values = prices.values[prices.first :]
    changes = np.diff(np.log(values))
    changes = changes[np.isfinite(changes)]
    block_days = optimal_block_days(changes)
    cases = []
    for horizon in HORIZONS_DAYS:
        after = prices.after(horizon)
        for signal in found:
            places = signal.places[~np.isnan(after[signal.places])]
            if places.size:
                cases.append((signal, horizon, places - prices.first + DELAY_DAYS, np.median(after[places])))
    counts = np.zeros(len(cases), dtype=np.int64)
    for paths in resampled_paths(changes, values.size - 1, draws=draws, block_days=block_days):
        for number, (_, horizon, places, observed) in enumerate(cases):
            drawn = PERCENT * np.expm1(paths[:, places + horizon] - paths[:, places])
            counts[number] += (np.median(drawn, axis=1) >= observed).sum()
    rows = [
        (signal.rule, signal.entry, horizon, draws, count)
        for (signal, horizon, *_), count in zip(cases, counts.tolist(), strict=True)
    ]
    schema = {name: ROWS[name] for name in ("rule", "entry", "horizon_days")}
    schema |= dict.fromkeys(("draw_count", "draw_as_good_count"), pl.Int64())
    return pl.DataFrame(rows, schema=schema, orient="row"), block_days


def _prices(days: pl.DataFrame, first: date, last: date) -> Prices:
    start, end = (int(days["day"].search_sorted(day)) for day in (first, last))
    values = days["price_usd"].cast(pl.Float64).to_numpy().astype(np.float64)
    return Prices(values, start, end)


def _by_bucket(changes: Floats, prices: Prices) -> tuple[Floats, Floats]:
    """Of each bucket the median change of its days, and the share of them that rose, both in percent."""
    judged = slice(prices.first, prices.last + 1)
    medians, rises = np.full((2, len(DEPTHS) + 1), np.nan)
    for bucket in range(medians.size):
        inside = changes[judged][prices.buckets[judged] == bucket]
        inside = inside[~np.isnan(inside)]
        if inside.size:
            medians[bucket], rises[bucket] = np.median(inside), PERCENT * (inside > 0).mean()
    return medians, rises


def _shifted(places: Places, changes: Floats, prices: Prices) -> tuple[int, int]:
    """How many shifts of all signals around the days there are, and how many give a median that is as high.

    All signals are moved by the same number of days, at least `SHIFT_LEAST_DAYS` either way, and those that leave the
    last day come in at the first: their pattern stays, and what it had to do with the price is gone.
    """
    observed = changes[places]
    observed = observed[~np.isnan(observed)]
    count = prices.last - prices.first + 1
    shifts = np.arange(SHIFT_LEAST_DAYS, count - SHIFT_LEAST_DAYS + 1, SHIFT_STEP_DAYS)
    if not observed.size or not shifts.size:
        return 0, 0
    moved = np.sort(changes[(places - prices.first + shifts[:, None]) % count + prices.first], axis=1)
    known = (~np.isnan(moved)).sum(axis=1)
    moved, known = moved[known > 0], known[known > 0]
    # Unknown ones are sorted to the end.
    row = np.arange(known.size)
    medians = (moved[row, (known - 1) // 2] + moved[row, known // 2]) / 2
    return int(known.size), int((medians >= np.median(observed)).sum())
