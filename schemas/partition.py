"""Parts of a published table, such as its years: a part that is made from the same as before is not published anew."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

import polars as pl

SEEDS = (1, 2)
"""Two hashes of 64 bits each row, so that two rows that differ have the same pair about never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The rows whose `day` is in the year `key`, such as "2026".

    `digest`: of everything that the rows are made from, so that equal digests mean equal rows. `rows` gives them,
    sorted as the table is; it may be called several times, or never where a target has them already.
    """

    key: str
    digest: str
    row_count: int
    first_day: date
    last_day: date
    rows: Callable[[], pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitions:
    """A whole table in parts, in the order of their keys, with what is stated of any table."""

    schema: pl.Schema
    parts: tuple[Partition, ...]

    @property
    def height(self) -> int:
        """Number of rows."""
        return sum(part.row_count for part in self.parts)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self.schema.names()

    def is_empty(self) -> bool:
        """Whether there is no row."""
        return self.height == 0

    def rows(self) -> pl.DataFrame:
        """All rows, in the order of the parts."""
        return pl.concat([self.schema.to_frame(), *(part.rows() for part in self.parts)])


def by_year(rows: pl.DataFrame) -> Partitions:
    """The rows of a table, in the order that they have, as one part for each year of their `day`."""
    years = rows.select("day", pl.col("day").dt.year().alias("year")).with_row_index("row")
    spans = years.group_by("year").agg(
        pl.col("row").min().alias("first"),
        pl.len().alias("count"),
        pl.col("day").min().alias("first_day"),
        pl.col("day").max().alias("last_day"),
        (pl.col("row").max() - pl.col("row").min() + 1 == pl.len()).alias("is_together"),
    )
    is_together = bool(spans["is_together"].all())
    parts = []
    for span in spans.sort("year").iter_rows(named=True):
        # In the order of days, which is that of heights, a year is a slice of the frame and not a copy.
        part = (
            rows.slice(span["first"], span["count"])
            if is_together
            else rows.filter(pl.col("day").dt.year() == span["year"])
        )
        parts.append(
            Partition(
                key=f"{span['year']:04d}",
                digest=_digest(part),
                row_count=span["count"],
                first_day=span["first_day"],
                last_day=span["last_day"],
                rows=partial(_same, part),
            )
        )
    return Partitions(schema=rows.schema, parts=tuple(parts))


def _same(rows: pl.DataFrame) -> pl.DataFrame:
    return rows


def _digest(rows: pl.DataFrame) -> str:
    digest = hashlib.sha256(str(rows.schema).encode())
    for seed in SEEDS:
        digest.update(rows.hash_rows(seed).to_numpy().tobytes())
    return digest.hexdigest()
