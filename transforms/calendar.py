"""What a day is: the monotone header time, whole days, the gap-free calendar, finality."""

from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

FINALITY_BLOCKS: Final = 6
"""Blocks that must stand on later days before a day is final."""
FINALITY_DELAY: Final = timedelta(hours=2)
"""Consensus accepts header times up to two hours ahead, so a block of yesterday may still be found until then."""
FEE_WINDOW_BLOCKS: Final = 144
FEE_WINDOW_LEAST_BLOCKS: Final = 130


def dated(blocks: pl.DataFrame) -> pl.DataFrame:
    """Sort `blocks` by height and add `day`, the UTC day of the running maximum of header times.

    Shape: the rows of `blocks`, sorted by `height`, plus `day`. Header times may step backward by consensus, days
    may not; the open-source brk indexer takes the same running maximum before it dates anything.
    """
    # They are stored in order, and looking is cheaper than sorting a million of them again.
    ordered = blocks if blocks["height"].is_sorted() else blocks.sort("height")
    return ordered.with_columns(pl.col("block_at").cum_max().dt.date().alias("day"))


def whole_days(blocks: pl.DataFrame) -> pl.DataFrame:
    """State for each day with a block whether all of its blocks are here.

    Shape: one row a day of the dated `blocks`, sorted: `day`, `is_whole`, `later_block_count` (blocks on later days).
    A day is whole when its blocks and the ones just before and after it are contiguous in height, so the first day of
    an export that starts mid-chain is not, and neither is the day the tip stands on. A chain may start at height 0.
    """
    follows = (pl.col("height").diff() == 1).fill_null(pl.col("height") == 0)
    days = (
        # In the order of their heights days never step backward, and sorted ones are grouped without hashing them.
        blocks.select(pl.col("day").set_sorted(), "height", follows.alias("follows"))
        .group_by("day", maintain_order=True)
        .agg(pl.len().alias("blocks"), pl.col("follows").all(), pl.col("follows").first().alias("joined"))
    )
    later = pl.lit(blocks.height, pl.Int64) - pl.col("blocks").cum_sum().cast(pl.Int64)
    return days.select(
        "day",
        (pl.col("follows") & pl.col("joined").shift(-1).fill_null(False)).alias("is_whole"),
        later.alias("later_block_count"),
    )


def fold_blocks(blocks: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Fold dated `blocks` into daily chain totals; `whole` is `whole_days` of them.

    Shape: long, (`series`, `day`, `value`), one row a whole day and series that the source states for every block of
    the day; a day that is not whole has no row, because a part of a day is not a small day.
    """
    sums = {"issuance_sat": pl.col("subsidy_claimed_sat"), "fees_sat": pl.col("fees_sat")}
    # By height and not by row, so that blocks from before a gap do not stand in for those that are missing.
    recent_fees = pl.col("fees_sat").rolling_mean_by(
        "height", f"{FEE_WINDOW_BLOCKS}i", min_samples=FEE_WINDOW_LEAST_BLOCKS
    )
    days = (
        blocks.with_columns(recent_fees.alias("recent_fees"))
        .group_by("day", maintain_order=True)
        .agg(
            pl.len().cast(pl.Float64).alias("block_count"),
            *(pl.when(c.null_count() == 0).then(c.sum()).cast(pl.Float64).alias(n) for n, c in sums.items()),
            pl.col("recent_fees").last().alias("fees_per_block_144_sat"),
            pl.when(pl.col("difficulty").null_count() == 0).then(pl.col("difficulty").mean()).alias("difficulty"),
        )
        .join(whole.filter("is_whole"), on="day", how="semi", maintain_order="left")
    )
    return (
        days.unpivot(index="day", variable_name="series", value_name="value")
        .drop_nulls("value")
        .select("series", "day", "value")
    )


def spine(first: date, last: date) -> pl.DataFrame:
    """Every UTC day from `first` to `last`, both included, in column `day`."""
    return pl.DataFrame({"day": pl.date_range(first, last, "1d", eager=True)})


def is_final(whole: pl.DataFrame | None, now: datetime, described_until: date | None = None) -> pl.Expr:
    """Whether the day in column `day` may no longer move, as seen at `now`.

    A day is final at 02:00 UTC of the next one, and, where blocks are known, when six blocks stand on later days.
    `whole`: `whole_days` of the blocks, or None where the source states daily totals only. After `described_until`
    something is still to come of every day; None means that days are not judged by that.
    """
    last_by_clock = (now - FINALITY_DELAY).date() - timedelta(days=1)
    final = pl.col("day") <= min(last_by_clock, described_until or last_by_clock)
    if whole is not None:
        buried = whole.filter(pl.col("later_block_count") >= FINALITY_BLOCKS)["day"].max()
        final = final & (pl.col("day") <= pl.lit(buried, pl.Date)).fill_null(False)
    return final
