"""What a day is: dates that never step back, days that are whole, totals of whole days, and when a day is final."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from transforms.calendar import dated, fold_blocks, is_final, spine, whole_days

FIRST = date(2024, 6, 1)
MIDNIGHT = datetime(2024, 6, 2, tzinfo=UTC)
SERIES = {"block_count", "issuance_sat", "fees_sat", "fees_per_block_144_sat", "difficulty"}

Builder = Callable[..., pl.DataFrame]
TimesOf = Callable[[date, Sequence[int]], list[datetime]]

JITTER = st.lists(st.integers(-7_200, 7_200), min_size=1, max_size=80)
LEFT_OUT = st.sets(st.integers(0, 79), max_size=5)


def folded(blocks: pl.DataFrame) -> dict[str, dict[date, float]]:
    """Daily totals of blocks, by series and day."""
    days = dated(blocks)
    totals: dict[str, dict[date, float]] = {name: {} for name in SERIES}
    for series, day, value in fold_blocks(days, whole_days(days)).iter_rows():
        assert day not in totals[series]
        totals[series][day] = value
    return totals


def wandering(jitter: Sequence[int]) -> list[datetime]:
    """Header times every hour from noon on, each off by its jitter in seconds."""
    return [MIDNIGHT - timedelta(hours=12) + timedelta(hours=n, seconds=seconds) for n, seconds in enumerate(jitter)]


def test_header_that_steps_back_over_midnight_stays_on_the_later_day(blocks_of: Builder) -> None:
    times = [MIDNIGHT + timedelta(seconds=s) for s in (-600, 30, -30, 700)]
    assert dated(blocks_of(times))["day"].to_list() == [FIRST, *[date(2024, 6, 2)] * 3]


def test_last_second_of_a_day_belongs_to_it(blocks_of: Builder) -> None:
    times = [MIDNIGHT - timedelta(microseconds=1), MIDNIGHT]
    assert dated(blocks_of(times))["day"].to_list() == [FIRST, date(2024, 6, 2)]


@given(jitter=JITTER)
def test_day_is_that_of_the_latest_header_so_far(blocks_of: Builder, jitter: list[int]) -> None:
    times = wandering(jitter)
    assert dated(blocks_of(times))["day"].to_list() == [latest.date() for latest in accumulate(times, max)]


@given(jitter=JITTER, seed=st.integers(0, 1_000))
def test_order_of_block_rows_does_not_matter(blocks_of: Builder, jitter: list[int], seed: int) -> None:
    blocks = blocks_of(wandering(jitter))
    assert_frame_equal(dated(blocks.sample(fraction=1, shuffle=True, seed=seed)), dated(blocks))


@given(jitter=JITTER, left_out=LEFT_OUT, first_height=st.sampled_from([0, 1, 500]))
def test_day_is_whole_when_its_blocks_and_their_neighbours_are_there(
    blocks_of: Builder, jitter: list[int], left_out: set[int], first_height: int
) -> None:
    kept = [(first_height + n, t) for n, t in enumerate(wandering(jitter)) if n not in left_out]
    days = dated(blocks_of([t for _, t in kept], height=[h for h, _ in kept]))
    heights = {height for height, _ in kept}
    by_day: dict[date, list[int]] = {}
    for height, day in days.select("height", "day").iter_rows():
        by_day.setdefault(day, []).append(height)

    whole = whole_days(days)

    assert whole["day"].to_list() == sorted(by_day)
    for day, is_whole, later in whole.iter_rows():
        own = by_day[day]
        joined = all(height - 1 in heights or height == 0 for height in own) and own[-1] + 1 in heights
        assert is_whole == joined
        assert later == sum(len(those) for other, those in by_day.items() if other > day)


def test_chain_from_its_first_block_has_a_whole_first_day(blocks_of: Builder, times_of: TimesOf) -> None:
    times = times_of(FIRST, [3, 3, 3])
    assert whole_days(dated(blocks_of(times, height=0)))["is_whole"].to_list() == [True, True, False]
    assert whole_days(dated(blocks_of(times, height=1)))["is_whole"].to_list() == [False, True, False]


def test_gap_in_heights_leaves_both_days_it_touches_without_a_row(blocks_of: Builder, times_of: TimesOf) -> None:
    times = times_of(FIRST, [4] * 6)
    inside = [height for height in range(24) if height != 9]
    between = [height for height in range(24) if height != 8]  # the first block of the third day
    for heights, gone in ((inside, [2]), (between, [1, 2])):
        blocks = blocks_of([times[height] for height in heights], height=heights)
        days = [FIRST + timedelta(days=n) for n in range(5) if n not in gone]
        assert list(folded(blocks)["block_count"]) == days


def test_totals_of_a_day_are_those_of_its_blocks(blocks_of: Builder, times_of: TimesOf) -> None:
    blocks = blocks_of(
        times_of(FIRST, [2, 3, 1]),
        height=0,
        subsidy_claimed_sat=[1, 2, 4, 8, 16, 32],
        fees_sat=[10, 20, 40, 80, 160, 320],
        difficulty=[1.0, 3.0, 10.0, 20.0, 60.0, 7.0],
    )
    totals = folded(blocks)
    assert totals["block_count"] == {FIRST: 2.0, date(2024, 6, 2): 3.0}
    assert totals["issuance_sat"] == {FIRST: 3.0, date(2024, 6, 2): 28.0}
    assert totals["fees_sat"] == {FIRST: 30.0, date(2024, 6, 2): 280.0}
    assert totals["difficulty"] == {FIRST: 2.0, date(2024, 6, 2): 30.0}


def test_sums_are_exact_where_a_day_is_larger_than_any_was(blocks_of: Builder, times_of: TimesOf) -> None:
    totals = folded(blocks_of(times_of(FIRST, [200, 1]), height=0, fees_sat=[5_000_000_001] * 201))
    assert totals["fees_sat"] == {FIRST: 1_000_000_000_200.0}


@pytest.mark.parametrize("column", ["fees_sat", "subsidy_claimed_sat", "difficulty"])
def test_one_block_without_a_figure_leaves_the_day_without_its_total(
    blocks_of: Builder, times_of: TimesOf, column: str
) -> None:
    series = column.replace("subsidy_claimed", "issuance")
    totals = folded(blocks_of(times_of(FIRST, [2, 2, 1]), height=0, **{column: [7, None, 7, 7, 7]}))
    assert list(totals["block_count"]) == [FIRST, date(2024, 6, 2)]
    assert list(totals[series]) == [date(2024, 6, 2)]


def test_blocks_without_fees_are_a_true_zero(blocks_of: Builder, times_of: TimesOf) -> None:
    assert folded(blocks_of(times_of(FIRST, [2, 1]), height=0, fees_sat=0))["fees_sat"] == {FIRST: 0.0}


@pytest.mark.parametrize(("blocks_before", "known"), [(129, False), (130, True), (144, True), (160, True)])
def test_recent_fees_want_130_of_the_last_144_blocks(
    blocks_of: Builder, times_of: TimesOf, blocks_before: int, known: bool
) -> None:
    fees = list(range(1, blocks_before + 2))
    totals = folded(blocks_of(times_of(FIRST, [blocks_before, 1]), height=0, fees_sat=fees))
    window = fees[:blocks_before][-144:]
    assert totals["fees_per_block_144_sat"] == ({FIRST: sum(window) / len(window)} if known else {})


def test_recent_fees_do_not_reach_back_over_a_gap_in_heights(blocks_of: Builder, times_of: TimesOf) -> None:
    # A day of 200 blocks whose first half is missing, then whole days of 100, 25, 20 and one block.
    times = times_of(FIRST, [300, 200, 100, 25, 20, 1])
    heights = [height for height in range(len(times)) if not 300 <= height < 420]
    fees = [1_000_000 if height < 300 else 10 for height in heights]
    totals = folded(blocks_of([times[height] for height in heights], height=heights, fees_sat=fees))
    recent = totals["fees_per_block_144_sat"]
    assert list(totals["block_count"]) == [date(2024, 6, n) for n in (3, 4, 5)]
    assert recent == {date(2024, 6, n): 10.0 for n in (3, 4, 5)}


def test_recent_fees_are_unknown_where_fewer_than_130_of_the_last_144_heights_are_there(
    blocks_of: Builder, times_of: TimesOf
) -> None:
    times = times_of(FIRST, [300, 100, 90, 10, 1])
    heights = [height for height in range(len(times)) if not 300 <= height < 375]
    totals = folded(blocks_of([times[height] for height in heights], height=heights))
    assert list(totals["block_count"]) == [date(2024, 6, 3), date(2024, 6, 4)]
    assert totals["fees_per_block_144_sat"] == {}


def test_no_blocks_make_no_days(blocks_of: Builder) -> None:
    assert folded(blocks_of([])) == {name: {} for name in SERIES}


@given(first=st.dates(date(2009, 1, 3), date(2040, 1, 1)), length=st.integers(0, 800))
def test_spine_has_every_day_once(first: date, length: int) -> None:
    days = spine(first, first + timedelta(days=length))["day"].to_list()
    assert days == [first + timedelta(days=n) for n in range(length + 1)]


def finality(days: Sequence[date], whole: pl.DataFrame | None, now: datetime) -> list[bool]:
    return pl.DataFrame({"day": days}, schema={"day": pl.Date}).select(is_final(whole, now).alias("f"))["f"].to_list()


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2024, 6, 2, 1, 59, 59, tzinfo=UTC), [True, False, False]),
        (datetime(2024, 6, 2, 2, 0, tzinfo=UTC), [True, True, False]),
        (datetime(2024, 6, 3, 1, 59, 59, tzinfo=UTC), [True, True, False]),
        (datetime(2024, 6, 3, 2, 0, tzinfo=UTC), [True, True, True]),
    ],
    ids=str,
)
def test_day_is_final_at_two_in_the_next_morning(now: datetime, expected: list[bool]) -> None:
    assert finality([date(2024, 5, 31), FIRST, date(2024, 6, 2)], None, now) == expected


@pytest.mark.parametrize(("later", "final"), [(0, False), (5, False), (6, True), (7, True)])
def test_day_is_final_under_six_blocks_of_later_days(
    blocks_of: Builder, times_of: TimesOf, later: int, final: bool
) -> None:
    whole = whole_days(dated(blocks_of(times_of(FIRST, [10, 3, later]), height=0)))
    # The three blocks of the second day bury the first one only in part.
    expected = [later + 3 >= 6, final]
    assert finality([FIRST, date(2024, 6, 2)], whole, datetime(2024, 7, 1, tzinfo=UTC)) == expected


def test_blocks_do_not_make_a_day_final_before_its_time(blocks_of: Builder, times_of: TimesOf) -> None:
    whole = whole_days(dated(blocks_of(times_of(FIRST, [10, 10]), height=0)))
    assert finality([FIRST], whole, datetime(2024, 6, 2, 1, 59, tzinfo=UTC)) == [False]


def test_nothing_is_final_where_no_block_is_known(blocks_of: Builder) -> None:
    whole = whole_days(dated(blocks_of([])))
    assert finality([FIRST], whole, datetime(2024, 7, 1, tzinfo=UTC)) == [False]
