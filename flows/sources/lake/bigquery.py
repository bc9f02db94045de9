"""The layout of days that were exported from BigQuery's `bigquery-public-data.crypto_bitcoin`.

Source: github.com/blockchain-etl/bitcoin-etl-airflow, dags/resources/stages/enrich/schemas. Against that of AWS:

- Amounts are whole satoshi in a decimal. `hash` is the id without the witness.
- A coin has a list of addresses: none, one, or one for each key of a bare multisig. P2PK is stated with the address of
  P2PKH of its key. Attribution compares scripts, and the scripts of both are others, so that neither has an address
  here; identifiers `nonstandard...` stand for scripts that have none.
- Nothing states the place of a transaction in its block. Each is put behind those of its block that it spends from,
  else by id. Nothing of the 0-hop layer depends on it. In the 1-hop layer a script counts from the transaction on that
  pays it, and for the pool that paid it last: where one block pays a script and spends other coins of it, or where two
  pools pay it in one block, a node, which has the order, may count or name another.
- Blocks name no block before them. Their other fields are those of a header, so that it is found by hashing: a block
  follows the one that gives its header its hash. Difficulty follows from `bits`.
"""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import polars as pl

from flows.sources.hosted_blocks.block import header_hash
from flows.sources.lake.bucket import LakeFile
from flows.sources.lake.footer import Column
from flows.sources.lake.layout import BLOCKS, HEADER_ROWS, TRANSACTION_ROWS, TRANSACTIONS, of_coins, plain
from transforms.chain import decode_compact, difficulty

COLUMNS: Final = {
    BLOCKS: plain("hash", "number", "timestamp", "coinbase_param", "transaction_count")
    | plain("version", "merkle_root", "nonce", "bits"),
    TRANSACTIONS: plain("hash", "block_hash", "block_number", "is_coinbase")
    | of_coins("inputs", "spent_transaction_hash", "addresses", "type", "value")
    | of_coins("outputs", "addresses", "type", "value"),
}
"""What is copied of each table; every file has all of them."""
TYPES_WITHOUT_ADDRESS: Final = ("pubkey", "multisig")
_HEXADECIMAL: Final = 16
_NO_BLOCK: Final = ""
"""Hash of the block before where no block of the lake is it."""


class BigQueryLayout:
    """Reads it."""

    name = "bigquery"
    most_requests_a_day = 2_500

    def of_day(self, files: Sequence[LakeFile], table: str) -> tuple[LakeFile, ...]:
        """All of them: an export writes as many as it likes."""
        if not files:
            raise ValueError(f"no file in {table}")
        return tuple(files)

    def columns(self, table: str, found: frozenset[Column]) -> frozenset[Column]:
        """All of them."""
        missing = [f"{first}.{last}" if first != last else first for first, last in sorted(COLUMNS[table] - found)]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        return COLUMNS[table]

    def headers(self, path: Path) -> pl.LazyFrame:
        """With the fields of headers, numbers in hexadecimal as they are."""
        stored = pl.scan_parquet(path)
        return stored.select(
            height=pl.col("number").cast(pl.Int64),
            hash=pl.col("hash"),
            time=pl.col("timestamp").dt.epoch("s"),
            coinbase_script=pl.col("coinbase_param"),
            transactions_count=pl.col("transaction_count").cast(pl.Int64),
            version=pl.col("version").cast(pl.Int64),
            merkle_root=pl.col("merkle_root"),
            # The table has a text in hexadecimal, its published schema an integer.
            nonce=pl.col("nonce").cast(pl.String)
            if stored.collect_schema()["nonce"] == pl.String
            else pl.col("nonce").cast(pl.Int64).map_elements(lambda nonce: f"{nonce:x}", pl.String),
            bits=pl.col("bits"),
        )

    def chained(self, headers: pl.DataFrame) -> pl.DataFrame:
        """Found by hashing. What cannot be a header is no block: its height is then missing."""
        hashes: dict[int, list[str]] = {}
        for height, own in headers.select("height", "hash").iter_rows():
            hashes.setdefault(height, []).append(own)
        before = [_before(header, hashes.get(header["height"] - 1, ())) for header in headers.iter_rows(named=True)]
        found = headers.with_columns(
            pl.Series("previous_hash", [previous for previous, _ in before], pl.String),
            pl.Series("difficulty", [hardness for _, hardness in before], pl.Float64),
            # Nobody reads it of a block of a lake.
            mediantime="time",
        )
        return found.drop_nulls("difficulty").select(*HEADER_ROWS, "file_day")

    def stored(self, path: Path) -> pl.LazyFrame:
        """As they are."""
        return pl.scan_parquet(path)

    def transactions(self, stored: pl.DataFrame) -> pl.DataFrame:
        """Without a place; `spent`: what they spend from."""
        for side in ("inputs", "outputs"):
            _check_amounts(side, stored[side])
        has_address = ~pl.element().struct.field("type").is_in(TYPES_WITHOUT_ADDRESS)
        addresses = pl.element().struct.field("addresses")
        address = pl.when(has_address & (addresses.list.len() == 1)).then(addresses.list.first())
        coin = pl.struct(
            address.alias("address"), pl.element().struct.field("value").cast(pl.Int64, strict=False).alias("sat")
        )
        return stored.select(
            "block_number",
            "block_hash",
            pl.col("hash").alias("txid"),
            "is_coinbase",
            pl.col("inputs").list.eval(coin),
            pl.col("outputs").list.eval(coin),
            pl.col("inputs").list.eval(pl.element().struct.field("spent_transaction_hash")).alias("spent"),
        )

    def in_order(self, found: pl.DataFrame) -> pl.DataFrame:
        """Behind those of the block that they spend from, else by id, of which a block has each once."""
        found = found.unique(["block_hash", "txid"], keep="first", maintain_order=True)
        depths = _depths(found)
        ordered = found.sort(
            "block_number",
            "block_hash",
            ~pl.col("is_coinbase").fill_null(False),
            pl.col("txid").replace_strict(depths, default=0, return_dtype=pl.Int64),
            "txid",
        )
        return ordered.with_columns(index=pl.int_range(pl.len()).over("block_hash")).select(*TRANSACTION_ROWS)


def _before(header: Mapping[str, Any], hashes: Sequence[str]) -> tuple[str | None, float | None]:
    """Which of `hashes` is that of the block before, and the difficulty of the header; None for both if it is none."""
    try:
        bits, nonce = int(header["bits"], _HEXADECIMAL), int(header["nonce"], _HEXADECIMAL)
        fields = (header["merkle_root"], header["time"], bits, nonce)
        own, hardness = header["hash"], difficulty(decode_compact(bits))
        found = (each for each in hashes if header_hash(header["version"], each, *fields) == own)
        return (next(found, _NO_BLOCK) if header["height"] else None), hardness
    except (TypeError, ValueError, ZeroDivisionError):
        return None, None


def _check_amounts(side: str, coins: pl.Series) -> None:
    """Raise `ValueError` for amounts that are no whole numbers in a type that holds them exactly."""
    values = coins.explode().struct.field("value")
    if not (values.dtype.is_integer() or values.dtype.is_decimal()):
        raise ValueError(f"{side}.value of type {values.dtype}, which is no NUMERIC")
    if values.dtype.is_decimal():
        parts = values.filter(values != values.cast(pl.Int64, strict=False).cast(values.dtype, strict=False))
        if len(parts):
            raise ValueError(f"{side}.value of {parts[0]} satoshi, which is not whole")


def _depths(found: pl.DataFrame) -> dict[str, int]:
    """How many transactions of the same block are in a row before each that spends from one. Raises `ValueError`."""
    spends = (
        found.select("block_hash", "txid", "spent")
        .explode("spent")
        .join(found.select("block_hash", spent="txid"), on=["block_hash", "spent"], how="semi")
    )
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for txid, spent in spends.select("txid", "spent").iter_rows():
        sorter.add(txid, spent)
    sorter.prepare()
    depths: dict[str, int] = {}
    depth = 0
    while ready := sorter.get_ready():
        depths |= dict.fromkeys(ready, depth)
        sorter.done(*ready)
        depth += 1
    return depths


BIGQUERY: Final = BigQueryLayout()
