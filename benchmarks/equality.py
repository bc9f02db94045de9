"""Whether a peer's tables hold what ours do: every row, NULLs in the same places, in each column the peer computes.

A column of ours that no peer computes yet is counted but not compared, so that a new metric needs no second formula. A
peer may have no column that ours lack, and must have all of `benchmarks.peer_columns`.

Run as `python -m benchmarks.equality OURS PEER NAME`, two DuckDB files; exits with 1 at the first difference.

Tolerance: labels, booleans, counts and days exactly. Floats to 1e-9, relative or absolute: the three add up rolling
windows in different orders (Polars and pandas slide a compensated sum along, DuckDB merges partial sums), which leaves
about 1e-13 of the size of the values, and a division by a standard deviation multiplies that. The largest
difference found is printed, so that the room that is left can be seen.
"""

import sys
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from benchmarks.peer_columns import PEER_COLUMNS

KEYS: Final = {"capitulation_daily": ["day"], "pool_daily": ["day", "pool"]}
TOLERANCE: Final = 1e-9


class Differs(Exception):
    """The first difference, as a sentence."""


def compare(table: str, ours: pl.DataFrame, theirs: pl.DataFrame, peer: str) -> float:
    """Return the largest difference of a float, relative or absolute, whichever is smaller. Raises `Differs`."""
    if foreign := sorted(set(theirs.columns) - set(ours.columns)):
        raise Differs(f"{table}: {peer} has {', '.join(foreign)}, which ours lacks")
    if missing := sorted(set(PEER_COLUMNS[table]) - set(theirs.columns)):
        raise Differs(f"{table}: {peer} lacks {', '.join(missing)}, expected all of benchmarks.peer_columns")
    if ours.height != theirs.height:
        raise Differs(f"{table}: ours has {ours.height} rows, {peer} {theirs.height}")
    largest = 0.0
    for name in theirs.columns:
        a, b = ours[name], theirs[name]
        if a.dtype.is_float():
            b = b.cast(pl.Float64)
            apart = (a - b).abs()
            apart = apart / pl.select(pl.max_horizontal(a.abs(), b.abs(), pl.lit(1.0))).to_series()
            broken = (apart > TOLERANCE) | apart.is_nan()
            largest = max(largest, apart.fill_nan(None).max() or 0.0)
        else:
            broken = a.ne_missing(b.cast(a.dtype))
        broken = broken.fill_null(False) | (a.is_null() != b.is_null())
        if broken.any():
            row = broken.arg_true()[0]
            where = ", ".join(str(ours[key][row]) for key in KEYS[table])
            raise Differs(f"{table}.{name} of {where}: ours {a[row]!r}, {peer} {b[row]!r} ({broken.sum()} rows differ)")
    return largest


def rows_of(database: Path, table: str) -> pl.DataFrame:
    """A table in the order of its key."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return pl.DataFrame(connection.sql(f"from {table} order by {', '.join(KEYS[table])}"))


def main() -> int:
    """Compare both tables and print the result as one line."""
    ours, theirs, peer = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    compared = []
    for table in KEYS:
        rows = rows_of(ours, table)
        try:
            peer_rows = rows_of(theirs, table)
            largest = compare(table, rows, peer_rows, peer)
        except Differs as difference:
            print(f"NOT EQUAL: {difference}")
            return 1
        columns = f"{peer_rows.width} of {rows.width} columns"
        compared.append(f"{table} {rows.height:,} rows x {columns} (largest difference {largest:.0e})")
    print(f"ours equals {peer}: {'; '.join(compared)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
