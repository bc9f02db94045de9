"""Rows on a terminal fit it and are whole; what is left out is stated; other forms have everything."""

import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from flows.command.read import MOST_ROWS, NEWEST_ROWS, show, sql
from flows.reports.cells import texts
from warehouse.publication_queries import columns_of, table_list
from warehouse.reading import open_publication, query

COLUMNS = 80


@pytest.fixture(scope="module")
def home(published_demo: Path) -> str:
    return str(published_demo.parent)


@pytest.fixture(scope="module")
def tables(published_demo: Path) -> list[str]:
    with open_publication(published_demo) as publication:
        return [name for name, *_ in table_list(publication)[1]]


def run(command: Any, *arguments: str, columns: int = COLUMNS) -> Result:
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(command, list(arguments))
    assert done.exception is None, done.exception
    return done


def lines(done: Result) -> list[str]:
    return [line.rstrip() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([66000.123, 12.5, None], ["66,000.1", "12.5", "NULL"]),
        ([450.0, 12.0], ["450", "12"]),
        ([1e14, 2.5], ["100,000,000,000,000", "2.5"]),
        ([1_960_553.3, 1.8518518, 92.5926, 0.0], ["1,960,553", "1.85185", "92.5926", "0"]),
        ([0.00001234, 0.5], ["0.00001234", "0.5"]),
        ([5e-12, 1.5], ["5e-12", "1.5"]),
        ([-23.3123, 0.0], ["-23.3123", "0.0000"]),
        ([float("nan"), float("-inf"), 1.25], ["nan", "-inf", "1.25"]),
        ([840_000, -3, True, False], ["840,000", "-3", "true", "false"]),
        ([Decimal("12.50"), Decimal("3.25")], ["12.50", "3.25"]),
        (["a\x1b[2J", None], ["a\\x1b[2J", "NULL"]),
    ],
)
def test_numbers_of_a_column_have_the_same_decimals_and_none_of_them_becomes_nothing(
    values: list[Any], expected: list[str]
) -> None:
    assert texts(values) == expected


def test_every_table_fits_eighty_columns_with_every_day_whole(home: str, tables: list[str]) -> None:
    left_out = 0
    for table in tables:
        shown = lines(run(show, table, "--home", home, "--last", "3"))
        assert max(map(cell_len, shown)) <= COLUMNS, table
        assert "…" not in "".join(shown), table
        left_out += any(line.endswith("columns: --all shows all, --columns A,B these") for line in shown)
    assert left_out > 5


def test_shown_table_has_its_keys_its_newest_row_last_and_states_what_it_leaves_out(home: str) -> None:
    shown = lines(run(show, "capitulation_daily", "--home", home))
    blank = shown.index("")
    rows = [line.split()[0] for line in shown[:blank] if re.match(r"\d{4}-\d\d-\d\d ", line)]
    assert rows == [f"2026-{'10' if day > 28 else '11'}-{day:02d}" for day in (29, 30, 31, *range(1, 8))]
    rows_line, columns_line = shown[blank + 1 :]
    assert re.fullmatch(rf"{NEWEST_ROWS} of [\d,]+ rows: --last N shows more, -o FILE.csv writes all", rows_line)
    assert re.fullmatch(r"\d+ of \d+ columns: --all shows all, --columns A,B these", columns_line)


def test_numbers_stand_to_the_right_and_headers_are_whole(home: str) -> None:
    names = ("day", "miner_to_exchange_of_issuance_30d_ratio", "score_income_level", "score_income_per_hash")
    shown = lines(run(show, "capitulation_daily", "--home", home, "--columns", ",".join(names), "--last", "5"))
    first = next(place for place, line in enumerate(shown) if line.startswith("2026-11-03"))
    ends = [match.end() for match in re.finditer(r"\S+", shown[first])]
    for row in shown[first : first + 5]:
        assert [match.end() for match in re.finditer(r"\S+", row)] == ends
    spans = zip([0, *ends], ends, strict=False)
    headers = ["".join(line[begin:end].strip() for line in shown[:first]) for begin, end in spans]
    assert headers == list(names)


def test_all_columns_go_below_each_other_where_they_do_not_fit(home: str, published_demo: Path) -> None:
    with open_publication(published_demo) as publication:
        names = columns_of(publication, "capitulation_daily")
    shown = lines(run(show, "capitulation_daily", "--home", home, "--all", "--last", "1"))
    assert [line.split()[0] for line in shown if line and not line.startswith(" ")][: len(names)] == names
    assert max(map(cell_len, shown)) <= COLUMNS
    assert shown[-1].startswith("1 of ")


def test_table_of_another_schema_can_be_shown(home: str) -> None:
    assert "simulated" in run(show, "meta.sources", "--home", home, "--columns", "source,licence").stdout


def test_query_prints_a_thousand_rows_and_states_that_there_are_more(home: str) -> None:
    days = "select day from capitulation_daily order by day"
    shown = lines(run(sql, days, "--home", home))
    assert shown[-1] == f"{MOST_ROWS:,} rows, and there are more: --limit N prints more, -o FILE.csv writes all"
    assert len(shown) == 1 + MOST_ROWS + 2
    for form in ("json", "csv"):
        done = run(sql, days, "--home", home, "--format", form)
        assert done.stderr.startswith("1,000 rows, and there are more")
        assert len(json.loads(done.stdout) if form == "json" else done.stdout.splitlines()[1:]) == MOST_ROWS
    assert len(lines(run(sql, days, "--home", home, "--limit", "1001"))) == 1 + 1001 + 2
    few = run(sql, f"{days} limit 1000", "--home", home)
    assert (few.stderr, lines(few)[-1][:2]) == ("", "20")


def test_query_with_too_many_columns_shows_the_first_of_many_rows_and_all_of_few(home: str) -> None:
    many = lines(run(sql, "from capitulation_daily limit 20", "--home", home))
    assert "of 107 columns" in re.sub(r"of \d+ columns", "of 107 columns", many[-1])
    assert max(map(cell_len, many)) <= COLUMNS
    one = run(sql, "from capitulation_daily limit 1", "--home", home).stdout
    assert "capitulation_state_reason" in one
    assert "columns: --all" not in one


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_file_has_all_rows_and_columns_in_the_order_of_days(
    home: str, published_demo: Path, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"days.{ending}"
    done = run(show, "exchange_flow_total_daily", "--home", home, "-o", str(path))
    names, rows = query(published_demo, "from exchange_flow_total_daily order by day")
    assert done.stdout == f"wrote {path}: {len(rows):,} rows, {len(names):,} columns\n"
    found = (
        pl.read_parquet(path)
        if ending == "parquet"
        else pl.read_csv(path, infer_schema_length=None)
        if ending == "csv"
        else pl.DataFrame({name: [row[name] for row in _objects(path)] for name in names}, strict=False)
    )
    assert (found.columns, found.height) == (names, len(rows))
    for column in ("day", "miner_to_exchange_btc"):
        assert (
            found[column].cast(pl.String).to_list()
            == pl.Series([row[names.index(column)] for row in rows]).cast(pl.String).to_list()
        )


@cache
def _objects(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_text_of_others_is_no_formula_in_a_table_for_spreadsheets(home: str, tmp_path: Path) -> None:
    attack = "select '=cmd|''/c calc''!A0' as \"=name\", -1 as amount, '+1' as text, ['=1'] as nested"
    done = run(sql, attack, "--home", home, "--format", "csv").stdout
    assert done == "'=name,amount,text,nested\n'=cmd|'/c calc'!A0,-1,'+1,['=1']\n"
    path = tmp_path / "attack.csv"
    run(sql, attack, "--home", home, "-o", str(path))
    assert path.read_text(encoding="utf-8") == done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "days.txt"], "expected a file of one of the kinds .csv, .json, .parquet"),
        (["--format", "parquet"], "found no file, expected one"),
        (["--format", "csv", "--json"], "expected one of them"),
        (["--format", "table", "-o", "x.csv"], "expected a file of one of the kinds"),
    ],
)
def test_options_that_contradict_each_other_are_refused(home: str, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(show, ["capitulation_daily", "--home", home, *arguments])
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("select day, day from pool_daily", "found two columns 'day'"),
        ("select interval 1 day as span", "found column 'span' of type INTERVAL"),
        ("set threads = 1", "found a statement without rows"),
    ],
)
def test_rows_that_no_file_can_hold_are_refused_in_one_line(
    home: str, tmp_path: Path, statement: str, message: str
) -> None:
    done = CliRunner().invoke(sql, [statement, "--home", home, "-o", str(tmp_path / "rows.parquet")])
    assert message in str(done.exception)
    assert not (tmp_path / "rows.parquet").exists()
