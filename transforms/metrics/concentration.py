"""How concentrated the making of blocks is. Control over block templates, not ownership of machines."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit

WINDOW_BLOCKS: Final = 4_320
"""About thirty days. A share of it has a sampling deviation of up to 0.76 percentage points."""
HALF_BLOCKS: Final = WINDOW_BLOCKS // 2
TAGS: Final = "As good as the open pool list. Over 4,320 blocks, so it follows a change by weeks."
PROXIES: Final = (
    "Which pools hand out another's templates is known from observations of single months; a group stays once it is "
    f"known. {TAGS}"
)
TOO_FEW: Final = "NULL until 4,320 contiguous blocks with pools are known."
NOT_YET: Final = "NULL until 4,320 contiguous blocks are known, and before the first proxy pool was known."

MERGED_2025: Final = [[1_296, 1_728, 626, 432, 216]]
"""Foundry 30 %, AntPool and friends 40, ViaBTC 14.5, F2Pool 10, MARA 5, and half a percent of single blocks."""
UNMERGED_2025: Final = [[1_296, 821, 626, 518, 432, 216, 130, 86, 86, 65, 43]]
"""30, 19, 14.5, 12, 10, 5, 3, 2, 2, 1.5 and 1 %."""


def _squares(blocks: str) -> pl.Expr:
    """Sum of the squared percentage shares of the named pools."""
    share = PERCENT * pl.element() / WINDOW_BLOCKS
    return pl.col(blocks).list.eval(share * share).list.sum()


def _unknown_squares_low() -> pl.Expr:
    """As if a pool of its own stood behind each block without a pool."""
    return pl.col("unknown_blocks") * (PERCENT / WINDOW_BLOCKS) ** 2


def _unknown_squares_high() -> pl.Expr:
    """As if one pool stood behind all of them."""
    return (PERCENT * pl.col("unknown_blocks") / WINDOW_BLOCKS) ** 2


def _nakamoto(blocks: str) -> pl.Expr:
    """Smallest number of pools with more than half of the blocks; a block without a pool is one of its own."""
    pools = pl.col(blocks).list.eval((pl.element().cum_sum() <= HALF_BLOCKS).cast(pl.Int64)).list.sum()
    named = pl.col(blocks).list.sum()
    singles = HALF_BLOCKS + 1 - named
    return pl.when(named > HALF_BLOCKS).then(pools + 1).otherwise(pl.col(blocks).list.len() + singles)


def _top2(blocks: str) -> pl.Expr:
    """Share of the two largest pools, or of single blocks where there are no two named ones."""
    named = pl.col(blocks).list.head(2)
    singles = pl.min_horizontal(2 - named.list.len().cast(pl.Int64), pl.col("unknown_blocks"))
    return PERCENT * (named.list.sum() + singles) / WINDOW_BLOCKS


@metric(
    Example(
        given={"pool_blocks": UNMERGED_2025, "unknown_blocks": 1},
        gives=1760.5,
        within=1.0,
        source="shares 30/19/14.5/12/10/5/3/2/2/1.5/1",
    ),
    Example(given={"pool_blocks": [[4_320]], "unknown_blocks": 0}, gives=10_000.0),
    unit=Unit.INDEX,
    error=f"Lower bound: each block without a known pool counts as a pool of its own. {TAGS}",
    null_rule=TOO_FEW,
    ge=0,
    le=10_000,
)
def pool_hhi_index() -> pl.Expr:
    """Herfindahl-Hirschman index of the pools' shares: the sum of their squared percentages, low case."""
    return _squares("pool_blocks") + _unknown_squares_low()


@metric(
    Example(given={"pool_blocks": [[2_160]], "unknown_blocks": 2_160}, gives=5_000.0),
    Example(given={"pool_blocks": [[3_888]], "unknown_blocks": 432}, gives=8_200.0, source="90 and 10 %"),
    unit=Unit.INDEX,
    error=f"Upper bound: all blocks without a known pool count as one pool. {TAGS}",
    null_rule=TOO_FEW,
    ge=0,
    le=10_000,
)
def pool_hhi_high_index() -> pl.Expr:
    """Herfindahl-Hirschman index of the pools' shares, high case."""
    return _squares("pool_blocks") + _unknown_squares_high()


@metric(
    Example(
        given={"merged_pool_blocks": MERGED_2025, "unknown_blocks": 22},
        gives=2_835.5,
        within=1.0,
        source="Foundry 30, AntPool and friends 40, ViaBTC 14.5, F2Pool 10, MARA 5, rest 0.5",
    ),
    unit=Unit.INDEX,
    error=f"Lower bound: each block without a known pool counts as a pool of its own. {PROXIES}",
    null_rule=NOT_YET,
    ge=0,
    le=10_000,
)
def merged_pool_hhi_index() -> pl.Expr:
    """Herfindahl-Hirschman index with pools that hand out another's block templates counted to it, low case."""
    return _squares("merged_pool_blocks") + _unknown_squares_low()


@metric(
    Example(given={"merged_pool_blocks": [[3_888]], "unknown_blocks": 432}, gives=8_200.0, source="90 and 10 %"),
    unit=Unit.INDEX,
    error=f"Upper bound: all blocks without a known pool count as one pool. {PROXIES}",
    null_rule=NOT_YET,
    ge=0,
    le=10_000,
)
def merged_pool_hhi_high_index() -> pl.Expr:
    """Herfindahl-Hirschman index with proxy pools merged, high case."""
    return _squares("merged_pool_blocks") + _unknown_squares_high()


@metric(
    Example(given={"pool_blocks": UNMERGED_2025}, gives=3),
    Example(given={"pool_blocks": [[2_160, 2_160]]}, gives=2, source="half is not a majority"),
    Example(given={"pool_blocks": [[2_000]]}, gives=162, source="and 161 single blocks"),
    Example(given={"pool_blocks": [[2_161, 2_159]]}, gives=1),
    unit=Unit.COUNT,
    error=f"Jumps by one where shares cross a half. Blocks without a known pool count one by one. {TAGS}",
    null_rule=TOO_FEW,
    ge=1,
)
def nakamoto_coefficient_count() -> pl.Expr:
    """Smallest number of pools that together made more than half of the blocks."""
    return _nakamoto("pool_blocks")


@metric(
    Example(given={"merged_pool_blocks": [sorted(MERGED_2025[0], reverse=True)]}, gives=2),
    unit=Unit.COUNT,
    error=f"Jumps by one where shares cross a half. Blocks without a known pool count one by one. {PROXIES}",
    null_rule=NOT_YET,
    ge=1,
)
def merged_nakamoto_coefficient_count() -> pl.Expr:
    """Smallest number of pools that together made more than half of the blocks, proxy pools merged."""
    return _nakamoto("merged_pool_blocks")


@metric(
    Example(given={"pool_blocks": UNMERGED_2025, "unknown_blocks": 1}, gives=49.0, within=0.01),
    Example(given={"pool_blocks": [[432]], "unknown_blocks": 3_888}, gives=PERCENT * 433 / 4_320),
    unit=Unit.PERCENT,
    error=TAGS,
    null_rule=TOO_FEW,
    ge=0,
    le=100,
)
def top2_pool_share_pct() -> pl.Expr:
    """Share of the blocks that the two largest pools made."""
    return _top2("pool_blocks")


@metric(
    Example(given={"merged_pool_blocks": [sorted(MERGED_2025[0], reverse=True)], "unknown_blocks": 22}, gives=70.0),
    unit=Unit.PERCENT,
    error=PROXIES,
    null_rule=NOT_YET,
    ge=0,
    le=100,
)
def merged_top2_pool_share_pct() -> pl.Expr:
    """Share of the blocks that the two largest pools made, proxy pools merged."""
    return _top2("merged_pool_blocks")


@metric(
    Example(given={"unknown_blocks": 216}, gives=5.0),
    unit=Unit.PERCENT,
    error=TAGS,
    null_rule=TOO_FEW,
    ge=0,
    le=100,
)
def unknown_pool_share_pct() -> pl.Expr:
    """Share of the blocks whose pool no source states: how far the low and the high case can lie apart."""
    return PERCENT * pl.col("unknown_blocks") / WINDOW_BLOCKS


METRICS = (
    pool_hhi_index,
    pool_hhi_high_index,
    merged_pool_hhi_index,
    merged_pool_hhi_high_index,
    nakamoto_coefficient_count,
    merged_nakamoto_coefficient_count,
    top2_pool_share_pct,
    merged_top2_pool_share_pct,
    unknown_pool_share_pct,
)
