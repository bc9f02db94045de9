"""The back-test against slow sums by hand, against the future it must not know, and against figures of `arch`."""

import math
import random
from datetime import date, timedelta
from statistics import fmean, median
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.transforms.invented_days import DAYS, FIRST, invented_days
from transforms.bootstrap import optimal_block_days, resampled_paths
from transforms.derive import derive
from transforms.inputs.backtest import HORIZONS_DAYS, backtest, chance_as_good
from transforms.inputs.signals import SIGNALS, held_by_rule, signals
from transforms.metrics.backtest import METRICS

OURS = ("capitulation", "deep_capitulation")


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return invented_days()


@pytest.fixture(scope="module")
def table(days: pl.DataFrame) -> pl.DataFrame:
    return derive(backtest(days, held_by_rule(days), *judged(days)), METRICS)


def judged(days: pl.DataFrame) -> tuple[date, date]:
    return FIRST + timedelta(days=30), days["day"][-2]


def test_signals_of_a_day_are_the_same_whatever_comes_after_it(days: pl.DataFrame) -> None:
    whole = {(each.rule, each.entry): each.places for each in signals(held_by_rule(days), 30, DAYS - 2)}
    assert all(places.size for places in whole.values())
    for last in (200, 431, 640, 905, 1_300):
        for each in signals(held_by_rule(days.head(last + 1)), 30, last):
            expected = [place for place in whole[each.rule, each.entry].tolist() if place <= last]
            assert each.places.tolist() == expected, (each.rule, each.entry, last)


def entries_by_hand(states: list[str | None], names: tuple[str, ...], first: int, last: int) -> dict[str, list[int]]:
    """First days of episodes and first days of recovery, going through the days one by one."""
    starts, recoveries, seen, is_waiting = [], [], -100, False
    for place in range(last + 1):
        if states[place] in names:
            if place - seen > 14:
                starts.append(place)
                is_waiting = True
            seen = place
        elif states[place] == "recovery" and is_waiting:
            recoveries.append((starts[-1], place))
            is_waiting = False
    return {
        "start": [place for place in starts if place >= first],
        "recovery": [place for start, place in recoveries if start >= first],
    }


@pytest.mark.parametrize("rule", OURS)
def test_every_figure_is_the_one_worked_out_day_by_day(days: pl.DataFrame, table: pl.DataFrame, rule: str) -> None:
    prices, states = days["price_usd"].to_list(), days["capitulation_state"].to_list()
    first, last = 30, DAYS - 2
    names = OURS if rule == "capitulation" else OURS[1:]
    entries = entries_by_hand(states, names, first, last)
    highest, depths = 0.0, []
    for price in prices:
        highest = max(highest, price or 0.0)
        depths.append(None if price is None else sum(1 - price / highest >= limit for limit in (0.2, 0.4, 0.6)))

    def change(place: int, horizon: int) -> float | None:
        ends = prices[place + 1 : place + 2], prices[place + 1 + horizon : place + 2 + horizon]
        (start,), (end,) = (each or [None] for each in ends)
        return None if start is None or end is None else 100 * (end / start - 1)

    for entry, places in entries.items():
        for horizon in HORIZONS_DAYS:
            row = table.filter(rule=rule, entry=entry, horizon_days=horizon).row(0, named=True)
            everywhere = {place: change(place, horizon) for place in range(first, last + 1)}
            known = [place for place in places if everywhere[place] is not None]
            returns = [everywhere[place] for place in known]
            windows = [[p for p in prices[place + 1 : place + 2 + horizon] if p is not None] for place in known]
            alike = [
                [c for at, c in everywhere.items() if c is not None and depths[at + 1] == depths[place + 1]]
                for place in known
            ]
            all_known = [c for c in everywhere.values() if c is not None]
            count = last - first + 1
            medians = []
            for shift in range(180, count - 179, 7):
                moved = [everywhere[(place - first + shift) % count + first] for place in places]
                if kept := [c for c in moved if c is not None]:
                    medians.append(median(kept))
            expected: dict[str, Any] = {
                "episode_count": len(entries["start"]),
                "entry_count": len(places),
                "observation_count": len(known),
                "rose_count": sum(c > 0 for c in returns),
                "return_median_pct": median(returns),
                "return_min_pct": min(returns),
                "low_worst_pct": min(100 * (min(window) / window[0] - 1) for window in windows),
                "all_day_count": len(all_known),
                "all_return_median_pct": median(all_known),
                "all_rose_pct": 100 * sum(c > 0 for c in all_known) / len(all_known),
                "same_drawdown_return_median_pct": fmean(median(each) for each in alike),
                "same_drawdown_rose_pct": fmean(100 * sum(c > 0 for c in each) / len(each) for each in alike),
                "above_same_drawdown_count": sum(c > median(each) for c, each in zip(returns, alike, strict=True)),
                "excess_median_pct": median(c - median(each) for c, each in zip(returns, alike, strict=True)),
                "shift_count": len(medians),
                "shift_as_good_count": sum(each >= median(returns) for each in medians),
            }
            assert {name: row[name] for name in expected} == pytest.approx(expected), (entry, horizon)


def test_one_row_a_rule_signal_and_horizon(table: pl.DataFrame) -> None:
    assert table["rule"].unique(maintain_order=True).to_list() == list(SIGNALS)
    assert table.height == len(SIGNALS) * 2 * len(HORIZONS_DAYS)
    assert table.select("rule", "entry", "horizon_days").is_unique().all()


def test_signals_at_the_troughs_of_a_wave_are_better_than_shifted_ones_and_than_chance() -> None:
    """The price swings over 400 days, and the rules hold at its lowest."""
    days = invented_days(lambda n: 1_000 - 500 * math.cos(2 * math.pi * n / 400)).with_columns(
        (pl.int_range(pl.len()) % 400 < 5).alias("rule_puell_low")
    )
    span = judged(days)
    rows = derive(backtest(days, held_by_rule(days), *span), METRICS)
    (row,) = rows.filter(rule="puell_low", entry="start", horizon_days=180).iter_rows(named=True)
    assert (row["observation_count"], row["rose_count"], row["low_worst_pct"]) == (3, 3, 0.0)
    assert row["shift_as_good_pct"] < 5
    chance, _ = chance_as_good(days, *span, draws=100)
    drawn = chance.filter(rule="puell_low", entry="start", horizon_days=180).row(0, named=True)
    assert drawn["draw_as_good_count"] < 20
    assert chance.equals(chance_as_good(days, *span, draws=100)[0])


# Bootstrap


def persistent(persistence: float, count: int) -> list[float]:
    """A series each value of which keeps a part of the one before."""
    draw, series, last = random.Random(7), [], 0.0
    for _ in range(count):
        last = persistence * last + draw.gauss(0, 1)
        series.append(last)
    return series


# By persistence and length what `arch` 8.0.0 gives: `arch.bootstrap.optimal_block_length(series)["stationary"]`.
BLOCK_DAYS = {
    (0.0, 1_000): 1.2854045242114873,
    (0.5, 1_000): 12.540734478216988,
    (0.9, 2_000): 44.33746567067885,
    (-0.4, 500): 6.244110987117167,
    (0.99, 300): 27.047520583646687,
}


@pytest.mark.parametrize("case", BLOCK_DAYS, ids=str)
def test_length_of_blocks_is_that_of_arch(case: tuple[float, int]) -> None:
    assert optimal_block_days(np.array(persistent(*case))) == pytest.approx(BLOCK_DAYS[case], rel=1e-9)


def test_prices_that_do_not_move_have_blocks_of_a_day() -> None:
    assert optimal_block_days(np.zeros(100)) == 1.0


def test_means_of_resampled_paths_vary_as_the_stationary_bootstrap_does() -> None:
    """Politis and Romano (1994), lemma 1: the variance of the mean is known exactly, without a draw."""
    series, block_days, count = persistent(0.6, 80), 6.0, 80
    centred = [value - fmean(series) for value in series]
    variance = 0.0
    for lag in range(count):
        circular = sum(centred[at] * centred[(at + lag) % count] for at in range(count)) / count
        kept = (1 - 1 / block_days) ** lag
        variance += (1 if lag == 0 else 2 * (1 - lag / count)) * kept * circular
    paths = np.concatenate(list(resampled_paths(np.array(series), count, draws=4_000, block_days=block_days)))
    means = paths[:, -1] / count
    assert paths.shape == (4_000, count + 1)
    assert means.mean() == pytest.approx(fmean(series), abs=4 * math.sqrt(variance / count / 4_000))
    assert means.var() == pytest.approx(variance / count, rel=0.1)
