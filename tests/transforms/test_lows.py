"""Lows of the price and the episodes about them, against slow walks over the days."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from tests.transforms.invented_days import DAYS, FIRST, invented_days
from transforms.derive import derive
from transforms.inputs.lows import LOW_KINDS, lows_by_rule, price_lows
from transforms.inputs.signals import SIGNALS
from transforms.metrics.lows import BY_RULE, LOWS
from transforms.rules import RULES

START, END = 30, DAYS - 2


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return invented_days()


@pytest.fixture(scope="module")
def lows(days: pl.DataFrame) -> pl.DataFrame:
    return derive(price_lows(days), LOWS)


@pytest.fixture(scope="module")
def by_rule(days: pl.DataFrame, lows: pl.DataFrame) -> pl.DataFrame:
    return derive(lows_by_rule(days, lows, day(START), day(END)), BY_RULE)


def day(place: int) -> date:
    return FIRST + timedelta(days=place)


def lows_by_hand(prices: list[float | None]) -> set[tuple[str, date]]:
    """By the definitions: of each day, all prices before and after it."""
    found = set()
    for place, price in enumerate(prices):
        if price is None:
            continue
        before = [p for p in prices[:place] if p is not None]
        year = [p for p in prices[place + 1 : place + 366] if p is not None]
        high = max(before, default=price)
        since = [p for p in prices[prices.index(high) + 1 : place] if p is not None]
        until_higher = []
        for p in prices[place + 1 :]:
            if p is not None and p > high:
                break
            until_higher.append(p or high)
        is_lowest = price < min(since, default=high) and price <= min(until_higher, default=price)
        if is_lowest and price <= high / 2 and len(prices) - 1 - place >= 365 and min(year) >= price:
            found.add(("cycle", day(place)))
        if place >= 45 and len(prices) - 1 - place >= 45:
            ahead, behind = ([p for p in each if p is not None] for each in (prices[place - 45 : place], year[:45]))
            if price < min(ahead) and price <= min(behind) and price <= 0.8 * max(ahead):
                found.add(("local", day(place)))
    return found


def test_lows_are_those_of_their_definitions(days: pl.DataFrame, lows: pl.DataFrame) -> None:
    found = set(lows.select("low_kind", "low_on").rows())
    assert found == lows_by_hand(days["price_usd"].to_list())
    assert {kind for kind, _ in found} == set(LOW_KINDS)


def test_figures_of_a_low_are_those_of_its_days(days: pl.DataFrame, lows: pl.DataFrame) -> None:
    prices = dict(days.select("day", "price_usd").rows())
    for row in lows.iter_rows(named=True):
        low, kind = row["low_on"], row["low_kind"]
        since = low - timedelta(45) if kind == "local" else FIRST
        high = max(p for d, p in prices.items() if p is not None and since <= d < low)
        higher = [d for d, p in prices.items() if d > low and p is not None and p > high]
        assert (row["high_price_usd"], prices[row["high_on"]], row["low_price_usd"]) == (high, high, prices[low])
        assert row["low_of_high_pct"] == pytest.approx(100 * (prices[low] / high - 1))
        assert row["high_to_low_days"] == (low - row["high_on"]).days
        assert row["high_regained_on"] == (higher[0] if higher else None)


@pytest.mark.parametrize("last", [300, 700, 1_100, 1_499])
def test_low_is_known_on_the_day_that_confirms_it_and_not_before(
    days: pl.DataFrame, lows: pl.DataFrame, last: int
) -> None:
    known = price_lows(days.head(last + 1)).select("low_kind", "low_on")
    assert known.equals(lows.filter(pl.col("confirmed_on") <= day(last)).select("low_kind", "low_on"))


def test_without_a_price_there_is_no_low() -> None:
    assert price_lows(pl.DataFrame(schema={"day": pl.Date, "price_usd": pl.Float64})).is_empty()
    unknown = {"day": [date(2024, 1, n) for n in (1, 2, 3)], "price_usd": [None] * 3}
    assert price_lows(pl.DataFrame(unknown, schema_overrides={"price_usd": pl.Float64})).is_empty()


def test_unknown_prices_confirm_no_low() -> None:
    """A year of prices of which more than a tenth is missing does not show that none was lower."""
    falling = [1_000.0 - 9 * n for n in range(60)] + [500.0] * 400
    dates = pl.date_range(FIRST, day(len(falling) - 1), eager=True)

    def found(missing: int) -> list[str]:
        prices = [None if 70 <= n < 70 + missing else p for n, p in enumerate(falling)]
        return price_lows(pl.DataFrame({"day": dates, "price_usd": prices}))["low_kind"].to_list()

    assert [found(missing) for missing in (0, 36, 37)] == [["cycle", "local"], ["cycle"], []]


def test_episodes_about_each_low_are_those_found_day_by_day(
    days: pl.DataFrame, lows: pl.DataFrame, by_rule: pl.DataFrame
) -> None:
    scores = days.select(pl.sum_horizontal("^score_.*$", ignore_nulls=False))["score_income_level"].to_list()
    for rule, condition in RULES.items():
        on = [day(n) for n, holds in enumerate(days.select(pl.sql_expr(condition)).to_series()) if holds and n <= END]
        runs: list[list[date]] = []
        for each in on:
            if runs and (each - runs[-1][-1]).days <= 14:
                runs[-1].append(each)
            else:
                runs.append([each])
        runs = [run for run in runs if run[0] >= day(START)]
        windows = [(run[0] - timedelta(30), run[-1] + timedelta(60)) for run in runs]
        inside = {n for n in range(START, END + 1) if any(a <= day(n) <= b for a, b in windows)}
        for kind, wait in zip(LOW_KINDS, (365, 45), strict=True):
            seen = [low for low in lows.filter(low_kind=kind)["low_on"] if day(START) <= low <= day(END)]
            rows = by_rule.filter(rule=rule, low_kind=kind)
            assert rows["low_on"].to_list() == seen
            old = [(a, b) for a, b in windows if b + timedelta(wait) <= day(END)]
            counts = len(old), sum(any(a <= low <= b for low in seen) for a, b in old)
            for row in rows.iter_rows(named=True):
                low = row["low_on"]
                assert (row["judged_episode_count"], row["hit_episode_count"]) == counts, rule
                assert row["window_share_pct"] == pytest.approx(100 * len(inside) / (END - START + 1))
                assert row["is_hit"] == any(a <= low <= b for a, b in windows), (rule, low)
                ranked = sorted(
                    (not a <= low <= b, max((run[0] - low).days, (low - run[-1]).days, 0), n)
                    for n, (run, (a, b)) in enumerate(zip(runs, windows, strict=True))
                )
                expected: dict[str, Any] = dict.fromkeys(("start_to_low_days", "peak_to_low_days", "end_to_low_days"))
                if ranked and ranked[0][1] <= 365:
                    run = runs[ranked[0][2]]
                    expected["start_to_low_days"] = (low - run[0]).days
                    if run[-1] + timedelta(14) <= day(END):
                        expected["end_to_low_days"] = (low - run[-1]).days
                    if rule in ("capitulation", "deep_capitulation", "squeeze_or_worse"):
                        span = range((run[0] - FIRST).days, (run[-1] - FIRST).days + 1)
                        peak = max(span, key=lambda n: -1.0 if scores[n] is None else scores[n])
                        expected["peak_to_low_days"] = (low - day(peak)).days
                assert {name: row[name] for name in expected} == expected, (rule, low)


def test_one_row_a_rule_and_low(lows: pl.DataFrame, by_rule: pl.DataFrame) -> None:
    assert by_rule["rule"].unique(maintain_order=True).to_list() == list(SIGNALS)
    assert by_rule.select("rule", "low_kind", "low_on").is_unique().all()
    sides = by_rule.filter(pl.col("rule").is_in(["income_side_only", "hashrate_side_only"]))
    assert sides.drop_nulls("started_on")["peaked_on"].null_count() == 0
