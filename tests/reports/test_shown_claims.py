"""The claims of an article as text, as JSON and in the brief."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.command.read import show
from flows.reports import brief


@pytest.fixture
def home(published_demo: Path) -> str:
    return str(published_demo.parent)


def test_show_claims_has_verdict_statement_finding_and_what_is_left_out(home: str) -> None:
    shown = CliRunner().invoke(show, ["claims", "--home", home])
    assert shown.exit_code == 0
    text = " ".join(shown.output.split())
    assert "reproduced Google supports the credit of miners' AI projects with at least 5 bn USD." in text
    assert "bn USD of disclosed amounts were known on 2026-02-05. Left out: It is a promise, not a payment" in text
    assert "conversion_daily.google_backstop_usd" in text
    assert "from registry; judged on 2026-02-05" in text
    assert (
        "not measurable Miners capitulate. The profile is of an invented or a test chain, not of the real one." in text
    )


def test_claims_are_the_rows_of_the_table_for_a_program(home: str) -> None:
    claims = json.loads(CliRunner().invoke(show, ["claims", "--home", home, "--json"]).output)
    table = json.loads(CliRunner().invoke(show, ["claim", "--limit", "99", "--home", home, "--json"]).output)
    assert claims == table
    assert len(claims) == 16


def test_invented_days_are_not_held_against_times_of_real_distress(home: str) -> None:
    shown = CliRunner().invoke(show, ["episodes", "--home", home])
    assert shown.exit_code == 0
    assert "started_on" in shown.output
    assert "Missed" not in shown.output


def test_brief_lists_what_is_measurable_and_counts_the_rest(published_demo: Path) -> None:
    page = brief.markdown(brief.read(published_demo))
    claims = page.split("## Claims of an article of February 2026\n\n")[1].split("\n\n## ")[0].splitlines()
    assert [line.split("**")[1] for line in claims if line.startswith("- ")] == [
        "reproduced",
        "reproduced",
        "direction only",
    ]
    assert claims[-1].startswith("13 of 16 are not measurable with this profile.")
