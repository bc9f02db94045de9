"""How much of capitulation and of falling hash rate is what AI took, by year."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.windows import ratio

OF_RULE: Final = "As good as the rule of `capitulation_state`, which is late by 8 to 18 days."
OF_SITES: Final = "Known sites only, as if no machine had moved: what nobody reported is not in it."


@metric(unit=Unit.DAY, error="Exact.", null_rule=None)
def year_start() -> pl.Expr:
    """First day of the year."""
    return pl.col("year_start")


@metric(unit=Unit.COUNT, error="Exact.", null_rule=None, ge=1)
def day_count() -> pl.Expr:
    """Days of the year that have a state."""
    return pl.col("day_count")


@metric(unit=Unit.COUNT, error=OF_RULE, null_rule=None, ge=0)
def capitulation_day_count() -> pl.Expr:
    """Days in capitulation or deep capitulation."""
    return pl.col("capitulation_day_count")


@metric(unit=Unit.COUNT, error=OF_SITES, null_rule=None, ge=0)
def capitulation_adjusted_day_count() -> pl.Expr:
    """Days in capitulation were the hash rate that AI took, `displaced_hashrate_energised_ehs`, still there."""
    return pl.col("capitulation_adjusted_day_count")


@metric(unit=Unit.COUNT, error=OF_RULE, null_rule=None, ge=0)
def hashrate_decline_day_count() -> pl.Expr:
    """Days on which hash rate leaves and income does not explain it."""
    return pl.col("hashrate_decline_day_count")


@metric(unit=Unit.COUNT, error=OF_SITES, null_rule=None, ge=0)
def hashrate_decline_adjusted_day_count() -> pl.Expr:
    """Such days were the hash rate of sites that AI took still there."""
    return pl.col("hashrate_decline_adjusted_day_count")


@metric(
    Example(given={"hashrate_decline_day_count": 73, "day_count": 365}, gives=20.0),
    unit=Unit.PERCENT,
    error=OF_RULE,
    null_rule=None,
    ge=0,
    le=100,
)
def hashrate_decline_share_pct() -> pl.Expr:
    """Share of the days on which hash rate leaves and income does not explain it: what conversion to AI would raise."""
    return PERCENT * ratio(pl.col("hashrate_decline_day_count"), pl.col("day_count"))


@metric(unit=Unit.EXAHASH_PER_SECOND, error=OF_SITES, null_rule=None, ge=0)
def displaced_hashrate_max_ehs() -> pl.Expr:
    """Most hash rate that was added back on a day of the year."""
    return pl.col("displaced_hashrate_max_ehs")


METRICS: Final = (
    year_start,
    day_count,
    capitulation_day_count,
    capitulation_adjusted_day_count,
    hashrate_decline_day_count,
    hashrate_decline_adjusted_day_count,
    hashrate_decline_share_pct,
    displaced_hashrate_max_ehs,
)
