"""Candidates on disk: joined, cut and resumed without a gap; damaged ones are found, and a full disk loses nothing."""

from pathlib import Path

import polars as pl
import pytest

from flows.sources.node.candidates import KeptCandidates
from schemas.errors import WarehouseError
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from tests.attribution.generated_chains import SCRIPTS
from tests.attribution.recorded_chain import decoded
from tests.attribution.test_candidates import chain_block
from transforms.attribution.candidates import Candidates, renumbered
from warehouse.candidate_files import BLOCKS_A_FILE, CandidateFiles

START = 100


def rows_of(first: int, last: int) -> pl.DataFrame:
    """Blocks of these heights, each with a coinbase that pays one script."""
    keeper = Candidates()
    for height in range(first, last + 1):
        keeper.start_block(block_of(height), "antpool")
    return keeper.take()


def block_of(height: int) -> NodeBlock:
    return decoded([chain_block(height, [SCRIPTS[height % 7]], [])])[0]


def begun(folder: Path) -> CandidateFiles:
    files = CandidateFiles(folder / "candidates", "regtest", renumbered)
    files.begin(MinerSet(height=START - 1, block_hash="ff"), "ab")
    return files


def spans(files: CandidateFiles) -> list[tuple[int, int]]:
    return [(file.first, file.last) for file in files.files()]


def paid(files: CandidateFiles) -> list[tuple[int, bytes]]:
    """Height and the one paid script of every block."""
    found = []
    for rows in files.rows():
        scripts: list[bytes] = []
        for height, new, numbers in rows.select("height", "new_scripts", "output_script").iter_rows():
            scripts += new
            found.append((height, scripts[numbers[0]]))
    return found


def expected(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(height, bytes.fromhex(SCRIPTS[height % 7])) for height in range(first, last + 1)]


def test_what_begins_is_empty_and_ends_with_the_block_before(tmp_path: Path) -> None:
    files = begun(tmp_path)
    assert (files.last(), files.files()) == ((START - 1, "ff"), [])
    assert files.start_set() == MinerSet(height=START - 1, block_hash="ff")
    assert CandidateFiles(tmp_path / "none", "regtest", renumbered).last() is None


def test_small_files_become_one_that_holds_the_same(tmp_path: Path) -> None:
    files = begun(tmp_path)
    for first in range(START, START + 1_200, 300):
        files.append(rows_of(first, first + 299))
    assert spans(files) == [(START, START + 1_199)]
    files.append(rows_of(START + 1_200, START + 1_200))
    assert spans(files) == [(START, START + 1_199), (START + 1_200, START + 1_200)]
    assert paid(files) == expected(START, START + 1_200)
    assert len(list(files.folder.glob("*.parquet"))) == 2
    assert files.last() == (START + 1_200, f"{START + 1_201:064x}")
    assert {path.stat().st_mode & 0o077 for path in files.folder.iterdir()} <= {0, 0o044}


@pytest.mark.parametrize("at", [START - 1, START, 150, 199, 200, 350, 499, 600])
def test_a_cut_keeps_what_is_below(tmp_path: Path, at: int) -> None:
    files = begun(tmp_path)
    for first in range(START, 500, 100):
        files.append(rows_of(first, first + 99))
    files.cut(at)
    last = min(at, 499)
    assert paid(files) == expected(START, last)
    files.append(rows_of(last + 1, last + 10))
    assert paid(files) == expected(START, last + 10)


def test_blocks_that_are_not_the_next_ones_are_refused(tmp_path: Path) -> None:
    files = begun(tmp_path)
    for first in (START - 1, START + 1):
        with pytest.raises(WarehouseError, match="expected the next one"):
            files.append(rows_of(first, first))


def test_of_two_files_that_a_kill_has_left_the_longer_counts(tmp_path: Path) -> None:
    files, other = begun(tmp_path), begun(tmp_path / "other")
    for first in (START, START + 10):
        files.append(rows_of(first, first + 9))
    other.append(rows_of(START, START + 19))
    (file,) = other.files()
    file.path.rename(files.folder / file.path.name)
    assert spans(files) == [(START, START + 19)]
    files.append(rows_of(START + 20, START + 20))
    assert paid(files) == expected(START, START + 20)
    assert len(list(files.folder.glob("*.parquet"))) == 2


def test_a_file_that_changed_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    files = begun(tmp_path)
    files.append(rows_of(START, START + 9))
    (file,) = files.files()
    file.path.write_bytes(file.path.read_bytes()[:-1] + b"x")
    with pytest.raises(WarehouseError, match=f"expected the candidates of blocks {START} to {START + 9}"):
        list(files.rows())


def test_a_folder_that_cannot_be_written_is_an_error_and_keeps_the_old_files(tmp_path: Path) -> None:
    files = begun(tmp_path)
    files.append(rows_of(START, START + 9))
    aside = files.folder.rename(tmp_path / "aside")
    with pytest.raises(WarehouseError):
        files.append(rows_of(START + 10, START + 19))
    aside.rename(files.folder)
    assert paid(files) == expected(START, START + 9)


def test_a_walk_goes_on_where_candidates_end_or_begins_anew(tmp_path: Path) -> None:
    files = begun(tmp_path)
    kept = KeptCandidates(files)

    def walk(first: int, last: int) -> None:
        for height in range(first, last + 1):
            kept.keeper.start_block(block_of(height), "antpool")
        kept.collect()
        kept.write()

    walk(START, 150)
    walk(151, 160)
    kept.resume(MinerSet(height=140, block_hash=f"{141:064x}"), "ab")
    assert paid(files) == expected(START, 140)
    walk(141, 145)
    assert paid(files) == expected(START, 145)
    other_branch = MinerSet(height=145, block_hash="ee")
    kept.resume(other_branch, "cd")
    assert (files.last(), spans(files)) == ((145, "ee"), [])
    start = files.start()
    assert start is not None
    assert (start.first, start.label_set) == (146, "cd")


def test_a_long_walk_writes_whole_files_before_it_ends(tmp_path: Path) -> None:
    files = begun(tmp_path)
    kept = KeptCandidates(files)
    for height in range(START, START + BLOCKS_A_FILE + 10):
        kept.keeper.start_block(block_of(height), "antpool")
        if height % 144 == 0:
            kept.collect()
    assert spans(files) == []
    kept.collect()
    assert spans(files) == [(START, START + BLOCKS_A_FILE + 9)]
