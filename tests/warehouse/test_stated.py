"""What a table means travels with its files: metadata of Parquet, the meta tables, and the data package."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import nanoarrow
import polars as pl
import pytest
from frictionless import FrictionlessException, Package
from nanoarrow.ipc import InputStream
from polars.testing import assert_frame_equal

from flows.sources.kinds import supplier_named
from schemas.partition import by_year
from schemas.suppliers import Terms, strictest
from schemas.table import NEVER
from tests.warehouse.test_partitions import inodes, put
from tests.warehouse.transfer_rows import TRANSFER, transfers, with_transfers
from transforms.catalog import PUBLISHED
from warehouse.publish import publish
from warehouse.targets.files import DATABASE_NAME, FileTarget


def fields_of(file: Path) -> dict[str, dict[str, str]]:
    """By column the metadata of its Arrow field, as any reader of Arrow finds it."""
    stated = base64.b64decode(pl.read_parquet_metadata(file)["ARROW:schema"])
    with InputStream.from_readable(io.BytesIO(stated)) as stream:
        schema = nanoarrow.c_array_stream(stream).get_schema()
    return {
        field.name: {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        for field in schema.children
    }


def descriptor_of(published: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((published / "datapackage.json").read_text(encoding="utf-8"))
    return found


def test_each_column_of_a_file_has_its_meaning_unit_error_null_rule_and_licence(published_demo: Path) -> None:
    with duckdb.connect(str(published_demo / DATABASE_NAME), read_only=True) as reader:
        licences = dict(reader.execute("select table_name || '.' || column_name, licence from meta.columns").fetchall())
        tables = {
            row[0]: row[1:]
            for row in reader.execute(
                "select table_name, strictest_licence, licence, sources from meta.tables"
            ).fetchall()
        }
    for table in PUBLISHED:
        whole = published_demo / "parquet" / f"{table.name}.parquet"
        for file in [whole] if whole.exists() else (published_demo / "parquet" / table.name).iterdir():
            found = fields_of(file)
            assert list(found) == [column.name for column in table.columns]
            stated = pl.read_parquet_metadata(file)
            of_columns = {column.pop("name"): column for column in json.loads(stated["columns"])}
            assert of_columns == found
            for column in table.columns:
                facts = found[column.name]
                assert (facts["description"], facts["unit"]) == (column.description, column.unit)
                assert (facts["error"], facts["null_rule"]) == (column.error, column.null_rule)
                assert facts.get("licence", "") == licences[f"{table.name}.{column.name}"]
            assert (stated["table"], stated["description"]) == (table.name, table.description)
            in_meta = tuple(stated.get(key, "") for key in ("strictest_licence", "licence", "sources"))
            assert in_meta == tables[table.name]


def test_licence_of_a_column_and_a_table_is_the_strictest_of_its_suppliers() -> None:
    named = [supplier_named(name) for name in ("simulated", "coinmetrics", "registry", "coinbase")]
    suppliers = [each for each in named if each]
    found = strictest(suppliers)
    assert found is not None
    assert (len(suppliers), found.name) == (4, "coinbase")
    assert [terms.rank for terms in Terms] == list(range(len(Terms)))
    assert strictest([]) is None


def test_meta_tables_are_files_too_with_the_rows_of_the_database(published_demo: Path) -> None:
    with duckdb.connect(str(published_demo / DATABASE_NAME), read_only=True) as reader:
        names = reader.execute("select table_name from duckdb_tables() where schema_name = 'meta'").fetchall()
        assert {path.stem for path in (published_demo / "meta").iterdir()} == {name for (name,) in names}
        for (name,) in names:
            rows = pl.DataFrame(reader.sql(f"from meta.{name}"))
            assert_frame_equal(pl.read_parquet(published_demo / "meta" / f"{name}.parquet"), rows)


def test_package_is_one_by_the_standard_and_describes_every_file(published_demo: Path) -> None:
    descriptor = descriptor_of(published_demo)
    assert len(Package.from_descriptor(descriptor).resources) == len(descriptor["resources"])
    broken = [{**resource, "path": 1} for resource in descriptor["resources"][:1]]
    with pytest.raises(FrictionlessException, match="path"):
        Package.from_descriptor({**descriptor, "resources": broken})
    version = (published_demo / "current").resolve()
    paths = {
        path
        for resource in descriptor["resources"]
        for path in ([resource["path"]] if isinstance(resource["path"], str) else resource["path"])
    }
    assert paths == {str(path.relative_to(version)) for path in version.rglob("*.parquet")}


def test_package_states_types_limits_keys_and_the_strictest_licence(published_demo: Path) -> None:
    descriptor = descriptor_of(published_demo)
    resources = {each["name"]: each for each in descriptor["resources"]}
    for table in PUBLISHED:
        resource = resources[table.name]
        fields = {each["name"]: each for each in resource["schema"]["fields"]}
        assert resource["schema"]["primaryKey"] == list(table.key)
        for column in table.columns:
            is_required = fields[column.name].get("constraints", {}).get("required", False)
            assert is_required == (column.null_rule == NEVER)
    days = {each["name"]: each for each in resources["capitulation_daily"]["schema"]["fields"]}
    assert (days["day"]["type"], days["block_count"]["type"], days["price_usd"]["type"]) == (
        "date",
        "integer",
        "number",
    )
    assert days["price_usd"]["constraints"]["minimum"] == 0
    registry = supplier_named("registry")
    assert registry is not None
    licence = {"name": "other-at", "title": f"registry: {registry.licence}"}
    assert resources["capitulation_daily"]["licenses"] == resources["conversion_deal"]["licenses"] == [licence]
    assert descriptor["licenses"] == [licence]


def test_unchanged_years_are_taken_over_until_what_they_state_changes(published: Path) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    put(published, "v2", rows)
    assert inodes(published, "v1") == inodes(published, "v2")
    other = with_transfers("v3", rows)
    described = replace(TRANSFER, description="One row a transfer, by another name.")
    facts = tuple(described if table.name == TRANSFER.name else table for table in other.facts)
    publish(replace(other, facts=facts), [FileTarget(folder=published, keep=3, least_carried_rows=1)])
    assert not set(inodes(published, "v3").values()) & set(inodes(published, "v2").values())
    file = published / "parquet" / TRANSFER.name / "2011.parquet"
    assert pl.read_parquet_metadata(file)["description"] == described.description
    with duckdb.connect(str(published / DATABASE_NAME), read_only=True) as reader:
        assert reader.execute(f"select count(*) from {TRANSFER.name}").fetchone() == (70,)
