"""The publication is read the way any tool reads it: read-only, and a wrong statement is one line of error."""

from pathlib import Path

import pytest

from schemas.errors import TerminalError, WarehouseError
from tests.warehouse.warehouse_rows import publication
from warehouse import publication_queries
from warehouse.publish import publish
from warehouse.reading import open_publication, query
from warehouse.targets.files import DATABASE_NAME, FileTarget


@pytest.fixture
def folder(published: Path) -> Path:
    publish(publication("v1"), [FileTarget(folder=published, keep=3)])
    return published


def refusal(folder: Path, sql: str) -> str:
    with pytest.raises(TerminalError) as caught:
        query(folder, sql)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_query_gives_column_names_and_rows_and_binds_its_values(folder: Path) -> None:
    names, rows = query(folder, "select deal_id as deal, version from deal where deal_id < ? order by 1", ["d-00002"])
    assert names == ["deal", "version"]
    assert rows == [("d-00000", "v1"), ("d-00001", "v1")]


@pytest.mark.parametrize(
    "sql",
    [
        "create table extra (id integer)",
        "create view extra as select 1",
        "insert into deal (deal_id) values ('x')",
        "update deal set deal_id = 'x'",
        "delete from deal",
        "drop table deal",
        "truncate deal",
        "alter table deal add column x integer",
        "comment on table deal is 'mine'",
        "delete from meta.columns",
    ],
)
def test_a_statement_that_writes_is_refused_in_one_line_and_changes_nothing(folder: Path, sql: str) -> None:
    before = (folder / DATABASE_NAME).read_bytes()
    assert "read-only" in refusal(folder, sql)
    assert (folder / DATABASE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("selec * from deal", 'syntax error at or near "selec"'),
        ("select nothing from deal", '"nothing" not found'),
        ("select * from nowhere", "nowhere does not exist"),
        ("select * from deal where deal_id = ?", "1"),
        ("select 'x'::integer", "Could not convert string 'x'"),
        ("", "no statement"),
        ("-- only a remark", "no statement"),
        ("select 1; select 2", "found 2 statements, expected one"),
        ("begin; delete from deal; commit", "found 3 statements, expected one"),
        ("select * from deall", 'does not exist! Did you mean "deal"?; see `hashpivot show`'),
        ("select powr_mw from deal", 'Candidate bindings: "power_mw"'),
    ],
)
def test_a_wrong_statement_is_rejected_in_one_line_with_the_reason(folder: Path, sql: str, reason: str) -> None:
    assert reason in refusal(folder, sql)


@pytest.mark.parametrize("name", ["folder", "connection", "Path", "duckdb"])
def test_a_table_is_never_looked_for_among_the_variables_of_the_program(folder: Path, name: str) -> None:
    message = refusal(folder, f"select * from {name}")
    assert f"{name} does not exist" in message
    assert ".py" not in message


def test_without_a_publication_the_error_names_what_to_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(WarehouseError, match="hashpivot daily") as caught:
            query(folder, "select 1")
        assert str(folder / DATABASE_NAME) in str(caught.value)
    assert not (tmp_path / "nowhere").exists()


def test_a_broken_publication_is_refused_in_one_line_by_path(folder: Path) -> None:
    (folder / DATABASE_NAME).resolve().write_bytes(b"garbage" * 5000)
    with pytest.raises(WarehouseError, match="publication") as caught, open_publication(folder):
        pass
    assert str(folder / DATABASE_NAME) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_can_read_at_once(folder: Path) -> None:
    with open_publication(folder) as one, open_publication(folder) as other:
        counts = [connection.execute("select count(*) from deal").fetchone() for connection in (one, other)]
    assert counts == [(37,), (37,)]


@pytest.mark.parametrize("sql", ["copy (select 1) to 'written.csv'", "select * from read_text('/etc/hostname')"])
def test_a_query_touches_no_other_file(folder: Path, sql: str) -> None:
    with pytest.raises(TerminalError, match=r"^sql: "):
        query(folder, sql)


def test_publication_of_a_version_without_a_table_or_view_has_no_row_of_it(folder: Path) -> None:
    with open_publication(folder) as opened:
        assert publication_queries.newest_episode(opened) == {}
        assert publication_queries.missed_stress(opened) == []
