"""Blocks that are linked among stale and missing ones, against a slow and obvious implementation."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.lake.chain import linked
from flows.sources.lake.layout import HEADER_ROWS

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
Row = Mapping[str, Any]


def header(height: int, branch: str = "good", below: str = "good") -> dict[str, Any]:
    """A block of a branch, ten minutes after the one below, which may be of another branch."""
    at = FIRST + timedelta(minutes=10 * height)
    stated = {
        "height": height,
        "hash": f"{branch}-{height}",
        "previous_hash": f"{below}-{height - 1}",
        "time": int(at.timestamp()),
        "file_day": at.date(),
    }
    return {name: stated.get(name) for name in (*HEADER_ROWS, "file_day")}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={**HEADER_ROWS, "file_day": pl.Date})


def slowly(rows: list[dict[str, Any]]) -> tuple[list[Any], list[tuple[int, str]]]:
    """Hashes of the chain by height without its top, and each height of a hole with what is there."""
    kept: list[Any] = []
    holes: list[tuple[int, str]] = []
    expected: str | None = None
    heights = [row["height"] for row in rows]
    for height in range(max(heights, default=0), min(heights, default=1) - 1, -1):
        here = [row for row in rows if row["height"] == height]
        known = [row for row in here if expected is None or row["hash"] == expected]
        if len(known) == 1:
            kept.insert(0, known[0]["hash"])
            expected = known[0]["previous_hash"]
        else:
            found = " and ".join(row["hash"] for row in here)
            why = f"expected {expected}" if expected is not None else "of which none is confirmed"
            holes.insert(0, (height, f"{found}, {why}" if here else "missing in the lake"))
            expected = None
    return kept[:-1], holes


BLOCKS = st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from("abc"))


@given(st.lists(BLOCKS, max_size=30, unique_by=lambda block: block[:2]))
def test_chain_and_holes_are_those_of_a_slow_search(blocks: list[tuple[int, str, str]]) -> None:
    rows = [header(*block) for block in blocks]
    chain = linked(frame(rows))
    kept, holes = slowly(rows)
    assert chain.blocks["hash"].to_list() == kept
    found = [(height, hole.found) for hole in chain.holes for height in range(hole.first, hole.last + 1)]
    assert found == holes


def test_stale_block_is_left_out_and_a_missing_one_is_a_hole() -> None:
    rows = [header(height) for height in range(1, 9) if height != 3] + [header(6, "stale")]
    chain = linked(frame(rows))
    assert chain.blocks["hash"].to_list() == [f"good-{height}" for height in (1, 2, 4, 5, 6, 7)]
    assert [str(hole) for hole in chain.holes] == ["block 3: missing in the lake"]
    assert chain.blocks["day"].unique().to_list() == [date(2026, 1, 1)]


def test_nothing_is_a_chain_without_blocks() -> None:
    chain = linked(frame([]))
    assert (chain.blocks.height, chain.holes) == (0, ())
    assert {*HEADER_ROWS, "file_day", "day"} == set(chain.blocks.columns)
