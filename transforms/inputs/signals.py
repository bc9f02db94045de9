"""Where each rule gives its signals: its episodes, the first day of each, and the day on which it is known to be over.

Nothing before the signal is looked ahead for: an episode begins on its first day, not where it later proved to be
deepest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.capitulation import CAPITULATIONS, HASHRATE_PART, INCOME_PARTS, PARTS, RECOVERY, RULE, STATE_INPUTS
from transforms.rules import JOINED_DAYS, RULES
from transforms.rules import READ as RULE_COLUMNS

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]
"""Rows of the daily table, counted from 0."""

ENTRY_START: Final = "start"
ENTRY_RECOVERY: Final = "recovery"
ENTRY_OVER: Final = "over"
ENTRIES: Final = (ENTRY_START, ENTRY_RECOVERY, ENTRY_OVER)
ABLATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "income_side_only": INCOME_PARTS,
    "hashrate_side_only": (HASHRATE_PART,),
}
"""Our rule on one side alone, by the parts of the score that are left; they count twice, so that 100 can be reached."""
OURS: Final = ("capitulation", "deep_capitulation")
OF_SCORE: Final = (*OURS, "squeeze_or_worse")
"""Rules that are bands of the score, so that an episode of theirs has a peak."""
SIGNALS: Final = (*RULES, *ABLATIONS)
READ: Final = (*RULE_COLUMNS, *STATE_INPUTS)
"""Columns of `capitulation_daily` that signals are made from."""


@dataclass(frozen=True)
class Held:
    """Where a rule holds, by place, and of a rule with states where it is in recovery, and its score."""

    on: NDArray[np.bool_]
    recovering: NDArray[np.bool_] | None = None
    score: Floats | None = None


@dataclass(frozen=True)
class Signal:
    """Where a rule gives one kind of signal: `places` of its entries, of `episode_count` episodes."""

    rule: str
    entry: str
    episode_count: int
    places: Places


def held_by_rule(days: pl.DataFrame) -> dict[str, Held]:
    """Where each of `SIGNALS` holds on `days`, rows of `capitulation_daily`; where it is not known it does not."""
    states = days["capitulation_state"]
    conditions = days.select(pl.sql_expr(text).fill_null(False).alias(name) for name, text in RULES.items())
    score, recovering = _score(days, dict.fromkeys(PARTS, 1)), _is(states, RECOVERY)
    found = {
        name: Held(
            conditions[name].to_numpy(), recovering if name in OURS else None, score if name in OF_SCORE else None
        )
        for name in RULES
    }
    for name, parts in ABLATIONS.items():
        points = {part: 2 if part in parts else 0 for part in PARTS}
        alone = days.with_columns(pl.col(part) * factor for part, factor in points.items())
        inputs = alone.select(pl.struct(STATE_INPUTS).alias("inputs"))["inputs"]
        states = RULE.states(inputs)
        found[name] = Held(_is(states, *CAPITULATIONS), _is(states, RECOVERY), _score(days, points))
    return found


def signals(held: Mapping[str, Held], first: int, last: int) -> list[Signal]:
    """Entries of every rule on the places from `first` to `last` of days without gaps, from where each rule holds.

    `start`: the first day of an episode, whose days are no more than `JOINED_DAYS` apart. `recovery`, of rules with
    states: the first day of recovery after that start and before the next. `over`, of the others: the day on which so
    many days without the rule have passed. What has not come yet is no entry.
    """
    found = []
    for rule, each in held.items():
        starts, ends = episodes(each.on, first, last)
        found.append(Signal(rule, ENTRY_START, starts.size, starts))
        if each.recovering is not None:
            places = _recoveries(starts, np.flatnonzero(each.recovering).astype(np.int64), last)
            found.append(Signal(rule, ENTRY_RECOVERY, starts.size, places))
        else:
            over = ends + JOINED_DAYS
            found.append(Signal(rule, ENTRY_OVER, starts.size, over[over <= last]))
    return found


def _is(states: pl.Series, *names: str) -> NDArray[np.bool_]:
    return states.is_in(names).fill_null(False).to_numpy()


def _score(days: pl.DataFrame, points: Mapping[str, int]) -> Floats:
    """The parts of the score, each as often as `points` has it; NaN where one is unknown."""
    total = pl.sum_horizontal((pl.col(part) * factor for part, factor in points.items()), ignore_nulls=False)
    return days.select(total.cast(pl.Float64).alias("score"))["score"].to_numpy()


def episodes(on: NDArray[np.bool_], first: int, last: int) -> tuple[Places, Places]:
    """First and last places of the runs that begin from `first` to `last`; one that is on before is left out."""
    held = np.flatnonzero(on[: last + 1]).astype(np.int64)
    begins = np.diff(held, prepend=-JOINED_DAYS - 1) > JOINED_DAYS
    ends = np.append(begins[1:], True)[: held.size]
    starts, lasts = held[begins], held[ends]
    inside = starts >= first
    return starts[inside], lasts[inside]


def _recoveries(starts: Places, recovering: Places, last: int) -> Places:
    """Of each start the first place of `recovering` after it, unless the next episode has begun before."""
    places = np.searchsorted(recovering, starts, side="right")
    nexts = np.append(starts[1:], last + 1)[: starts.size]
    found = [
        recovering[at] for at, end in zip(places, nexts, strict=True) if at < recovering.size and recovering[at] < end
    ]
    return np.array(found, dtype=np.int64)
