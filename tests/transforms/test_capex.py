"""Quarters out of what companies file: recorded responses of the SEC, and invented ones for what they do not show."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.enforce import enforce
from schemas.observations import FILING_FACT
from schemas.registry import CAPEX_QUARTER
from transforms.inputs.capex import CAPEX_TAGS, MONTHS_BY_DAYS, QUARTER_DAYS, capex_quarters, filed_quarters
from warehouse.registry import load_registry

OLD, NEW = CAPEX_TAGS
TYPES = {name: column.dtype.type for name, column in FILING_FACT.columns.items()}
MILLION = 1_000_000

Builder = Callable[..., pl.DataFrame]


def recorded(shared_data: Path, cik: int) -> pl.DataFrame:
    """Every fact of the two elements as a filer stated them, from a recorded response."""
    content = json.loads((shared_data / "edgar" / f"api__xbrl__companyfacts__CIK{cik:010d}.json").read_text())
    rows = [
        {
            "cik": content["cik"],
            "tag": tag,
            "period_start": date.fromisoformat(fact["start"]),
            "period_end": date.fromisoformat(fact["end"]),
            "value_usd": fact["val"],
            "form": fact["form"],
            "filed_on": date.fromisoformat(fact["filed"]),
            "accession": fact["accn"],
        }
        for tag in CAPEX_TAGS
        if tag in content["facts"]["us-gaap"]
        for fact in content["facts"]["us-gaap"][tag]["units"]["USD"]
    ]
    facts = pl.DataFrame(rows, schema=TYPES)
    return enforce(
        facts.unique(["cik", "tag", "period_start", "period_end", "accession"], maintain_order=True), FILING_FACT
    )


def fact(
    start: str, end: str, value: int, *, tag: str = OLD, filed: str | None = None, number: int = 1
) -> dict[str, Any]:
    return {
        "cik": 1,
        "tag": tag,
        "period_start": date.fromisoformat(start),
        "period_end": date.fromisoformat(end),
        "value_usd": value,
        "form": "10-Q",
        "filed_on": date.fromisoformat(filed or "2026-01-31"),
        "accession": f"0000000001-26-{number:06d}",
    }


def quarters(*facts: dict[str, Any]) -> dict[date, dict[str, Any]]:
    rows = filed_quarters(pl.DataFrame(list(facts), schema=TYPES))
    return {row["period_end"]: row for row in rows.iter_rows(named=True)}


def test_quarters_of_alphabet_in_2025_are_the_published_ones(shared_data: Path) -> None:
    filed = filed_quarters(recorded(shared_data, 1_652_044)).filter(pl.col("period_end").dt.year() == 2025)
    assert filed["capex_usd"].to_list() == [n * MILLION for n in (17_197, 22_446, 23_953, 27_851)]
    assert filed["how"].to_list() == [
        "as stated for three months",
        "6 months less 3",
        "9 months less 6",
        "12 months less 9",
    ]
    assert set(filed["tag"]) == {OLD}
    assert filed["known_at"].to_list()[0] == date(2025, 4, 25)
    assert filed["known_at"].is_sorted()


def test_every_year_of_alphabet_is_the_sum_of_its_quarters(shared_data: Path) -> None:
    facts = recorded(shared_data, 1_652_044)
    years = facts.filter((pl.col("period_end") - pl.col("period_start")).dt.total_days() > 330)
    stated = dict(years.sort("filed_on", descending=True).select("period_end", "value_usd").iter_rows())
    filed = filed_quarters(facts).with_columns(pl.col("period_end").dt.year().alias("year"))
    summed = filed.group_by("year").agg(pl.col("capex_usd").sum(), pl.col("capex_usd").count().alias("known"))
    whole = {row["year"]: row["capex_usd"] for row in summed.iter_rows(named=True) if row["known"] == 4}
    assert len(whole) >= 10
    # In 2016 the first half was restated by 29 M before the third quarter was filed; quarters are as they were first.
    assert {
        year: stated[date(year, 12, 31)] - usd for year, usd in whole.items() if stated[date(year, 12, 31)] != usd
    } == {2016: 29 * MILLION}


def test_nvidia_changes_its_element_by_date(shared_data: Path) -> None:
    rows = {row["period_end"]: row for row in filed_quarters(recorded(shared_data, 1_045_810)).iter_rows(named=True)}
    last_old, first_new = rows[date(2020, 7, 26)], rows[date(2020, 10, 25)]
    assert (last_old["tag"], last_old["capex_usd"], last_old["known_at"]) == (OLD, 217 * MILLION, date(2020, 8, 19))
    assert (first_new["tag"], first_new["capex_usd"]) == (NEW, 473 * MILLION)
    # Six months in the new element were first filed a year later, as a comparative: not known before.
    assert first_new["known_at"] == date(2021, 8, 20)
    assert all(row["tag"] == NEW for end, row in rows.items() if end > date(2020, 7, 26))
    fiscal_2026 = [rows[end]["capex_usd"] // MILLION for end in sorted(rows)[-5:-1]]
    assert fiscal_2026 == [1_227, 1_895, 1_636, 1_284]
    assert sum(fiscal_2026) == 6_042
    assert all(row["other_tag_usd"] is None for row in rows.values())


def test_quarter_with_a_part_missing_is_unknown_and_never_the_longer_amount() -> None:
    rows = quarters(fact("2025-01-01", "2025-03-31", 10), fact("2025-01-01", "2025-09-30", 40))
    assert rows[date(2025, 9, 30)]["capex_usd"] is None
    assert "9 months stated" in rows[date(2025, 9, 30)]["how"]
    assert rows[date(2025, 3, 31)]["capex_usd"] == 10


def test_amounts_that_begin_on_different_days_are_not_set_off_against_each_other() -> None:
    rows = quarters(fact("2024-02-01", "2024-10-31", 30), fact("2024-01-01", "2024-12-31", 50))
    assert rows[date(2024, 12, 31)]["capex_usd"] is None


def test_part_that_is_longer_than_a_quarter_is_not_taken_for_one() -> None:
    """Six months that end early and nine that end late: what lies between them are 115 days."""
    first, longest = date(2025, 1, 1), MONTHS_BY_DAYS
    ends = [first + timedelta(days=days - 1) for days in (longest[6][0], longest[9][1])]
    assert (ends[1] - ends[0]).days > QUARTER_DAYS[1]
    rows = quarters(*(fact(str(first), str(end), 10 * n) for n, end in enumerate(ends, start=3)))
    assert rows[ends[1]]["capex_usd"] is None
    assert rows[ends[1]]["how"].startswith("9 months stated")


def test_comparatives_and_amendments_change_nothing() -> None:
    first = fact("2025-01-01", "2025-03-31", 10, filed="2025-04-30", number=1)
    again = fact("2025-01-01", "2025-03-31", 11, filed="2026-04-30", number=2)
    assert quarters(again, first)[date(2025, 3, 31)]["capex_usd"] == 10
    assert quarters(again, first)[date(2025, 3, 31)]["known_at"] == date(2025, 4, 30)


def test_other_element_with_another_figure_is_reported() -> None:
    here = fact("2025-01-01", "2025-03-31", 10, filed="2025-04-30")
    there = fact("2025-01-01", "2025-03-31", 12, tag=NEW, filed="2025-05-30")
    row = quarters(here, there)[date(2025, 3, 31)]
    assert (row["tag"], row["capex_usd"], row["other_tag_usd"]) == (OLD, 10, 12)


@pytest.mark.parametrize(("lasting", "ending"), [(OLD, NEW), (NEW, OLD)])
def test_of_two_elements_that_one_filing_states_the_one_that_stays_in_use_counts(lasting: str, ending: str) -> None:
    filed = {"filed": "2025-04-30"}
    row = quarters(
        fact("2025-01-01", "2025-03-31", 10, tag=lasting, **filed),
        fact("2025-01-01", "2025-03-31", 12, tag=ending, **filed),
        fact("2025-04-01", "2025-06-30", 11, tag=lasting),
    )[date(2025, 3, 31)]
    assert (row["tag"], row["capex_usd"], row["other_tag_usd"]) == (lasting, 10, 12)


def test_other_elements_are_left_alone() -> None:
    assert quarters(fact("2025-01-01", "2025-03-31", 10, tag="Revenues")) == {}


def test_filed_quarters_override_the_curated_ones_with_a_note(shared_data: Path) -> None:
    curated = load_registry()["capex_quarter"]
    overridden = capex_quarters(curated, recorded(shared_data, 1_652_044), load_registry()["company"])
    enforce(overridden.sort("company", "period_end"), CAPEX_QUARTER)
    alphabet = overridden.filter(pl.col("company") == "alphabet")
    filed = alphabet.filter(pl.col("notes").str.starts_with("XBRL"))
    assert filed["period_end"].min() == date(2022, 3, 31)
    assert filed["period_end"].max() == date(2026, 3, 31)
    row = filed.row(by_predicate=pl.col("period_end") == date(2025, 12, 31), named=True)
    assert (row["capex_usd"], row["basis"], row["fiscal_quarter"]) == (27_851 * MILLION, "cash_purchases", "Q4")
    assert row["notes"].startswith(f"XBRL {OLD}, 12 months less 9, accession 0001652044-26-")
    assert row["source_url"].startswith("https://www.sec.gov/Archives/edgar/data/1652044/000165204426")
    # The rounded figure of the first quarter of 2026 gives way, that of the second one stays: it is not filed here.
    rounded = {r["period_end"]: r["capex_usd"] for r in alphabet.iter_rows(named=True)}
    assert (rounded[date(2026, 3, 31)], rounded[date(2026, 6, 30)]) == (35_674 * MILLION, 44_900 * MILLION)
    others = pl.col("company") != "alphabet"
    assert_frame_equal(overridden.filter(others), curated.filter(others).sort("company", "period_end"))


def test_quarter_that_nobody_curated_is_added_with_the_companys_own_quarter(registry_table: Builder) -> None:
    row = {"company": "meta", "fiscal_year": 2025, "fiscal_quarter": "Q1", "basis": "cash_purchases"}
    curated = registry_table(
        "capex_quarter",
        [row | {"period_end": date(2025, 3, 31), "capex_usd": 5 * MILLION, "known_at": date(2025, 5, 10)}],
    )
    facts = [fact("2026-01-01", "2026-03-31", 20 * MILLION, filed="2026-04-30")]
    companies = registry_table("company", [{"company": "meta", "cik": 1}])
    added = capex_quarters(curated, pl.DataFrame(facts, schema=TYPES), companies).row(1, named=True)
    assert (added["company"], added["fiscal_year"], added["fiscal_quarter"]) == ("meta", 2026, "Q1")
    assert (added["capex_usd"], added["known_at"]) == (20 * MILLION, date(2026, 4, 30))


def test_nothing_filed_changes_nothing() -> None:
    registry = load_registry()
    curated = registry["capex_quarter"]
    unchanged = capex_quarters(curated, pl.DataFrame(schema=TYPES), registry["company"])
    assert_frame_equal(unchanged, curated.sort("company", "period_end"))


@pytest.mark.parametrize("weeks", [12, 13, 14])
def test_quarters_of_twelve_to_fourteen_weeks_are_quarters(weeks: int) -> None:
    start = date(2025, 2, 2)
    first = date.fromordinal(start.toordinal() + 13 * 7 - 1)
    second = date.fromordinal(first.toordinal() + weeks * 7)
    rows = quarters(fact(str(start), str(first), 10), fact(str(start), str(second), 25))
    assert rows[second]["capex_usd"] == 15
