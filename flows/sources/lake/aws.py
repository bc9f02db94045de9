"""The layout of the AWS public blockchain data: a file of each table a day, amounts in bitcoin, blocks with links."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from flows.sources.lake.bucket import LakeFile
from flows.sources.lake.footer import Column
from flows.sources.lake.kind import LAYOUT_SETTING
from flows.sources.lake.layout import BLOCKS, HEADER_ROWS, TRANSACTION_ROWS, TRANSACTIONS, of_coins, plain
from schemas.errors import SettingsError
from schemas.units import SAT_PER_BTC

COLUMNS: Final = {
    BLOCKS: plain(
        *("hash", "number", "previousblockhash", "timestamp", "mediantime", "difficulty", "coinbase_param"),
        "transaction_count",
    ),
    TRANSACTIONS: plain("txid", "block_hash", "block_number", "index", "is_coinbase")
    | of_coins("inputs", "address", "value")
    | of_coins("outputs", "address", "value"),
}
"""What is copied of each table, as far as a file has it."""
MOST_SMALL_FILES: Final = 12
"""Beside the file of a day. More of them are there while the producer replaces them by that file."""
FIRST_SEGWIT_HEIGHT: Final = 481_824
_TXID: Final = ("txid", "txid")
_WITNESS_TXID: Final = plain("hash")
_SEVERAL_ADDRESSES: Final = ("outputs", "addresses")
_SMALL: Final = re.compile(r"\d+(\.snappy)?\.parquet")
_EXPORTED: Final = re.compile(r".*\d{12}\.parquet")
_NAMES: Final = {
    "height": "number",
    "previous_hash": "previousblockhash",
    "time": "timestamp",
    "coinbase_script": "coinbase_param",
    "transactions_count": "transaction_count",
}
"""What the lake calls them, where that is another name."""
_COINS: Final[pl.DataType] = pl.List(pl.Struct({"address": pl.String, "value": pl.Float64}))
_STORED: Final[dict[str, Any]] = TRANSACTION_ROWS | {"hash": pl.String, "inputs": _COINS, "outputs": _COINS}
_AS_STORED: Final = pl.ScanCastOptions(missing_struct_fields="insert", extra_struct_fields="ignore")


class AwsLayout:
    """Reads it."""

    name = "aws"
    most_requests_a_day = 250

    def of_day(self, files: Sequence[LakeFile], table: str) -> tuple[LakeFile, ...]:
        """The file of the whole day, then blocks that came late."""
        exported = next((file.key for file in files if _EXPORTED.fullmatch(file.name)), None)
        if exported is not None:
            raise SettingsError(
                LAYOUT_SETTING, self.name, f"bigquery for {exported}, which is named as its exports are", "set it so"
            )
        whole = [file for file in files if file.name.startswith("part-")]
        late = [file for file in files if _SMALL.fullmatch(file.name)]
        if len(whole) != 1:
            raise ValueError(f"{len(whole)} files of the whole day in {table}")
        if len(late) > MOST_SMALL_FILES:
            raise ValueError(f"{len(late)} files of single blocks beside that of the day in {table}")
        return (*whole, *late)

    def columns(self, table: str, found: frozenset[Column]) -> frozenset[Column]:
        """Any of them may be absent; the id with the witness only where the file has no other."""
        if _SEVERAL_ADDRESSES in found:
            raise ValueError("column outputs.addresses, which files of BigQuery have")
        wanted = COLUMNS[table]
        return wanted | _WITNESS_TXID if table == TRANSACTIONS and _TXID not in found else wanted

    def headers(self, path: Path) -> pl.LazyFrame:
        """As they are stored, times as seconds."""
        seconds = {name: pl.col(name).dt.epoch("s") for name in ("timestamp", "mediantime")}
        return (
            pl.scan_parquet(path)
            .with_columns(**seconds)
            .select(pl.col(_NAMES.get(name, name)).cast(dtype).alias(name) for name, dtype in HEADER_ROWS.items())
        )

    def chained(self, headers: pl.DataFrame) -> pl.DataFrame:
        """Each block states the one before."""
        return headers

    def stored(self, path: Path) -> pl.LazyFrame:
        """Columns that a file does not have are NULL: those of 2009 have no inputs, as there were only coinbases."""
        # Fields of structures are in the order of the writer, and one that is NULL in the whole file may be missing.
        return pl.scan_parquet(
            path, schema=_STORED, missing_columns="insert", extra_columns="ignore", cast_options=_AS_STORED
        )

    def transactions(self, stored: pl.DataFrame) -> pl.DataFrame:
        """With the id without the witness."""
        # `hash` is the id with the witness, which no transaction had before.
        is_before_segwit = pl.col("block_number") < FIRST_SEGWIT_HEIGHT
        txid = pl.coalesce("txid", pl.when(is_before_segwit).then("hash"))
        # A double is the nearest to its amount, so that rounding gives back each satoshi, and truncation does not.
        sat = (pl.element().struct.field("value") * SAT_PER_BTC).round().cast(pl.Int64, strict=False)
        coin = pl.struct(pl.element().struct.field("address"), sat.alias("sat"))
        return stored.with_columns(
            txid.alias("txid"), inputs=pl.col("inputs").list.eval(coin), outputs=pl.col("outputs").list.eval(coin)
        ).drop("hash")

    def in_order(self, found: pl.DataFrame) -> pl.DataFrame:
        """Each states its place. A block that came late may be in the file of the day too."""
        once = found.unique(["block_hash", "index"], keep="first", maintain_order=True)
        return once.sort("block_number", "block_hash", "index")


AWS: Final = AwsLayout()
