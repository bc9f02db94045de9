"""A publication that is passed on as files: CSV that keeps its description, a workbook, a data package in one file."""

import io
import json
from pathlib import Path
from zipfile import ZipFile

import openpyxl
import polars as pl
import pytest
from click.testing import CliRunner, Result
from frictionless import Package
from polars.testing import assert_frame_equal

from flows.command.export import export
from flows.command.read import show, sql
from flows.reports import workbook
from flows.reports.export import version_of
from schemas.errors import TerminalError
from warehouse.reading import query

TABLES = ("rule_comparison", "conversion_deal", "stress_episode")


@pytest.fixture(scope="module")
def home(published_demo: Path) -> str:
    return str(published_demo.parent)


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(export, list(arguments))
    assert done.exception is None, done.exception
    return done


def test_csv_files_keep_what_their_description_states(home: str, tmp_path: Path) -> None:
    run(*TABLES, "--home", home, "--format", "csv", "-o", str(tmp_path / "csv"))
    assert {path.name for path in (tmp_path / "csv").iterdir()} == {
        "datapackage.json",
        *(f"{table}.csv" for table in TABLES),
    }
    report = Package(str(tmp_path / "csv" / "datapackage.json")).validate()
    assert report.valid, report.flatten(["name", "message"])[:5]
    assert report.stats["tasks"] == len(TABLES)
    days = (tmp_path / "csv" / "stress_episode.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "csv" / "stress_episode.csv").write_text("\n".join([*days, days[1]]), encoding="utf-8")
    assert not Package(str(tmp_path / "csv" / "datapackage.json")).validate().valid


def test_folder_with_something_in_it_is_refused(home: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a\n", encoding="utf-8")
    done = CliRunner().invoke(export, [*TABLES, "--home", home, "--format", "csv", "-o", str(tmp_path)])
    assert "expected a folder that is new or empty" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_workbook_has_a_sheet_a_table_with_names_and_units_in_sight(
    home: str, published_demo: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tables.xlsx"
    assert run(*TABLES, "--home", home, "-o", str(path)).stdout == f"wrote {path}: {len(TABLES)} tables\n"
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["tables", "columns", *TABLES]
    for table in TABLES:
        page = book[table]
        names, rows = query(published_demo, f"from {table}")
        of_columns = "select column_name, unit from meta.columns where table_name = ?"
        units = dict(query(published_demo, of_columns, [table])[1])
        header, unit_row, *written = page.iter_rows(values_only=True)
        assert list(header) == names
        assert list(unit_row) == [units[name] for name in names]
        assert len(written) == len(rows)
        for found, row in zip(written, rows, strict=True):
            assert [_plain(value) for value in found] == [_plain(value) for value in row]
    assert book["rule_comparison"].freeze_panes == "B3"
    assert book["columns"].freeze_panes == "B2"
    one = tmp_path / "one.xlsx"
    assert CliRunner().invoke(show, [TABLES[0], "--home", home, "--last", "2", "-o", str(one)]).exit_code == 0
    shown = openpyxl.load_workbook(one)[TABLES[0]]
    assert [list(row) for row in shown.iter_rows(values_only=True, max_row=2)] == [
        list(row) for row in book[TABLES[0]].iter_rows(values_only=True, max_row=2)
    ]
    assert shown.max_row == 4


def _plain(value: object) -> object:
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-12)
    return str(value)[:10] if hasattr(value, "year") else value


def test_text_of_others_is_no_formula_in_a_workbook(home: str, tmp_path: Path) -> None:
    path = tmp_path / "attack.xlsx"
    statement = "select '=cmd|''/c calc''!A0' as attack, -1.5 as amount, 'https://evil.example' as link, null as none"
    assert CliRunner().invoke(sql, [statement, "--home", home, "-o", str(path)]).exit_code == 0
    page = openpyxl.load_workbook(path)["query"]
    assert [cell.value for cell in page[2]] == ["'=cmd|'/c calc'!A0", -1.5, "https://evil.example", None]
    assert [cell.data_type for cell in page[2][:3]] == ["s", "n", "s"]
    assert page["C2"].hyperlink is None
    with ZipFile(path) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_rows_that_no_sheet_can_hold_are_refused_or_left_out_with_a_line(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = pl.DataFrame({"text": ["x" * (workbook.LONGEST_TEXT + 1)]})
    with pytest.raises(TerminalError, match="column text: found text of 32,768 characters"):
        workbook.write_workbook(tmp_path / "long.xlsx", [workbook.Sheet(name="long", rows=long)])
    many = pl.DataFrame({"row": pl.int_range(workbook.MOST_ROWS + 1, eager=True)})
    with pytest.raises(TerminalError, match=r"many: found 1,048,575 rows, expected at most 1,048,574"):
        workbook.write_workbook(tmp_path / "many.xlsx", [workbook.Sheet(name="many", rows=many)])
    assert list(tmp_path.iterdir()) == []
    # No demo has a table of a million rows.
    monkeypatch.setattr("flows.reports.export.MOST_ROWS", 20)
    done = run(*TABLES, "--home", home, "-o", str(tmp_path / "tables.xlsx"))
    assert done.stderr.splitlines()[-1].startswith("left out conversion_deal: 55 rows, a sheet holds 20;")
    assert "2 tables" in done.stdout


def test_package_in_one_file_has_every_table_and_is_the_same_each_time(
    home: str, published_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("--home", home)
    (path,) = tmp_path.iterdir()
    assert path.name == f"hashpivot-{version_of(published_demo)}.zip"
    version = (published_demo / "current").resolve()
    with ZipFile(path) as archive:
        files = {str(file.relative_to(version)) for file in version.rglob("*.parquet")}
        assert set(archive.namelist()) == {"datapackage.json", *files}
        assert archive.read("datapackage.json") == (version / "datapackage.json").read_bytes()
        found = pl.read_parquet(io.BytesIO(archive.read("parquet/capitulation_daily.parquet")))
    assert_frame_equal(found, pl.read_parquet(version / "parquet" / "capitulation_daily.parquet"))
    run("--home", home, "-o", "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()
    run("stress_episode", "--home", home, "-o", "one.zip")
    with ZipFile(tmp_path / "one.zip") as archive:
        resources = [each["name"] for each in json.loads(archive.read("datapackage.json"))["resources"]]
        assert [name for name in resources if not name.startswith("meta.")] == ["stress_episode"]
        assert "meta/columns.parquet" in archive.namelist()


def test_table_that_does_not_exist_is_named(home: str) -> None:
    assert "found 'nowhere', expected one of" in str(CliRunner().invoke(export, ["nowhere", "--home", home]).exception)
