"""Values as text: numbers of one column with the same decimals, so that they can be compared down the column."""

from collections.abc import Sequence
from decimal import Decimal
from math import floor, isfinite, log10
from typing import Any, Final

from schemas.text import visible

SIGNIFICANT_DIGITS: Final = 6
"""Of the largest number of a column."""
LEAST_DIGITS: Final = 3
"""Of every number."""
MOST_DECIMALS: Final = 8
NULL: Final = "NULL"


def texts(values: Sequence[Any]) -> list[str]:
    """The cells of one column: `NULL` where nothing is known, thousands apart, text of others in one visible line."""
    decimals = _decimals([abs(value) for value in values if _is_fraction(value)])
    cells = [_text(value, decimals) for value in values]
    alike = [place for place, value in enumerate(values) if _is_fraction(value) and _is_precise(value, decimals)]
    for place, cell in zip(alike, _without_zeros([cells[place] for place in alike]), strict=True):
        cells[place] = cell
    return cells


def is_number(values: Sequence[Any]) -> bool:
    """Whether a column holds numbers and nothing else, so that its cells stand to the right."""
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float | Decimal) for value in known) and not _is_flag(known)


def _is_flag(values: Sequence[Any]) -> bool:
    return any(isinstance(value, bool) for value in values)


def _is_fraction(value: Any) -> bool:
    """Whether a value is a finite number that may have decimals."""
    return isinstance(value, float | Decimal) and isfinite(value)


def _decimals(sizes: Sequence[float | Decimal]) -> int:
    largest = max(sizes, default=0)
    if not largest:
        return 0
    return min(max(SIGNIFICANT_DIGITS - 1 - floor(log10(largest)), 0), MOST_DECIMALS)


def _text(value: Any, decimals: int) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if not _is_fraction(value):
        return visible(str(value))
    if _is_precise(value, decimals):
        return f"{value:,.{decimals}f}"
    (own,) = _without_zeros([f"{value:,.{_decimals([abs(value)])}f}"])
    # A number that is not 0 is never shown as 0.
    return own if own.strip("-0.,") else f"{value:.3g}"


def _is_precise(value: float | Decimal, decimals: int) -> bool:
    """Whether so many decimals leave enough digits of a value; one of another magnitude than its column has its own."""
    return not value or LEAST_DIGITS - 1 - floor(log10(abs(float(value)))) <= decimals


def _without_zeros(cells: Sequence[str]) -> list[str]:
    """Numbers of the same decimals without the zeros that all of them end in behind the point."""
    if not cells or "." not in cells[0]:
        return list(cells)
    cut = min(len(cell) - len(cell.rstrip("0")) for cell in cells)
    return [cell[: len(cell) - cut].removesuffix(".") for cell in cells]
