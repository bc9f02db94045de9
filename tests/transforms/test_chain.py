"""Consensus arithmetic against numbers that the chain itself settled."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.chain import (
    BLOCKS_PER_HALVING,
    DIFFICULTY_1_TARGET,
    POW_LIMIT,
    RETARGET_TIMESPAN_S,
    decode_compact,
    difficulty,
    encode_compact,
    retarget,
    subsidy_sat,
    subsidy_sat_expr,
)

COMPACT_ROUNDING = 2**-15  # A mantissa holds at least 16 significant bits and is cut.

ALLOWED_SAT = {
    0: 5_000_000_000,
    209_999: 5_000_000_000,
    210_000: 2_500_000_000,
    420_000: 1_250_000_000,
    630_000: 625_000_000,
    839_999: 625_000_000,
    840_000: 312_500_000,
    935_424: 312_500_000,
    32 * BLOCKS_PER_HALVING: 1,
    33 * BLOCKS_PER_HALVING: 0,
    64 * BLOCKS_PER_HALVING: 0,
    1_000 * BLOCKS_PER_HALVING: 0,
}


def heights_of(values: list[int | None]) -> pl.DataFrame:
    return pl.DataFrame({"height": values}, schema={"height": pl.Int64})


@pytest.mark.parametrize(("height", "allowed_sat"), ALLOWED_SAT.items())
def test_subsidy_halves_at_the_consensus_heights(height, allowed_sat):
    assert subsidy_sat(height) == allowed_sat


def test_all_subsidies_sum_to_just_under_21_million_bitcoin():
    # The well-known last satoshi: 20 999 999.9769 BTC.
    assert sum(subsidy_sat(era * BLOCKS_PER_HALVING) * BLOCKS_PER_HALVING for era in range(70)) == 2_099_999_997_690_000


@given(st.lists(st.integers(0, 20_000_000), min_size=1))
def test_column_form_of_the_subsidy_equals_the_scalar_one(heights):
    column = heights_of(heights).select(subsidy_sat_expr(pl.col("height"))).to_series()
    assert column.dtype == pl.Int64
    assert column.to_list() == [subsidy_sat(height) for height in heights]


def test_column_form_keeps_an_unknown_height_unknown():
    column = heights_of([None, 0, -1]).select(subsidy_sat_expr(pl.col("height"))).to_series()
    assert column.to_list() == [None, 5_000_000_000, None]


def test_a_negative_height_is_refused():
    with pytest.raises(ValueError, match="negative"):
        subsidy_sat(-1)


def test_genesis_bits_are_difficulty_one():
    assert decode_compact(0x1D00FFFF) == DIFFICULTY_1_TARGET
    assert difficulty(decode_compact(0x1D00FFFF)) == 1.0


def test_the_easiest_target_is_difficulty_one_in_compact_form():
    assert encode_compact(POW_LIMIT) == 0x1D00FFFF


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0x1B0404CB, 0x404CB << 8 * 24),  # The textbook example.
        (0x170B3CE9, 0x0B3CE9 << 8 * 20),
        (0x03123456, 0x123456),
        (0x02008000, 0x80),  # A set highest bit costs a byte.
        (0x01120000, 0x12),
    ],
)
def test_compact_form_goes_there_and_back(bits, expected):
    assert decode_compact(bits) == expected
    assert encode_compact(expected) == bits


def test_a_negative_compact_target_is_refused():
    with pytest.raises(ValueError, match="negative"):
        decode_compact(0x1D80FFFF)


@given(st.integers(2**16, POW_LIMIT))
def test_compact_form_cuts_and_never_rounds_up(target):
    kept = decode_compact(encode_compact(target))
    assert target * (1 - COMPACT_ROUNDING) <= kept <= target
    assert encode_compact(kept) == encode_compact(target)


def test_the_first_retarget_of_the_chain_to_difficulty_1_18():
    # Blocks 30240 and 32255; bits 0x1d00d86a from block 32256 on, the first change of all.
    assert encode_compact(retarget(DIFFICULTY_1_TARGET, 1_261_130_161, 1_262_152_739)) == 0x1D00D86A


def test_the_retarget_at_height_935424_to_compact_rounding():
    before = int(DIFFICULTY_1_TARGET / 141_668_107_417_558.2)
    after = difficulty(retarget(before, 0, 1_361_477))
    assert after == pytest.approx(125_864_590_119_494.3, rel=COMPACT_ROUNDING)
    assert 100 * (after / 141_668_107_417_558.2 - 1) == pytest.approx(-11.16, abs=0.01)


def test_blocks_at_exactly_ten_minutes_make_the_next_ones_harder_by_one_interval():
    # 2,015 intervals are held against 2,016.
    assert difficulty(retarget(DIFFICULTY_1_TARGET // 1_000, 0, 2_015 * 600)) == pytest.approx(
        1_000 * 2_016 / 2_015, rel=COMPACT_ROUNDING
    )


@pytest.mark.parametrize(
    ("timespan_s", "factor"),
    [(RETARGET_TIMESPAN_S // 5, 4), (-7_200, 4), (RETARGET_TIMESPAN_S * 5, 0.25), (RETARGET_TIMESPAN_S, 1)],
    ids=["too fast", "backward", "too slow", "as planned"],
)
def test_difficulty_moves_by_a_factor_of_four_at_most(timespan_s, factor):
    target = DIFFICULTY_1_TARGET >> 40
    after = difficulty(retarget(target, 1_000_000, 1_000_000 + timespan_s))
    assert after / difficulty(target) == pytest.approx(factor, rel=COMPACT_ROUNDING)


def test_difficulty_never_falls_below_one():
    assert retarget(DIFFICULTY_1_TARGET, 0, 4 * RETARGET_TIMESPAN_S) == DIFFICULTY_1_TARGET
