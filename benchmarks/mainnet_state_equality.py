"""Whether two homes have published the same: every Parquet file to the byte, every table of the database row by row.

Run as `python -m benchmarks.mainnet_state_equality HOME OTHER`; exits with 1 at the first difference. Of the meta
schema what states the run itself is left out: when it was, which runs there were, when something was received. So
is the table on figures as first published: one home has published twice, the other once.
"""

import sys
from pathlib import Path
from typing import Final

import duckdb

from benchmarks.equality import Differs
from warehouse.atomic_files import sha256_of

OF_THE_RUN: Final = frozenset({"runs", "sources", "quality", "revisions", "revision_counts"})
OF_PUBLICATIONS: Final = "signal_first_published"
CONTENT: Final = "select count(*), sum(hash(rows)::hugeint), bit_xor(hash(rows)) from {} as rows"


def compare(one: Path, other: Path) -> int:
    """Number of rows that were compared. Raises `Differs`."""
    parquet = [_digests(home / "published" / "parquet") for home in (one, other)]
    for name in sorted(parquet[0].keys() | parquet[1].keys()):
        if parquet[0].get(name) != parquet[1].get(name):
            raise Differs(f"{name} differs between the next day's run and everything at once")
    contents = [_contents(home / "published" / "hashpivot.duckdb") for home in (one, other)]
    for name in sorted(contents[0].keys() | contents[1].keys()):
        if contents[0].get(name) != contents[1].get(name):
            raise Differs(f"{name}: {contents[0].get(name)} and {contents[1].get(name)} rows and digests")
    return sum(int(content[0]) for content in contents[0].values())


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*.parquet") if path.stem != OF_PUBLICATIONS)
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def _contents(path: Path) -> dict[str, tuple[int, ...]]:
    """By table its number of rows and two digests of them, in whatever order they are."""
    with duckdb.connect(str(path), read_only=True) as reader:
        tables = reader.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
        left_out = {*(("meta", name) for name in OF_THE_RUN), ("main", OF_PUBLICATIONS)}
        names = [f'"{schema}"."{name}"' for schema, name in tables if (schema, name) not in left_out]
        return {name: reader.execute(CONTENT.format(name)).fetchall()[0] for name in names}


if __name__ == "__main__":
    try:
        print(f"equal: {compare(*map(Path, sys.argv[1:])):,} rows of the next day's run and of everything at once")
    except Differs as difference:
        sys.exit(str(difference))
