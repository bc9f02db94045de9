"""Transactions of few blocks at a time, however large a day is and in whatever order its files have them.

Rows of a file may be shuffled, so that every row group has transactions of all blocks of the day. So each file is
decoded once, row group after row group, and what it has of each part of the chain lies on the disk until the walk comes
to that part: memory does not grow with the day.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Final, Self

import numpy as np
import polars as pl

from flows.sources.lake.copies import Copies, DayCopies
from flows.sources.lake.layout import TRANSACTION_ROWS
from flows.sources.lake.rows import transactions
from schemas.errors import WarehouseError

BLOCKS_AT_ONCE: Final = 24
TRANSACTIONS_AT_ONCE: Final = 25_000
"""Whose inputs and outputs are in memory, but at least those of one block: a day of 2024 has 310,000 to 410,000."""


def cut(headers: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """`headers`, by height, in parts of at most `BLOCKS_AT_ONCE` blocks and `TRANSACTIONS_AT_ONCE` transactions."""
    start = count = 0
    for number, each in enumerate(headers["transactions_count"].fill_null(0).to_list()):
        if number > start and (number - start >= BLOCKS_AT_ONCE or count + each > TRANSACTIONS_AT_ONCE):
            yield headers.slice(start, number - start)
            start, count = number, 0
        count += each
    if headers.height > start:
        yield headers.slice(start)


class Parts:
    """The transactions of `parts` of the chain, by height, out of the copies of the `days` that their files are of.

    What is on the disk meanwhile is about as large as the copies of two days, and is removed at the end of the block.
    """

    def __init__(self, copies: Copies, parts: Sequence[pl.DataFrame], days: Mapping[date, DayCopies]) -> None:
        self._copies, self._days = copies, days
        self._firsts = np.array([part["height"][0] for part in parts], np.int64)
        self._lasts = np.array([part["height"][-1] for part in parts], np.int64)
        self._days_of = [part["file_day"].unique().sort().to_list() for part in parts]
        self._last_use = {day: number for number, needed in enumerate(self._days_of) for day in needed}
        self._split_days: set[date] = set()
        self._number = 0

    def __enter__(self) -> Self:
        self._temporary = self._copies.temporary_folder()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._temporary.cleanup()

    def next(self) -> pl.DataFrame:
        """Transactions of the next part in their order. Shape: `TRANSACTION_ROWS`.

        Raises `BadInputError` for a copy that cannot be read, `WarehouseError` where the disk does not take its rows.
        """
        number, self._number = self._number, self._number + 1
        frames = []
        for day in self._days_of[number]:
            folder = self._folder(day)
            if day not in self._split_days:
                self._split(day, folder)
                self._split_days.add(day)
            pieces = sorted(folder.glob(f"{number:06}-*"))
            frames += [pl.read_ipc(piece) for piece in pieces]
            for piece in pieces:
                piece.unlink()
            if self._last_use[day] == number:
                rmtree(folder, ignore_errors=True)
        if not frames:
            return pl.DataFrame(schema=TRANSACTION_ROWS)
        return self._copies.layout.in_order(pl.concat(frames))

    def _folder(self, day: date) -> Path:
        return Path(self._temporary.name) / str(day)

    def _split(self, day: date, folder: Path) -> None:
        """Put what the files of `day` have of this part and of later ones into `folder`."""
        for number, path in enumerate(self._days[day].transactions):
            self._copies.read((path,), partial(self._split_file, folder, number))

    def _split_file(self, folder: Path, file_number: int, paths: Sequence[Path]) -> None:
        for number, rows in enumerate(frame for path in paths for frame in transactions(path, self._copies.layout)):
            heights = rows["block_number"].fill_null(-1).to_numpy()
            parts = np.searchsorted(self._firsts, heights, side="right") - 1
            parts[(heights > self._lasts[parts]) | (parts < self._number - 1)] = -1
            for part in np.unique(parts[parts >= 0]):
                _write(folder / f"{part:06}-{file_number:02}-{number:06}", rows.filter(pl.Series(parts == part)))


def _write(piece: Path, rows: pl.DataFrame) -> None:
    try:
        piece.parent.mkdir(exist_ok=True)
        # Texts in one buffer for all: as Polars has them, each piece would hold those of all pieces.
        rows.write_ipc(piece, compat_level=pl.CompatLevel.oldest())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise WarehouseError(
            f"{piece}: {str(error).splitlines()[0]}, expected room for the rows of a day; free space and run again"
        ) from error
