"""Consensus arithmetic of Bitcoin: what a block may issue and how hard the next one must be. Exact integers throughout.

Source: Bitcoin Core `GetBlockSubsidy` in validation.cpp, `CalculateNextWorkRequired` in pow.cpp and the compact form in
arith_uint256.cpp; the same rules in btcd blockchain/difficulty.go.
"""

from datetime import date
from typing import Final

import polars as pl

INITIAL_SUBSIDY_SAT: Final = 5_000_000_000
BLOCKS_PER_HALVING: Final = 210_000
BLOCKS_PER_RETARGET: Final = 2_016
BLOCK_SPACING_S: Final = 600
RETARGET_TIMESPAN_S: Final = BLOCKS_PER_RETARGET * BLOCK_SPACING_S
RETARGET_LIMIT_FACTOR: Final = 4
POW_LIMIT: Final = 2**224 - 1
"""The easiest target that consensus accepts. Its compact form is that of difficulty 1."""
DIFFICULTY_1_TARGET: Final = 0xFFFF << 208

FIRST_BLOCK_DAYS: Final = (date(2009, 1, 3), date(2009, 1, 9))
"""A count of blocks that begins here counts them all. The first day has the genesis block, whose coins never move."""

_HALVINGS_UNTIL_ZERO: Final = 64
_COMPACT_MANTISSA_BYTES: Final = 3
_COMPACT_SIGN_BIT: Final = 0x0080_0000
_COMPACT_EXPONENT_SHIFT: Final = 24
_BITS_PER_BYTE: Final = 8


def subsidy_sat(height: int) -> int:
    """Coins that the block at `height` may create. Raises `ValueError` for a negative height."""
    halvings = height // BLOCKS_PER_HALVING
    return INITIAL_SUBSIDY_SAT >> halvings if halvings < _HALVINGS_UNTIL_ZERO else 0


def subsidy_sat_expr(height: pl.Expr) -> pl.Expr:
    """`subsidy_sat` of a whole column, as Int64. NULL where the height is NULL or negative."""
    # A look-up, because Polars has no shift and a power of a negative exponent would leave the integers.
    allowed_sat = {halvings: INITIAL_SUBSIDY_SAT >> halvings for halvings in range(_HALVINGS_UNTIL_ZERO)}
    looked_up = (height // BLOCKS_PER_HALVING).replace_strict(allowed_sat, default=0, return_dtype=pl.Int64)
    return pl.when(height >= 0).then(looked_up)


def supply_sat_expr(block_count: pl.Expr) -> pl.Expr:
    """Coins that the first `block_count` blocks, the genesis block among them, may create together."""
    eras = range(INITIAL_SUBSIDY_SAT.bit_length())
    of_era = ((block_count - era * BLOCKS_PER_HALVING).clip(0, BLOCKS_PER_HALVING) for era in eras)
    return pl.sum_horizontal(blocks * (INITIAL_SUBSIDY_SAT >> era) for era, blocks in zip(eras, of_era, strict=True))


def counted_days(days: pl.DataFrame) -> pl.DataFrame | None:
    """The resolved `days` up to the last with a count of blocks, or None where the count does not give the heights."""
    until_last = days["block_count"].is_not_null().arg_true()
    counted = days.slice(0, 0 if until_last.is_empty() else int(until_last[-1]) + 1)
    begins = counted.head(1).select(pl.col("day").is_between(*FIRST_BLOCK_DAYS)).to_series().any()
    return counted if begins and not counted["block_count"].has_nulls() else None


def encode_compact(target: int) -> int:
    """The "nBits" form of a target: one byte of size, three of mantissa, cut and not rounded."""
    size = (target.bit_length() + _BITS_PER_BYTE - 1) // _BITS_PER_BYTE
    mantissa = _shift_left(target, _COMPACT_MANTISSA_BYTES - size)
    if mantissa & _COMPACT_SIGN_BIT:
        # The highest bit of the mantissa is a sign, so a number that would set it moves down one byte.
        mantissa >>= _BITS_PER_BYTE
        size += 1
    return size << _COMPACT_EXPONENT_SHIFT | mantissa


def decode_compact(bits: int) -> int:
    """The target that an "nBits" field stands for. Raises `ValueError` for a set sign bit: no target is negative."""
    if bits & _COMPACT_SIGN_BIT:
        raise ValueError(f"compact target {bits:#010x} is negative, expected a sign bit of zero")
    mantissa = bits & (_COMPACT_SIGN_BIT - 1)
    return _shift_left(mantissa, (bits >> _COMPACT_EXPONENT_SHIFT) - _COMPACT_MANTISSA_BYTES)


def retarget(target: int, first_header_s: int, last_header_s: int) -> int:
    """The target of the next 2,016 blocks, from header times of the first and the last block of the present ones.

    The timespan covers only 2,015 intervals yet is held against 2,016 of them: an off-by-one that is consensus. It is
    clamped to a quarter and to four times the aim, so header times that run backward count as the quarter.
    """
    shortest_s, longest_s = RETARGET_TIMESPAN_S // RETARGET_LIMIT_FACTOR, RETARGET_TIMESPAN_S * RETARGET_LIMIT_FACTOR
    timespan_s = min(max(last_header_s - first_header_s, shortest_s), longest_s)
    return decode_compact(encode_compact(min(target * timespan_s // RETARGET_TIMESPAN_S, POW_LIMIT)))


def difficulty(target: int) -> float:
    """How many times harder than at difficulty 1 a block under `target` is."""
    return DIFFICULTY_1_TARGET / target


def _shift_left(number: int, size_bytes: int) -> int:
    """Move by whole bytes, to the right if `size_bytes` is negative."""
    return number << _BITS_PER_BYTE * size_bytes if size_bytes >= 0 else number >> -_BITS_PER_BYTE * size_bytes
