"""What is missing amid what is known: series that nobody states, days inside a series, names of pools."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts
from schemas.labels import UNKNOWN_POOL
from schemas.series import SERIES
from transforms.checks.days import MOST_NAMED, NORMAL_TIMES, RECENT_DAYS

COMPUTED: Final = CheckFacts(
    name="is stated by a source",
    severity="notice",
    window="all days",
    reason="What nobody states but follows from what one source states is computed, and this says how.",
    fault="none",
)
NO_GAP: Final = CheckFacts(
    name="no series has a gap",
    severity="warning",
    window="each day since 2013 between the first and the last of a series; before, gaps of more than 30 days",
    reason="A window over a gap is NULL or rests on fewer days; a source may never fill it, so that it does not stop.",
    fault="40-day holes",
)
POOLS_NAMED: Final = CheckFacts(
    name="most blocks have a pool",
    severity="warning",
    window="last 30 days of blocks, and each year since 2017",
    reason=(
        "Pools mark their blocks: a recorded list leaves 10 % unnamed in 2021 and 0.1 % in 2026, at most 22 % over 30 "
        "days. An unknown miner of a quarter of all blocks would be news."
    ),
    fault="half of the pool names NULL",
)
NO_BLOCK_MISSING: Final = CheckFacts(
    name="no block is missing",
    severity="warning",
    window="each height between the first and the last block",
    reason="A day that lacks a block has no totals and no shares of pools, and another source may hide that of totals.",
    fault="40 days of blocks missing",
)
CATALOGUE: Final = (COMPUTED, NO_GAP, POOLS_NAMED, NO_BLOCK_MISSING)

EARLY_GAP: Final = timedelta(30)
"""Before `NORMAL_TIMES` there were days without a flow, and weeks without a price."""
MOST_UNKNOWN: Final = 0.25
LEAST_BLOCKS: Final = 1_008
NAMED_SINCE: Final = 2017


def check_computed(computed: Mapping[str, str], chosen: Mapping[str, str]) -> Iterator[Check]:
    """Say how each series that no source states was `computed`; `chosen` is the source of each."""
    for series, how in computed.items():
        yield Check(
            check_name=COMPUTED.of(series),
            severity=COMPUTED.severity,
            passed=True,
            value=None,
            expected="",
            detail=f"no source states it: computed from figures of {chosen[series]}: {how}",
        )


def check_gaps(days: pl.DataFrame) -> Iterator[Check]:
    """Name the gaps of every series of the resolved `days`, one column a series, with their days."""
    named, count = [], 0
    for name in _with_gaps(days):
        known = days.select("day", name).drop_nulls().select("day", before=pl.col("day").shift())
        missing = pl.col("day") - pl.col("before") - timedelta(1)
        is_normal = pl.col("before") >= NORMAL_TIMES
        gaps = known.filter(missing > pl.when(is_normal).then(timedelta(0)).otherwise(EARLY_GAP))
        if gaps.is_empty():
            continue
        count += gaps.height
        ranges = [
            f"{before + timedelta(1)} to {day - timedelta(1)}" for day, before in gaps.head(MOST_NAMED).iter_rows()
        ]
        more = f" and {gaps.height - MOST_NAMED} more" if gaps.height > MOST_NAMED else ""
        named.append(f"{name}: {', '.join(ranges)}{more}")
    yield Check(
        check_name=NO_GAP.name,
        severity=NO_GAP.severity,
        passed=count == 0,
        value=float(count),
        expected="a value on each day between the first and the last",
        detail="; ".join(named) or "0 gaps",
    )


def _with_gaps(days: pl.DataFrame) -> list[str]:
    """Series that lack a day between the first and the last that they state."""
    known = {name: pl.col("day").filter(pl.col(name).is_not_null()) for name in SERIES}
    lengths = days.select(
        ((day.max() - day.min()).dt.total_days() + 1 != day.len()).fill_null(value=False).alias(name)
        for name, day in known.items()
    )
    return [name for name, has_gaps in lengths.row(0, named=True).items() if has_gaps]


def check_missing_blocks(blocks: pl.DataFrame) -> Iterator[Check]:
    """Name the heights that are missing between dated `blocks`, which are sorted, with the days around them."""
    before = blocks.select("height", "day", after=pl.col("height").shift(), since=pl.col("day").shift())
    gaps = before.filter(pl.col("height") - pl.col("after") > 1)
    ranges = [
        f"{after + 1:,} to {height - 1:,} ({since} to {day})"
        for height, day, after, since in gaps.head(MOST_NAMED).iter_rows()
    ]
    more = f" and {gaps.height - MOST_NAMED} more" if gaps.height > MOST_NAMED else ""
    yield Check(
        check_name=NO_BLOCK_MISSING.name,
        severity=NO_BLOCK_MISSING.severity,
        passed=gaps.is_empty(),
        value=float((gaps["height"] - gaps["after"] - 1).sum()),
        expected="a block at each height between the first and the last",
        detail=f"{', '.join(ranges)}{more}" or "0 gaps",
    )


def check_pools_named(blocks: pl.DataFrame) -> Iterator[Check]:
    """Check the share of dated `blocks` whose pool is known, where there are blocks of a week at least."""
    # A list of display names writes it with a capital.
    unknown = (pl.col("pool").str.to_lowercase() == UNKNOWN_POOL).fill_null(True)
    if blocks.height < LEAST_BLOCKS:
        return
    since = pl.col("day") > pl.col("day").max() - pl.duration(days=RECENT_DAYS)
    recent = blocks.filter(since).select(pl.lit("last 30 days").alias("span"), unknown.mean().alias("share"))
    years = (
        blocks.filter(pl.col("day") >= date(NAMED_SINCE, 1, 1))
        .group_by(pl.col("day").dt.year().alias("year"))
        .agg(unknown.mean().alias("share"))
        .sort("year")
        .select(pl.col("year").cast(pl.String).alias("span"), "share")
    )
    broken = pl.concat([recent, years]).filter(pl.col("share") > MOST_UNKNOWN)
    share = float(recent["share"][0] or 0)
    yield Check(
        check_name=POOLS_NAMED.name,
        severity=POOLS_NAMED.severity,
        passed=broken.is_empty(),
        value=share * 100,
        expected=f"at most {MOST_UNKNOWN:.0%} of blocks without a pool",
        detail="; ".join(f"{part:.1%} unknown in {span}" for span, part in broken.iter_rows())
        or f"{share:.1%} unknown in the last {RECENT_DAYS} days",
    )
