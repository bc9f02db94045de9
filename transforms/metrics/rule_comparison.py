"""What a rule of capitulation finds of the episodes of stress, and what it finds where there was none."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.rules import RULES
from transforms.windows import ratio

YEAR_DAYS: Final = 365.25
COUNTED = "Exact for the days of the rule; the episodes are few and were dated by hand."
FEW = "Seven episodes at most: a share of so few proves nothing."


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None, labels=tuple(RULES))
def rule() -> pl.Expr:
    """Name of the rule."""
    return pl.col("rule")


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def condition() -> pl.Expr:
    """Rule as a condition on columns of `capitulation_daily`, in SQL."""
    return pl.col("condition")


@metric(unit=Unit.DAY, error="Exact.", null_rule=None)
def first_day() -> pl.Expr:
    """First day that is looked at: that of the first score, but none before 2011-08-01."""
    return pl.col("first_day")


@metric(unit=Unit.DAY, error="Exact.", null_rule=None)
def last_day() -> pl.Expr:
    """Last day that is looked at: the last that has a state."""
    return pl.col("last_day")


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def day_count() -> pl.Expr:
    """Days on which the rule holds."""
    return pl.col("day_count")


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def episode_count() -> pl.Expr:
    """Episodes of class P, miners in distress, with a day of their core among those looked at."""
    return pl.col("episode_count")


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def episode_hit_count() -> pl.Expr:
    """Episodes of class P in whose core the rule holds on a day at least."""
    return pl.col("episode_hit_count")


@metric(unit=Unit.LABEL, error=COUNTED, null_rule=None)
def episode_missed() -> pl.Expr:
    """Episodes of class P that the rule misses, or none."""
    return pl.col("episode_missed")


@metric(
    Example(given={"hit_day_count": 37, "core_day_count": 100}, gives=37.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule="NULL when no core has a day among those looked at.",
    ge=0,
    le=100,
)
def recall_pct() -> pl.Expr:
    """Share of the days of all cores on which the rule holds."""
    return PERCENT * ratio(pl.col("hit_day_count"), pl.col("core_day_count"))


@metric(
    Example(given={"hit_day_count": 30, "false_day_count": 10}, gives=75.0),
    Example(given={"hit_day_count": 0, "false_day_count": 0}, gives=None),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule="NULL when the rule holds in no core and on no false day.",
    ge=0,
    le=100,
)
def precision_pct() -> pl.Expr:
    """Days in cores as a share of these and false days; 90 days before, 60 after a core and class N are left out."""
    return PERCENT * ratio(pl.col("hit_day_count"), pl.col("hit_day_count") + pl.col("false_day_count"))


@metric(
    Example(given={"hit_day_count": 30, "false_day_count": 10, "ambiguous_day_count": 20}, gives=50.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule="NULL when the rule holds in no core and on no false day.",
    ge=0,
    le=100,
)
def precision_strict_pct() -> pl.Expr:
    """Precision with days of class N, difficulty that fell at a halving or without a report, counted as false."""
    false = pl.col("false_day_count") + pl.col("ambiguous_day_count")
    return PERCENT * ratio(pl.col("hit_day_count"), pl.col("hit_day_count") + false)


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def false_run_count() -> pl.Expr:
    """Runs of the rule, its days joined over 14, that touch no episode of class P or N nor the days around it."""
    return pl.col("false_run_count")


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def ambiguous_run_count() -> pl.Expr:
    """Runs of the rule that touch an episode of class N or the 30 days around it, and none of class P."""
    return pl.col("ambiguous_run_count")


@metric(unit=Unit.DAYS, error=FEW, null_rule="NULL when the rule hits no episode.")
def lag_median_days() -> pl.Expr:
    """Days from the start of a core to that of the unbroken run which hits it, negative where earlier: the median.

    Of an even number of hits it is the later of the two in the middle.
    """
    return pl.col("lag_median_days")


@metric(
    Example(given={"change_count": 14, "known_day_count": 1461}, gives=3.5),
    unit=Unit.COUNT_PER_YEAR,
    error="Exact.",
    null_rule="NULL when the rule is known on no day.",
    ge=0,
)
def changes_per_year() -> pl.Expr:
    """How often the rule begins or ends to hold in a year of the days on which it is known."""
    return ratio(pl.col("change_count") * YEAR_DAYS, pl.col("known_day_count"))


METRICS = (
    rule,
    condition,
    first_day,
    last_day,
    day_count,
    episode_count,
    episode_hit_count,
    episode_missed,
    recall_pct,
    precision_pct,
    precision_strict_pct,
    false_run_count,
    ambiguous_run_count,
    lag_median_days,
    changes_per_year,
)
