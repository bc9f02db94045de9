"""Three days of an invented block lake, the one in the middle as large as a day of the main network, and its facts.

Run as `python -m benchmarks.lake_fixture FOLDER TRANSACTIONS LAYOUT FILES`. Layout, kinds of addresses and sizes of
columns are those of the recorded footers of 2024: rows shuffled over all row groups, so that none can be skipped, two
and a half inputs and outputs a transaction, and columns that nobody needs between those that flows do; or the same
coins as an export from BigQuery. pyarrow counts the bytes of the chunks that are needed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lake_export import exported
from flows.sources.lake.bigquery import BIGQUERY
from tests.lake.bigquery_files import hashed
from tests.lake.lake_files import BLOCKS, TRANSACTIONS, as_spark
from transforms.chain import subsidy_sat
from warehouse.labels import read_csv

DAY: Final = date(2026, 1, 10)
FIRST_HEIGHT: Final = 930_000
BLOCKS_A_DAY: Final = 144
BLOCKS_BESIDE: Final = 2
"""Of the days before and after: the day is whole once a block of the next one is there."""
ROWS_A_GROUP: Final = 62_503
MEAN_INPUTS, MEAN_OUTPUTS, MOST_COINS = 2.5, 2.6, 400
NEW_ADDRESSES: Final = 0.8
NO_ADDRESS, EXCHANGE, POOL = 0.03, 0.02, 0.004
"""Parts of the outputs; what a pool was paid it spends, so that as many inputs are of pools."""
POOLS: Final = 20
KINDS: Final = {("bc1q", 38): 0.5, ("bc1p", 58): 0.25, ("3", 33): 0.15, ("1", 33): 0.1}
"""How addresses begin, how many characters follow, how many of them there are. Checksums are invented."""
BECH32: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BASE58: Final = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LOW_BASE58: Final = b"23456789ABCDEFGHJKLMNP"
"""Second characters with which the number fits 25 bytes with the version in front."""
FEE_SAT: Final = 1_000
SAT_PER_BTC: Final = 10**8
WITNESS_CHARACTERS, SCRIPT_CHARACTERS = 220, 44
SPENT: Final = "spent_transaction_hash"
SEED: Final = 15
NEEDED: Final = {
    "aws": {
        "blocks": {"hash", "number", "previousblockhash", "timestamp", "mediantime", "difficulty", "coinbase_param"}
        | {"transaction_count"},
        "transactions": {"txid", "block_hash", "block_number", "index", "is_coinbase"},
        "coins": {"address", "value"},
    },
    "bigquery": {
        "blocks": {"hash", "number", "timestamp", "coinbase_param", "transaction_count"}
        | {"version", "merkle_root", "nonce", "bits"},
        "transactions": {"hash", "block_hash", "block_number", "is_coinbase"},
        "coins": {"spent_transaction_hash", "addresses", "type", "value"},
    },
}


class Maker:
    """Draws days of a chain one after the other."""

    def __init__(self, folder: Path, layout: str, files_count: int) -> None:
        """`files_count`: of a table and day, in an export."""
        self._folder, self._layout, self._files_count = folder, layout, files_count
        self._draw = np.random.default_rng(SEED)
        labels = read_csv().rows
        known = labels.filter(labels["valid_from"].is_null() & (labels["kind"] == "exchange"))["address"].to_list()
        self._exchanges: list[str] = known[:200]
        self._pools = self._addresses(POOLS)
        self._height, self._previous = FIRST_HEIGHT, "00" * 32

    def day(self, day: date, blocks_count: int, transactions_count: int) -> int:
        """Write both files of `day`. Bytes of the chunks that flows need."""
        heights = np.arange(self._height, self._height + blocks_count)
        headers = self._headers(day, blocks_count)
        hashes = [header["hash"] for header in headers]
        of_block = np.sort(self._draw.integers(0, blocks_count, transactions_count))
        of_block = np.sort(np.concatenate([np.arange(blocks_count), of_block]))
        starts = np.searchsorted(of_block, np.arange(blocks_count))
        counts = np.bincount(of_block, minlength=blocks_count)
        is_coinbase = np.zeros(len(of_block), bool)
        is_coinbase[starts] = True
        inputs_count, outputs_count = (
            self._counts(MEAN_INPUTS, is_coinbase, 0),
            self._counts(MEAN_OUTPUTS, is_coinbase, 1),
        )
        inputs_sat = np.exp(self._draw.normal(15, 2, inputs_count.sum())).astype(np.int64) + 10 * FEE_SAT
        outputs_sat, fees_sat = self._paid(inputs_sat, inputs_count, outputs_count)
        outputs_end = np.cumsum(outputs_count)
        coinbases = outputs_end[starts] - 1
        block_fees = np.bincount(of_block, fees_sat, minlength=blocks_count).astype(np.int64)
        outputs_sat[coinbases] = [subsidy_sat(int(height)) for height in heights] + block_fees
        strangers = self._addresses(int(NEW_ADDRESSES * (len(inputs_sat) + len(outputs_sat))))
        paid = self._payees(len(outputs_sat), len(strangers))
        paid[coinbases] = len(strangers) + len(self._exchanges) + self._draw.integers(0, POOLS, blocks_count)
        outputs_sat[paid < 0] = 0
        spent = self._payees(len(inputs_sat), len(strangers))
        texts = pa.array([*strangers, *self._exchanges, *self._pools])
        order = self._draw.permutation(len(of_block))
        transactions = pa.table(
            self._columns(of_block, heights, hashes, starts, is_coinbase, day)
            | {
                "inputs": self._coins("inputs", texts, spent, inputs_sat, inputs_count, is_coinbase),
                "outputs": self._coins("outputs", texts, paid, outputs_sat, outputs_count, np.zeros_like(is_coinbase)),
            },
            schema=TRANSACTIONS,
        ).take(pa.array(order))
        blocks = [
            self._block(int(height), each, day, int(count))
            for height, each, count in zip(heights, headers, counts, strict=True)
        ]
        self._height += blocks_count
        return self._write("blocks", day, pa.Table.from_pylist(blocks, BLOCKS)) + self._write(
            "transactions", day, transactions
        )

    def _counts(self, mean: float, is_coinbase: Any, of_coinbase: int) -> Any:
        counts = np.minimum(self._draw.geometric(1 / mean, len(is_coinbase)), MOST_COINS)
        counts[is_coinbase] = of_coinbase
        return counts

    def _paid(self, inputs_sat: Any, inputs_count: Any, outputs_count: Any) -> tuple[Any, Any]:
        """Satoshi of each output, and fees of each transaction; a coinbase has none."""
        whole = np.bincount(
            np.repeat(np.arange(len(inputs_count)), inputs_count), inputs_sat, minlength=len(inputs_count)
        )
        of_output = np.repeat(np.arange(len(outputs_count)), outputs_count)
        weights = self._draw.random(len(of_output)) + 0.1
        shares = weights / np.bincount(of_output, weights)[of_output]
        outputs_sat = np.floor(np.maximum(whole - FEE_SAT, 0)[of_output] * shares).astype(np.int64)
        fees_sat = whole - np.bincount(of_output, outputs_sat)
        return outputs_sat, np.maximum(fees_sat, 0)

    def _payees(self, count: int, strangers_count: int) -> Any:
        """Places of addresses: strangers, then exchanges, then pools; -1 for none."""
        drawn, payees = self._draw.random(count), self._draw.integers(0, strangers_count, count)
        below = 0.0
        for share, first, size in (
            (NO_ADDRESS, -1, 1),
            (EXCHANGE, strangers_count, len(self._exchanges)),
            (POOL, strangers_count + len(self._exchanges), POOLS),
        ):
            chosen = (drawn >= below) & (drawn < below + share)
            payees[chosen] = first + self._draw.integers(0, size, int(chosen.sum()))
            below += share
        return payees

    def _addresses(self, count: int) -> list[str]:
        found: list[str] = []
        for (head, length), share in KINDS.items():
            alphabet = BECH32 if head.startswith("bc1") else BASE58
            rows = max(1, round(share * count))
            text = np.frombuffer(alphabet, np.uint8)[self._draw.integers(0, len(alphabet), (rows, length))]
            if alphabet is BASE58:
                text[:, 0] = np.frombuffer(LOW_BASE58, np.uint8)[self._draw.integers(0, len(LOW_BASE58), rows)]
            whole = text.tobytes().decode()
            found += [head + whole[start : start + length] for start in range(0, len(whole), length)]
        return found

    def _coins(self, side: str, texts: Any, places: Any, sat: Any, counts: Any, is_null: Any) -> Any:
        kind = TRANSACTIONS.field(side).type
        addresses = texts.take(pa.array(np.maximum(places, 0), mask=places < 0))
        scripts = self._hexadecimal(len(sat), SCRIPT_CHARACTERS)
        filled = {
            "address": addresses,
            "script_asm": scripts,
            "script_hex": scripts,
            "value": pa.array(sat / SAT_PER_BTC),
        }
        if side == "inputs":
            witness = self._hexadecimal(len(sat), WITNESS_CHARACTERS)
            filled[SPENT] = self._hexadecimal(len(sat), 64)
            filled["txinwitness"] = pa.ListArray.from_arrays(pa.array(np.arange(len(sat) + 1), pa.int32()), witness)
        fields = list(kind.value_type)
        columns = [filled.get(field.name, pa.nulls(len(sat), field.type)) for field in fields]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        coins = pa.StructArray.from_arrays(columns, fields=fields)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32(), mask=np.append(is_null, False)), coins, type=kind)

    def _hexadecimal(self, count: int, length: int) -> Any:
        whole = self._draw.bytes(count * length // 2).hex().encode()
        offsets = pa.array(np.arange(0, (count + 1) * length, length), pa.int32())
        return pa.StringArray.from_buffers(count, offsets.buffers()[1], pa.py_buffer(whole))

    def _columns(
        self, of_block: Any, heights: Any, hashes: Sequence[str], starts: Any, is_coinbase: Any, day: date
    ) -> dict[str, Any]:
        count = len(of_block)
        filled = {
            "txid": self._hexadecimal(count, 64),
            "hash": self._hexadecimal(count, 64),
            "block_hash": pa.array(hashes).take(pa.array(of_block)),
            "block_number": pa.array(heights[of_block]),
            "index": pa.array(np.arange(count) - starts[of_block]),
            "is_coinbase": pa.array(is_coinbase),
            "date": pa.array([str(day)]).take(pa.array(np.zeros(count, np.int64))),
        }
        return {field.name: filled.get(field.name, pa.nulls(count, field.type)) for field in TRANSACTIONS}

    def _headers(self, day: date, count: int) -> list[dict[str, Any]]:
        """Of the blocks of a day, each on the one before."""
        found = []
        for number in range(count):
            at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=10 * number + 1)
            found.append(hashed({"previousblockhash": self._previous, "time": int(at.timestamp())}))
            self._previous = found[-1]["hash"]
        return found

    def _block(self, height: int, header: Mapping[str, Any], day: date, count: int) -> dict[str, Any]:
        at = datetime.fromtimestamp(header["time"], UTC).replace(tzinfo=None)
        return {
            "hash": header["hash"],
            "number": height,
            "timestamp": at,
            "mediantime": at - timedelta(hours=1),
            "coinbase_param": f"03{height:06x}",
            "transaction_count": count,
            "difficulty": 1.2e14,
            "previousblockhash": header["previousblockhash"],
            "date": str(day),
        }

    def _write(self, table: str, day: date, rows: Any) -> int:
        folder = self._folder / table / f"date={day}"
        folder.mkdir(parents=True)
        if self._layout == BIGQUERY.name:
            contents = exported(table, rows, self._files_count)
            files = {f"{number:012}.parquet": content for number, content in enumerate(contents)}
        else:
            content = as_spark(rows, ROWS_A_GROUP)
            files = {f"part-00000-{sha256(content).hexdigest()[:12]}-c000.snappy.parquet": content}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return sum(needed_bytes(folder / name, table, self._layout) for name in files)


def needed_bytes(path: Path, table: str, layout: str) -> int:
    """What the chunks take that flows need, as pyarrow states it."""
    metadata = pq.ParquetFile(path).metadata
    chunks = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    needed = NEEDED[layout]
    return sum(
        chunk.total_compressed_size
        for chunk in chunks
        for first, *rest in [chunk.path_in_schema.split(".")]
        if (needed["coins"].intersection(rest) if rest else first in needed[table])
    )


def main() -> None:
    """Make the days and print what is known of the large one."""
    folder, transactions_count, layout = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    maker, few = Maker(folder, layout, int(sys.argv[4])), 20
    maker.day(DAY - timedelta(days=1), BLOCKS_BESIDE, few)
    needed = maker.day(DAY, BLOCKS_A_DAY, transactions_count)
    maker.day(DAY + timedelta(days=1), BLOCKS_BESIDE, few)
    files = list(folder.glob(f"*/date={DAY}/*.parquet"))
    facts = {
        "day": str(DAY),
        "now": datetime.combine(DAY + timedelta(days=2), datetime.min.time(), UTC).isoformat(),
        "transactions": transactions_count + BLOCKS_A_DAY,
        "file_bytes": sum(path.stat().st_size for path in files),
        "needed_bytes": needed,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
