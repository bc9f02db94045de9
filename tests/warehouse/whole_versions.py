"""What a version must be to a reader, whatever happened while it was written."""

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb

from tests.warehouse.warehouse_rows import FACTS
from warehouse.targets.files import DATABASE_NAME, MANIFEST_NAME

TABLES = tuple(facts.name for facts in FACTS)


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST_NAME).read_text())


def check_whole(published: Path) -> str:
    """Open the stable names as a reader would and compare everything with the manifest; return the version."""
    with duckdb.connect(str(published / DATABASE_NAME), read_only=True) as reader:
        counted = {name: reader.execute(f"select count(*) from {name}").fetchall()[0][0] for name in TABLES}
        stamps = {reader.execute(f"select min(version), max(version) from {name}").fetchall()[0] for name in TABLES}
        assert reader.execute("select table_name, row_count from meta.tables").fetchall() == list(counted.items())
    [(version, same)] = stamps
    assert version == same
    folder = published / "versions" / version
    manifest = manifest_of(folder)
    assert manifest["version"] == version
    assert {name: found["rows"] for name, found in manifest["tables"].items()} == counted
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    # The other stable names may have moved on meanwhile, but never to something unreadable.
    assert {path.stem for path in (published / "parquet").iterdir()} == set(TABLES)
    assert manifest_of(published)["version"] >= version
    return version
