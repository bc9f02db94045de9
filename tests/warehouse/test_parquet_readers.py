"""Parquet files that are read as docs/querying.md says are of one version, however often a run publishes meanwhile."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.partition import by_year
from tests.docs.pages import blocks
from tests.warehouse.transfer_rows import transfers, with_transfers
from warehouse.publish import publish
from warehouse.targets.files import FileTarget

PUBLICATION_COUNT = 100
READER_COUNT = 2
YEAR_ROWS = 20
"""Of the year that does not change."""
(DOCUMENTED,) = (
    block.text for block in blocks("python") if block.page == "docs/querying.md" and ".resolve()" in block.text
)
NAMES = {
    "capitulation_daily": "price_daily",
    "pool_daily": "deal",
    "conversion_deal": "deal",
    "data/published": "published",
}
"""Of the page, and what stands for them in a folder that is quick to publish to."""

READ = """
import json, os, sys, time

import duckdb
import polars as pl

source, folder = sys.argv[1], sys.argv[2]
os.chdir(folder)
documented = compile(source, "docs/querying.md", "exec")
seen, restart_count = [], 0
print("ready", flush=True)
while not os.path.exists("stop"):
    read = {}
    try:
        exec(documented, read)
    except (FileNotFoundError, duckdb.IOException):
        restart_count += 1
        continue
    versions = {str(name) for rows in ("days", "pools", "deals") for name in read[rows]["version"]}
    try:
        parts = pl.read_parquet(read["version"] / "parquet" / "transfer").height
        with duckdb.connect(str(read["version"] / "hashpivot.duckdb"), read_only=True) as reader:
            (rows,) = reader.execute("select count(*) from transfer").fetchone()
    except (FileNotFoundError, duckdb.IOException):
        restart_count += 1
        continue
    seen.append([read["version"].name, sorted(versions), parts, rows])
    time.sleep(0.02)
print(json.dumps([seen, restart_count]))
"""


def documented() -> str:
    text = DOCUMENTED
    for name, stand_in in NAMES.items():
        assert name in text
        text = text.replace(name, stand_in)
    return text


def put(folder: Path, version: str) -> None:
    """Publish two tables and one in parts, whose last year has as many rows as the number of the version says."""
    rows = by_year(transfers({2011: YEAR_ROWS, 2012: int(version[1:]) + 1}))
    publish(with_transfers(version, rows), [FileTarget(folder=folder, keep=3, least_carried_rows=1)])


@pytest.mark.long
def test_readers_get_one_version_each_time_under_a_hundred_publications(
    published: Path, tmp_path: Path, start: Any
) -> None:
    put(published, "v000")
    # With the libraries of the tests: Pandas is nothing that a user of ours needs to have.
    readers = [start(READ, documented(), tmp_path, python=sys.executable) for _ in range(READER_COUNT)]
    assert [reader.stdout.readline() for reader in readers] == ["ready\n"] * READER_COUNT
    for number in range(1, PUBLICATION_COUNT + 1):
        put(published, f"v{number:03d}")
    (tmp_path / "stop").touch()
    for reader in readers:
        out, err = reader.communicate(timeout=120)
        assert err == ""
        seen, _ = json.loads(out)
        assert [versions for _, versions, *_ in seen] == [[folder] for folder, *_ in seen]
        counts = [YEAR_ROWS + int(folder[1:]) + 1 for folder, *_ in seen]
        assert [count for *_, count, _ in seen] == [count for *_, count in seen] == counts
        folders = [folder for folder, *_ in seen]
        assert folders == sorted(folders)
        assert len(set(folders)) > PUBLICATION_COUNT / 10


def test_stable_names_lead_to_the_next_version_and_the_resolved_folder_does_not(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(published, "v1")
    monkeypatch.chdir(tmp_path)
    first, *others = documented().split("days = ")
    read: dict[str, Any] = {}
    exec(first, read)
    put(published, "v2")
    exec(f"days = {'days = '.join(others)}", read)
    assert {str(name) for rows in ("days", "pools", "deals") for name in read[rows]["version"]} == {"v1"}
    assert set(pl.read_parquet(published / "parquet" / "deal.parquet")["version"]) == {"v2"}
