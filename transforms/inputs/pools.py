"""Blocks of each pool by day, and over the trailing windows of blocks that shares are taken from."""

from typing import Final

import numpy as np
import polars as pl

SHARE_WINDOWS_BLOCKS: Final = (4_320, 1_008)

RESTS_ON: Final = {
    name: ("raw.block.height", "raw.block.block_at", "raw.block.pool")
    for name in ("block_count", *(f"block_{n}_count" for n in SHARE_WINDOWS_BLOCKS))
}
"""What the columns that are laid out here rest on."""


def pool_days(blocks: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Count dated `blocks` by day and pool; `whole` is `whole_days` of them.

    Shape: one row a whole day and pool with a block in the longest window up to that day, sorted by (`day`, `pool`):
    `day`, `pool`, `block_count`, `block_<n>_count` for each n of `SHARE_WINDOWS_BLOCKS`, NULL until n contiguous
    blocks are known. Windows end at the last block of the day. A missing pool counts as 'unknown'.
    """
    counted = ["block_count", *(f"block_{n}_count" for n in SHARE_WINDOWS_BLOCKS)]
    days = _window_starts(blocks, whole)
    if days.is_empty():
        return pl.DataFrame(schema={"day": pl.Date, "pool": pl.String} | dict.fromkeys(counted, pl.Int64))
    totals = _running_totals(blocks, days)
    pools = [name for name in totals.columns if name != "ordinal"]
    at_end = _totals_at(totals, days["end"])
    frames = []
    for name in counted:
        inside = at_end - _totals_at(totals, days[name])
        known = days.select(pl.lit(1).cast(pl.Int64).alias("known")).to_series().set(days[name].is_null(), None)
        frames.append((inside * known).unpivot(on=pools, variable_name="pool", value_name=name))
    keys = pl.concat([days.select("day")] * len(pools))
    return (
        pl.concat([keys, frames[0], *(frame.drop("pool") for frame in frames[1:])], how="horizontal")
        .filter(pl.any_horizontal(pl.col(name) > 0 for name in counted))
        .sort("day", "pool")
    )


def _window_starts(blocks: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Give for each whole day where its windows begin.

    Shape: `day`, `end` (ordinal of its last block, from 1), and for the day itself and each window the ordinal of the
    last block before it; NULL where the window would reach over a gap in heights or before the first block.
    """
    placed = blocks.select("day", "height").with_columns(
        (pl.col("height").diff() != 1).fill_null(True).cum_sum().alias("stretch"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("ordinal"),
    )
    stretches = placed.group_by("stretch").agg((pl.col("ordinal").first() - 1).alias("before_stretch"))
    ends = placed.group_by("day", maintain_order=True).agg(
        pl.col("stretch").last(),
        (pl.col("ordinal").first() - 1).alias("block_count"),
        pl.col("ordinal").last().alias("end"),
    )
    starts = (
        pl.when(pl.col("end") - n >= pl.col("before_stretch")).then(pl.col("end") - n).alias(f"block_{n}_count")
        for n in SHARE_WINDOWS_BLOCKS
    )
    return (
        ends.join(stretches, on="stretch", validate="m:1", maintain_order="left")
        .with_columns(starts)
        .join(whole.filter("is_whole"), on="day", how="semi", maintain_order="left")
        .drop("stretch", "before_stretch")
    )


def _running_totals(blocks: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Blocks of each pool up to every ordinal at which a window of `days` begins or ends.

    Shape: `ordinal`, sorted, from 0 on, then one column a pool. Counting at these few ordinals only is what keeps
    overlapping windows cheap: each block is looked at once, not once for every window it lies in.
    """
    needed = pl.concat([pl.Series([0]), *(days[name].drop_nulls() for name in days.columns if name != "day")])
    ordinals = needed.unique().sort()
    counted = blocks["pool"].head(ordinals[-1]).fill_null("unknown")
    pools = counted.unique().sort()
    # A table of counts by numbers instead of names: grouping a million strings takes longer than all else here.
    columns = counted.cast(pl.Enum(pools)).to_physical().to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(ordinals.len()), ordinals.diff().fill_null(0).to_numpy())
    counts = np.bincount(rows * pools.len() + columns, minlength=ordinals.len() * pools.len())
    totals = counts.reshape(ordinals.len(), pools.len()).cumsum(axis=0)
    return pl.DataFrame(totals, schema=pools.to_list()).insert_column(0, ordinals.alias("ordinal"))


def _totals_at(totals: pl.DataFrame, ordinals: pl.Series) -> pl.DataFrame:
    """Rows of `totals` at `ordinals`, without the ordinal; a NULL ordinal gives some row, the caller blanks it."""
    rows = totals["ordinal"].search_sorted(ordinals.fill_null(0))
    return totals.drop("ordinal")[rows]
