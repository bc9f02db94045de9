"""The limit: the same two tables in SQL that never leaves DuckDB. The work is in sql_peer.sql."""

from pathlib import Path
from time import perf_counter

import duckdb

from benchmarks.facts import facts_of

THREADS = 2
SCRIPT = Path(__file__).with_suffix(".sql")
REFERENCE = Path(__file__).resolve().parent.parent / "warehouse" / "reference"


def recompute(home: Path, folder: Path) -> float:
    """Read the working database under `home`, compute both tables, write them to `folder`; return the seconds."""
    facts = facts_of(home)
    started = perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "tables.duckdb"
    database.unlink(missing_ok=True)
    variables = {"now": facts.now[:19], "through": facts.through, "reference": str(REFERENCE), "folder": str(folder)}
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute(f"attach '{home}/warehouse/working.duckdb' as working (read_only)")
        connection.execute(f"attach '{database}' as published")
        for name, value in variables.items():
            connection.execute(f"set variable {name} = ?", [value])
        connection.execute(SCRIPT.read_text(encoding="utf-8"))
    return perf_counter() - started
