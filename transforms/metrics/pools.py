"""Pool shares: who makes the blocks. A pool's share is control over block templates, not ownership of machines."""

from datetime import date

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Aggregation, Unit
from transforms.windows import ratio

SAME_DAY = [date(2024, 6, 1)] * 2
ATTRIBUTION_ERROR = "As good as the open pool list: proxy pools that build another's templates count as themselves. "


@metric(unit=Unit.LABEL, error=ATTRIBUTION_ERROR, null_rule=None)
def pool() -> pl.Expr:
    """Pool that made the blocks, by payout address, then coinbase tag, else 'unknown'."""
    return pl.col("pool")


@metric(unit=Unit.COUNT, error=ATTRIBUTION_ERROR, aggregation=Aggregation.SUM, null_rule=None, ge=0)
def block_count() -> pl.Expr:
    """Blocks of the pool on the day."""
    return pl.col("block_count")


@metric(
    Example(given={"day": SAME_DAY, "block_count": [43, 101]}, gives=100 * 101 / 144),
    unit=Unit.PERCENT,
    error=ATTRIBUTION_ERROR + "On a single day block luck dominates.",
    null_rule="NULL when the day has no block.",
    ge=0,
    le=100,
)
def block_share_pct() -> pl.Expr:
    """Blocks of the pool as a share of the day's blocks."""
    return PERCENT * ratio(pl.col("block_count"), pl.col("block_count").sum().over("day"))


@metric(
    unit=Unit.COUNT,
    error=ATTRIBUTION_ERROR,
    aggregation=Aggregation.SUM_OF_DAY,
    null_rule="NULL until 4,320 blocks are known.",
    ge=0,
)
def block_4320_count() -> pl.Expr:
    """Blocks of the pool among the 4,320 up to the last block of the day, about thirty days."""
    return pl.col("block_4320_count")


@metric(
    unit=Unit.COUNT,
    error=ATTRIBUTION_ERROR,
    aggregation=Aggregation.SUM_OF_DAY,
    null_rule="NULL until 1,008 blocks are known.",
    ge=0,
)
def block_1008_count() -> pl.Expr:
    """Blocks of the pool among the 1,008 up to the last block of the day, about seven days."""
    return pl.col("block_1008_count")


@metric(
    Example(given={"block_4320_count": 1_296}, gives=30.0),
    unit=Unit.PERCENT,
    error=ATTRIBUTION_ERROR + "Sampling error beside it.",
    null_rule="NULL until 4,320 blocks are known.",
    ge=0,
    le=100,
)
def pool_share_4320_pct() -> pl.Expr:
    """Share of the pool in the last 4,320 blocks."""
    return PERCENT * pl.col("block_4320_count") / 4_320


@metric(
    Example(given={"pool_share_4320_pct": 30.0}, gives=0.7, within=0.005),
    unit=Unit.PERCENT,
    error="Assumes that blocks are independent draws.",
    null_rule="NULL until 4,320 blocks are known.",
    ge=0,
)
def pool_share_4320_error_pct() -> pl.Expr:
    """Sampling standard deviation of the share of 4,320 blocks, in percentage points."""
    share = pl.col("pool_share_4320_pct") / PERCENT
    return PERCENT * (share * (1 - share) / 4_320).sqrt()


@metric(
    Example(given={"block_1008_count": 252}, gives=25.0),
    unit=Unit.PERCENT,
    error=ATTRIBUTION_ERROR + "Sampling standard deviation about twice that of 4,320 blocks.",
    null_rule="NULL until 1,008 blocks are known.",
    ge=0,
    le=100,
)
def pool_share_1008_pct() -> pl.Expr:
    """Share of the pool in the last 1,008 blocks."""
    return PERCENT * pl.col("block_1008_count") / 1_008


@metric(
    Example(given={"day": SAME_DAY, "block_4320_count": [1_296, 900]}, gives=2),
    unit=Unit.RANK,
    error="Neighbouring ranks change by luck where shares are closer than their error.",
    null_rule="NULL until 4,320 blocks are known.",
    ge=1,
)
def pool_share_4320_rank() -> pl.Expr:
    """Position of the pool by its share of the last 4,320 blocks, 1 for the largest; equal pools share a rank."""
    return pl.col("block_4320_count").rank("min", descending=True).over("day")


METRICS = (
    pool,
    block_count,
    block_share_pct,
    block_4320_count,
    block_1008_count,
    pool_share_4320_pct,
    pool_share_4320_error_pct,
    pool_share_1008_pct,
    pool_share_4320_rank,
)
