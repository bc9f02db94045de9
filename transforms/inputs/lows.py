"""Lows of the price, which are known only afterwards, and where the episodes of each rule lie about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from schemas.units import PERCENT
from transforms.inputs.signals import SIGNALS, Floats, Held, Places, episodes, held_by_rule
from transforms.rules import JOINED_DAYS
from transforms.windows import least_known

CYCLE: Final = "cycle"
LOCAL: Final = "local"
LOW_KINDS: Final = (CYCLE, LOCAL)
AFTER_DAYS: Final = {CYCLE: 365, LOCAL: 45}
"""Days after a low, by its kind, in which the price must not be lower, and after which it is known to have been one."""
FALL_RATIO: Final = {CYCLE: 0.5, LOCAL: 0.2}
"""How far a low lies at least below the high before it."""
HIT_BEFORE_DAYS: Final = 30
HIT_AFTER_DAYS: Final = 60
"""An episode hits a low that lies no more than so many days before its first and after its last day."""
NEAR_DAYS: Final = 365
"""An episode that is further from a low has nothing to do with it."""

LOW_ROWS: Final = pl.Schema(
    {
        "low_kind": pl.String(),
        "low_on": pl.Date(),
        "low_price_usd": pl.Float64(),
        "high_on": pl.Date(),
        "high_price_usd": pl.Float64(),
        "confirmed_on": pl.Date(),
        "high_regained_on": pl.Date(),
    }
)
"""What `price_lows` lays out."""
RULE_ROWS: Final = pl.Schema(
    {
        "rule": pl.String(),
        "low_kind": pl.String(),
        "low_on": pl.Date(),
        "is_hit": pl.Boolean(),
        "started_on": pl.Date(),
        "peaked_on": pl.Date(),
        "ended_on": pl.Date(),
        "judged_episode_count": pl.Int64(),
        "hit_episode_count": pl.Int64(),
        "window_share_pct": pl.Float64(),
    }
)
"""What `lows_by_rule` lays out."""


@dataclass(frozen=True)
class Low:
    """A low and the high that it is measured from, by their places."""

    kind: str
    place: int
    high: int


def price_lows(days: pl.DataFrame) -> pl.DataFrame:
    """Lows of the price of `days`, rows of `capitulation_daily` without gaps.

    `cycle`: the lowest price between a highest price so far and the next higher one, half of it or less, and not gone
    below within 365 days. `local`: the lowest of the 45 days before and after it, a fifth or more below the highest of
    those before. Nine tenths of these days need a price. Shape: one row a low, sorted by kind and day, with `LOW_ROWS`.
    """
    prices = days["price_usd"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    dates = days["day"]
    rows = []
    for low in (*_cycle_lows(prices), *_local_lows(prices)):
        above = np.flatnonzero(prices[low.place :] > prices[low.high])
        rows.append(
            {
                "low_kind": low.kind,
                "low_on": dates[low.place],
                "low_price_usd": prices[low.place],
                "high_on": dates[low.high],
                "high_price_usd": prices[low.high],
                "confirmed_on": dates[low.place + AFTER_DAYS[low.kind]],
                "high_regained_on": dates[low.place + int(above[0])] if above.size else None,
            }
        )
    return pl.DataFrame(rows, schema=LOW_ROWS)


def _cycle_lows(prices: Floats) -> Iterator[Low]:
    known = np.flatnonzero(~np.isnan(prices))
    highest = np.maximum.accumulate(prices[known])
    highs = known[np.diff(highest, prepend=-np.inf) > 0]
    for high, after in pairwise([*highs.tolist(), prices.size]):
        if after - high > 1 and (low := _found(CYCLE, prices, high + int(np.nanargmin(prices[high:after])), high)):
            yield low


def _local_lows(prices: Floats) -> Iterator[Low]:
    around = AFTER_DAYS[LOCAL]
    for place in range(around, prices.size - around):
        before = prices[place - around : place]
        # The first of equal prices is the low.
        if np.count_nonzero(before > prices[place]) >= least_known(around) and not (before <= prices[place]).any():
            high = place - around + int(np.nanargmax(before))
            if low := _found(LOCAL, prices, place, high):
                yield low


def _found(kind: str, prices: Floats, place: int, high: int) -> Low | None:
    """The low, where it lies deep enough below the high, and enough days after it are known and none is lower."""
    days = AFTER_DAYS[kind]
    after = prices[place + 1 : place + 1 + days]
    is_over = after.size == days and np.count_nonzero(after >= prices[place]) >= least_known(days)
    is_deep = 1 - prices[place] / prices[high] >= FALL_RATIO[kind]
    return Low(kind, place, high) if is_deep and is_over and not (after < prices[place]).any() else None


def lows_by_rule(days: pl.DataFrame, lows: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Where the episodes of each rule that begin from `first` to `last` lie about the `lows` of these days.

    `days`: rows of `capitulation_daily`. Of several episodes the one that hits, then the nearest counts. Episodes are
    judged once every low that they might hit would be known. Shape: one row a rule and low, with `RULE_ROWS`; the
    counts are of the rule and kind.
    """
    start, end = (int(days["day"].search_sorted(day)) for day in (first, last))
    seen = lows.filter(pl.col("low_on").is_between(first, last))
    places = {
        kind: days["day"].search_sorted(seen.filter(low_kind=kind)["low_on"]).to_numpy().astype(np.int64)
        for kind in LOW_KINDS
    }
    rows = [
        row
        for rule, held in held_by_rule(days).items()
        for kind in LOW_KINDS
        for row in _of_rule(days["day"], rule, kind, held, places[kind], (start, end))
    ]
    order = pl.col("rule").replace_strict(SIGNALS, range(len(SIGNALS)))
    return pl.DataFrame(rows, schema=RULE_ROWS).sort(order, "low_kind", "low_on")


def _of_rule(
    dates: pl.Series, rule: str, kind: str, held: Held, lows: Places, span: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    starts, ends = episodes(held.on, *span)
    hits = (lows >= starts[:, None] - HIT_BEFORE_DAYS) & (lows <= ends[:, None] + HIT_AFTER_DAYS)
    judged = ends + HIT_AFTER_DAYS + AFTER_DAYS[kind] <= span[1]
    share = PERCENT * _windows(starts, ends, span) / (span[1] - span[0] + 1)
    away = np.maximum(starts[:, None] - lows, lows - ends[:, None]).clip(min=0)
    for number, low in enumerate(lows.tolist()):
        nearest = np.lexsort((away[:, number], ~hits[:, number])) if starts.size else starts
        row: dict[str, Any] = {
            "rule": rule,
            "low_kind": kind,
            "low_on": dates[low],
            "is_hit": bool(hits[:, number].any()),
            "judged_episode_count": int(judged.sum()),
            "hit_episode_count": int((judged & hits.any(axis=1)).sum()),
            "window_share_pct": share,
        }
        if nearest.size and away[nearest[0], number] <= NEAR_DAYS:
            begin, finish = int(starts[nearest[0]]), int(ends[nearest[0]])
            row["started_on"] = dates[begin]
            if finish + JOINED_DAYS <= span[1]:
                row["ended_on"] = dates[finish]
            if held.score is not None:
                row["peaked_on"] = dates[begin + int(np.nanargmax(held.score[begin : finish + 1]))]
        yield row


def _windows(starts: Places, ends: Places, span: tuple[int, int]) -> int:
    """On how many places of the `span` a low would be hit."""
    changes = np.zeros(span[1] - span[0] + 2, dtype=np.int64)
    np.add.at(changes, np.maximum(starts - HIT_BEFORE_DAYS, span[0]) - span[0], 1)
    np.add.at(changes, np.minimum(ends + HIT_AFTER_DAYS, span[1]) - span[0] + 1, -1)
    return int((changes.cumsum() > 0).sum())
