"""Days of the invented lake as BigQuery exports them: the same coins in the columns of its tables, in several files."""

from io import BytesIO
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.units import SAT_PER_BTC
from tests.lake.bigquery_files import BLOCKS, NUMERIC, TRANSACTIONS

KIND: Final = "witness_v0_keyhash"
INVENTED: Final = {"version": 4, "merkle_root": "11" * 32, "nonce": "7", "bits": "207fffff"}
"""As `hashed` fills headers."""


def exported(table: str, rows: Any, files_count: int) -> list[bytes]:
    """The files of one table of a day, from rows in the layout of AWS. Each has one row group."""
    whole = _blocks(rows) if table == "blocks" else _transactions(rows)
    files = []
    for number in range(files_count):
        start, end = (each * whole.num_rows // files_count for each in (number, number + 1))
        buffer = BytesIO()
        pq.write_table(whole.slice(start, end - start), buffer, compression="zstd")
        files.append(buffer.getvalue())
    return files


def _blocks(rows: Any) -> Any:
    filled = {name: pa.array([value] * rows.num_rows) for name, value in INVENTED.items()}
    same = {name: rows[name] for name in ("hash", "number", "coinbase_param", "transaction_count")}
    timestamp = rows["timestamp"].cast(pa.timestamp("us")).cast(BLOCKS.field("timestamp").type)
    return _table(BLOCKS, filled | same | {"timestamp": timestamp}, rows.num_rows)


def _transactions(rows: Any) -> Any:
    same = {name: rows[name] for name in ("block_hash", "block_number", "is_coinbase")}
    coins = {side: _coins(side, rows[side].combine_chunks()) for side in ("inputs", "outputs")}
    return _table(TRANSACTIONS, same | coins | {"hash": rows["txid"]}, rows.num_rows)


def _table(schema: Any, filled: Any, count: int) -> Any:
    return pa.table({each.name: filled.get(each.name, pa.nulls(count, each.type)) for each in schema}, schema=schema)


def _coins(side: str, lists: Any) -> Any:
    """No list is NULL, and a coin without an address has an empty one."""
    field = TRANSACTIONS.field(side).type.value_field
    coins, count = lists.flatten(), len(lists.flatten())
    address = coins.field("address")
    ends = np.concatenate([[0], np.cumsum(address.is_valid().to_numpy(zero_copy_only=False))])
    addresses = field.type.field("addresses").type
    sat = pc.round(pc.multiply(coins.field("value"), SAT_PER_BTC)).cast(pa.int64())
    filled = {
        "addresses": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), address.drop_null(), type=addresses),
        "type": pa.array([KIND]).take(pa.array(np.zeros(count, np.int64))),
        "value": sat.cast(pa.decimal128(19, 0)).cast(NUMERIC),
        **{name: coins.field(name) for name in ("script_asm", "script_hex")},
    }
    if side == "inputs":
        filled["spent_transaction_hash"] = coins.field("spent_transaction_hash")
    columns = [filled.get(each.name, pa.nulls(count, each.type)) for each in field.type]
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()),
        pa.StructArray.from_arrays(columns, fields=list(field.type)),
        type=TRANSACTIONS.field(side).type,
    )
