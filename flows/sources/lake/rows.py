"""Rows of the copies: headers of blocks, and transactions in their order, with amounts in satoshi."""

from collections.abc import Iterator, Sequence
from os import SEEK_END
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from flows.sources.lake.footer import END_BYTES, footer_bytes, rows_of_groups
from schemas.errors import BadInputError
from schemas.units import SAT_PER_BTC
from transforms.attribution.address_scripts import scripts_of

HEADERS: Final = pl.Schema(
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
_NAMES: Final = {
    "height": "number",
    "previous_hash": "previousblockhash",
    "time": "timestamp",
    "coinbase_script": "coinbase_param",
    "transactions_count": "transaction_count",
}
"""What the lake calls them, where that is another name."""
COINS: Final[pl.DataType] = pl.List(pl.Struct({"address": pl.String, "value": pl.Float64}))
TRANSACTIONS: Final[dict[str, Any]] = {
    "block_number": pl.Int64,
    "block_hash": pl.String,
    "index": pl.Int64,
    "txid": pl.String,
    "hash": pl.String,
    "is_coinbase": pl.Boolean,
    "inputs": COINS,
    "outputs": COINS,
}
FIRST_SEGWIT_HEIGHT: Final = 481_824
ROWS_AT_ONCE: Final = 32_768
"""Most rows that are decoded at once: half of a row group of the public lake."""
_AS_STORED: Final = pl.ScanCastOptions(missing_struct_fields="insert", extra_struct_fields="ignore")


def headers(paths: Sequence[Path]) -> pl.DataFrame:
    """Blocks of the copies `paths`, each once, by height. Shape: `HEADERS`. Raises `BadInputError` for other files."""
    rows = pl.concat(_collected(path, _headers(path)) for path in paths)
    return rows.unique(maintain_order=True).sort("height", "hash")


def _headers(path: Path) -> pl.LazyFrame:
    stored = pl.scan_parquet(path)
    seconds = {name: pl.col(name).dt.epoch("s") for name in ("timestamp", "mediantime")}
    return stored.with_columns(**seconds).select(
        pl.col(_NAMES.get(name, name)).cast(dtype).alias(name) for name, dtype in HEADERS.items()
    )


def transactions(path: Path) -> Iterator[pl.DataFrame]:
    """Transactions of a copy in the order of the file, a row group at a time, or a part of one that is large.

    Shape: `TRANSACTIONS` without `hash`. Columns that a file does not have are NULL: those of 2009 have no inputs, as
    there were only coinbases. Raises `BadInputError` for another file.
    """
    # Fields of structures are in the order of the writer, and one that is NULL in the whole file may be missing.
    rows = pl.scan_parquet(
        path, schema=TRANSACTIONS, missing_columns="insert", extra_columns="ignore", cast_options=_AS_STORED
    )
    # `hash` is the id with the witness, which no transaction had before.
    is_before_segwit = pl.col("block_number") < FIRST_SEGWIT_HEIGHT
    txid = pl.coalesce("txid", pl.when(is_before_segwit).then("hash"))
    start = 0
    for count in _row_counts(path):
        for first in range(start, start + count, ROWS_AT_ONCE):
            part = rows.slice(first, min(ROWS_AT_ONCE, start + count - first))
            yield _collected(path, part.with_columns(txid.alias("txid")).drop("hash"))
        start += count


def in_order(frames: Sequence[pl.DataFrame], *, may_repeat: bool) -> pl.DataFrame:
    """Rows of `transactions` by height, block hash and index; where they `may_repeat`, the first of each counts."""
    found = pl.concat(frames) if frames else pl.DataFrame(schema=TRANSACTIONS).drop("hash")
    if may_repeat:
        found = found.unique(["block_hash", "index"], keep="first", maintain_order=True)
    return found.sort("block_number", "block_hash", "index")


def _row_counts(path: Path) -> list[int]:
    """Rows of each row group of a copy. Raises `BadInputError` for another file."""
    try:
        with path.open("rb") as file:
            file.seek(-END_BYTES, SEEK_END)
            size = footer_bytes(file.read())
            file.seek(-END_BYTES - size, SEEK_END)
            return rows_of_groups(file.read(size))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _collected(path: Path, frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, found: str) -> BadInputError:
    return BadInputError(
        str(path), found.splitlines()[0][:160], "a copy of the lake's columns", "remove it and run again"
    )


class Coins:
    """Inputs or outputs of transactions, one after another: how many each has, their scripts, their satoshi.

    `counts` by transaction; `ends`: where those of each transaction end.
    """

    def __init__(self, column: pl.Series) -> None:
        """Raises `ValueError` for an amount that is missing or that no coin can have."""
        self.counts = column.list.len().fill_null(0).to_numpy().astype(np.int64)
        self.ends = np.cumsum(self.counts)
        each = column.filter(pl.Series(self.counts > 0)).explode().struct.unnest()
        self.scripts = scripts_of(each["address"])
        # A double is the nearest to its amount, so that rounding gives back each satoshi, and truncation does not.
        self.sat = (each["value"] * SAT_PER_BTC).round().to_numpy()
        if len(self.sat) and not (self.sat >= 0).all():
            raise ValueError("an amount that is missing or below zero")
        self.sat = self.sat.astype(np.int64)

    def span(self, first: int, last: int) -> slice:
        """Where those of the transactions `first` up to, and without, `last` are."""
        start = int(self.ends[first - 1]) if first else 0
        return slice(start, int(self.ends[last - 1]) if last else 0)
