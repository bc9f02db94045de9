"""The dashboard for Superset: every chart, filter and description is of columns that are published."""

import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
import yaml

from flows.reports.superset import FILTERS, NOTICE, PANELS, SIMULATED, write_dashboard
from schemas.errors import WarehouseError
from tests.invocation import invoke

Files = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def files(published_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    path = tmp_path_factory.mktemp("superset") / "dashboard.zip"
    assert write_dashboard(published_demo, path) == 12
    return unzipped(path)


def unzipped(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name.removeprefix("hashpivot/"): yaml.safe_load(archive.read(name)) for name in archive.namelist()}


def of_kind(files: Files, kind: str) -> list[dict[str, Any]]:
    return [content for name, content in files.items() if name.startswith(f"{kind}/")]


def test_datasets_have_the_columns_of_the_file_in_words_and_with_their_types(
    files: Files, published_demo: Path
) -> None:
    with duckdb.connect(published_demo / "hashpivot.duckdb", read_only=True) as connection:
        for dataset in of_kind(files, "datasets"):
            sql = "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ?"
            found = connection.execute(sql, [dataset["schema"], dataset["table_name"]]).fetchall()
            assert [(column["column_name"], column["type"]) for column in dataset["columns"]] == found
            assert all(column["verbose_name"] and column["description"] for column in dataset["columns"])
            assert dataset["description"]
            days = [name for name, kind in found if kind == "DATE"]
            assert [column["column_name"] for column in dataset["columns"] if column["is_dttm"]] == days
            assert dataset["main_dttm_col"] == days[0]


def test_charts_filters_and_places_refer_to_what_is_there(files: Files) -> None:
    columns = {
        dataset["uuid"]: {column["column_name"] for column in dataset["columns"]}
        for dataset in of_kind(files, "datasets")
    }
    charts = {chart["uuid"]: chart for chart in of_kind(files, "charts")}
    for panel in (panel for row in PANELS for panel in row):
        chart = files[f"charts/{panel.name}.yaml"]
        known = columns[chart["dataset_uuid"]]
        assert known.issuperset(panel.columns)
        assert {panel.time, panel.by} - {None} <= known
        assert chart["description"].count("\n") == len(panel.columns) - 1
    (dashboard,) = of_kind(files, "dashboards")
    placed = [part for part in dashboard["position"].values() if isinstance(part, dict) and part["type"] == "CHART"]
    assert {part["meta"]["uuid"] for part in placed} == set(charts)
    assert len(placed) == len(charts) == 12
    assert {sum(panel.width for panel in row) for row in PANELS} == {12}
    filters = dashboard["metadata"]["native_filter_configuration"]
    assert filters[0]["filterType"] == "filter_time"
    assert len(filters) == 1 + len(FILTERS)
    for each in filters[1:]:
        (target,) = each["targets"]
        assert target["column"]["name"] in columns[target["datasetUuid"]]
    for content in (*charts.values(), *of_kind(files, "datasets"), dashboard):
        assert str(UUID(content["uuid"])) == content["uuid"]


def test_dashboard_of_invented_data_states_it_and_another_one_does_not(files: Files) -> None:
    assert files["dashboards/hashpivot.yaml"]["position"]["MARKDOWN-notice"]["meta"]["code"] == SIMULATED
    assert SIMULATED.startswith("**Simulated data.**")
    assert "imulated" not in NOTICE


def test_database_is_opened_read_only_where_it_is(files: Files, published_demo: Path) -> None:
    uri = files["databases/hashpivot.yaml"]["sqlalchemy_uri"]
    assert uri == f"duckdb:///{published_demo.absolute()}/hashpivot.duckdb?access_mode=read_only"


def test_command_writes_the_same_each_time(published_demo: Path, tmp_path: Path) -> None:
    home = str(published_demo.parent)
    paths = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for path in paths:
        output = invoke(tmp_path, "export", "--format", "superset", "-o", str(path), "--home", home).stdout
        assert output == f"wrote {path}: a dashboard of 12 charts\n"
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_cannot_be_written_is_refused_in_one_line(published_demo: Path, tmp_path: Path) -> None:
    found = invoke(tmp_path, "export", "claim", "--format", "superset", "--home", str(published_demo.parent))
    assert found.returncode == 2
    assert found.stderr == "error: TABLE: found 'claim', expected none with --format superset; leave it out\n"
    with pytest.raises(WarehouseError, match="found no publication, expected one"):
        write_dashboard(tmp_path, tmp_path / "dashboard.zip")
    assert list(tmp_path.iterdir()) == []
