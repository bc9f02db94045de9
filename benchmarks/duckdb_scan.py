"""DuckDB over the same blocks: a bare typed scan that only counts, and one that does the work of the 0-hop layer.

The second reads the fields that attribution reads, joins them with the same miner set and gives outflow and transfers
to exchanges in whole satoshi. It still does less: no 1-hop layer and no pools, which follow from the order of payments.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import duckdb
import polars as pl

THREADS: Final = 2
QUERY: Final = Path(__file__).with_suffix(".sql")
_SCRIPT: Final = "struct(hex varchar)"
_PREVOUT: Final = f"struct(generated boolean, value decimal(18, 8), scriptPubKey {_SCRIPT})"
_INPUTS: Final = f"struct(coinbase varchar, prevout {_PREVOUT})[]"
_OUTPUTS: Final = f"struct(value decimal(18, 8), scriptPubKey {_SCRIPT})[]"
COLUMNS: Final = f"{{hash: 'varchar', height: 'bigint', tx: 'struct(txid varchar, vin {_INPUTS}, vout {_OUTPUTS})[]'}}"
BARE: Final = f"""
with block as (
    select unnest(tx) as tx
    from read_json($path, format = 'newline_delimited', maximum_object_size = 67108864, columns = {COLUMNS})
)
select sum(len(tx.vin)), sum(list_sum([output.value for output in tx.vout])) from block
"""

Sums = tuple[int, int]
"""Outflow and transfers to exchanges of the 0-hop layer, satoshi."""


class Scan:
    """DuckDB with the miner set and the exchanges as tables, and the blocks in a file."""

    def __init__(self, path: Path, crowd: Iterable[str], exchanges: Iterable[str]) -> None:
        self._path = str(path)
        self._connection = duckdb.connect(config={"threads": THREADS})
        for table, scripts in (("crowd", crowd), ("exchange", exchanges)):
            scripts_file = path.with_name(f"{table}.parquet")
            pl.DataFrame({"script": list(scripts)}).write_parquet(scripts_file)
            self._connection.execute(f"create table {table} as from read_parquet(?)", [str(scripts_file)])

    def bare(self) -> None:
        """Read, count inputs, add up outputs."""
        self._connection.execute(BARE, {"path": self._path}).fetchall()

    def attributed(self) -> Sums:
        """Read and attribute."""
        query = QUERY.read_text().replace("{columns}", COLUMNS)
        row = self._connection.execute(query, {"path": self._path}).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])


def timed(query: Callable[[], object], rounds: int) -> float:
    """Median seconds."""
    times = []
    for _ in range(rounds):
        started = perf_counter()
        query()
        times.append(perf_counter() - started)
    return median(times)
