"""The daily difficulty against the one that consensus sets: every 2,016 blocks, by the time that these took."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts
from transforms.chain import BLOCK_SPACING_S, BLOCKS_PER_RETARGET, RETARGET_LIMIT_FACTOR, RETARGET_TIMESPAN_S
from transforms.checks.days import MINING_TIMES, none_broken

CONSTANT: Final = CheckFacts(
    name="difficulty is constant between retargets",
    severity="error",
    window="each day since 2011 whose height is known by the count of all blocks",
    reason=(
        "Consensus moves it every 2,016 blocks only; recorded means of a day are up to 0.2 % off at midnight. Here and "
        "below a difficulty that nobody states and that is computed from a vendor's hash rate warns only."
    ),
    fault="difficulty times 1.5 for 20 days",
)
BY_COUNT: Final = CheckFacts(
    name="difficulty follows the count of blocks",
    severity="error",
    window="each retarget since 2011 whose height is known by the count of all blocks",
    reason="The time of 2,016 blocks, read off daily counts, gives each retarget within 1.7 %; 5 % is no rounding.",
    fault="difficulty times 1.5 from one retarget on; a count that was doubled",
)
BY_TIMES: Final = CheckFacts(
    name="difficulty is the consensus retarget of the block times",
    severity="error",
    window="each retarget whose 2,016 blocks are known",
    reason="Header times of the first and the last of 2,016 blocks decide it; recorded figures agree to 1e-5.",
    fault="difficulty times 1.5 for 20 days; blocks of another chain",
)
CATALOGUE: Final = (CONSTANT, BY_COUNT, BY_TIMES)

CONSTANT_TOLERANCE: Final = 0.01
COUNT_TOLERANCE: Final = 0.05
TIMES_TOLERANCE: Final = 0.01
LEAST_DIFFICULTY: Final = 1
"""Of the main chain; a test chain below it need not adjust."""
RETARGET_DAYS: Final = RETARGET_TIMESPAN_S / 86_400


def check_difficulty_by_count(counted: pl.DataFrame) -> Iterator[Check]:
    """Check the difficulty of `counted` days: `day`, `block_count` of every day since the first block, `difficulty`.

    The genesis block may be counted or not, so that a retarget at midnight may lie on either day.
    """
    until = pl.col("block_count").cum_sum().cast(pl.Int64)
    before = until - pl.col("block_count").cast(pl.Int64)
    known = counted.select("day", "block_count", "difficulty", until.alias("until"), before.alias("before"))
    known = known.with_columns(
        (_epoch("until") != _epoch("before")).alias("retargets"),
        (pl.col("difficulty") / pl.col("difficulty").shift() - 1).abs().alias("step"),
        (pl.col("difficulty").shift(-1) / pl.col("difficulty").shift()).alias("factor"),
    )
    moved = pl.col("retargets") | pl.col("retargets").shift()
    yield none_broken(
        known.filter(~moved, pl.col("day") >= MINING_TIMES),
        CONSTANT.name,
        CONSTANT.severity,
        pl.col("step") <= CONSTANT_TOLERANCE,
        f"within {CONSTANT_TOLERANCE:.0%} of the day before, without a retarget on either",
    )
    # Heights of a day are taken to be spread evenly over it.
    crossed = pl.col("day").cast(pl.Int32) + (
        (_epoch("until") * BLOCKS_PER_RETARGET - pl.col("before")) / pl.col("block_count")
    )
    retargets = known.filter("retargets", pl.col("until").is_not_null()).with_columns(crossed.alias("at"))
    retargets = retargets.with_columns(_factor(RETARGET_DAYS / pl.col("at").diff()).alias("expected_factor"))
    yield _retargets(retargets.filter(pl.col("day") >= MINING_TIMES), BY_COUNT, COUNT_TOLERANCE)


def check_difficulty_by_times(blocks: pl.DataFrame, days: pl.DataFrame) -> Iterator[Check]:
    """Check the difficulty of the resolved `days` by the header times of the dated `blocks`, sorted by height."""
    epoch, place = pl.col("height") // BLOCKS_PER_RETARGET, pl.col("height") % BLOCKS_PER_RETARGET
    ends = blocks.filter(place.is_in([0, BLOCKS_PER_RETARGET - 1])).select(
        "day", epoch.alias("epoch"), place.alias("place"), pl.col("block_at").dt.epoch("s").alias("time_s")
    )
    firsts, lasts = ends.filter(place=0), ends.filter(place=BLOCKS_PER_RETARGET - 1)
    spans = firsts.join(lasts, on="epoch", suffix="_last").select(
        (pl.col("epoch") + 1).alias("epoch"), (pl.col("time_s_last") - pl.col("time_s")).alias("span_s")
    )
    judged = days.with_columns(pl.when(pl.col("difficulty") >= LEAST_DIFFICULTY).then("difficulty"))
    factors = judged.select("day", (pl.col("difficulty").shift(-1) / pl.col("difficulty").shift()).alias("factor"))
    retargets = (
        firsts.join(spans, on="epoch")
        .join(factors, on="day")
        .with_columns(_factor(RETARGET_TIMESPAN_S / pl.col("span_s").clip(BLOCK_SPACING_S)).alias("expected_factor"))
        .drop_nulls("factor")
        .sort("day")
    )
    if not retargets.is_empty():
        yield _retargets(retargets, BY_TIMES, TIMES_TOLERANCE)


def _epoch(until: str) -> pl.Expr:
    """Retargets up to a count of blocks, where the block after 2,016 is the first of a new epoch."""
    return (pl.col(until) - 1).clip(0) // BLOCKS_PER_RETARGET


def _factor(ratio: pl.Expr) -> pl.Expr:
    return ratio.clip(1 / RETARGET_LIMIT_FACTOR, RETARGET_LIMIT_FACTOR)


def _retargets(retargets: pl.DataFrame, facts: CheckFacts, tolerance: float) -> Check:
    apart = (pl.col("factor") / pl.col("expected_factor") - 1).abs()
    return none_broken(
        retargets, facts.name, facts.severity, apart <= tolerance, f"within {tolerance:.1%}", counted="retargets"
    )
