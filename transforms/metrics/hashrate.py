"""Difficulty, hash rate and the ribbons: how much mining there is, and whether it is shrinking."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import HASHES_PER_DIFFICULTY, HASHES_PER_EXAHASH, PERCENT, SECONDS_PER_DAY, Unit
from transforms.windows import held_for, mean_over, ratio

DIFFICULTY_RIBBON_DAYS = (9, 14, 25, 40, 60, 90, 128, 200)
RIBBON_ENTER_PCT = -1.0
RIBBON_LEAVE_PCT = 0.0
RIBBON_HELD_DAYS = 3
TWO_SIDED_95 = 1.96


def _days_with_means(*means: float) -> list[float]:
    """Lay out 200 example days whose moving averages over the days of the ribbon are `means`."""
    days: list[float] = []
    for length, mean in zip(DIFFICULTY_RIBBON_DAYS, means, strict=True):
        added = length - len(days)
        days = [(mean * length - sum(days)) / added] * added + days
    return days


LUCK = "Block luck by itself moves it: relative standard deviation 1/sqrt(block count), 8 % on a day of 144 blocks."


@metric(
    unit=Unit.DIFFICULTY,
    error="Exact for final days where blocks are known; a vendor's daily mean may be off on retarget days.",
    null_rule="NULL when the chain source states none.",
    ge=0,
)
def difficulty() -> pl.Expr:
    """Mean difficulty of the blocks of the day."""
    return pl.col("difficulty")


@metric(
    Example(
        given={"block_count": 144.0, "difficulty": 1e12, "reported_hashrate_ehs": None},
        gives=144 * 1e12 * 4_294_967_296 / 86_400 / 1e18,
    ),
    Example(
        given={"block_count": 126.6, "difficulty": 141_668_107_417_558.0, "reported_hashrate_ehs": None},
        gives=891.7,
        within=0.5,
        source="1,319 blocks in 10.417 days to height 935,051",
    ),
    Example(
        given={"block_count": 135.0, "difficulty": 13_912_524_048_945.94, "reported_hashrate_ehs": 1.0},
        gives=93.365368,
        within=0.001,
        source="Coin Metrics' published row of 2020-03-28",
    ),
    Example(
        given={"block_count": None, "difficulty": None, "reported_hashrate_ehs": 93.365368},
        gives=93.365368,
        source="the vendor's figure where it does not state what it made it of",
    ),
    unit=Unit.EXAHASH_PER_SECOND,
    error=LUCK,
    null_rule="NULL when block count or difficulty is, and the chain source states no hash rate either.",
    ge=0,
)
def hashrate_ehs() -> pl.Expr:
    """Hash rate that the blocks of the day imply: their work divided by the seconds of a day.

    As the vendor computes it by the same formula where count of blocks or difficulty is unknown.
    """
    hashes = pl.col("block_count") * pl.col("difficulty") * HASHES_PER_DIFFICULTY
    return pl.coalesce(hashes / SECONDS_PER_DAY / HASHES_PER_EXAHASH, "reported_hashrate_ehs")


@metric(
    Example(given={"block_count": 1_319.0}, gives=5.4, within=0.01, source="the 5.4 % printed for 1,319 blocks"),
    unit=Unit.PERCENT,
    error="Assumes that blocks are found as a Poisson process.",
    null_rule="NULL when the block count is NULL or zero.",
    ge=0,
)
def hashrate_error_pct() -> pl.Expr:
    """Half width of the 95 % interval of the day's hash rate that block luck leaves."""
    return ratio(pl.lit(PERCENT * TWO_SIDED_95), pl.col("block_count").sqrt())


@metric(
    Example(given={"hashrate_ehs": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}, gives=4.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Block luck: relative standard deviation 3.1 %.",
    null_rule="NULL with fewer than 7 of 7 days.",
    ge=0,
    history_days=7,
)
def hashrate_7d_ehs() -> pl.Expr:
    """Mean hash rate of seven days."""
    return mean_over(pl.col("hashrate_ehs"), 7)


@metric(
    Example(given={"hashrate_ehs": [900.0] * 15 + [960.0] * 15}, gives=930.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Block luck: relative standard deviation 1.5 %.",
    null_rule="NULL unless all 30 days are known.",
    ge=0,
    history_days=30,
)
def hashrate_30d_ehs() -> pl.Expr:
    """Mean hash rate of thirty days."""
    return mean_over(pl.col("hashrate_ehs"), 30, least=30)


@metric(
    Example(given={"hashrate_ehs": [1008.0] * 30 + [930.0] * 30}, gives=969.0),
    unit=Unit.EXAHASH_PER_SECOND,
    error="Block luck: relative standard deviation 1.1 %.",
    null_rule="NULL unless all 60 days are known.",
    ge=0,
    history_days=60,
)
def hashrate_60d_ehs() -> pl.Expr:
    """Mean hash rate of sixty days."""
    return mean_over(pl.col("hashrate_ehs"), 60, least=60)


@metric(
    Example(given={"hashrate_30d_ehs": 930.0, "hashrate_60d_ehs": 969.0}, gives=-4.02, within=0.005),
    unit=Unit.PERCENT,
    error="Block luck by itself gives a standard deviation of 1.08 percentage points.",
    null_rule="NULL unless all 60 days of hash rate are known.",
    history_days=60,
)
def hash_ribbon_spread_pct() -> pl.Expr:
    """Thirty-day mean hash rate above (below: negative) the sixty-day mean, as a share of the latter."""
    return PERCENT * (ratio(pl.col("hashrate_30d_ehs"), pl.col("hashrate_60d_ehs")) - 1)


@metric(
    Example(given={"hash_ribbon_spread_pct": [0.5, -1.0, -2.0, -4.02]}, gives="capitulation"),
    Example(
        given={"hash_ribbon_spread_pct": [0.5, -1.0, -0.9, -4.02]}, gives="normal", source="two days are not three"
    ),
    Example(given={"hash_ribbon_spread_pct": [-2.0, -2.0, -2.0, -0.5, -0.5, -0.5]}, gives="capitulation"),
    Example(given={"hash_ribbon_spread_pct": [-2.0, -2.0, -2.0, 0.0, 0.1, 0.2]}, gives="normal"),
    unit=Unit.LABEL,
    error="Late by three days by construction; crossings smaller than 1 % are treated as luck.",
    null_rule="NULL when the spread is.",
    labels=("normal", "capitulation"),
    history_days=60,
)
def hash_ribbon_state() -> pl.Expr:
    """Capitulation from the third day in a row with a spread of -1 % or less to the third with 0 % or more."""
    spread = pl.col("hash_ribbon_spread_pct")
    turned = (
        pl.when(held_for(spread <= RIBBON_ENTER_PCT, RIBBON_HELD_DAYS))
        .then(pl.lit("capitulation"))
        .when(held_for(spread >= RIBBON_LEAVE_PCT, RIBBON_HELD_DAYS))
        .then(pl.lit("normal"))
    )
    return pl.when(spread.is_not_null()).then(turned.forward_fill().fill_null("normal"))


@metric(
    Example(given={"difficulty": [5.0] * 200}, gives=0.0, source="constant difficulty has no width"),
    Example(
        given={"difficulty": _days_with_means(143.0, 144.0, 146.0, 147.0, 148.0, 147.0, 143.0, 137.0)},
        gives=0.0230,
        within=0.00005,
        source="averages 143 144 146 147 148 147 143 137: mean 144.375, deviation 3.314",
    ),
    Example(given={"difficulty": [5.0] * 199}, gives=None, source="199 days are too few"),
    unit=Unit.RATIO,
    error="Population standard deviation; with the sample form every value is 7 % higher.",
    null_rule="NULL unless all 200 days of difficulty are known.",
    ge=0,
    history_days=200,
)
def difficulty_ribbon_compression_ratio() -> pl.Expr:
    """Width of the difficulty ribbon: standard deviation over mean of eight moving averages of 9 to 200 days."""
    lines = [mean_over(pl.col("difficulty"), days, least=days) for days in DIFFICULTY_RIBBON_DAYS]
    mean = pl.mean_horizontal(lines, ignore_nulls=False)
    variance = pl.mean_horizontal([(line - mean) ** 2 for line in lines], ignore_nulls=False)
    return ratio(variance.sqrt(), mean)


@metric(
    Example(given={"hashrate_30d_ehs": 930.0, "hashrate_60d_ehs": 969.0}, gives=True),
    Example(given={"hashrate_30d_ehs": 969.0, "hashrate_60d_ehs": 969.0}, gives=False),
    unit=Unit.YES_NO,
    error="Luck crosses the lines: the spread has a standard deviation of 1.08 percentage points from luck.",
    null_rule="NULL unless all 60 days of hash rate are known.",
    history_days=60,
)
def rule_hash_ribbon_plain() -> pl.Expr:
    """Plain Hash Ribbons rule (C. Edwards, 2019): thirty-day mean hash rate below the sixty-day mean."""
    return pl.col("hashrate_30d_ehs") < pl.col("hashrate_60d_ehs")


METRICS = (
    difficulty,
    hashrate_ehs,
    hashrate_error_pct,
    hashrate_7d_ehs,
    hashrate_30d_ehs,
    hashrate_60d_ehs,
    hash_ribbon_spread_pct,
    hash_ribbon_state,
    difficulty_ribbon_compression_ratio,
    rule_hash_ribbon_plain,
)
