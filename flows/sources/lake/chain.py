"""Which blocks of a lake are on one chain, which are missing, and to which days they belong.

The producer keeps the block that it saw first: after a reorganisation the stale block may stay in the place of the good
one, and blocks that came while the producer was down are missing. So a block counts where the block above it names it
as the one before, and the rest is a hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flows.sources.lake.layout import HEADER_ROWS
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

    `blocks`: `HEADER_ROWS`, `file_day` (the partition, by header time) and `day` (by the running maximum of header
    times, as all tables have it). The highest block is not among them: nothing above it names it yet.
    """

    blocks: pl.DataFrame
    holes: tuple[Hole, ...]

    def whole(self) -> pl.DataFrame:
        """Days of which every block is here, the next day's first one included. Shape: `day`, sorted."""
        return whole_days(self.blocks).filter("is_whole").select("day")


def linked(headers: pl.DataFrame) -> Chain:
    """The chain of `headers`, with the columns `HEADER_ROWS` and `file_day`, whatever other blocks are among them."""
    ordered = headers.sort("height", maintain_order=True)
    # Numbers in the place of hashes: as objects, those of all history would take hundreds of megabytes.
    named = pl.concat([ordered["hash"], ordered["previous_hash"]]).cast(pl.Categorical).to_physical()
    own, before = named[: ordered.height].to_list(), named[ordered.height :].to_list()
    heights = ordered["height"].to_list()
    kept: list[int] = []
    holes: list[Hole] = []
    above: int | None = None
    start = ordered.height
    for height in range(heights[-1], heights[0] - 1, -1) if heights else ():
        end = start
        while start and heights[start - 1] == height:
            start -= 1
        expected = None if above is None else before[above]
        known = [row for row in range(start, end) if expected is None or own[row] == expected]
        if len(known) == 1:
            kept.append(known[0])
            above = known[0]
            continue
        # Between two ranges of days hundreds of thousands of heights may be missing.
        here = ordered["hash"][start:end].to_list() if start < end else []
        found = _instead(here, None if above is None else ordered["previous_hash"][above])
        if holes and holes[-1].first == height + 1 and holes[-1].found == found:
            holes[-1] = Hole(height, holes[-1].last, found)
        else:
            holes.append(Hole(height, height, found))
        above = None
    blocks = ordered.select(*HEADER_ROWS, "file_day")[kept[1:][::-1]]
    at_time = pl.from_epoch("time", "s").dt.replace_time_zone("UTC").cast(UTC_TIME).alias("block_at")
    return Chain(dated(blocks.with_columns(at_time)).drop("block_at"), tuple(reversed(holes)))


def _instead(hashes: Sequence[str], expected: str | None) -> str:
    if not hashes:
        return "missing in the lake"
    named = " and ".join(hashes)
    if expected == "":
        return f"{named}, which the header above does not follow"
    return f"{named}, expected {expected}" if expected is not None else f"{named}, of which none is confirmed"
