"""A capitulation from its first day to its last, how deep it went, and what the price did afterwards."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.windows import ratio

OF_RULE: Final = "As good as the rule of `capitulation_state`, which is late by 8 to 18 days."
OF_PRICE: Final = "As good as the price."
LASTS: Final = "NULL while it lasts, or may go on."
NO_END: Final = "NULL while it lasts, or may go on, or where the day has no price."
HORIZONS_DAYS: Final = (30, 90, 180)
"""Days after the end at which the price is looked at."""


@metric(unit=Unit.DAY, error=OF_RULE, null_rule=None)
def started_on() -> pl.Expr:
    """First day in capitulation."""
    return pl.col("started_on")


@metric(unit=Unit.DAY, error=OF_RULE, null_rule=LASTS)
def ended_on() -> pl.Expr:
    """Last day in capitulation, known once fourteen days without one have followed."""
    return pl.col("ended_on")


@metric(unit=Unit.COUNT, error=OF_RULE, null_rule=None, ge=1)
def day_count() -> pl.Expr:
    """Days in capitulation or deep capitulation, those of up to fourteen in between left out."""
    return pl.col("day_count")


@metric(unit=Unit.COUNT, error=OF_RULE, null_rule=None, ge=0)
def deep_day_count() -> pl.Expr:
    """Days of day_count in deep capitulation."""
    return pl.col("deep_day_count")


@metric(unit=Unit.SCORE, error="As good as the score of the days.", null_rule=None, ge=0, le=100)
def capitulation_max_score() -> pl.Expr:
    """Highest capitulation score from its first day to its last."""
    return pl.col("capitulation_max_score")


@metric(unit=Unit.RATIO, error="As good as the days.", null_rule="NULL where no day has a Puell Multiple.", ge=0)
def puell_issuance_min_ratio() -> pl.Expr:
    """Lowest Puell Multiple, on issuance, from its first day to its last."""
    return pl.col("puell_issuance_min_ratio")


@metric(unit=Unit.PERCENT, error="As good as the days.", null_rule="NULL where no day has a hash ribbon.", ge=-100)
def hash_ribbon_spread_min_pct() -> pl.Expr:
    """Lowest spread of the hash ribbon from its first day to its last."""
    return pl.col("hash_ribbon_spread_min_pct")


@metric(
    unit=Unit.LABEL,
    error="Episodes are fixed by hand, before the rule was made.",
    null_rule="NULL where it lies in the core of none.",
)
def stress_episode() -> pl.Expr:
    """Episodes of `stress_episode` whose core it touches, joined by blanks: P is distress, N and O are not."""
    return pl.col("stress_episode")


@metric(unit=Unit.USD, error=OF_PRICE, null_rule="NULL where the day has no price.", ge=0)
def price_at_start_usd() -> pl.Expr:
    """Price of one bitcoin on its first day."""
    return pl.col("price_at_start_usd")


@metric(unit=Unit.USD, error=OF_PRICE, null_rule=NO_END, ge=0)
def price_at_end_usd() -> pl.Expr:
    """Price of one bitcoin on its last day."""
    return pl.col("price_at_end_usd")


def _change(days: int) -> pl.Expr:
    return PERCENT * (ratio(pl.col(f"price_{days}d_after_usd"), pl.col("price_at_end_usd")) - 1)


AFTER: Final = "NULL until that many days have passed since its end."
CHANGED: Final = "As good as the price. A handful of cases: what followed each of them says little about the next."


@metric(unit=Unit.USD, error=OF_PRICE, null_rule=AFTER, ge=0, history_days=30)
def price_30d_after_usd() -> pl.Expr:
    """Price of one bitcoin 30 days after its last day."""
    return pl.col("price_30d_after_usd")


@metric(unit=Unit.USD, error=OF_PRICE, null_rule=AFTER, ge=0, history_days=90)
def price_90d_after_usd() -> pl.Expr:
    """Price of one bitcoin 90 days after its last day."""
    return pl.col("price_90d_after_usd")


@metric(unit=Unit.USD, error=OF_PRICE, null_rule=AFTER, ge=0, history_days=180)
def price_180d_after_usd() -> pl.Expr:
    """Price of one bitcoin 180 days after its last day."""
    return pl.col("price_180d_after_usd")


@metric(
    unit=Unit.PERCENT,
    error=CHANGED,
    null_rule=AFTER,
    ge=-100,
    history_days=30,
    examples=[
        Example(given={"price_30d_after_usd": 23_000.0, "price_at_end_usd": 20_000.0}, gives=15.0),
        Example(given={"price_30d_after_usd": None, "price_at_end_usd": 20_000.0}, gives=None),
    ],
)
def price_change_30d_after_pct() -> pl.Expr:
    """Price 30 days after its last day against that of its last day."""
    return _change(30)


@metric(
    unit=Unit.PERCENT,
    error=CHANGED,
    null_rule=AFTER,
    ge=-100,
    history_days=90,
    examples=[Example(given={"price_90d_after_usd": 15_000.0, "price_at_end_usd": 20_000.0}, gives=-25.0)],
)
def price_change_90d_after_pct() -> pl.Expr:
    """Price 90 days after its last day against that of its last day."""
    return _change(90)


@metric(
    unit=Unit.PERCENT,
    error=CHANGED,
    null_rule=AFTER,
    ge=-100,
    history_days=180,
    examples=[Example(given={"price_180d_after_usd": 40_000.0, "price_at_end_usd": 20_000.0}, gives=100.0)],
)
def price_change_180d_after_pct() -> pl.Expr:
    """Price 180 days after its last day against that of its last day."""
    return _change(180)


METRICS: Final = (
    started_on,
    ended_on,
    day_count,
    deep_day_count,
    capitulation_max_score,
    puell_issuance_min_ratio,
    hash_ribbon_spread_min_pct,
    stress_episode,
    price_at_start_usd,
    price_at_end_usd,
    price_30d_after_usd,
    price_90d_after_usd,
    price_180d_after_usd,
    price_change_30d_after_pct,
    price_change_90d_after_pct,
    price_change_180d_after_pct,
)
