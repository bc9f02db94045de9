"""How concentrated the blocks are: the blocks of each pool in a window, named pools sorted, the unknown ones apart."""

from typing import Final

import polars as pl

from schemas.labels import UNKNOWN_POOL
from transforms.attribution.pool_names import slug
from transforms.metrics.concentration import WINDOW_BLOCKS

MERGED_POOLS: Final = "merged_pool_blocks"
RESTS_ON: Final = {
    "pool_blocks": ("raw.block.pool",),
    "unknown_blocks": ("raw.block.pool",),
    MERGED_POOLS: ("raw.block.pool", "proxy_pool.proxy_group"),
}
"""What the columns that are laid out here rest on."""

_COUNT: Final = f"block_{WINDOW_BLOCKS}_count"


def concentration_days(pools: pl.DataFrame, proxies: pl.DataFrame) -> pl.DataFrame:
    """Lay out the shares of pools in the window that ends with the day, as they are and with proxy pools merged.

    `pools`: what `transforms.inputs.pools.pool_days` returns; `proxies`: the registry table `proxy_pool`.
    Shape: one row a day whose window is known, sorted: `day`, `pool_blocks` (blocks of each named pool, the largest
    first), `unknown_blocks`, `merged_pool_blocks` (the same with each proxy pool counted to its group from the day that
    was known; NULL before the first such day).
    """
    # Sources write the name of a pool in their own way; looking at the few names is cheaper than at all rows.
    called = {name: slug(name) for name in pools["pool"].unique()}
    known = pools.filter(pl.col(_COUNT) > 0).select(
        "day", pl.col("pool").replace_strict(called, return_dtype=pl.String), pl.col(_COUNT).alias("blocks")
    )
    if len(set(called.values())) < len(called):
        known = known.group_by("day", "pool", maintain_order=True).agg(pl.col("blocks").sum())
    days = _laid_out(known).rename({"blocks": "pool_blocks"})
    first = pl.lit(proxies["known_at"].min(), pl.Date)
    merged = (
        known.join(
            proxies.select("pool", "proxy_group", "known_at"),
            on="pool",
            how="left",
            validate="m:1",
            maintain_order="left",
        )
        .filter(pl.col("day") >= first)
        .with_columns(pl.when(pl.col("day") >= pl.col("known_at")).then("proxy_group").otherwise("pool").alias("pool"))
        .group_by("day", "pool", maintain_order=True)
        .agg(pl.col("blocks").sum())
    )
    return days.join(
        _laid_out(merged).select("day", pl.col("blocks").alias(MERGED_POOLS)),
        on="day",
        how="left",
        validate="1:1",
        maintain_order="left",
    )


def _laid_out(shares: pl.DataFrame) -> pl.DataFrame:
    """One row a day with the blocks of its named pools, descending, and those of unknown pools."""
    named = pl.col("pool") != UNKNOWN_POOL
    return (
        shares.sort("day", "blocks", descending=[False, True])
        .group_by("day", maintain_order=True)
        .agg(
            pl.col("blocks").filter(named),
            pl.col("blocks").filter(~named).sum().alias("unknown_blocks"),
        )
    )
