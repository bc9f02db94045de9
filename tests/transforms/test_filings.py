"""Filings are found by their words, and stay candidates until a person has read them."""

from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enforce import enforce
from schemas.observations import FILING
from transforms.build import build
from transforms.inputs.filings import EXCERPT_CHARACTERS, KEYWORDS, evidence, filing_candidates, filing_rows
from transforms.prepare import Inputs

LEASE = (
    "On December 17, 2025 the Company entered into a fifteen-year triple-net lease for 245 MW of critical IT capacity; "
    "Google has agreed to backstop the tenant's obligations."
)

Builder = Callable[..., pl.DataFrame]


def filing(**cells: Any) -> dict[str, Any]:
    return {
        "cik": 1_964_789,
        "accession": "0001964789-25-000123",
        "company": "Hut 8 Corp.",
        "form": "8-K",
        "filed_on": date(2025, 12, 17),
        "items": "1.01,9.01",
        "document_url": "https://www.sec.gov/Archives/edgar/data/1964789/000196478925000123/a.htm",
        "keywords": "backstop,lease,megawatt",
        "excerpt": "a lease of 245 MW",
    } | cells


def candidates(
    registry_table: Builder, *rows: dict[str, Any], reviews: list[dict[str, Any]] | None = None
) -> pl.DataFrame:
    return filing_candidates(filing_rows(rows), registry_table("filing_review", reviews or []))


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        (LEASE, ("backstop", "lease", "megawatt")),
        (
            "Hosting Agreement for High-Performance Computing (HPC), guaranteed by its parent",
            ("guarantee", "hosting", "hpc"),
        ),
        ("an additional 40MW at the Site", ("megawatt",)),
        ("LEASED\n\n  premises", ("lease",)),
        ("please release the MWh meter and the ghosting", ()),
        ("", ()),
    ],
)
def test_keywords_are_whole_words(text: str, keywords: tuple[str, ...]) -> None:
    assert evidence(text).keywords == keywords


def test_excerpt_is_where_most_different_keywords_stand() -> None:
    found = evidence("A lease of an office. " + "Nothing to see here. " * 60 + LEASE + " The end." * 80)
    assert found.excerpt is not None
    assert {"245 MW", "backstop", "triple-net lease"} <= {
        w for w in ("245 MW", "backstop", "triple-net lease") if w in found.excerpt
    }
    assert len(found.excerpt) <= EXCERPT_CHARACTERS


def test_excerpt_of_one_keyword_is_where_it_stands_and_begins_with_a_whole_word() -> None:
    before = "Nothing to see here. "
    found = evidence(f"{before * 60}Hosting is new.{' The end.' * 80}").excerpt
    assert found is not None
    assert "Hosting" in found
    assert found.split()[0] in before.split()


@given(st.lists(st.sampled_from([*"ab .\n", "lease ", " 40 MW ", "hosting "]), max_size=300))
def test_whatever_the_text_the_row_passes_its_schema(pieces: list[str]) -> None:
    found = evidence("".join(pieces))
    assert set(found.keywords) <= set(KEYWORDS)
    enforce(filing_rows([filing(keywords=",".join(found.keywords), excerpt=found.excerpt)]), FILING)


def test_filing_that_speaks_of_leases_alone_is_no_candidate(registry_table: Builder) -> None:
    rows = [
        filing(accession=f"0001964789-25-00000{n}", keywords=words, excerpt="x" if words else None)
        for n, words in enumerate(("", "lease", "guarantee,lease", "lease,megawatt"))
    ]
    assert candidates(registry_table, *rows)["accession"].to_list() == ["0001964789-25-000003"]


def test_candidate_is_open_until_a_person_has_read_it(registry_table: Builder) -> None:
    read = {"accession": "0001964789-25-000123", "reviewed_on": date(2025, 12, 18), "notes": "the lease itself"}
    other = filing(accession="0001964789-25-000124", filed_on=date(2025, 12, 1))
    found = candidates(
        registry_table, filing(), other, reviews=[read | {"review": "deal", "deal_id": "HUT-FLUID-RB-2025-12"}]
    )
    assert found["review"].to_list() == ["open", "deal"]
    assert found["deal_id"].to_list() == [None, "HUT-FLUID-RB-2025-12"]
    assert found["cik"].to_list() == ["0001964789"] * 2


def test_candidates_are_published_and_change_no_deal(
    inputs_of: Callable[..., Inputs], values_of: Builder, market: Callable[..., Any]
) -> None:
    values = values_of(date(2025, 1, 1), market(40))
    without = build(inputs_of(values=values))
    found = build(inputs_of(values=values, filings=filing_rows([filing()]), filing_source="edgar"))
    row = found.tables["filing_candidate"].row(0, named=True)
    assert (row["company"], row["review"], row["sources"], row["keyword_count"]) == ("Hut 8 Corp.", "open", "edgar", 3)
    assert without.tables["filing_candidate"].is_empty()
    assert found.tables["conversion_daily"].equals(without.tables["conversion_daily"])
