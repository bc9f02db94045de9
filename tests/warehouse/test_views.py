"""The schema of views: each opens in new and old drivers, wherever the file is attached, and says what it shows."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from schemas.partition import by_year
from schemas.table import Table
from tests.warehouse.test_old_reader import OLD
from tests.warehouse.warehouse_rows import NOW
from transforms.catalog import PUBLISHED
from warehouse.publish import publish
from warehouse.targets import database
from warehouse.targets.files import DATABASE_NAME, FileTarget
from warehouse.targets.protocol import Publication
from warehouse.views import SCHEMA, View, views

LONG = "exchange_flow_daily"


def no_rows(table: Table) -> pl.DataFrame:
    if table.reference is not None:
        return pl.DataFrame(schema={name: column.dtype.type for name, column in table.reference.columns.items()})
    return pl.DataFrame(schema={m.name: m.dtype for m in table.metrics})


def publication(version: str) -> Publication:
    """Every published table, without rows but for one that is published in parts, and all views."""
    tables: dict[str, Any] = {table.name: no_rows(table) for table in PUBLISHED}
    day = pl.date_range(pl.date(2024, 1, 1), pl.date(2025, 12, 31), eager=True)
    flows = pl.DataFrame({"day": day, "exchange": "kraken", "pool": "foundry", "miner_to_exchange_btc": 1.0})
    tables[LONG] = by_year(pl.concat([tables[LONG], flows], how="diagonal"))
    return Publication(
        version=version, created_at=NOW, tables=tables, facts=PUBLISHED, meta={}, about={}, views=views()
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views") / "published"
    publish(publication("v1"), [FileTarget(folder=folder, keep=3)])
    return folder


LOOK = f"""
import json, sys
import duckdb

with duckdb.connect(sys.argv[1], read_only=True) as connection:
    query = lambda sql: connection.execute(sql).fetchall()
    names = query("select view_name, comment from duckdb_views() where schema_name = '{SCHEMA}' order by 1")
    columns = query("select table_name, column_name, comment from duckdb_columns() where schema_name = '{SCHEMA}'")
    counts = {{name: query(f'select count(*) from {SCHEMA}."{{name}}"')[0][0] for name, _ in names}}
    print(json.dumps([dict(names), columns, counts]))
"""


@pytest.mark.parametrize("python", ["new", "old"])
def test_every_view_opens_and_states_what_it_and_its_columns_are(published: Path, python: str) -> None:
    if python == "old" and not OLD.is_file():
        pytest.skip(f"NOT TESTED that old drivers can read views: no {OLD}, run `make .venv/.reader`")
    if python == "old":
        command = [str(OLD), "-I", "-c", LOOK, str(published / DATABASE_NAME)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)
    else:
        with duckdb.connect(str(published / DATABASE_NAME), read_only=True) as reader:
            found = [
                dict(
                    reader.execute(
                        f"select view_name, comment from duckdb_views() where schema_name = '{SCHEMA}'"
                    ).fetchall()
                ),
                reader.execute(
                    f"select table_name, column_name, comment from duckdb_columns() where schema_name = '{SCHEMA}'"
                ).fetchall(),
                {
                    view.name: reader.execute(f"select count(*) from {SCHEMA}.{view.name}").fetchall()[0][0]
                    for view in views()
                },
            ]
    descriptions, columns, counts = found
    assert descriptions == {view.name: view.description for view in views()}
    assert len(views()) >= 15
    tables = {table.name: table for table in PUBLISHED}
    by_name = {view.name: view for view in views()}
    assert [
        (table, name) for table, name, comment in columns if comment != by_name[table].comment_on(name, tables)
    ] == []
    assert set(counts) == set(by_name)


def test_views_read_their_own_tables_where_the_file_is_attached_beside_another(published: Path) -> None:
    with duckdb.connect() as reader:
        for table in PUBLISHED:
            reader.execute(f"create table {table.name} as select 1 as nothing_of_ours")
        reader.execute(f"attach '{published / DATABASE_NAME}' as published (read_only)")
        for view in views():
            assert reader.execute(f"from published.{SCHEMA}.{view.name}").fetchall() is not None


def test_views_are_new_in_a_database_that_is_made_of_an_older_one(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_anew(*_: object) -> None:
        raise AssertionError("the database was written anew")

    monkeypatch.setattr(database, "write", written_anew)
    monkeypatch.setattr(database, "MOST_GAPS", 1.0)
    publish(publication("v2"), [FileTarget(folder=published, keep=3, least_carried_rows=1)])
    with duckdb.connect(str(published / DATABASE_NAME), read_only=True) as reader:
        names = reader.execute(f"select view_name from duckdb_views() where schema_name = '{SCHEMA}'").fetchall()
        assert sorted(name for (name,) in names) == [view.name for view in views()]


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_view_renames_joins_filters_and_adds_up_and_computes_no_figure(view: View) -> None:
    select = re.sub(r"'[^']*'|count\(\*\)", "", view.select)
    assert re.findall(r"[*/%+]", select) == []
    assert [term for term in re.findall(r"\S+ - \S+", select) if not re.fullmatch(r"scored\.day - \d+;?", term)] == []
    assert re.match(r"[A-Z].*[.?]$", view.description)


def test_column_that_nobody_describes_is_refused() -> None:
    view = View(name="odd", description="Odd.", columns={}, select="select 1 as odd from main.latest")
    with pytest.raises(LookupError, match="view odd: found no comment on odd, expected one"):
        view.comment_on("odd", {table.name: table for table in PUBLISHED})
