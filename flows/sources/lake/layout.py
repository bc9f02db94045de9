"""What differs between lakes of the same shape: how their files are named, which columns they have, what these mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from flows.sources.lake.bucket import LakeFile
from flows.sources.lake.footer import Column

BLOCKS: Final = "blocks"
TRANSACTIONS: Final = "transactions"
HEADER_ROWS: Final = pl.Schema(
    {
        "height": pl.Int64,
        "hash": pl.String,
        "previous_hash": pl.String,
        "time": pl.Int64,
        "mediantime": pl.Int64,
        "difficulty": pl.Float64,
        "coinbase_script": pl.String,
        "transactions_count": pl.Int64,
    }
)
"""Times are Unix seconds."""
COINS: Final[pl.DataType] = pl.List(pl.Struct({"address": pl.String, "sat": pl.Int64}))
TRANSACTION_ROWS: Final[dict[str, Any]] = {
    "block_number": pl.Int64,
    "block_hash": pl.String,
    "index": pl.Int64,
    "txid": pl.String,
    "is_coinbase": pl.Boolean,
    "inputs": COINS,
    "outputs": COINS,
}
"""`index`: place in the block. An address is NULL where a coin has none, an amount where the file has none."""


class Layout(Protocol):
    """One layout. Its frames of a table may have any columns until `chained` and `in_order` bring them to one shape."""

    name: str
    most_requests_a_day: int
    """Retries included."""

    def of_day(self, files: Sequence[LakeFile], table: str) -> tuple[LakeFile, ...]:
        """The files of a day to read, of all that are there, in their order.

        Raises `ValueError` where they are not whole yet, `SettingsError` where they are named as those of another
        layout.
        """
        ...

    def columns(self, table: str, found: frozenset[Column]) -> frozenset[Column]:
        """What to copy of a file that has the columns `found`. Raises `ValueError` for a file of another layout."""
        ...

    def headers(self, path: Path) -> pl.LazyFrame:
        """Blocks of a copy."""
        ...

    def chained(self, headers: pl.DataFrame) -> pl.DataFrame:
        """All blocks of `headers` with the hashes of those before them. Shape: `HEADER_ROWS`, `file_day`."""
        ...

    def stored(self, path: Path) -> pl.LazyFrame:
        """Transactions of a copy as they are stored."""
        ...

    def transactions(self, stored: pl.DataFrame) -> pl.DataFrame:
        """Rows of `stored` with whole satoshi. Raises `ValueError` for columns that mean something else."""
        ...

    def in_order(self, found: pl.DataFrame) -> pl.DataFrame:
        """Rows of `transactions` by height, block hash and place, of those that are there twice the first.

        Shape: `TRANSACTION_ROWS`.
        """
        ...


def plain(*names: str) -> frozenset[Column]:
    """Columns without a structure."""
    return frozenset((name, name) for name in names)


def of_coins(side: str, *leaves: str) -> frozenset[Column]:
    """Fields of inputs or outputs."""
    return frozenset((side, leaf) for leaf in leaves)
