"""A capitulation from its first day to its last, how deep it went, and what the price did afterwards."""

from typing import Any, Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.capitulation import HASHRATE_PART, INCOME_PARTS, RULE
from transforms.windows import ratio

OF_RULE: Final = "As good as the rule of `capitulation_state`, which is late by 8 to 18 days."
OF_PRICE: Final = "As good as the price."
LASTS: Final = "NULL while it lasts, or may go on."
NO_END: Final = "NULL while it lasts, or may go on, or where the day has no price."
OF_PARTS: Final = "As good as the score of the day."
OF_WEEK: Final = "As good as the days."
NO_YEAR: Final = "NULL with fewer than 329 known weeks in the 365 days to each of its days."
HORIZONS_DAYS: Final = (30, 90, 180)
"""Days after the end at which the price is looked at."""
ENDED_BY_INCOME: Final = "income"
ENDED_BY_HASHRATE: Final = "hashrate"
ENDED_BY_BOTH: Final = "both"
SCORE_DIGITS: Final = 6
"""Sums of parts that differ by less differ by rounding."""


def _sides(*, income: tuple[float, float | None], hashrate: tuple[float, float]) -> dict[str, Any]:
    """Parts of the score at the peak and after the end, with those of income given by the level alone."""
    level, per_hash = INCOME_PARTS
    return {
        f"peak_{level}": income[0],
        f"after_{level}": income[1],
        f"peak_{per_hash}": 0.0,
        f"after_{per_hash}": 0.0,
        f"peak_{HASHRATE_PART}": hashrate[0],
        f"after_{HASHRATE_PART}": hashrate[1],
    }


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


@metric(unit=Unit.COUNT, error=OF_RULE, null_rule=None, ge=0)
def between_day_count() -> pl.Expr:
    """Days from its first to its last that are in neither; with day_count all days from the first to the last."""
    return pl.col("between_day_count")


@metric(unit=Unit.SCORE, error="As good as the score of the days.", null_rule=None, ge=0, le=100)
def capitulation_max_score() -> pl.Expr:
    """Highest capitulation score from its first day to its last."""
    return pl.col("capitulation_max_score")


@metric(unit=Unit.DAY, error=OF_RULE, null_rule=None)
def peaked_on() -> pl.Expr:
    """First day with the highest capitulation score."""
    return pl.col("peaked_on")


@metric(unit=Unit.SCORE_PART, error=OF_PARTS, null_rule=None, ge=0, le=RULE.income_level.points)
def peak_score_income_level() -> pl.Expr:
    """Part of the highest score that the level of income gives."""
    return pl.col("peak_score_income_level")


@metric(unit=Unit.SCORE_PART, error=OF_PARTS, null_rule=None, ge=0, le=RULE.income_per_hash.points)
def peak_score_income_per_hash() -> pl.Expr:
    """Part of the highest score that the income per hash gives."""
    return pl.col("peak_score_income_per_hash")


@metric(unit=Unit.SCORE_PART, error=OF_PARTS, null_rule=None, ge=0, le=RULE.hashrate.points)
def peak_score_hashrate() -> pl.Expr:
    """Part of the highest score that falling hash rate gives."""
    return pl.col("peak_score_hashrate")


@metric(unit=Unit.PERCENT, error=OF_WEEK, null_rule=NO_YEAR, ge=-100, le=0)
def price_drawdown_min_pct() -> pl.Expr:
    """Price at its lowest from the first day to the last: its week's mean below the highest of the last 365 days."""
    return pl.col("price_drawdown_min_pct")


@metric(unit=Unit.PERCENT, error=f"{OF_WEEK} Block luck moves it by 3 points.", null_rule=NO_YEAR, ge=-100, le=0)
def hashrate_drawdown_min_pct() -> pl.Expr:
    """Hash rate at its lowest: its week's mean below the highest of the last 365 days."""
    return pl.col("hashrate_drawdown_min_pct")


@metric(unit=Unit.PERCENT, error=OF_WEEK, null_rule=NO_YEAR, ge=-100, le=0)
def revenue_drawdown_min_pct() -> pl.Expr:
    """Revenue of all miners in USD at its lowest: its week's mean below the highest of the last 365 days."""
    return pl.col("revenue_drawdown_min_pct")


@metric(unit=Unit.LABEL, error=OF_RULE, null_rule=LASTS)
def state_after() -> pl.Expr:
    """State of the day after its last one."""
    return pl.col("state_after")


@metric(
    Example(given=_sides(income=(30.0, 28.0), hashrate=(50.0, 10.0)), gives=ENDED_BY_HASHRATE),
    Example(given=_sides(income=(50.0, 18.0), hashrate=(40.0, 30.0)), gives=ENDED_BY_INCOME),
    Example(given=_sides(income=(40.0, 30.0), hashrate=(40.0, 30.0)), gives=ENDED_BY_BOTH),
    Example(given=_sides(income=(30.0, None), hashrate=(50.0, 10.0)), gives=None),
    unit=Unit.LABEL,
    error="As good as the parts of the score. The side that fell less may have fallen as well.",
    null_rule=LASTS,
)
def ended_by() -> pl.Expr:
    """Side of the score that lost more points from its highest to the day after the last: income, hashrate, or both."""

    def lost(*parts: str) -> pl.Expr:
        changes = [pl.col(f"peak_{part}") - pl.col(f"after_{part}") for part in parts]
        return pl.sum_horizontal(changes, ignore_nulls=False)

    more = (lost(*INCOME_PARTS) - lost(HASHRATE_PART)).round(SCORE_DIGITS)
    return (
        pl.when(more > 0)
        .then(pl.lit(ENDED_BY_INCOME))
        .when(more < 0)
        .then(pl.lit(ENDED_BY_HASHRATE))
        .when(more == 0)
        .then(pl.lit(ENDED_BY_BOTH))
    )


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
    Example(given={"price_30d_after_usd": 23_000.0, "price_at_end_usd": 20_000.0}, gives=15.0),
    Example(given={"price_30d_after_usd": None, "price_at_end_usd": 20_000.0}, gives=None),
    unit=Unit.PERCENT,
    error=CHANGED,
    null_rule=AFTER,
    ge=-100,
    history_days=30,
)
def price_change_30d_after_pct() -> pl.Expr:
    """Price 30 days after its last day against that of its last day."""
    return _change(30)


@metric(
    Example(given={"price_90d_after_usd": 15_000.0, "price_at_end_usd": 20_000.0}, gives=-25.0),
    unit=Unit.PERCENT,
    error=CHANGED,
    null_rule=AFTER,
    ge=-100,
    history_days=90,
)
def price_change_90d_after_pct() -> pl.Expr:
    """Price 90 days after its last day against that of its last day."""
    return _change(90)


@metric(
    Example(given={"price_180d_after_usd": 40_000.0, "price_at_end_usd": 20_000.0}, gives=100.0),
    unit=Unit.PERCENT,
    error=CHANGED,
    null_rule=AFTER,
    ge=-100,
    history_days=180,
)
def price_change_180d_after_pct() -> pl.Expr:
    """Price 180 days after its last day against that of its last day."""
    return _change(180)


METRICS: Final = (
    started_on,
    ended_on,
    day_count,
    deep_day_count,
    between_day_count,
    stress_episode,
    peaked_on,
    capitulation_max_score,
    peak_score_income_level,
    peak_score_income_per_hash,
    peak_score_hashrate,
    puell_issuance_min_ratio,
    hash_ribbon_spread_min_pct,
    price_drawdown_min_pct,
    hashrate_drawdown_min_pct,
    revenue_drawdown_min_pct,
    ended_by,
    state_after,
    price_at_start_usd,
    price_at_end_usd,
    price_30d_after_usd,
    price_90d_after_usd,
    price_180d_after_usd,
    price_change_30d_after_pct,
    price_change_90d_after_pct,
    price_change_180d_after_pct,
)
