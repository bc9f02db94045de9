"""`hashpivot explain` on any figure: what a person reads, what a program gets, and what is refused in one line."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.reports.formula import formula_of
from schemas.metric import Metric
from tests.invocation import invoke
from transforms.catalog import TABLES
from transforms.metrics import puell

DAY = "2026-11-07"


@pytest.fixture(scope="module")
def home(published_demo: Path) -> str:
    return str(published_demo.parent)


def explained(home: str, folder: Path, *arguments: str) -> dict[str, Any]:
    done = invoke(folder, "explain", *arguments, "--json", "--home", home)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_figure_is_followed_from_its_formula_to_the_batch_of_its_source(home: str, tmp_path: Path) -> None:
    done = invoke(tmp_path, "explain", "capitulation_daily", "puell_issuance_ratio", DAY, "--home", home, COLUMNS="80")
    text = done.stdout
    lines = text.splitlines()
    assert re.match(rf"capitulation_daily\.puell_issuance_ratio on {DAY}: [\d.]+\s+\[ratio\]\n", text)
    assert max(map(len, lines)) <= 80
    assert "  = ratio(issuance_usd, mean_over(issuance_usd, 365))\n    ratio: `numerator / denominator`" in text
    assert f"issuance_usd, 365 of 365 rows from 2025-11-08 to {DAY}: " in text
    assert re.search(
        r"capitulation_daily\.price_usd: ([\d,.]+)\n  simulated: \1, stated\n    simulated:seed=7, sha256", text
    )
    assert re.search(
        r"issuance_sat: [\d,.]+\n  simulated: [\d,.]+, a sum over \d+ blocks, heights 97\d,\d+ to 97", text
    )
    assert text.count("computed again from these values: the same") == 3
    assert "differs" not in text


def test_a_program_gets_every_row_that_was_read_and_the_whole_digest(home: str, tmp_path: Path) -> None:
    found = explained(home, tmp_path, "capitulation_daily", "puell_issuance_ratio", DAY)
    first, issuance = found["figures"][:2]
    read = [row["issuance_usd"] for row in first["read"]]
    assert len(read) == 365
    assert found["value"] == pytest.approx(read[-1] / (sum(read) / 365), rel=1e-12)
    assert issuance["value"] == read[-1]
    batches = [batch for each in found["observations"] for batch in each["batches"]]
    assert batches
    assert all(re.fullmatch(r"[0-9a-f]{64}", batch["sha256"]) and batch["observed_at"] for batch in batches)
    assert found["definition_version"] == 1
    assert {check["table_name"] for check in found["checks"]} == {"capitulation_daily"}


def test_a_sum_over_the_registry_lists_its_rows_with_their_sources(home: str, tmp_path: Path) -> None:
    found = explained(home, tmp_path, "megawatts_by_company", "contracted_critical_it_mw", DAY, "terawulf")
    rows = found["figures"][0]["read"]
    counted = [row for row in rows if row["confidence"] != "unverified" and row["kind"] in ("contract", "extension")]
    assert sum(row["critical_it_mw"] or 0 for row in counted) == found["value"] > 400
    assert all(row["deal_id"].startswith("WULF-") and row["source_url"].startswith("https://") for row in counted)


def test_row_of_the_registry_leads_to_the_page_it_is_from(home: str, tmp_path: Path) -> None:
    key = ("WULF-CORE42-2024-12", "known_at=2024-12-23")
    done = invoke(tmp_path, "explain", "conversion_deal", "critical_it_mw", *key, "--home", home)
    assert "known_at 2024-12-23: 60.0 [MW]\n" in done.stdout
    assert "Source of the row: https://" in done.stdout


def test_figure_of_today_is_followed_into_the_table_it_is_taken_from(home: str, tmp_path: Path) -> None:
    found = explained(home, tmp_path, "latest", "capitulation_score")
    names = [figure["name"] for figure in found["figures"]]
    assert names[:2] == ["latest.capitulation_score", "capitulation_daily.capitulation_score"]
    parts = found["figures"][1]["read"][0]
    scores = [parts[name] for name in ("score_income_level", "score_income_per_hash", "score_hashrate")]
    assert sum(scores) == pytest.approx(found["value"])


def test_reason_of_a_null_is_stated(home: str, tmp_path: Path, published_demo: Path) -> None:
    with duckdb.connect(published_demo / "hashpivot.duckdb", read_only=True) as connection:
        (day, reason) = connection.execute(
            "select first_day, reason from meta.nulls where table_name = 'capitulation_daily' "
            "and column_name = 'mpi_zscore' order by first_day limit 1"
        ).fetchone() or ("", "")
    done = invoke(tmp_path, "explain", "capitulation_daily", "mpi_zscore", str(day), "--home", home)
    assert "mpi_zscore on " in done.stdout
    assert ": NULL [" in done.stdout
    assert f"NULL because: {reason}" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("capitulation", "x"), "table: found 'capitulation', expected capitulation_daily or "),
        (("capitulation_daily", "puell", DAY), "column: found 'puell', expected puell_zone or rule_puell_low; `"),
        (("capitulation_daily", "price_usd"), "key: found none for day, expected day; add it"),
        (("capitulation_daily", "price_usd", "7 November"), "key: found '7 November', expected day; correct it"),
        (("capitulation_daily", "price_usd", "2031-01-01"), "capitulation_daily: found 0 rows with day 2031-01-01"),
        (
            ("pool_daily", "pool_share_4320_pct", DAY, "pol=x"),
            "key: found pol, expected day and pool; correct the name",
        ),
        (("latest", "price_usd", DAY), f"key: found '{DAY}', expected none, as the table has one row; correct it"),
    ],
)
def test_what_does_not_name_a_figure_is_refused_in_one_line(
    home: str, tmp_path: Path, arguments: tuple[str, ...], error: str
) -> None:
    done = invoke(tmp_path, "explain", *arguments, "--home", home)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {error}"), done.stderr
    assert done.stderr.count("\n") == 1


def computed() -> list[Metric]:
    return [m for table in TABLES.values() for m in table.metrics if m.function is not None and not m.is_given]


def test_formula_of_every_metric_names_the_columns_that_it_reads() -> None:
    assert len(computed()) > 250
    for m in computed():
        formula = formula_of(m)
        written = " ".join([formula.text, *formula.meanings.values()])
        # Names that are put together, and what functions of all modules read, whose meaning is a sentence.
        is_put_together = "f'" in written or {"discounted_years", "within_regime"} & set(formula.meanings)
        assert is_put_together or not [name for name in m.reads if name not in written], (m.name, formula)
        assert "pl.col(" not in formula.text, (m.name, formula)


def test_formula_has_columns_and_values_where_the_code_has_calls_and_constants() -> None:
    formula = formula_of(puell.puell_issuance_ratio)
    assert formula.text == "ratio(issuance_usd, mean_over(issuance_usd, 365))"
    assert list(formula.meanings) == ["ratio", "mean_over"]
