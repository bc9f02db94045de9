"""The summary compares like with like, and nothing on it contradicts the state."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from flows.reports import brief
from flows.reports.summary import CHANGES, CONVERSION, FIGURES, PICTURE_COLUMNS, summary
from transforms.metrics.sustainability import ZONES


@pytest.fixture(scope="module")
def lines(published_demo: Path) -> dict[str, list[str]]:
    """By label, the cells of the line, as a terminal shows it."""
    console = Console(width=PICTURE_COLUMNS)
    with console.capture() as captured:
        console.print(summary(published_demo))
    split = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in captured.get().splitlines()]
    return {cells[0]: cells[1:] for cells in split if cells}


def query(published: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(published / "hashpivot.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def amount(cell: str) -> float:
    return float(cell.split()[0].replace(",", ""))


WORTH = {"M": 1e6, "bn": 1e9}
"""What an amount is a multiple of, by the word behind it."""


@pytest.mark.parametrize(
    ("shown", "rows"),
    [
        (FIGURES, "capitulation_daily where capitulation_score is not null"),
        (CONVERSION, "conversion_daily where deal_count is not null"),
    ],
    ids=["figures", "conversion"],
)
def test_each_amount_is_the_published_one_in_the_unit_that_is_written_behind_it(
    lines: dict[str, list[str]], published_demo: Path, shown: tuple[tuple[str, str, float, str], ...], rows: str
) -> None:
    columns = ", ".join(column for _, column, _, _ in shown)
    (day,) = query(published_demo, f"select {columns} from {rows} order by day desc limit 1")
    for (label, column, _, _), value in zip(shown, day, strict=True):
        cell = lines[label.strip()][0]
        unit = next((WORTH[word] for word in cell.split()[1:] if word in WORTH), 1)
        decimals = len(cell.split()[0].partition(".")[2])
        assert amount(cell) == pytest.approx(value / unit, abs=0.51 * 10**-decimals), column


def test_revenue_of_two_weeks_gives_the_change_that_is_shown(lines: dict[str, list[str]]) -> None:
    now, before = map(amount, lines["Miner revenue, 7 days"])
    assert amount(lines["Revenue change, 30 days"][0]) == pytest.approx(100 * (now / before - 1), abs=0.4)


def test_coverage_is_the_weekly_revenue_per_mwh_over_the_cost(
    lines: dict[str, list[str]], published_demo: Path
) -> None:
    cost = "select all_in_usd_per_mwh from capitulation_daily where capitulation_score is not null"
    (all_in_usd_per_mwh,) = query(published_demo, f"{cost} order by day desc limit 1")[0]
    per_mwh = amount(lines["Revenue per MWh, 7 days"][0])
    assert amount(lines["Cost coverage, 7 days"][0]) == pytest.approx(per_mwh / all_in_usd_per_mwh, abs=0.01)


def test_changes_of_weekly_figures_are_those_of_the_published_columns(published_demo: Path) -> None:
    sql = (
        "select max(abs(100 * (now.miner_revenue_7d_usd / before.miner_revenue_7d_usd - 1) - "
        "now.revenue_change_30d_pct)) from capitulation_daily as now "
        "join capitulation_daily as before on before.day = now.day - 30"
    )
    assert query(published_demo, sql)[0][0] < 1e-6


def test_zone_is_shown_as_a_change_of_revenue_and_never_as_a_verdict_beside_the_state(
    lines: dict[str, list[str]], published_demo: Path
) -> None:
    assert tuple(CHANGES) == ZONES
    (zone,) = query(published_demo, "select sustainability_zone from capitulation_daily order by day desc limit 1")[0]
    assert lines["in words"][0] == CHANGES[zone]
    page = brief.markdown(brief.read(published_demo))
    assert f"revenue {CHANGES[zone]}." in page
    shown = [*lines, *(cell for cells in lines.values() for cell in cells), page]
    assert [text for text in shown for name in ZONES if name.replace("_", " ") in text] == []


def test_state_is_shown_with_the_parts_and_limits_that_it_follows_from(lines: dict[str, list[str]]) -> None:
    text = " ".join(lines)
    assert "At half of their points or more: " in text
    assert "A state is entered at 30, 60, 80 points and left 10 points lower" in text


def test_demo_warns_of_nothing_that_it_has_invented_itself(published_demo: Path) -> None:
    assert query(published_demo, "select check_name, detail from meta.quality where not passed") == []
