"""Counts of blocks by pool against a slow reference: windows of blocks that end with the day and never cross a gap."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from transforms.calendar import dated, whole_days
from transforms.derive import derive
from transforms.inputs.pools import pool_days
from transforms.tables.pool_daily import TABLE as POOL_DAILY

FIRST = date(2024, 6, 1)
POOLS = ["A", "B", "C", "D", None]
WINDOWS = (4_320, 1_008)

Builder = Callable[..., pl.DataFrame]
TimesOf = Callable[[date, Sequence[int]], list[datetime]]
Counts = dict[tuple[date, str], tuple[int, int | None, int | None]]


def counted(blocks: pl.DataFrame) -> Counts:
    days = dated(blocks)
    frame = pool_days(days, whole_days(days))
    keys = frame.select("day", "pool").rows()
    assert keys == sorted(set(keys))
    return {key: row for key, row in zip(keys, frame.drop("day", "pool").iter_rows(), strict=True)}


def counted_slowly(blocks: pl.DataFrame) -> Counts:
    """The same by looking at the heights of each window one by one."""
    days = dated(blocks).with_columns(pl.col("pool").fill_null("unknown"))
    pool_of = dict(days.select("height", "pool").iter_rows())
    heights_of: dict[date, list[int]] = {}
    for height, day in days.select("height", "day").iter_rows():
        heights_of.setdefault(day, []).append(height)
    expected: Counts = {}
    for day, heights in heights_of.items():
        last = heights[-1]
        if last + 1 not in pool_of or any(h - 1 not in pool_of and h != 0 for h in heights):
            continue
        own = Counter(pool_of[height] for height in heights)
        windows = []
        for length in WINDOWS:
            inside = range(last - length + 1, last + 1)
            windows.append(Counter(map(pool_of.get, inside)) if all(map(pool_of.__contains__, inside)) else None)
        for pool in set(pool_of.values()):
            counts = (own[pool], *(None if window is None else window[pool] for window in windows))
            if any(counts):
                expected[day, pool] = counts
    return expected


@given(
    seed=st.integers(0, 10_000),
    per_day=st.lists(st.integers(1, 400), min_size=4, max_size=40),
    gaps=st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 300)), max_size=3),
    first_height=st.sampled_from([0, 840_000]),
)
def test_counts_are_those_of_a_slow_search(
    blocks_of: Builder,
    times_of: TimesOf,
    seed: int,
    per_day: list[int],
    gaps: list[tuple[int, int]],
    first_height: int,
) -> None:
    times = times_of(FIRST, per_day)
    kept = [n for n in range(len(times)) if not any(start <= n < start + length for start, length in gaps)]
    names = random.Random(seed).choices(POOLS, weights=[40, 30, 20, 1, 5], k=len(times))
    blocks = blocks_of([times[n] for n in kept], height=[first_height + n for n in kept], pool=[names[n] for n in kept])
    assert counted(blocks) == counted_slowly(blocks)


@pytest.mark.parametrize(
    ("blocks", "window", "known"), [(1_007, 1, False), (1_008, 1, True), (4_319, 0, False), (4_320, 0, True)]
)
def test_window_is_unknown_until_it_is_full(
    blocks_of: Builder, times_of: TimesOf, blocks: int, window: int, known: bool
) -> None:
    counts = counted(blocks_of(times_of(FIRST, [blocks, 1]), height=0))
    assert counts == {(FIRST, "A"): (blocks, *(n if blocks >= n else None for n in WINDOWS))}
    assert (counts[FIRST, "A"][1 + window] is not None) == known


def test_pool_without_a_block_on_the_day_keeps_its_row_while_it_is_in_a_window(
    blocks_of: Builder, times_of: TimesOf
) -> None:
    pools = ["B", *["A"] * 1_008, "A"]
    counts = counted(blocks_of(times_of(FIRST, [2, 1_005, 2, 1]), height=0, pool=pools))
    days = [FIRST + timedelta(days=n) for n in range(3)]
    assert counts[days[0], "B"] == (1, None, None)
    assert (days[1], "B") not in counts  # no window is full, and it made no block
    assert counts[days[2], "A"] == (2, None, 1_008)
    assert (days[2], "B") not in counts  # it is one block too old


def test_pool_that_nobody_names_is_unknown(blocks_of: Builder, times_of: TimesOf) -> None:
    assert counted(blocks_of(times_of(FIRST, [2, 1]), height=0, pool=[None, "A", None])) == {
        (FIRST, "A"): (1, None, None),
        (FIRST, "unknown"): (1, None, None),
    }


def test_no_whole_day_is_no_row(blocks_of: Builder, times_of: TimesOf) -> None:
    for blocks in (blocks_of([]), blocks_of(times_of(FIRST, [5]))):
        days = dated(blocks)
        frame = pool_days(days, whole_days(days))
        assert frame.is_empty()
        assert frame.columns == ["day", "pool", "block_count", "block_4320_count", "block_1008_count"]


def test_order_of_blocks_does_not_matter(blocks_of: Builder, times_of: TimesOf) -> None:
    names = random.Random(3).choices(POOLS, k=1_500)
    blocks = blocks_of(times_of(FIRST, [150] * 10), height=0, pool=names)
    shuffled = blocks.sample(fraction=1, shuffle=True, seed=1)
    assert counted(shuffled) == counted(blocks)


def test_shares_of_a_day_add_up_and_ranks_start_at_one(blocks_of: Builder, times_of: TimesOf) -> None:
    names = random.Random(5).choices(["A", "B", "C"], weights=[5, 3, 1], k=4_900)
    blocks = dated(blocks_of(times_of(FIRST, [140] * 35), height=0, pool=names))
    days = derive(pool_days(blocks, whole_days(blocks)), POOL_DAILY.metrics[1:-2])
    sums = days.group_by("day", maintain_order=True).agg(pl.col("^.*_share.*_pct$").sum())
    assert sums["block_share_pct"].to_list() == pytest.approx([100.0] * sums.height)
    full = days.filter(pl.col("day") == days["day"].max())
    assert full["pool_share_4320_pct"].sum() == pytest.approx(100.0)
    assert full["pool_share_1008_pct"].sum() == pytest.approx(100.0)
    by_share = full.sort("pool_share_4320_pct", descending=True)["pool_share_4320_rank"].to_list()
    assert by_share == [1, 2, 3]


def test_equal_pools_share_a_rank() -> None:
    frame = pl.DataFrame(
        {
            "day": [FIRST] * 3 + [FIRST + timedelta(days=1)],
            "pool": ["A", "B", "C", "C"],
            "block_count": [1, 1, 1, 1],
            "block_4320_count": [2_000, 2_000, 320, 4_320],
            "block_1008_count": [500, 500, 8, 1_008],
        }
    )
    assert derive(frame, POOL_DAILY.metrics[1:-2])["pool_share_4320_rank"].to_list() == [1, 1, 3, 1]


def test_block_before_its_parent_in_time_counts_with_its_parent(blocks_of: Builder) -> None:
    midnight = datetime(2024, 6, 2, tzinfo=UTC)
    times = [midnight + timedelta(seconds=s) for s in (-5, 5, -5, 86_500)]
    counts = counted(blocks_of(times, height=0, pool=["A", "B", "C", "D"]))
    assert set(counts) == {(FIRST, "A"), (date(2024, 6, 2), "B"), (date(2024, 6, 2), "C")}


def test_frame_does_not_depend_on_how_far_the_chain_goes(blocks_of: Builder, times_of: TimesOf) -> None:
    times = times_of(FIRST, [150] * 12)
    names = random.Random(7).choices(["A", "B", None], k=len(times))
    whole = dated(blocks_of(times, height=0, pool=names))
    part = whole.head(1_000)
    longer, shorter = (pool_days(blocks, whole_days(blocks)) for blocks in (whole, part))
    assert_frame_equal(longer.filter(pl.col("day") <= shorter["day"].max()), shorter)
