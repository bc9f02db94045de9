"""Rules of capitulation judged by the episodes of `stress_episode`: ours, those of other houses, and variants."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from statistics import median_high
from typing import Final

import polars as pl

from schemas.registry import AMBIGUOUS, STRESS

FIRST_DAY: Final = date(2011, 8, 1)
"""Before it the windows of other houses' rules are not filled."""
JOINED_DAYS: Final = 14
"""Days of a rule no further apart than this are one run."""
BEFORE_DAYS: Final = 90
AFTER_DAYS: Final = 60
"""Days around a core that count on neither side: a rule may be early, and what follows may last."""
AMBIGUOUS_DAYS: Final = 30

RULES: Final[Mapping[str, str]] = {
    "capitulation": "capitulation_state in ('capitulation', 'deep_capitulation')",
    "deep_capitulation": "capitulation_state = 'deep_capitulation'",
    "squeeze_or_worse": "capitulation_state in ('squeeze', 'capitulation', 'deep_capitulation')",
    "hash_ribbon_plain": "rule_hash_ribbon_plain",
    "hash_ribbon_dead_band": "hash_ribbon_state = 'capitulation'",
    "puell_low": "rule_puell_low",
    "glassnode_risk": "rule_glassnode_risk",
    "difficulty_ribbon_compressed": "rule_difficulty_ribbon_compressed",
    "revenue_change": "revenue_change_30d_pct <= -20",
    "miners_position_index": "mpi_zscore >= 2",
}
"""Each rule as a condition on columns of `capitulation_daily`, in SQL, so that a reader can repeat it."""
READ: Final = (
    "capitulation_state",
    "rule_hash_ribbon_plain",
    "hash_ribbon_state",
    "rule_puell_low",
    "rule_glassnode_risk",
    "rule_difficulty_ribbon_compressed",
    "revenue_change_30d_pct",
    "mpi_zscore",
)
"""Columns that the rules read."""


def judged_span(days: pl.DataFrame) -> tuple[date, date] | None:
    """First and last day on which rules are judged: from the first score to the last state; None without a state.

    `days`: rows of `capitulation_daily`.
    """
    known = days.filter(pl.col("day") >= FIRST_DAY).drop_nulls("capitulation_state")
    if known.is_empty():
        return None
    return max(days.drop_nulls("capitulation_score")["day"][0], FIRST_DAY), known["day"][-1]


def judged_days(days: pl.DataFrame, episodes: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Add to the `days` from `first` to `last` where they lie among the `episodes` of `stress_episode`.

    Shape: `core`, the episode of class P in whose core the day lies, or NULL; `near`, whether it lies in or around such
    a core; `ambiguous`, whether it lies in or around an episode of class N.
    """

    def around(episode_class: str, before: int, after: int) -> pl.Expr:
        spans = _spans(episodes, episode_class).values()
        return pl.any_horizontal(
            pl.lit(False),
            *(pl.col("day").is_between(a - timedelta(before), b + timedelta(after)) for a, b in spans),
        )

    cores = _spans(episodes, STRESS)
    core = pl.coalesce(
        pl.lit(None, pl.String),
        *(pl.when(pl.col("day").is_between(*span)).then(pl.lit(name)) for name, span in cores.items()),
    )
    return days.filter(pl.col("day").is_between(first, last)).with_columns(
        core.alias("core"),
        around(STRESS, BEFORE_DAYS, AFTER_DAYS).alias("near"),
        around(AMBIGUOUS, AMBIGUOUS_DAYS, AMBIGUOUS_DAYS).alias("ambiguous"),
    )


def compared(judged: pl.DataFrame, episodes: pl.DataFrame, rules: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """What each of `rules`, a condition by name, finds of the episodes on the days of `judged_days`.

    Shape: one row a rule: `rule`, `first_day`, `last_day`, `day_count` on which it holds, `known_day_count` on which it
    is known; `core_day_count` of all cores and `hit_day_count` of the rule in them, `false_day_count` outside of all
    episodes, `ambiguous_day_count` of class N; `episode_count` with a day among these, `episode_hit_count` of them,
    `episode_missed`; `false_run_count`, `ambiguous_run_count`; `lag_median_days`, of an even number the later of the
    two in the middle; `change_count` of the rule from day to day. On an unknown day a rule does not hold.
    """
    return pl.DataFrame(list(_rows(judged, episodes, rules)), schema=COUNTS, infer_schema_length=None)


COUNTS: Final = pl.Schema(
    {
        "rule": pl.String,
        "first_day": pl.Date,
        "last_day": pl.Date,
        "day_count": pl.Int64,
        "known_day_count": pl.Int64,
        "core_day_count": pl.Int64,
        "hit_day_count": pl.Int64,
        "false_day_count": pl.Int64,
        "ambiguous_day_count": pl.Int64,
        "episode_count": pl.Int64,
        "episode_hit_count": pl.Int64,
        "episode_missed": pl.String,
        "false_run_count": pl.Int64,
        "ambiguous_run_count": pl.Int64,
        "lag_median_days": pl.Int64,
        "change_count": pl.Int64,
    }
)


def _rows(judged: pl.DataFrame, episodes: pl.DataFrame, rules: Mapping[str, pl.Expr]) -> Iterator[dict[str, object]]:
    """One row of `compared` a rule."""
    cores = _spans(episodes, STRESS)
    seen = [name for name in cores if judged["core"].eq(name).any()]
    day = pl.col("day")
    for rule, condition in rules.items():
        days = judged.with_columns(condition.alias("stated")).with_columns(
            pl.col("stated").fill_null(False).alias("on")
        )
        begins = pl.col("on") & ~pl.col("on").shift(fill_value=False)
        on = days.with_columns(pl.when(begins).then(day).forward_fill().alias("begun_on")).filter("on")
        runs = on.group_by((day.diff().dt.total_days() > JOINED_DAYS).fill_null(True).cum_sum().alias("run")).agg(
            pl.col("near", "ambiguous").any()
        )
        hits = on.drop_nulls("core").group_by("core", maintain_order=True).agg(pl.col("begun_on").first())
        lags = [(begun - cores[name][0]).days for name, begun in hits.rows()]
        outside, between = ~pl.col("near"), pl.col("ambiguous")
        yield {
            "rule": rule,
            "first_day": judged["day"].min(),
            "last_day": judged["day"].max(),
            "day_count": on.height,
            "known_day_count": days["stated"].count(),
            "core_day_count": judged["core"].count(),
            "hit_day_count": on["core"].count(),
            "false_day_count": on.filter(outside & ~between).height,
            "ambiguous_day_count": on.filter(outside & between).height,
            "episode_count": len(seen),
            "episode_hit_count": hits.height,
            "episode_missed": " ".join(name for name in seen if name not in set(hits["core"])) or "none",
            "false_run_count": runs.filter(outside & ~between).height,
            "ambiguous_run_count": runs.filter(outside & between).height,
            "lag_median_days": median_high(lags) if lags else None,
            "change_count": days["on"].ne(days["on"].shift()).sum(),
        }


def _spans(episodes: pl.DataFrame, episode_class: str) -> dict[str, tuple[date, date]]:
    """First and last day of the core by episode of the class, in the order of days."""
    rows = episodes.filter(pl.col("episode_class") == episode_class).sort("core_start_on")
    return {name: (first, last) for name, first, last in rows.select("episode", "core_start_on", "core_end_on").rows()}
