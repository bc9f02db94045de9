"""An old DuckDB, as the drivers of BI tools carry it, opens what is published today."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.warehouse_rows import FACTS, publication
from warehouse.publish import publish
from warehouse.targets.files import DATABASE_NAME, FileTarget

OLD = Path(
    os.environ.get("HASHPIVOT_TEST_OLD_READER", Path(__file__).parents[2] / ".venv" / "reader" / "bin" / "python")
)

pytestmark = pytest.mark.skipif(
    not OLD.is_file(), reason=f"NOT TESTED that old drivers can read a publication: no {OLD}, run `make .venv/.reader`"
)

LOOK = """
import json, sys
import duckdb

with duckdb.connect(sys.argv[1], read_only=True) as connection:
    query = lambda sql: connection.execute(sql).fetchall()
    tables = [name for (name,) in query("select table_name from duckdb_tables() where schema_name = 'main' order by 1")]
    meta = [name for (name,) in query("select table_name from duckdb_tables() where schema_name = 'meta' order by 1")]
    print(json.dumps({
        "duckdb": duckdb.__version__,
        "rows": {name: query(f'select count(*) from "{name}"')[0][0] for name in tables},
        "sum": query("select sum(price_usd), count(price_usd), max(day)::varchar from price_daily")[0],
        "comments": dict(query("select table_name || '.' || column_name, comment "
            "from duckdb_columns() where schema_name = 'main' and not internal")),
        "table comments": dict(query("select table_name, comment from duckdb_tables() where schema_name = 'main'")),
        "meta": {name: query(f'select count(*) from meta."{name}"')[0][0] for name in meta},
        "units": query("select table_name, column_name, unit from meta.columns order by table_name desc, position"),
    }))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the old reader finds under the stable name of a publication of 3,000 days."""
    folder = tmp_path_factory.mktemp("old") / "published"
    publish(publication("v1", rows=3_000), [FileTarget(folder=folder, keep=3)])
    read = subprocess.run(
        [OLD, "-I", "-c", LOOK, folder / DATABASE_NAME], capture_output=True, text=True, timeout=120, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")
    return json.loads(read.stdout)


def test_the_old_reader_is_really_old(seen: dict[str, Any]) -> None:
    assert seen["duckdb"].startswith("1.2.")


def test_an_old_driver_reads_every_row_and_value(seen: dict[str, Any]) -> None:
    tables = publication("v1", rows=3_000).tables
    prices = tables["price_daily"]
    assert seen["rows"] == {name: frame.height for name, frame in sorted(tables.items())}
    assert seen["sum"] == [prices["price_usd"].sum(), prices["price_usd"].count(), str(prices["day"].max())]


def test_an_old_driver_sees_the_comment_of_every_table_and_column(seen: dict[str, Any]) -> None:
    assert seen["comments"] == {f"{f.name}.{column.name}": column.comment() for f in FACTS for column in f.columns}
    assert seen["table comments"] == {facts.name: facts.description for facts in FACTS}


def test_an_old_driver_reads_the_meta_tables(seen: dict[str, Any]) -> None:
    assert seen["meta"] == {
        "columns": sum(len(facts.columns) for facts in FACTS),
        "freshness": 0,
        "nulls": 0,
        "quality": 0,
        "revision_counts": 0,
        "revisions": 0,
        "runs": 0,
        "sources": 0,
        "tables": len(FACTS),
    }
    assert seen["units"] == [[facts.name, column.name, column.unit] for facts in FACTS for column in facts.columns]
