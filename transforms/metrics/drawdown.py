"""Why hash rate is below its peak: gone for good with the sites, switched off for a while, or grown back."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.metrics.cost import MWH_PER_KW_DAY
from transforms.windows import mean_over, ratio

PEAK_DAYS: Final = 365
PEAK_LEAST_DAYS: Final = 329
RECOVERY_DAYS: Final = 60
"""A trough is judged this many days after it, so nobody could know the verdict earlier."""
STORM_DAYS: Final = 3
FIT_LEAST_DAYS: Final = 365
TEMPORARY_RATIO: Final = 0.8
PERSISTENT_RATIO: Final = 0.2

NO_SINGLE_CAUSE: Final = "A range: no split by cause is measured, and the terms overlap."
KNOWN_LATE: Final = "Known 60 days after the trough, so no earlier row has it. Thresholds are our own choice."


@metric(
    Example(given={"hashrate_7d_ehs": [800.0, 1_000.0, 880.0]}, gives=-12.0),
    Example(given={"hashrate_7d_ehs": [800.0, 1_000.0]}, gives=0.0),
    unit=Unit.PERCENT,
    error="Block luck: standard deviation 3 percentage points, and a lucky week makes a peak.",
    null_rule="NULL when the seven-day hash rate is.",
    ge=-100,
    le=0,
    history_days=7,
)
def hashrate_drawdown_pct() -> pl.Expr:
    """Seven-day mean hash rate below its highest value so far."""
    rate = pl.col("hashrate_7d_ehs")
    return PERCENT * (ratio(rate, rate.cum_max()) - 1)


@metric(
    Example(given={"hashrate_30d_ehs": [900.0] * 200 + [1_000.0] * 100 + [950.0] * 65}, gives=1_000.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Block luck: relative standard deviation 1.5 %.",
    null_rule="NULL with fewer than 329 of 365 days of the thirty-day mean.",
    ge=0,
    history_days=PEAK_DAYS,
)
def hashrate_peak_365d_ehs() -> pl.Expr:
    """Highest thirty-day mean hash rate of the last 365 days."""
    return pl.col("hashrate_30d_ehs").rolling_max(PEAK_DAYS, min_samples=PEAK_LEAST_DAYS)


@metric(
    Example(given={"hashrate_peak_365d_ehs": 1_050.0, "hashrate_30d_ehs": 950.0}, gives=100.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Block luck: standard deviation of about 2 % of the hash rate.",
    null_rule="NULL when the peak or the thirty-day hash rate is.",
    ge=0,
)
def drawdown_total_ehs() -> pl.Expr:
    """Thirty-day mean hash rate below its peak of the last 365 days."""
    return pl.col("hashrate_peak_365d_ehs") - pl.col("hashrate_30d_ehs")


@metric(
    Example(given={"displaced_hashrate_low_ehs": 6.1}, gives=6.1),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"A low case from contracts only; the strict lower bound is zero. {NO_SINGLE_CAUSE}",
    null_rule="NULL when the displaced hash rate is.",
    ge=0,
)
def drawdown_permanent_low_ehs() -> pl.Expr:
    """Hash rate gone for good, low case: sites known to have stopped or to serve AI, half of the machines moved."""
    return pl.col("displaced_hashrate_low_ehs")


@metric(
    Example(given={"displaced_hashrate_high_ehs": 150.0}, gives=150.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"Upper bound from contracts only: much of it still mines. {NO_SINGLE_CAUSE}",
    null_rule="NULL when the displaced hash rate is.",
    ge=0,
)
def drawdown_permanent_high_ehs() -> pl.Expr:
    """Hash rate that is or will be gone for good, high case: all contracts at sites that mined, no machine moved."""
    return pl.col("displaced_hashrate_high_ehs")


@metric(
    Example(given={"hashprice_usd_per_phs_day": 33.31, "all_in_usd_per_mwh": 55.0}, gives=25.2, within=0.05),
    Example(given={"hashprice_usd_per_phs_day": 33.31, "all_in_usd_per_mwh": 55.5}, gives=25.0, within=0.05),
    Example(given={"hashprice_usd_per_phs_day": 33.31, "all_in_usd_per_mwh": 45.0}, gives=30.8, within=0.05),
    unit=Unit.JOULE_PER_TERAHASH,
    error="At a survey's all-in cash cost; hedged and cheaper power breaks even with older machines.",
    null_rule="NULL when hashprice or the cost estimate is.",
    ge=0,
)
def break_even_j_per_th() -> pl.Expr:
    """Efficiency at which a machine just earns its all-in cash cost at the day's hashprice."""
    return ratio(pl.col("hashprice_usd_per_phs_day"), MWH_PER_KW_DAY * pl.col("all_in_usd_per_mwh"))


@metric(
    Example(given={"hashrate_peak_365d_ehs": 1_000.0, "fleet_unprofitable_share_pct": 42.0}, gives=420.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Upper bound: as if every machine that loses money were off.",
    null_rule="NULL when the peak or the unprofitable share is.",
    ge=0,
)
def drawdown_economic_high_ehs() -> pl.Expr:
    """Hash rate of the machines that would not earn their cost, of the peak of the last 365 days."""
    return pl.col("hashrate_peak_365d_ehs") * pl.col("fleet_unprofitable_share_pct") / PERCENT


@metric(
    Example(given={"drawdown_total_ehs": [10.0] * 366, "drawdown_economic_high_ehs": [100.0] * 366}, gives=0.1),
    Example(
        given={"drawdown_total_ehs": [10.0] * 365 + [90.0], "drawdown_economic_high_ehs": [100.0] * 366},
        gives=0.1,
        source="the day itself is not used",
    ),
    Example(
        given={"drawdown_total_ehs": [10.0] * 365, "drawdown_economic_high_ehs": [100.0] * 365},
        gives=None,
        source="364 earlier days are too few",
    ),
    unit=Unit.RATIO,
    error="A line through zero over all earlier days; growth hides most of the response, so it is small.",
    null_rule="NULL until 365 earlier days of both are known.",
    ge=0,
    le=1,
    history_days=FIT_LEAST_DAYS + 1,
)
def price_response_ratio() -> pl.Expr:
    """Part of the unprofitable hash rate that went off on all earlier days, fitted on these days only."""
    total, high = pl.col("drawdown_total_ehs"), pl.col("drawdown_economic_high_ehs")
    together, square = (total * high), pl.when(total.is_not_null()).then(high * high)
    known = together.is_not_null().cast(pl.Int32).cum_sum().shift()
    # A running sum is NULL where its day is unknown; the days before it still count.
    slope = ratio(together.fill_null(0.0).cum_sum().shift(), square.fill_null(0.0).cum_sum().shift())
    return pl.when(known >= FIT_LEAST_DAYS).then(slope.clip(0, 1))


@metric(
    Example(given={"drawdown_economic_high_ehs": 420.0, "price_response_ratio": 0.1}, gives=42.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"As good as the response fitted on the past. {NO_SINGLE_CAUSE}",
    null_rule="NULL when the upper bound or the response is.",
    ge=0,
)
def drawdown_economic_ehs() -> pl.Expr:
    """Hash rate that is off because it does not pay, by how much went off at such prices before."""
    return pl.col("drawdown_economic_high_ehs") * pl.col("price_response_ratio")


@metric(
    Example(given={"hashrate_ehs": [700.0, 650.0, 600.0], "hashrate_30d_ehs": 950.0, "in_outage": True}, gives=300.0),
    Example(given={"hashrate_ehs": [700.0, 650.0, 600.0], "hashrate_30d_ehs": 950.0, "in_outage": False}, gives=0.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Only storms and grid alerts of the registry, once they were known. Block luck: 5 % of the hash rate.",
    null_rule="NULL when the hash rate is.",
    ge=0,
    history_days=STORM_DAYS,
)
def drawdown_weather_ehs() -> pl.Expr:
    """Hash rate that is off in a storm or grid alert: the thirty-day mean less that of three days; else 0."""
    off = (pl.col("hashrate_30d_ehs") - mean_over(pl.col("hashrate_ehs"), STORM_DAYS)).clip(0)
    return pl.when(pl.col("hashrate_30d_ehs").is_not_null()).then(pl.when("in_outage").then(off).otherwise(0.0))


@metric(
    Example(given={"drawdown_economic_ehs": 42.0, "drawdown_weather_ehs": 8.0}, gives=50.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error=NO_SINGLE_CAUSE,
    null_rule="NULL when one of its two terms is.",
    ge=0,
)
def drawdown_temporary_ehs() -> pl.Expr:
    """Hash rate that is off for a while: because it does not pay, or in a storm. Difficulty heals this part."""
    return pl.col("drawdown_economic_ehs") + pl.col("drawdown_weather_ehs")


@metric(
    Example(
        given={
            "drawdown_total_ehs": 100.0,
            "drawdown_permanent_high_ehs": 150.0,
            "drawdown_temporary_ehs": 50.0,
        },
        gives=-100.0,
        source="negative: more was added than went off",
    ),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"Holds new machines with a minus, luck, and all errors of the other terms. {NO_SINGLE_CAUSE}",
    null_rule="NULL when one of the terms is.",
    ge=-100_000,
)
def drawdown_residual_low_ehs() -> pl.Expr:
    """What of the drawdown is left after the high case of what is permanent and the temporary part."""
    return pl.col("drawdown_total_ehs") - pl.col("drawdown_permanent_high_ehs") - pl.col("drawdown_temporary_ehs")


@metric(
    Example(
        given={"drawdown_total_ehs": 100.0, "drawdown_permanent_low_ehs": 6.1, "drawdown_temporary_ehs": 50.0},
        gives=43.9,
    ),
    unit=Unit.EXAHASH_PER_SECOND,
    error=f"Holds new machines with a minus, luck, and all errors of the other terms. {NO_SINGLE_CAUSE}",
    null_rule="NULL when one of the terms is.",
    ge=-100_000,
)
def drawdown_residual_high_ehs() -> pl.Expr:
    """What of the drawdown is left after the low case of what is permanent and the temporary part."""
    return pl.col("drawdown_total_ehs") - pl.col("drawdown_permanent_low_ehs") - pl.col("drawdown_temporary_ehs")


def _share(part: str) -> pl.Expr:
    total = pl.col("drawdown_total_ehs")
    return PERCENT * ratio(pl.min_horizontal(part, "drawdown_total_ehs"), total).clip(0, 1)


@metric(
    Example(given={"drawdown_permanent_low_ehs": 6.1, "drawdown_total_ehs": 100.0}, gives=6.1),
    unit=Unit.PERCENT,
    error=NO_SINGLE_CAUSE,
    null_rule="NULL when one of both is, or there is no drawdown.",
    ge=0,
    le=100,
)
def drawdown_permanent_share_low_pct() -> pl.Expr:
    """Share of the drawdown that is gone for good, low case."""
    return pl.when(pl.col("drawdown_permanent_low_ehs").is_not_null()).then(_share("drawdown_permanent_low_ehs"))


@metric(
    Example(given={"drawdown_permanent_high_ehs": 150.0, "drawdown_total_ehs": 100.0}, gives=100.0),
    unit=Unit.PERCENT,
    error=NO_SINGLE_CAUSE,
    null_rule="NULL when one of both is, or there is no drawdown.",
    ge=0,
    le=100,
)
def drawdown_permanent_share_high_pct() -> pl.Expr:
    """Share of the drawdown that may be gone for good, high case."""
    return pl.when(pl.col("drawdown_permanent_high_ehs").is_not_null()).then(_share("drawdown_permanent_high_ehs"))


@metric(
    Example(given={"trough_on": [None, None]}, gives=None),
    unit=Unit.DAY,
    error=KNOWN_LATE,
    null_rule="NULL until 60 days after the first trough.",
    history_days=2 * RECOVERY_DAYS + 1,
)
def recovery_trough_on() -> pl.Expr:
    """Newest low of the hash rate that 60 days later was still its lowest, a tenth or more below the peak before it."""
    return pl.col("trough_on").forward_fill()


@metric(
    Example(
        given={"recovered_hashrate_ehs": 1_000.0, "trough_hashrate_ehs": 826.0, "peak_before_ehs": 1_050.0},
        gives=0.78,
        within=0.005,
        source="trough 826 EH/s, back to 1,000, peak before it 1,050",
    ),
    Example(
        given={
            "recovered_hashrate_ehs": [1_000.0, None],
            "trough_hashrate_ehs": [800.0, None],
            "peak_before_ehs": [1_000.0, None],
        },
        gives=1.0,
        source="held until the next trough is judged",
    ),
    unit=Unit.RATIO,
    error=KNOWN_LATE,
    null_rule="NULL until 60 days after the first trough.",
    ge=0,
    history_days=2 * RECOVERY_DAYS + 1,
)
def recovery_ratio() -> pl.Expr:
    """How much of the fall before recovery_trough_on was made up 60 days after it."""
    trough = pl.col("trough_hashrate_ehs")
    return ratio(pl.col("recovered_hashrate_ehs") - trough, pl.col("peak_before_ehs") - trough).forward_fill()


@metric(
    Example(given={"recovery_ratio": 0.78}, gives="mixed"),
    Example(given={"recovery_ratio": 0.8}, gives="temporary"),
    Example(given={"recovery_ratio": 0.2}, gives="persistent"),
    unit=Unit.LABEL,
    error=KNOWN_LATE,
    null_rule="NULL until 60 days after the first trough.",
    labels=("temporary", "mixed", "persistent"),
)
def recovery_class() -> pl.Expr:
    """Verdict on the newest trough: temporary if four fifths were made up in 60 days, persistent if a fifth or less."""
    made_up = pl.col("recovery_ratio")
    return (
        pl.when(made_up >= TEMPORARY_RATIO)
        .then(pl.lit("temporary"))
        .when(made_up <= PERSISTENT_RATIO)
        .then(pl.lit("persistent"))
        .when(made_up.is_not_null())
        .then(pl.lit("mixed"))
    )


METRICS = (
    hashrate_drawdown_pct,
    hashrate_peak_365d_ehs,
    drawdown_total_ehs,
    drawdown_permanent_low_ehs,
    drawdown_permanent_high_ehs,
    break_even_j_per_th,
    drawdown_economic_high_ehs,
    price_response_ratio,
    drawdown_economic_ehs,
    drawdown_weather_ehs,
    drawdown_temporary_ehs,
    drawdown_residual_low_ehs,
    drawdown_residual_high_ehs,
    drawdown_permanent_share_low_pct,
    drawdown_permanent_share_high_pct,
    recovery_trough_on,
    recovery_ratio,
    recovery_class,
)
