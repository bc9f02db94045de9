"""What a publication to a DuckLake takes, and how many bytes the next day moves there, beside whole files.

`python -m benchmarks.ducklake` publishes some days of the demo profile to a home, and from there to a lake with each
kind of catalog that is a file. After each day every table of the lake is compared with the database of the home, then
the figures are printed as JSON. A busy machine changes the seconds of the clock, hardly those of the processor.
"""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

import duckdb

from benchmarks.measure import pin
from flows.run import pipeline, plan
from flows.settings import Settings, read_profile
from warehouse import extensions
from warehouse.statements import scalar
from warehouse.targets.ducklake import DuckLakeTarget
from warehouse.targets.finished import FinishedVersion, finished_version

FIRST_DAY: Final = date(2026, 11, 7)
ADDRESSES: Final = {"sqlite": "ducklake:sqlite:{}/catalog.sqlite", "duckdb": "ducklake:{}/catalog.db"}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=4)
    given = parser.parse_args()
    pin()
    with TemporaryDirectory() as folder:
        print(json.dumps(list(measured(Path(folder), given.days)), indent=2))


def measured(folder: Path, days: int) -> Iterator[dict[str, Any]]:
    """Publish `days` days one after the other; the figures of each."""
    settings = Settings(home=folder / "home", keep_publications=2)
    before: FinishedVersion | None = None
    for day in (FIRST_DAY + timedelta(days=n) for n in range(days)):
        pipeline.run_all(plan.plan(settings, read_profile("demo"), day=day))
        version = finished_version(settings.published)
        figures: dict[str, Any] = {"day": day.isoformat(), "files": files(before, version)}
        for name, form in ADDRESSES.items():
            lake = folder / name
            lake.mkdir(exist_ok=True)
            figures[name] = published(form.format(lake), lake, version)
        yield figures
        before = version


def files(before: FinishedVersion | None, version: FinishedVersion) -> dict[str, float]:
    """Bytes of the version, and of its files that the version before does not have: what a bucket is sent."""
    there = {(file.sha256, file.size_bytes) for file in (before.files if before else ())}
    moved = [file.size_bytes for file in version.files if (file.sha256, file.size_bytes) not in there]
    return {"whole_kb": sum(file.size_bytes for file in version.files) / 1e3, "moved_kb": sum(moved) / 1e3}


def published(address: str, lake: Path, version: FinishedVersion) -> dict[str, Any]:
    """Publish the version to a lake and compare every table there."""
    bytes_before = size_of(lake)
    clock, processor = perf_counter(), process_time()
    copied = DuckLakeTarget(address=address, keep=None).publish(version)
    clock, processor = perf_counter() - clock, process_time() - processor
    compare(address, version)
    return {
        "s": round(clock, 2),
        "processor_s": round(processor, 2),
        "moved_kb": (size_of(lake) - bytes_before) / 1e3,
        "what": str(copied).partition(": ")[2],
    }


def size_of(lake: Path) -> int:
    """Bytes of all files of a lake, once its catalog has taken up its log."""
    for catalog in lake.glob("catalog.sqlite"):
        with opened("sqlite_scanner") as connection:
            connection.execute(f"attach '{catalog}' as catalog (type sqlite)")
    return sum(path.stat().st_size for path in lake.rglob("*") if path.is_file())


def compare(address: str, version: FinishedVersion) -> None:
    """Raise `AssertionError` where a table of the lake is not that of the version, by types and rows."""
    with opened("ducklake", "sqlite_scanner") as connection:
        connection.execute(f"attach '{address}' as lake (read_only)")
        connection.execute(f"attach '{version.folder / 'hashpivot.duckdb'}' as home (read_only)")
        tables = "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'home'"
        for (table,) in connection.execute(tables).fetchall():
            here, there = f"home.{table}", f"lake.{table}"
            assert connection.table(here).types == connection.table(there).types, table
            for one, other in ((here, there), (there, here)):
                lacking = scalar(connection, f"select count(*) from (from {one} except all from {other})")
                assert lacking == 0, f"{lacking} rows of {one} are not in {other}"


@contextmanager
def opened(*names: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with extensions."""
    with duckdb.connect() as connection:
        for name in names:
            extensions.load(connection, name)
        yield connection


if __name__ == "__main__":
    os.umask(0o077)
    main()
