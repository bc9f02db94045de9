"""Transactions of a day in parts of few blocks: none is lost or added, whatever the order, and no part is large."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.lake import parts, rows
from flows.sources.lake.bucket import FolderBucket
from flows.sources.lake.copies import Copies
from flows.sources.lake.parts import BLOCKS_AT_ONCE, TRANSACTIONS_AT_ONCE, Parts, cut
from flows.sources.lake.rows import headers
from schemas.errors import WarehouseError
from schemas.units import SAT_PER_BTC
from tests.attribution.recorded_chain import recorded_blocks
from tests.lake.lake_files import day_files, day_of

DAY = date(2026, 1, 3)


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """One day whose rows are in any order, in several row groups, each of them decoded in more than one go."""
    blocks = [block for block in recorded_blocks() if day_of(block) == DAY]
    for key, content in day_files(DAY, blocks, rows_a_group=100).items():
        path = tmp_path / "lake" / key
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    found = Copies(FolderBucket(tmp_path / "lake"), tmp_path / "copies")
    found.fetch(DAY)
    return found


def cut_of(copies: Copies) -> list[pl.DataFrame]:
    of_day = copies.of(copies.fetch(DAY))
    found = headers(of_day.blocks, copies.layout).with_columns(pl.lit(DAY).alias("file_day"))
    return list(cut(found))


@given(st.lists(st.one_of(st.none(), st.integers(0, 2 * TRANSACTIONS_AT_ONCE)), max_size=80))
def test_parts_are_all_blocks_in_their_order_and_none_is_large(counts: Sequence[int | None]) -> None:
    blocks = pl.DataFrame({"transactions_count": counts}, schema={"transactions_count": pl.Int64}).with_row_index()
    found = list(cut(blocks))
    assert [each for part in found for each in part["index"]] == list(range(len(counts)))
    for part in found:
        assert 1 <= part.height <= BLOCKS_AT_ONCE
        assert part.height == 1 or part["transactions_count"].sum() <= TRANSACTIONS_AT_ONCE


@pytest.mark.parametrize("at_once", [7, 1_000])
def test_each_part_has_the_transactions_of_its_blocks_in_order(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(parts, "BLOCKS_AT_ONCE", 10)
    monkeypatch.setattr(rows, "ROWS_AT_ONCE", at_once)
    of_day, wanted = copies.of(copies.fetch(DAY)), cut_of(copies)
    assert len(wanted) > 10
    # By another way: the whole copy at once.
    whole = pl.read_parquet(of_day.transactions[0]).sort("block_number", "index")
    with Parts(copies, wanted, {DAY: of_day}) as found:
        for part in wanted:
            expected = whole.filter(pl.col("block_number").is_in(part["height"].implode()))
            have = found.next()
            assert have["txid"].to_list() == expected["txid"].to_list()
            for side in ("inputs", "outputs"):
                coins = expected[side].explode().struct
                assert have[side].list.len().equals(expected[side].list.len())
                assert have[side].explode().struct.field("address").equals(coins.field("address"))
                sat = (coins.field("value") * SAT_PER_BTC).round().cast(pl.Int64)
                assert have[side].explode().struct.field("sat").equals(sat.alias("sat"))
        assert not list(copies.folder.glob("parts-*/*")), "nothing is left once it was read"
    assert not list(copies.folder.glob("parts-*"))


def test_parts_above_the_first_may_be_read_alone(copies: Copies) -> None:
    wanted = cut_of(copies)[1:]
    with Parts(copies, wanted, {DAY: copies.of(copies.fetch(DAY))}) as found:
        heights = found.next()["block_number"].unique().sort().to_list()
    assert heights == wanted[0]["height"].to_list()


def test_what_a_killed_run_left_is_removed(copies: Copies) -> None:
    left = copies.folder / "parts-of-a-killed-run" / "2026-01-02"
    left.mkdir(parents=True)
    (left / "000001-00-000000").write_bytes(b"rows")
    with copies.temporary_folder():
        assert not left.exists()


def test_disk_that_takes_no_rows_is_our_own_fault(copies: Copies) -> None:
    with Parts(copies, cut_of(copies), {DAY: copies.of(copies.fetch(DAY))}) as found:
        (folder,) = copies.folder.glob("parts-*")
        folder.rmdir()
        folder.write_text("a file where the folder should be")
        with pytest.raises(WarehouseError, match="expected room for the rows of a day"):
            found.next()
        folder.unlink()
