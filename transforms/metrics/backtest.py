"""What the price did after the signals of a rule, one observation an episode, beside what it did anyway."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.inputs.signals import ENTRIES, SIGNALS
from transforms.windows import ratio

EXACT: Final = "Exact."
COUNTED: Final = "Exact for the prices of the source as they are known now."
FEW: Final = "A handful of cases since 2011, in one market that rose: no share of so few proves anything."
SAME_PRICES: Final = "Exact for the prices, which are those that the rule was judged by before."
NONE_KNOWN: Final = "NULL where no observation is known."
_RETURNS: Final = pl.col("returns_pct")


@metric(unit=Unit.LABEL, error=EXACT, null_rule=None, labels=SIGNALS)
def rule() -> pl.Expr:
    """Name of the rule: one of `rule_comparison`, or ours on one side of the score, whose points count twice."""
    return pl.col("rule")


@metric(unit=Unit.LABEL, error=EXACT, null_rule=None, labels=ENTRIES)
def entry() -> pl.Expr:
    """Which day of an episode is the signal.

    `start`: its first. `recovery`: the first in recovery after it, of rules that have states. `over`, of the others:
    the one on which fourteen days without the rule have passed.
    """
    return pl.col("entry")


@metric(unit=Unit.DAYS, error=EXACT, null_rule=None, ge=1)
def horizon_days() -> pl.Expr:
    """Days that are looked at from the end of the day after the signal, which is known early on that day."""
    return pl.col("horizon_days")


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def episode_count() -> pl.Expr:
    """Episodes of the rule that begin on the days looked at, its days joined over gaps of up to fourteen."""
    return pl.col("episode_count")


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def entry_count() -> pl.Expr:
    """Episodes that have had their signal."""
    return pl.col("entry_count")


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]]}, gives=3),
    Example(given={"returns_pct": [[]]}, gives=0),
    unit=Unit.COUNT,
    error=COUNTED,
    null_rule=None,
    ge=0,
)
def observation_count() -> pl.Expr:
    """Signals after which the whole horizon has passed; each is one observation."""
    return _RETURNS.list.len()


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]]}, gives=2),
    unit=Unit.COUNT,
    error=COUNTED,
    null_rule=None,
    ge=0,
)
def rose_count() -> pl.Expr:
    """Observations after which the price was higher at the end of the horizon."""
    return _RETURNS.list.eval(pl.element() > 0).list.sum()


@metric(
    Example(given={"rose_count": 6, "observation_count": 8}, gives=75.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=0,
    le=100,
)
def rose_pct() -> pl.Expr:
    """Share of the observations after which the price was higher."""
    return PERCENT * ratio(pl.col("rose_count"), pl.col("observation_count"))


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]]}, gives=10.0),
    Example(given={"returns_pct": [[10.0, -5.0, 30.0, 40.0]]}, gives=20.0),
    Example(given={"returns_pct": [[]]}, gives=None, source="nothing is the median of none"),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=-100,
)
def return_median_pct() -> pl.Expr:
    """Median change of the price over the horizon."""
    return _RETURNS.list.median()


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]]}, gives=-5.0),
    unit=Unit.PERCENT,
    error=COUNTED,
    null_rule=NONE_KNOWN,
    ge=-100,
)
def return_min_pct() -> pl.Expr:
    """Least change of the price over the horizon."""
    return _RETURNS.list.min()


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]]}, gives=30.0),
    unit=Unit.PERCENT,
    error=COUNTED,
    null_rule=NONE_KNOWN,
    ge=-100,
)
def return_max_pct() -> pl.Expr:
    """Greatest change of the price over the horizon."""
    return _RETURNS.list.max()


@metric(
    Example(given={"lows_pct": [[-40.0, 0.0, -12.0]]}, gives=-12.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=-100,
    le=0,
)
def low_median_pct() -> pl.Expr:
    """Lowest price within the horizon against that at its start: the median, 0 where it was never lower."""
    return pl.col("lows_pct").list.median()


@metric(
    Example(given={"lows_pct": [[-40.0, 0.0, -12.0]]}, gives=-40.0),
    unit=Unit.PERCENT,
    error=COUNTED,
    null_rule=NONE_KNOWN,
    ge=-100,
    le=0,
)
def low_worst_pct() -> pl.Expr:
    """Lowest price within the horizon against that at its start: the worst observation."""
    return pl.col("lows_pct").list.min()


@metric(
    Example(given={"trough_list_days": [[20, 0, 5]]}, gives=5),
    Example(given={"trough_list_days": [[20, 0, 5, 9]]}, gives=9),
    unit=Unit.DAYS,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=0,
)
def trough_median_days() -> pl.Expr:
    """Days from the start of the horizon to the lowest price in it: the median, of an even number the later."""
    troughs = pl.col("trough_list_days").list
    return troughs.sort().list.get(troughs.len() // 2, null_on_oob=True)


@metric(unit=Unit.COUNT, error=COUNTED, null_rule=None, ge=0)
def all_day_count() -> pl.Expr:
    """Days looked at after which the whole horizon has passed: what the signals are compared with."""
    return pl.col("all_day_count")


@metric(unit=Unit.PERCENT, error=COUNTED, null_rule="NULL where no day is known.", ge=-100)
def all_return_median_pct() -> pl.Expr:
    """Median change of the price over the horizon, from each of all days."""
    return pl.col("all_return_median_pct")


@metric(
    Example(given={"all_rose_count": 2_700, "all_day_count": 4_500}, gives=60.0),
    unit=Unit.PERCENT,
    error=COUNTED,
    null_rule="NULL where no day is known.",
    ge=0,
    le=100,
)
def all_rose_pct() -> pl.Expr:
    """Share of all days after which the price was higher at the end of the horizon."""
    return PERCENT * ratio(pl.col("all_rose_count"), pl.col("all_day_count"))


@metric(
    Example(given={"bucket_medians_pct": [[8.0, 8.0, 20.0]]}, gives=12.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=-100,
)
def same_drawdown_return_median_pct() -> pl.Expr:
    """Median change from all days as far below the highest price so far as the day of the signal, mean of the signals.

    Buckets: up to 20 %, 40 %, 60 %, more. Half of the score is a fall of the price, so that this is what it must beat.
    """
    return pl.col("bucket_medians_pct").list.mean()


@metric(
    Example(given={"bucket_rose_pct": [[50.0, 50.0, 80.0]]}, gives=60.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=0,
    le=100,
)
def same_drawdown_rose_pct() -> pl.Expr:
    """Share of the days as far below the highest price so far after which the price was higher, mean of the signals."""
    return pl.col("bucket_rose_pct").list.mean()


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]], "bucket_medians_pct": [[8.0, 8.0, 20.0]]}, gives=2),
    unit=Unit.COUNT,
    error=COUNTED,
    null_rule=None,
    ge=0,
)
def above_same_drawdown_count() -> pl.Expr:
    """Observations with a greater change than the median of the days as far below the highest price so far.

    Of signals that know nothing beyond the drawdown, half.
    """
    return (_RETURNS - pl.col("bucket_medians_pct")).list.eval(pl.element() > 0).list.sum()


@metric(
    Example(given={"returns_pct": [[10.0, -5.0, 30.0]], "bucket_medians_pct": [[8.0, 8.0, 20.0]]}, gives=2.0),
    unit=Unit.PERCENT,
    error=FEW,
    null_rule=NONE_KNOWN,
    ge=-100_000,
)
def excess_median_pct() -> pl.Expr:
    """Change of the price less the median of the days as far below the highest price so far: the median, in points."""
    return (_RETURNS - pl.col("bucket_medians_pct")).list.median()


@metric(unit=Unit.COUNT, error=SAME_PRICES, null_rule=None, ge=0)
def shift_count() -> pl.Expr:
    """Shifts of all signals by the same number of days, around the end: every seventh from 180 days on, either way."""
    return pl.col("shift_count")


@metric(unit=Unit.COUNT, error=SAME_PRICES, null_rule=None, ge=0)
def shift_as_good_count() -> pl.Expr:
    """Shifts whose median change is as high as that of the signals, or higher."""
    return pl.col("shift_as_good_count")


@metric(
    Example(given={"shift_as_good_count": 70, "shift_count": 700}, gives=10.0),
    Example(given={"shift_as_good_count": 0, "shift_count": 0}, gives=None),
    unit=Unit.PERCENT,
    error="Shifts that are near each other are alike, so that they say less than their number.",
    null_rule="NULL where no observation is known, or too few days to shift them.",
    ge=0,
    le=100,
)
def shift_as_good_pct() -> pl.Expr:
    """Share of the shifts that do as well: how often signals in this pattern, that know nothing, look as good."""
    return PERCENT * ratio(pl.col("shift_as_good_count"), pl.col("shift_count"))


@metric(
    unit=Unit.COUNT,
    error="As counted by us; what others saw of the same prices before is not in it.",
    null_rule="NULL for rules of others, who do not state it.",
    ge=0,
)
def tried_count() -> pl.Expr:
    """Variants of our rule whose results were seen before or after it was chosen."""
    return pl.col("tried_count")


STARTER: Final = (
    rule,
    entry,
    horizon_days,
    episode_count,
    observation_count,
    rose_count,
    return_median_pct,
    low_worst_pct,
    all_return_median_pct,
    same_drawdown_return_median_pct,
    above_same_drawdown_count,
    shift_as_good_pct,
    tried_count,
)
METRICS: Final = (
    rule,
    entry,
    horizon_days,
    episode_count,
    entry_count,
    observation_count,
    rose_count,
    rose_pct,
    return_median_pct,
    return_min_pct,
    return_max_pct,
    low_median_pct,
    low_worst_pct,
    trough_median_days,
    all_day_count,
    all_return_median_pct,
    all_rose_pct,
    same_drawdown_return_median_pct,
    same_drawdown_rose_pct,
    above_same_drawdown_count,
    excess_median_pct,
    shift_count,
    shift_as_good_count,
    shift_as_good_pct,
    tried_count,
)
