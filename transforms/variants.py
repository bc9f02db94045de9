"""How much rests on the numbers of the rule of capitulation: the same days judged with one of them changed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Final

import polars as pl

from schemas.units import PERCENT
from transforms.capitulation import (
    CAPITULATIONS,
    DEEP_CAPITULATION,
    PARTS,
    RULE,
    STATE_INPUTS,
    CapitulationRule,
)
from transforms.metrics.rule_comparison import YEAR_DAYS
from transforms.rules import FIRST_DAY, RULES, compared, judged_days
from transforms.windows import mean_over, ratio

HALVES: Final = ((FIRST_DAY, date(2018, 12, 31)), (date(2019, 2, 2), date.max))
"""First and last day of each half; the days between them belong to an episode that both would share."""
INPUTS: Final = ("day", "price_usd", "difficulty", "hashrate_ehs", "is_final", "outage_event")
"""Columns of `capitulation_daily` that every variant starts from."""


def _income(**changes: float) -> CapitulationRule:
    level, per_hash = (replace(ramp, **changes) for ramp in (RULE.income_level, RULE.income_per_hash))
    return replace(RULE, income_level=level, income_per_hash=per_hash)


def _hashrate(**changes: float) -> CapitulationRule:
    return replace(RULE, hashrate=replace(RULE.hashrate, **changes))


def _weights(level: float, per_hash: float, hashrate: float) -> CapitulationRule:
    ramps = (RULE.income_level, RULE.income_per_hash, RULE.hashrate)
    a, b, c = (replace(ramp, points=points) for ramp, points in zip(ramps, (level, per_hash, hashrate), strict=True))
    return replace(RULE, income_level=a, income_per_hash=b, hashrate=c)


def _limits(one_side: float = 30, both_sides: float = 60) -> CapitulationRule:
    return replace(RULE, limits=(one_side, both_sides, RULE.limits[2]))


VARIANTS: Final[Mapping[str, CapitulationRule]] = {
    "as published": RULE,
    **{f"income ramp from {calm}": _income(calm=calm) for calm in (0.75, 1.25)},
    **{f"income ramp to {stressed}": _income(stressed=stressed) for stressed in (0.375, 0.625)},
    **{f"hash-rate ramp from {calm}": _hashrate(calm=calm) for calm in (-0.75, -1.25, -1.5, -2.5)},
    **{f"hash-rate ramp to {stressed}": _hashrate(stressed=stressed) for stressed in (-3.75, -6.25)},
    **{f"capitulation from {limit} points": _limits(both_sides=limit) for limit in (45, 52, 75)},
    **{f"one side from {limit} points": _limits(one_side=limit) for limit in (22.5, 37.5)},
    **{f"hysteresis of {points} points": replace(RULE, hysteresis=points) for points in (0, 7.5, 12.5)},
    **{f"week of {days} days": replace(RULE, week_days=days) for days in (5, 9, 14)},
    **{f"year of {days} days": replace(RULE, year_days=days) for days in (274, 456)},
    **{
        f"ribbon of {fast} and {slow} days": replace(RULE, fast_days=fast, slow_days=slow)
        for fast, slow in ((22, 45), (38, 75), (14, 60))
    },
    **{
        f"points {level}/{per_hash}/{hashrate}": _weights(level, per_hash, hashrate)
        for level, per_hash, hashrate in (
            (31, 19, 50),
            (19, 31, 50),
            (50, 0, 50),
            (0, 50, 50),
            (31, 31, 38),
            (19, 19, 62),
        )
    },
}
"""The rule with one number changed, mostly by a quarter up and down, by what was changed."""
STRUCTURAL_COUNT: Final = 12
"""Rules of another form that were tried before this one was chosen: days of dwelling, bands by part, other ramps."""
TRIED_COUNT: Final = STRUCTURAL_COUNT + len(VARIANTS) - 1
"""Variants whose results were seen; the more there are, the less a good result says."""


def states_of(days: pl.DataFrame, rule: CapitulationRule) -> pl.Series:
    """State of each of the `days`, with the columns `INPUTS`, under `rule`."""
    fast, slow = (mean_over(pl.col("hashrate_ehs"), n, least=n) for n in (rule.fast_days, rule.slow_days))
    parts = (
        rule.income_level.of(rule.of_year(pl.col("price_usd"))),
        rule.income_per_hash.of(rule.of_year(ratio(pl.col("price_usd"), pl.col("difficulty")))),
        rule.hashrate.of(PERCENT * (ratio(fast, slow) - 1)),
    )
    frame = days.with_columns(part.alias(name) for name, part in zip(PARTS, parts, strict=True))
    return rule.states(frame.select(pl.struct(STATE_INPUTS).alias("inputs"))["inputs"])


def sensitivity(days: pl.DataFrame, episodes: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """What each of `VARIANTS` finds of the episodes from `first` to `last`.

    Shape: one row a variant: `variant`, then of capitulation or deeper `day_count`, `episode_hit_count`,
    `episode_missed`, `recall_pct`, `precision_pct`, `false_run_count`, `ambiguous_run_count`; `deep_hit_count`,
    episodes that the deep state hits; `changes_per_year` of the state.
    """
    held = pl.col("state")
    rules = {"capitulation": held.is_in(CAPITULATIONS), "deep": held == DEEP_CAPITULATION}
    rows = []
    for name, rule in VARIANTS.items():
        stated = days.select("day", states_of(days, rule).alias("state"))
        found = compared(judged_days(stated, episodes, first, last), episodes, rules)
        ours, deep = found.rows(named=True)
        states = stated.filter(pl.col("day").is_between(first, last))["state"].drop_nulls()
        changes = int(states.ne(states.shift()).sum())
        rows.append(
            {"variant": name}
            | {column: ours[column] for column in ("day_count", "episode_hit_count", "episode_missed")}
            | shares(ours)
            | {column: ours[column] for column in ("false_run_count", "ambiguous_run_count")}
            | {"deep_hit_count": deep["episode_hit_count"], "changes_per_year": changes * YEAR_DAYS / states.len()}
        )
    return pl.DataFrame(rows)


def split(days: pl.DataFrame, episodes: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """What each published rule finds on each of `HALVES`, within `first` to `last`; `days` are `capitulation_daily`.

    Shape: one row a rule and half: `rule`, `first_day`, `last_day`, `episode_count`, `episode_hit_count`, `recall_pct`,
    `precision_pct`, `lag_median_days`. A half without a day has no row.
    """
    rules = {name: pl.sql_expr(condition) for name, condition in RULES.items()}
    halves = []
    for begin, end in HALVES:
        judged = judged_days(days, episodes, max(begin, first), min(end, last))
        if judged.height:
            halves += [row | shares(row) for row in compared(judged, episodes, rules).rows(named=True)]
    columns = ("rule", "first_day", "last_day", "episode_count", "episode_hit_count")
    return pl.DataFrame(halves).select(*columns, "recall_pct", "precision_pct", "lag_median_days")


def shares(row: Mapping[str, int]) -> dict[str, float | None]:
    """Recall and precision of a row of `compared`, in percent."""
    hits, of_cores, false = row["hit_day_count"], row["core_day_count"], row["false_day_count"]
    return {
        "recall_pct": PERCENT * hits / of_cores if of_cores else None,
        "precision_pct": PERCENT * hits / (hits + false) if hits + false else None,
    }
