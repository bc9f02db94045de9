"""Blocks and shares of each pool by day."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.table import Lineage, Origin, Table, Tables
from transforms.checks.between_sources import check_claims, check_same_blocks
from transforms.checks.days import none_broken
from transforms.inputs.pools import pool_days
from transforms.metrics import day, pools
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily

SAME_SOURCE_TOLERANCE: Final = 1e-9
OTHER_SOURCE_TOLERANCE: Final = 0.01


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """The blocks of each pool by day and in the windows up to it."""
    days = pool_days(given.blocks, given.whole).filter(pl.col("day") <= given.inputs.through)
    return given.marked(days, Origin.BLOCKS)


def checks(given: Prepared, tables: Tables) -> Iterator[Check]:
    """Checks of the pools against the days, and of the blocks against other sources and the subsidy."""
    inputs = given.inputs
    days = tables[capitulation_daily.TABLE.name]
    yield from check_pools(tables[TABLE.name], days, same_source=given.chain_is_folded)
    yield from check_same_blocks(inputs.blocks, inputs.block_source, inputs.other_blocks)
    yield from check_claims(inputs.blocks)


def check_pools(pools: pl.DataFrame, days: pl.DataFrame, *, same_source: bool) -> Iterator[Check]:
    """Check that the blocks of all pools are the blocks of the day, exactly where both come from one source."""
    compared = (
        pools.group_by("day")
        .agg(pl.col("block_count").sum().alias("pool_blocks"))
        .join(days.select("day", "block_count"), on="day", how="inner", validate="1:1")
        .sort("day")
    )
    tolerance = SAME_SOURCE_TOLERANCE if same_source else OTHER_SOURCE_TOLERANCE
    agrees = (pl.col("pool_blocks") / pl.col("block_count") - 1).abs() <= tolerance
    yield none_broken(
        compared,
        "blocks of all pools are the blocks of the day",
        "error" if same_source else "warning",
        agrees,
        "equal" if same_source else "within 1 %",
    )


TABLE: Final = Table(
    name="pool_daily",
    description="Blocks and shares of each mining pool: one row a UTC day and pool.",
    key=("day", "pool"),
    metrics=(day.day, *pools.METRICS, day.is_final, day.sources),
    main=("block_count",),
    truths={
        "a window of 1,008 blocks lies inside one of 4,320": pl.col("block_1008_count") <= pl.col("block_4320_count")
    },
    frame=frame,
    checks=checks,
    lineage=Lineage(origin=Origin.BLOCKS),
)
