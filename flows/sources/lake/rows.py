"""Rows of the copies: headers of blocks, and transactions with amounts in satoshi."""

from collections.abc import Callable, Iterator, Sequence
from os import SEEK_END
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from flows.sources.lake.footer import END_BYTES, footer_bytes, rows_of_groups
from flows.sources.lake.layout import Layout
from schemas.errors import BadInputError
from transforms.attribution.address_scripts import scripts_of

ROWS_AT_ONCE: Final = 32_768
"""Most rows that are decoded at once: half of a row group of the public lake."""


def headers(paths: Sequence[Path], layout: Layout) -> pl.DataFrame:
    """Blocks of the copies `paths`, each once, by height, as `layout` has them. Raises `BadInputError` for others."""
    rows = pl.concat(_collected(path, layout.headers) for path in paths)
    return rows.unique(maintain_order=True).sort("height", "hash")


def transactions(path: Path, layout: Layout) -> Iterator[pl.DataFrame]:
    """Transactions of a copy in the order of the file, a row group at a time, or a part of one that is large.

    Shape: as `layout` has them before it puts them in order. Raises `BadInputError` for another file.
    """
    start = 0
    for count in _row_counts(path):
        for first in range(start, start + count, ROWS_AT_ONCE):
            part = _collected(path, layout.stored, slice(first, min(first + ROWS_AT_ONCE, start + count)))
            try:
                rows = layout.transactions(part)
            except (ValueError, pl.exceptions.PolarsError) as error:
                raise _unreadable(path, str(error)) from error
            yield rows
        start += count


def _row_counts(path: Path) -> list[int]:
    """Rows of each row group of a copy. Raises `BadInputError` for another file."""
    try:
        with path.open("rb") as file:
            file.seek(-END_BYTES, SEEK_END)
            size = footer_bytes(file.read())
            file.seek(-END_BYTES - size, SEEK_END)
            return rows_of_groups(file.read(size))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _collected(path: Path, read: Callable[[Path], pl.LazyFrame], rows: slice = slice(None)) -> pl.DataFrame:
    try:
        return read(path)[rows].collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, found: str) -> BadInputError:
    return BadInputError(
        str(path),
        found.splitlines()[0][:160],
        "a copy of the lake's columns",
        "check HASHPIVOT_LAKE_LAYOUT, and run again to fetch it",
    )


class Coins:
    """Inputs or outputs of transactions, one after another: how many each has, their scripts, their satoshi.

    `counts` by transaction; `ends`: where those of each transaction end.
    """

    def __init__(self, column: pl.Series) -> None:
        """Raises `ValueError` for an amount that is missing or that no coin can have."""
        self.counts = column.list.len().fill_null(0).to_numpy().astype(np.int64)
        self.ends = np.cumsum(self.counts)
        each = column.filter(pl.Series(self.counts > 0)).explode().struct.unnest()
        self.scripts = scripts_of(each["address"])
        if each["sat"].has_nulls() or (each["sat"] < 0).any():
            raise ValueError("an amount that is missing or below zero")
        self.sat = each["sat"].to_numpy()

    def span(self, first: int, last: int) -> slice:
        """Where those of the transactions `first` up to, and without, `last` are."""
        start = int(self.ends[first - 1]) if first else 0
        return slice(start, int(self.ends[last - 1]) if last else 0)
