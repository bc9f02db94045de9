"""Shards of coinbases on disk: one Parquet file each, named by chain, heights and digest, whole or not there.

A file whose digest differs from its name is removed; it is read from the node again.
"""

import re
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from schemas.coinbase_shard import COINBASE_SHARD
from schemas.enforce import enforce
from schemas.errors import WarehouseError
from warehouse.atomic_files import sha256_of, write_whole

DIGEST_CHARACTERS: Final = 16
_NAME: Final = re.compile(rf"[a-z0-9]+-\d{{9}}-\d{{9}}-(?P<digest>[0-9a-f]{{{DIGEST_CHARACTERS}}})\.parquet")


class CoinbaseShards:
    """The folder of the shards of one chain."""

    def __init__(self, folder: Path, chain: str) -> None:
        self._folder, self._chain = folder, chain

    def find(self, first: int, last: int) -> Path | None:
        """The file of the blocks from height `first` to `last`; None where there is none that is whole."""
        for path in self._folder.glob(f"{self._stem(first, last)}-*.parquet"):
            name = _NAME.fullmatch(path.name)
            if name and sha256_of(path)[:DIGEST_CHARACTERS] == name["digest"]:
                return path
            path.unlink(missing_ok=True)
        return None

    def save(self, rows: pl.DataFrame) -> Path:
        """Write `rows` of `COINBASE_SHARD` in one step. Raises `WarehouseError` when it cannot be written."""
        enforce(rows, COINBASE_SHARD)
        stem = self._stem(rows["height"][0], rows["height"][-1])
        buffer = BytesIO()
        rows.write_parquet(buffer)
        content = buffer.getvalue()
        path = self._folder / f"{stem}-{sha256(content).hexdigest()[:DIGEST_CHARACTERS]}.parquet"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A worker that was taken for dead may write the same at the same time.
            write_whole(path, content, shared=True)
        except OSError as error:
            raise WarehouseError(
                f"{path}: {error.strerror or error}, expected room for {rows.height} blocks; free space and run again"
            ) from error
        return path

    def load(self, path: Path) -> pl.DataFrame:
        """The rows that were saved at `path`. Raises `WarehouseError` where they cannot be read any more."""
        try:
            rows = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise WarehouseError(f"{path}: {error}, expected blocks read before; remove it and run again") from error
        return enforce(rows, COINBASE_SHARD)

    def drop(self, path: Path) -> None:
        """Remove a shard whose blocks are no longer on the chain."""
        path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what killed processes left half-written; for when nobody else reads shards."""
        for draft in self._folder.glob(".*.next"):
            draft.unlink(missing_ok=True)

    def _stem(self, first: int, last: int) -> str:
        return f"{self._chain}-{first:09d}-{last:09d}"
