"""Candidates on disk: what of each attributed block could count under other labels, and the miner set they begin with.

A file of blocks is named by chain, heights and digest, whole or not there. The blocks of all files follow each other
without a gap from the start on, a miner set of the block before the first. Where a kill has left two files of one
height, the longer one counts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from schemas.candidate_block import CANDIDATE_BLOCK
from schemas.enforce import enforce
from schemas.errors import WarehouseError
from schemas.miner_set import MinerSet
from warehouse.atomic_files import write_whole
from warehouse.miner_set import load_miner_set, miner_set_block, save_miner_set

BLOCKS_A_FILE: Final = 1_008
DIGEST_CHARACTERS: Final = 16
COMPRESSION_LEVEL: Final = 3
_FILE: Final = re.compile(
    rf"[a-z0-9]+-(?P<first>\d{{9}})-(?P<last>\d{{9}})-(?P<digest>[0-9a-f]{{{DIGEST_CHARACTERS}}})\.parquet"
)
_START: Final = re.compile(r"[a-z0-9]+-(?P<first>\d{9})-(?P<label_set>[0-9a-f]+)\.start")


class File(NamedTuple):
    """Blocks `first` to `last`, and the digest that the name holds."""

    first: int
    last: int
    digest: str
    path: Path


class Start(NamedTuple):
    """The miner set before block `first`, and the version of the labels that it was made with."""

    first: int
    label_set: str
    path: Path


class CandidateFiles:
    """The folder of the candidates of one chain. `join` makes one file's rows of those of several."""

    def __init__(self, folder: Path, chain: str, join: Callable[[Sequence[pl.DataFrame]], pl.DataFrame]) -> None:
        self._folder, self._chain, self._join = folder, chain, join

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def start(self) -> Start | None:
        """What the candidates begin with; None where there are none."""
        found = [
            Start(int(name["first"]), name["label_set"], path)
            for path in self._folder.glob(f"{self._chain}-*.start")
            if (name := _START.fullmatch(path.name))
        ]
        return max(found, default=None)

    def start_set(self) -> MinerSet:
        """The miner set of `start`, to be changed by the caller. Raises `WarehouseError` where it cannot be read."""
        start = self.start()
        if start is None:
            raise WarehouseError(f"{self._folder}: found no candidates, expected those of a run over the blocks")
        return load_miner_set(start.path)

    def last(self) -> tuple[int, str] | None:
        """Height and hash of the newest block of the candidates, of the start where there is none yet, or None.

        The height of a start before the first block of a chain is -1.
        """
        start = self.start()
        if start is None:
            return None
        files = self.files()
        if not files:
            _, block_hash = miner_set_block(start.path)
            return start.first - 1, block_hash
        return files[-1].last, self._rows(files[-1])["block_hash"][-1].hex()

    def files(self) -> list[File]:
        """The files whose blocks follow each other from the start on."""
        start, found = self.start(), dict[int, File]()
        for path in self._folder.glob(f"{self._chain}-*.parquet"):
            if name := _FILE.fullmatch(path.name):
                file = File(int(name["first"]), int(name["last"]), name["digest"], path)
                found[file.first] = max(file, found.get(file.first, file))
        files, height = list[File](), start.first if start else 0
        while height in found:
            files.append(found[height])
            height = files[-1].last + 1
        return files

    def begin(self, miners: MinerSet, label_set: str) -> None:
        """Remove all candidates; the next block after `miners`, made with `label_set`, is their first."""
        first = 0 if miners.height is None else miners.height + 1
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (*self._folder.glob("*.start"), *self._folder.glob("*.parquet")):
            path.unlink(missing_ok=True)
        save_miner_set(self._folder / f"{self._chain}-{first:09d}-{label_set}.start", miners)

    def cut(self, height: int) -> None:
        """Remove the blocks above `height`, which are of another branch or will be read again."""
        for file in reversed(self.files()):
            if file.last <= height:
                break
            if file.first <= height:
                self._save(self._rows(file).head(height + 1 - file.first))
            file.path.unlink(missing_ok=True)

    def append(self, rows: pl.DataFrame) -> None:
        """Store `rows` of `CANDIDATE_BLOCK`, the next blocks; small files are joined once they are a whole one.

        Raises `WarehouseError` where they are not the next ones, or cannot be written.
        """
        files, last = self.files(), self.last()
        if last is None or rows["height"][0] != last[0] + 1:
            raise WarehouseError(
                f"{self._folder}: found block {rows['height'][0]:,} after {last}, expected the next one; remove the "
                "folder, so that candidates are kept from the next run on"
            )
        self._save(rows)
        small: list[File] = []
        for file in reversed(files):
            if file.last + 1 - file.first >= BLOCKS_A_FILE:
                break
            small.insert(0, file)
        if small and rows["height"][-1] + 1 - small[0].first >= BLOCKS_A_FILE:
            self._save(self._join([*map(self._rows, small), rows]))
        # What another file holds too: small ones that were joined, or what a kill has left.
        kept = {file.path for file in self.files()}
        for path in self._folder.glob(f"{self._chain}-*.parquet"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def rows(self) -> Iterator[pl.DataFrame]:
        """The blocks of each file, in order. Raises `WarehouseError` for one that is damaged."""
        for file in self.files():
            yield self._rows(file)

    def size_bytes(self) -> int:
        """Of the files of blocks."""
        return sum(file.path.stat().st_size for file in self.files())

    def _rows(self, file: File) -> pl.DataFrame:
        try:
            content = file.path.read_bytes()
            found = sha256(content).hexdigest()[:DIGEST_CHARACTERS]
            rows = pl.read_parquet(BytesIO(content)) if found == file.digest else None
        except (OSError, pl.exceptions.PolarsError) as error:
            raise self._damaged(file, str(error)) from error
        if rows is None:
            raise self._damaged(file, f"a file of digest {found}")
        return enforce(rows, CANDIDATE_BLOCK)

    def _damaged(self, file: File, found: str) -> WarehouseError:
        return WarehouseError(
            f"{file.path}: found {found}, expected the candidates of blocks {file.first:,} to {file.last:,} as they "
            f"were written; restore a backup, or remove {self._folder}, so that they are kept from the next block on"
        )

    def _save(self, rows: pl.DataFrame) -> None:
        enforce(rows, CANDIDATE_BLOCK)
        buffer = BytesIO()
        rows.write_parquet(buffer, compression="zstd", compression_level=COMPRESSION_LEVEL)
        content = buffer.getvalue()
        heights = f"{rows['height'][0]:09d}-{rows['height'][-1]:09d}"
        digest = sha256(content).hexdigest()[:DIGEST_CHARACTERS]
        path = self._folder / f"{self._chain}-{heights}-{digest}.parquet"
        try:
            write_whole(path, content)
        except OSError as error:
            raise WarehouseError(
                f"{path}: {error.strerror or error}, expected room for {len(content):,} bytes; free space and run again"
            ) from error
