"""Lows of the price, and how many days the episodes of a rule lie before or after them."""

from datetime import date
from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.inputs.lows import LOW_KINDS
from transforms.inputs.signals import SIGNALS
from transforms.windows import ratio

EXACT: Final = "Exact."
OF_PRICE: Final = "Closes of two sources differ by some tenths of a percent, which can move a low by days."
OF_RULE: Final = "As good as the rule and the day of the low."
FEW: Final = "A handful of lows since 2011; which days are lows is known only afterwards."
NONE_NEAR: Final = "NULL where no episode of the rule lies within a year of the low."


def _days(since: str) -> pl.Expr:
    return (pl.col("low_on") - pl.col(since)).dt.total_days()


@metric(unit=Unit.LABEL, error=EXACT, null_rule=None, labels=LOW_KINDS)
def low_kind() -> pl.Expr:
    """Kind of the low.

    `cycle`: lowest price between a highest so far and the next higher one, at most half of it, and not gone below in
    the 365 days after. `local`: lowest of the 45 days before and after, a fifth or more below the highest of those
    before.
    """
    return pl.col("low_kind")


@metric(unit=Unit.DAY, error=OF_PRICE, null_rule=None)
def low_on() -> pl.Expr:
    """Day of the low."""
    return pl.col("low_on")


@metric(unit=Unit.USD, error="As good as the price.", null_rule=None, ge=0)
def low_price_usd() -> pl.Expr:
    """Price at the end of the day of the low."""
    return pl.col("low_price_usd")


@metric(unit=Unit.DAY, error=OF_PRICE, null_rule=None)
def high_on() -> pl.Expr:
    """Day of the high before it: of a cycle the highest price so far, of a local low that of the 45 days before."""
    return pl.col("high_on")


@metric(unit=Unit.USD, error="As good as the price.", null_rule=None, ge=0)
def high_price_usd() -> pl.Expr:
    """Price at the end of the day of the high."""
    return pl.col("high_price_usd")


@metric(
    Example(given={"low_price_usd": 3_200.0, "high_price_usd": 20_000.0}, gives=-84.0),
    unit=Unit.PERCENT,
    error="As good as the price.",
    null_rule=None,
    ge=-100,
    le=0,
)
def low_of_high_pct() -> pl.Expr:
    """How far the low lies below the high."""
    return PERCENT * (ratio(pl.col("low_price_usd"), pl.col("high_price_usd")) - 1)


@metric(
    Example(given={"high_on": date(2017, 12, 16), "low_on": date(2018, 12, 15)}, gives=364),
    unit=Unit.DAYS,
    error=OF_PRICE,
    null_rule=None,
    ge=1,
)
def high_to_low_days() -> pl.Expr:
    """Days from the high to the low."""
    return _days("high_on")


@metric(unit=Unit.DAY, error=OF_PRICE, null_rule=None)
def confirmed_on() -> pl.Expr:
    """First day on which it was known to be a low of its kind."""
    return pl.col("confirmed_on")


@metric(unit=Unit.DAY, error=OF_PRICE, null_rule="NULL where the price has not been higher yet.")
def high_regained_on() -> pl.Expr:
    """First day after the low on which the price was higher than at the high."""
    return pl.col("high_regained_on")


@metric(unit=Unit.LABEL, error=EXACT, null_rule=None, labels=SIGNALS)
def rule() -> pl.Expr:
    """Name of the rule, as in `signal_backtest`."""
    return pl.col("rule")


@metric(unit=Unit.YES_NO, error=OF_RULE, null_rule=None)
def is_hit() -> pl.Expr:
    """Whether the low lies in an episode of the rule, at most 30 days before its first, or 60 after its last day."""
    return pl.col("is_hit")


@metric(unit=Unit.DAY, error=OF_RULE, null_rule=NONE_NEAR)
def started_on() -> pl.Expr:
    """First day of the episode of the rule that hits the low, or else is nearest to it."""
    return pl.col("started_on")


@metric(unit=Unit.DAY, error=OF_RULE, null_rule=f"{NONE_NEAR[:-1]}, and of rules that are not bands of the score.")
def peaked_on() -> pl.Expr:
    """Day of that episode with the highest score, of a rule on one side of the score that of this side."""
    return pl.col("peaked_on")


@metric(unit=Unit.DAY, error=OF_RULE, null_rule=f"{NONE_NEAR[:-1]}, or the episode may go on.")
def ended_on() -> pl.Expr:
    """Last day of that episode, known once fourteen days without the rule have passed."""
    return pl.col("ended_on")


@metric(
    Example(given={"started_on": date(2018, 11, 18), "low_on": date(2018, 12, 15)}, gives=27),
    Example(given={"started_on": date(2022, 12, 19), "low_on": date(2022, 11, 9)}, gives=-40),
    Example(given={"started_on": None, "low_on": date(2013, 7, 6)}, gives=None),
    unit=Unit.DAYS,
    error=OF_RULE,
    null_rule=NONE_NEAR,
)
def start_to_low_days() -> pl.Expr:
    """Days from the start of the episode to the low: how far ahead of it the rule was, negative where it came after."""
    return _days("started_on")


@metric(
    Example(given={"peaked_on": date(2018, 11, 28), "low_on": date(2018, 12, 15)}, gives=17),
    unit=Unit.DAYS,
    error=OF_RULE,
    null_rule=f"{NONE_NEAR[:-1]}, and of rules that are not bands of the score.",
)
def peak_to_low_days() -> pl.Expr:
    """Days from the highest score of the episode to the low, negative where the low came before."""
    return _days("peaked_on")


@metric(
    Example(given={"ended_on": date(2019, 1, 6), "low_on": date(2018, 12, 15)}, gives=-22),
    unit=Unit.DAYS,
    error=OF_RULE,
    null_rule=f"{NONE_NEAR[:-1]}, or the episode may go on.",
)
def end_to_low_days() -> pl.Expr:
    """Days from the end of the episode to the low, negative where the low came before."""
    return _days("ended_on")


@metric(unit=Unit.COUNT, error=FEW, null_rule=None, ge=0)
def judged_episode_count() -> pl.Expr:
    """Episodes of the rule that are long enough ago for every low of the kind near them to be known."""
    return pl.col("judged_episode_count")


@metric(unit=Unit.COUNT, error=FEW, null_rule=None, ge=0)
def hit_episode_count() -> pl.Expr:
    """Episodes of judged_episode_count that hit a low of the kind."""
    return pl.col("hit_episode_count")


@metric(unit=Unit.PERCENT, error=OF_RULE, null_rule=None, ge=0, le=100)
def window_share_pct() -> pl.Expr:
    """Share of the days looked at on which a low would be hit: what hits are worth, of a low on any day."""
    return pl.col("window_share_pct")


LOWS: Final = (
    low_kind,
    low_on,
    low_price_usd,
    high_on,
    high_price_usd,
    low_of_high_pct,
    high_to_low_days,
    confirmed_on,
    high_regained_on,
)
BY_RULE: Final = (
    rule,
    low_kind,
    low_on,
    is_hit,
    started_on,
    peaked_on,
    ended_on,
    start_to_low_days,
    peak_to_low_days,
    end_to_low_days,
    judged_episode_count,
    hit_episode_count,
    window_share_pct,
)
