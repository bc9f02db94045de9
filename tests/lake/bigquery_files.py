"""Writes blocks, as a node states them at verbosity 3, as BigQuery exports days of `crypto_bitcoin`, with its traps.

Written with pyarrow from the published schema of the tables and what bitcoin-etl puts into them, not from what reads
them: all columns of the tables in their order, satoshi as NUMERIC, lists of addresses, P2PK with the address that
P2PKH of its key has, identifiers for what has no address, hexadecimal numbers of headers, rows in any order.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from btclib.hashes import hash160
from btclib.script.script_pub_key import ScriptPubKey

from flows.sources.lake.compact import Field, Kind, Reader, Struct, written
from tests.lake.lake_files import Block, day_of

Form = Literal["annotated", "two levels", "repeated"]
"""Of lists: three levels with `list.element`, two with `array`, or only a repeated field."""
SAT_PER_BTC = 10**8
NUMERIC = pa.decimal128(38, 9)
_TIMESTAMP = pa.timestamp("us", "UTC")
_REPEATED, _NAME, _CHILDREN = 2, 4, 5


def _repeated(name: str, of: pa.DataType) -> pa.Field:
    """BigQuery has no NULL in the place of a list or in it."""
    return pa.field(name, pa.list_(pa.field("element", of, nullable=False)), nullable=False)


_OUTPUT = pa.struct(
    [
        *(("index", pa.int64()), ("script_asm", pa.string()), ("script_hex", pa.string())),
        *(("required_signatures", pa.int64()), ("type", pa.string())),
        *(_repeated("addresses", pa.string()), ("value", NUMERIC)),
    ]
)
_INPUT = pa.struct(
    [
        *(("index", pa.int64()), ("spent_transaction_hash", pa.string()), ("spent_output_index", pa.int64())),
        *(("script_asm", pa.string()), ("script_hex", pa.string()), ("sequence", pa.int64())),
        *(("required_signatures", pa.int64()), ("type", pa.string())),
        *(_repeated("addresses", pa.string()), ("value", NUMERIC)),
    ]
)
TRANSACTIONS = pa.schema(
    [
        *(("hash", pa.string()), ("size", pa.int64()), ("virtual_size", pa.int64()), ("version", pa.int64())),
        *(("lock_time", pa.int64()), ("block_hash", pa.string()), ("block_number", pa.int64())),
        *(("block_timestamp", _TIMESTAMP), ("block_timestamp_month", pa.date32()), ("input_count", pa.int64())),
        *(("output_count", pa.int64()), ("input_value", NUMERIC), ("output_value", NUMERIC)),
        *(("is_coinbase", pa.bool_()), ("fee", NUMERIC)),
        *(_repeated("inputs", _INPUT), _repeated("outputs", _OUTPUT)),
    ]
)
BLOCKS = pa.schema(
    [
        *(("hash", pa.string()), ("size", pa.int64()), ("stripped_size", pa.int64()), ("weight", pa.int64())),
        *(("number", pa.int64()), ("version", pa.int64()), ("merkle_root", pa.string()), ("timestamp", _TIMESTAMP)),
        *(("timestamp_month", pa.date32()), ("nonce", pa.string()), ("bits", pa.string())),
        *(("coinbase_param", pa.string()), ("transaction_count", pa.int64())),
    ]
)


def export_of(
    day: date,
    blocks: Sequence[Block],
    *,
    files_count: int = 3,
    form: Form = "annotated",
    rows_a_group: int = 400,
    transactions: Iterable[Mapping[str, Any]] | None = None,
    transactions_schema: pa.Schema = TRANSACTIONS,
    blocks_schema: pa.Schema = BLOCKS,
    ballast_bytes: int = 0,
) -> dict[str, bytes]:
    """By key the files of a day. `transactions`: rows in the place of those of `blocks`, in another schema maybe.

    `ballast_bytes`: at random in the scripts of each coin, which nobody needs.
    """
    rows = list(transactions if transactions is not None else (row for block in blocks for row in rows_of(block)))
    ballast = random.Random(0)
    for coin in (coin for row in rows for coin in (*row["outputs"], *row["inputs"])):
        if ballast_bytes:
            coin["script_asm"] = ballast.randbytes(ballast_bytes).hex()
    random.Random(2).shuffle(rows)
    of_blocks = [block_row(block, blocks_schema) for block in blocks]
    return {
        f"{table}/date={day}/{number:012}.parquet": parquet(found[number::files_count], schema, form, rows_a_group)
        for table, found, schema in (
            ("blocks", of_blocks, blocks_schema),
            ("transactions", rows, transactions_schema),
        )
        for number in range(files_count)
    }


def parquet(rows: Sequence[Mapping[str, Any]], schema: pa.Schema, form: Form, rows_a_group: int) -> bytes:
    buffer = BytesIO()
    pq.write_table(
        pa.Table.from_pylist(list(rows), schema=schema),
        buffer,
        compression="zstd",
        row_group_size=rows_a_group,
        data_page_size=64 * 1024,
    )
    content = buffer.getvalue()
    return content if form == "annotated" else _with_lists(content, form)


def _with_lists(content: bytes, form: Form) -> bytes:
    """The same pages, which do not show it, under a schema with lists of another form."""
    size = int.from_bytes(content[-8:-4], "little")
    file = Reader(content[-8 - size : -8]).struct()
    # The schema that Arrow keeps for itself.
    file.pop(5, None)
    file[2].value.values = list(_changed(iter(file[2].value.values), form))
    for group in file[4].value.values:
        for chunk in group[1].value.values:
            path = chunk[3].value[3].value
            names = [name for name in path.values if name != b"element"]
            path.values = [b"array" if name == b"list" else name for name in names if name != b"list" or form[0] == "t"]
    footer = written(file)
    return content[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _changed(elements: Iterable[Struct], form: Form) -> Iterable[Struct]:
    elements = iter(elements)
    for element in elements:
        following = [element]
        if element.get(10) is not None and _CHILDREN in element and element[_CHILDREN].value == 1:
            next(elements)
            coin = next(elements)
            name = element[_NAME] if form == "repeated" else Field(Kind.BINARY, b"array")
            inner = coin | {3: Field(Kind.I32, _REPEATED), _NAME: name}
            following = [inner] if form == "repeated" else [element, inner]
        yield from following


def block_row(block: Block, schema: pa.Schema) -> dict[str, Any]:
    at = datetime.fromtimestamp(block["time"], UTC)
    nonce = int(block["nonce"])
    return {
        "hash": block["hash"],
        "size": block.get("size"),
        "stripped_size": block.get("strippedsize"),
        "weight": block.get("weight"),
        "number": block["height"],
        "version": block["version"],
        "merkle_root": block["merkleroot"],
        "timestamp": at,
        "timestamp_month": at.date().replace(day=1),
        "nonce": nonce if pa.types.is_integer(schema.field("nonce").type) else f"{nonce:x}",
        "bits": block["bits"],
        "coinbase_param": block["tx"][0]["vin"][0]["coinbase"],
        "transaction_count": len(block["tx"]),
    }


def rows_of(block: Block) -> Iterable[dict[str, Any]]:
    """Transactions of a block, without their place in it."""
    at = datetime.fromtimestamp(block["time"], UTC)
    for index, tx in enumerate(block["tx"]):
        outputs = [_coin(each["n"], each["scriptPubKey"], each["value"]) for each in tx["vout"]]
        inputs = [] if index == 0 else [_spent(number, each) for number, each in enumerate(tx["vin"])]
        paid, spent = (sum(coin["value"] for coin in coins) for coins in (outputs, inputs))
        yield {
            "hash": tx["txid"],
            "size": tx.get("size"),
            "virtual_size": tx.get("vsize"),
            "version": tx.get("version"),
            "lock_time": tx.get("locktime"),
            "block_hash": block["hash"],
            "block_number": block["height"],
            "block_timestamp": at,
            "block_timestamp_month": day_of(block).replace(day=1),
            "input_count": len(inputs),
            "output_count": len(outputs),
            "input_value": spent if inputs else None,
            "output_value": paid,
            "is_coinbase": index == 0,
            "fee": spent - paid if inputs else Decimal(0),
            "inputs": inputs,
            "outputs": outputs,
        }


def _spent(number: int, spend: Mapping[str, Any]) -> dict[str, Any]:
    signed = spend.get("scriptSig", {})
    return _coin(number, spend["prevout"]["scriptPubKey"], spend["prevout"]["value"]) | {
        "spent_transaction_hash": spend["txid"],
        "spent_output_index": spend["vout"],
        "script_asm": signed.get("asm"),
        "script_hex": signed.get("hex"),
        "sequence": spend.get("sequence"),
    }


def _coin(number: int, script: Mapping[str, Any], value: Any) -> dict[str, Any]:
    addresses, kind = [script["address"]] if script.get("address") else [], script.get("type")
    if kind == "pubkey":
        addresses = [address_of_key(bytes.fromhex(script["hex"])[1:-1])]
    elif kind == "multisig":
        addresses = [address_of_key(key) for key in keys_of(script["hex"])]
    elif not addresses:
        kind, addresses = "nonstandard", [f"nonstandard{sha256(bytes.fromhex(script['hex'])).hexdigest()[:40]}"]
    return {
        "index": number,
        "script_asm": script.get("asm"),
        "script_hex": script["hex"],
        "required_signatures": None,
        "type": kind,
        "addresses": addresses,
        "value": Decimal(round(Decimal(str(value)) * SAT_PER_BTC)),
    }


def address_of_key(key: bytes) -> str:
    """Of P2PKH on the main network."""
    return str(ScriptPubKey(bytes.fromhex(f"76a914{hash160(key).hex()}88ac")).address)


def keys_of(script: str) -> list[bytes]:
    """The keys of a bare multisig: each pushed after its length."""
    rest, keys = bytes.fromhex(script)[1:-2], []
    while rest:
        keys.append(rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    return keys


def hashed(block: Block) -> dict[str, Any]:
    """`block` with the hash of its header, whose other fields are invented where it has none."""
    full = {"version": 4, "merkleroot": "11" * 32, "nonce": 7, "bits": "207fffff"} | dict(block)
    header = b"".join(
        (
            (full["version"] % 2**32).to_bytes(4, "little"),
            bytes.fromhex(full["previousblockhash"])[::-1],
            bytes.fromhex(full["merkleroot"])[::-1],
            full["time"].to_bytes(4, "little"),
            int(full["bits"], 16).to_bytes(4, "little"),
            int(full["nonce"]).to_bytes(4, "little"),
        )
    )
    return full | {"hash": sha256(sha256(header).digest()).digest()[::-1].hex()}
