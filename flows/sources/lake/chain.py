"""Which blocks of a lake are on one chain, which are missing, and to which days they belong.

The producer keeps the block that it saw first: after a reorganisation the stale block may stay in the place of the good
one, and blocks that came while the producer was down are missing. So a block counts where the block above it names it
as the one before, and the rest is a hole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from flows.sources.lake.rows import HEADERS
from schemas.observations import UTC_TIME
from transforms.calendar import dated, whole_days


@dataclass(frozen=True, slots=True)
class Hole:
    """Heights, both included, of which the lake has no block that is on the chain, and what it has in their place."""

    first: int
    last: int
    found: str

    def __str__(self) -> str:
        heights = f"block {self.first:,}" if self.first == self.last else f"blocks {self.first:,} to {self.last:,}"
        return f"{heights}: {self.found}"


@dataclass(frozen=True, slots=True)
class Chain:
    """Blocks of one chain by height, and its holes.

    `blocks`: `HEADERS`, `file_day` (the partition, by header time) and `day` (by the running maximum of header times,
    as all tables have it). The highest block is not among them: nothing above it names it yet.
    """

    blocks: pl.DataFrame
    holes: tuple[Hole, ...]

    def whole(self) -> pl.DataFrame:
        """Days of which every block is here, the next day's first one included. Shape: `day`, sorted."""
        return whole_days(self.blocks).filter("is_whole").select("day")


def linked(headers: pl.DataFrame) -> Chain:
    """The chain of `headers`, with the columns `HEADERS` and `file_day`, whatever other blocks are among them."""
    at: dict[int, list[Mapping[str, Any]]] = {}
    for row in headers.iter_rows(named=True):
        at.setdefault(row["height"], []).append(row)
    kept: list[Mapping[str, Any]] = []
    holes: list[Hole] = []
    expected: str | None = None
    heights = range(max(at, default=0), min(at, default=1) - 1, -1)
    for height in heights:
        rows = at.get(height, [])
        known = [row for row in rows if row["hash"] == expected] if expected is not None else rows
        if len(known) == 1:
            kept.append(known[0])
            expected = known[0]["previous_hash"]
            continue
        found = _instead(rows, expected)
        if holes and holes[-1].first == height + 1 and holes[-1].found == found:
            holes[-1] = Hole(height, holes[-1].last, found)
        else:
            holes.append(Hole(height, height, found))
        expected = None
    blocks = pl.DataFrame(kept[1:][::-1], schema={**HEADERS, "file_day": pl.Date})
    at_time = pl.from_epoch("time", "s").dt.replace_time_zone("UTC").cast(UTC_TIME).alias("block_at")
    return Chain(dated(blocks.with_columns(at_time)).drop("block_at"), tuple(reversed(holes)))


def _instead(rows: Sequence[Mapping[str, Any]], expected: str | None) -> str:
    if not rows:
        return "missing in the lake"
    hashes = " and ".join(str(row["hash"]) for row in rows)
    return f"{hashes}, expected {expected}" if expected is not None else f"{hashes}, of which none is confirmed"
