"""Writes blocks, as a node states them at verbosity 3, in the layout of the public block lake, with all its traps.

Written with pyarrow from the description of the lake and the recorded footers of its files, and not from what reads
them: structures with their fields in alphabetical order, doubles for amounts, INT96 for times, a NULL list of inputs
for a coinbase, NULL for what has no address, `hash` with the witness, days by the header's time, rows in any order.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.sources.lake.compact import Reader, written

Block = Mapping[str, Any]

_INT96 = pa.timestamp("ns")
_OUTPUT = pa.struct(
    [
        *(("address", pa.string()), ("index", pa.int64()), ("required_signatures", pa.int64())),
        *(("script_asm", pa.string()), ("script_hex", pa.string()), ("type", pa.string()), ("value", pa.float64())),
    ]
)
_INPUT = pa.struct(
    [
        *(("address", pa.string()), ("index", pa.int64()), ("required_signatures", pa.int64())),
        *(("script_asm", pa.string()), ("script_hex", pa.string()), ("sequence", pa.int64())),
        *(("spent_output_index", pa.int64()), ("spent_transaction_hash", pa.string())),
        *(("txinwitness", pa.list_(pa.string())), ("type", pa.string()), ("value", pa.float64())),
    ]
)
TRANSACTIONS = pa.schema(
    [
        *(("txid", pa.string()), ("hash", pa.string()), ("version", pa.int64()), ("size", pa.int64())),
        *(("block_hash", pa.string()), ("block_number", pa.int64()), ("index", pa.int64())),
        *(("virtual_size", pa.int64()), ("lock_time", pa.int64()), ("input_count", pa.int64())),
        *(("output_count", pa.int64()), ("is_coinbase", pa.bool_()), ("output_value", pa.float64())),
        *(("outputs", pa.list_(_OUTPUT)), ("block_timestamp", _INT96), ("date", pa.string())),
        *(("last_modified", _INT96), ("fee", pa.float64()), ("input_value", pa.float64())),
        ("inputs", pa.list_(_INPUT)),
    ]
)
BLOCKS = pa.schema(
    [
        *(("hash", pa.string()), ("size", pa.int64()), ("stripped_size", pa.int64()), ("weight", pa.int64())),
        *(("number", pa.int64()), ("version", pa.int64()), ("merkle_root", pa.string()), ("timestamp", _INT96)),
        *(("nonce", pa.int64()), ("bits", pa.string()), ("coinbase_param", pa.string())),
        *(("transaction_count", pa.int64()), ("mediantime", _INT96), ("difficulty", pa.float64())),
        *(("chainwork", pa.string()), ("previousblockhash", pa.string()), ("date", pa.string())),
        ("last_modified", _INT96),
    ]
)
REWRITTEN_AT = datetime(2026, 2, 18, 16, 30, tzinfo=UTC).replace(tzinfo=None)
_DICTIONARY_PAGE_OFFSET = 11


def day_of(block: Block) -> date:
    return datetime.fromtimestamp(block["time"], UTC).date()


def lake_files(blocks: Iterable[Block], **options: Any) -> dict[str, bytes]:
    """By key the files of the days of `blocks`, one of each table a day; `options` as in `day_files`."""
    by_day: dict[date, list[Block]] = {}
    for block in blocks:
        by_day.setdefault(day_of(block), []).append(block)
    return {
        key: content for day, of_day in by_day.items() for key, content in day_files(day, of_day, **options).items()
    }


def day_files(
    day: date,
    blocks: Sequence[Block],
    *,
    name: str | None = None,
    without: Sequence[str] = (),
    rows_a_group: int = 400,
    seed: int | None = 1,
    ballast_bytes: int = 0,
) -> dict[str, bytes]:
    """The two files of a day. `name`: of both, by default that of a whole day; `without`: columns that are not there.

    `seed`: shuffles the rows, so that every row group has all heights; None keeps them in the order of the chain.
    `ballast_bytes`: at random in the scripts of each coin, which are most of a file and which nobody needs.
    """
    transactions = [row for block in blocks for row in transaction_rows(block)]
    ballast = random.Random(0)
    for coin in (coin for row in transactions for coin in (*row["outputs"], *(row["inputs"] or ()))):
        if ballast_bytes:
            coin["script_asm"] = ballast.randbytes(ballast_bytes).hex()
    if seed is not None:
        random.Random(seed).shuffle(transactions)
    unique = sha256(f"{day} {len(transactions)} {name}".encode()).hexdigest()
    of_day = name or f"part-00000-{unique[:8]}-{unique[8:12]}-c000.snappy.parquet"
    return {
        f"blocks/date={day}/{of_day}": parquet([block_row(block) for block in blocks], BLOCKS, (), rows_a_group),
        f"transactions/date={day}/{of_day}": parquet(transactions, TRANSACTIONS, without, rows_a_group),
    }


def parquet(rows: Sequence[Mapping[str, Any]], schema: pa.Schema, without: Sequence[str], rows_a_group: int) -> bytes:
    """As Spark writes it: snappy, INT96, no offset of dictionaries."""
    table = pa.Table.from_pylist(list(rows), schema=schema)
    return as_spark(table.drop_columns(list(without)), rows_a_group, data_page_size=64 * 1024)


def as_spark(table: pa.Table, rows_a_group: int, **options: Any) -> bytes:
    buffer = BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="snappy",
        use_deprecated_int96_timestamps=True,
        row_group_size=rows_a_group,
        **options,
    )
    content = buffer.getvalue()
    size = int.from_bytes(content[-8:-4], "little")
    file = Reader(content[-8 - size : -8]).struct()
    for group in file[4].value.values:
        for chunk in group[1].value.values:
            metadata = chunk[3].value
            if _DICTIONARY_PAGE_OFFSET in metadata:
                # `data_page_offset` then names the page of the dictionary.
                metadata[9].value = metadata.pop(_DICTIONARY_PAGE_OFFSET).value
    footer = written(file)
    return content[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def block_row(block: Block) -> dict[str, Any]:
    return {
        "hash": block["hash"],
        "size": block.get("size"),
        "stripped_size": block.get("strippedsize"),
        "weight": block.get("weight"),
        "number": block["height"],
        "version": block.get("version"),
        "merkle_root": block.get("merkleroot"),
        "timestamp": _naive(block["time"]),
        "nonce": block.get("nonce"),
        "bits": block.get("bits"),
        "coinbase_param": block["tx"][0]["vin"][0]["coinbase"],
        "transaction_count": len(block["tx"]),
        "mediantime": _naive(block["mediantime"]),
        "difficulty": float(block["difficulty"]),
        "chainwork": block.get("chainwork"),
        "previousblockhash": block.get("previousblockhash"),
        "date": str(day_of(block)),
        "last_modified": REWRITTEN_AT,
    }


def transaction_rows(block: Block) -> Iterable[dict[str, Any]]:
    for index, tx in enumerate(block["tx"]):
        is_coinbase = index == 0
        outputs = [_coin(each["n"], each["scriptPubKey"], each["value"]) for each in tx["vout"]]
        output_value = sum(each["value"] for each in outputs)
        fee = None if is_coinbase else float(tx["fee"])
        yield {
            "txid": tx["txid"],
            "hash": tx["hash"],
            "version": tx.get("version"),
            "size": tx.get("size"),
            "block_hash": block["hash"],
            "block_number": block["height"],
            "index": index,
            "virtual_size": tx.get("vsize"),
            "lock_time": tx.get("locktime"),
            "input_count": 0 if is_coinbase else len(tx["vin"]),
            "output_count": len(outputs),
            "is_coinbase": is_coinbase,
            "output_value": output_value,
            "outputs": outputs,
            "block_timestamp": _naive(block["time"]),
            "date": str(day_of(block)),
            "last_modified": REWRITTEN_AT,
            "fee": fee,
            "input_value": None if fee is None else output_value + fee,
            "inputs": None if is_coinbase else [_spent(number, each) for number, each in enumerate(tx["vin"])],
        }


def _spent(number: int, spend: Mapping[str, Any]) -> dict[str, Any]:
    prevout = spend["prevout"]
    signed = spend.get("scriptSig", {})
    return _coin(number, prevout["scriptPubKey"], prevout["value"]) | {
        "script_asm": signed.get("asm"),
        "script_hex": signed.get("hex"),
        "sequence": spend.get("sequence"),
        "spent_output_index": spend.get("vout"),
        "spent_transaction_hash": spend.get("txid"),
        "txinwitness": spend.get("txinwitness"),
    }


def _coin(number: int, script: Mapping[str, Any], value: Any) -> dict[str, Any]:
    return {
        "address": script.get("address"),
        "index": number,
        "required_signatures": None,
        "script_asm": script.get("asm"),
        "script_hex": script["hex"],
        "type": script.get("type"),
        "value": float(value),
    }


def _naive(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
