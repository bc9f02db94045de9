"""The brief and its table, of a publication and of days that know little."""

import dataclasses
from datetime import date
from pathlib import Path

import duckdb

from flows.reports import brief
from flows.reports.alerts import Alert, AlertEvent
from schemas.freshness import Freshness, Late


def test_brief_has_state_move_quality_revisions_and_coverage(published_demo: Path) -> None:
    page = brief.markdown(brief.read(published_demo))
    assert page.startswith("# Bitcoin miners on 2026-11-07: squeeze\n")
    headings = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert headings == [
        "What moved the score",
        "Claims of an article of February 2026",
        "Data quality",
        "Revisions",
        "Coverage",
    ]
    assert "No source changed a value." in page
    assert "**Simulated data**" in page


def test_alerts_of_the_run_are_listed_with_who_receives_them(published_demo: Path) -> None:
    report = brief.read(published_demo)
    alert = Alert(event=AlertEvent.BURST, severity="news", subject="demo", title="Burst *of* coins", text="")
    received = brief.markdown(report, brief.Delivery(found=[alert], channels=["webhook", "mail"]))
    assert "## Alerts\n\n- news, by webhook, mail: Burst \\*of\\* coins\n\n## " in received
    unreceived = brief.markdown(report, brief.Delivery(found=[alert], channels=[]))
    assert "- news, no receiver: Burst \\*of\\* coins\n\n**No receiver yet** for any of these: " in unreceived
    assert [event for event in AlertEvent if event.words not in unreceived] == []
    quiet = brief.markdown(report, brief.Delivery(found=[], channels=["mail"]))
    assert "## Alerts\n\nNone in this run; they go out by mail.\n\n## " in quiet


def test_moves_of_the_parts_add_up_to_that_of_the_score(published_demo: Path) -> None:
    report = brief.read(published_demo)
    step = report.newest["capitulation_score"] - report.day_before["capitulation_score"]
    assert f"{step:+.1f} points since the day before:" in brief.markdown(report)


def test_figures_are_those_of_the_table(published_demo: Path) -> None:
    with duckdb.connect(str(published_demo / "hashpivot.duckdb"), read_only=True) as reader:
        (price, before), *_ = reader.execute(
            "select price_usd, (select price_usd from capitulation_daily where day = '2026-10-08') "
            "from capitulation_daily where day = '2026-11-07'"
        ).fetchall()
    (row,) = [row for row in brief.figures(brief.read(published_demo)) if row["Figure"] == "Price"]
    assert row["Value"] == f"{price:,.0f} USD"
    assert row["Change"] == f"{(price / before - 1) * 100:+.1f} %"


def test_unknown_stands_where_a_day_has_no_value(published_demo: Path) -> None:
    report = brief.read(published_demo)
    kept = {"day": report.newest["day"], "sources": "files", "is_final": False}
    empty = {name: None for name in report.newest} | kept
    bare = dataclasses.replace(report, newest=empty, day_before={}, month_before={}, unknown=tuple(empty))
    page = brief.markdown(bare)
    assert "The score is unknown" in page
    assert "not final" in page
    assert "no score to compare with" in page
    assert {row["Value"] for row in brief.figures(bare)} == {"unknown"}
    assert {row["Change"] for row in brief.figures(bare)} == {""}


def test_source_that_is_behind_is_named(published_demo: Path) -> None:
    report = brief.read(published_demo)
    sources = [dict(row) | {"last_day": date(2026, 11, 1)} for row in report.sources if row["last_day"]]
    assert "**6 days behind**" in brief.markdown(dataclasses.replace(report, sources=sources))
    assert "Data up to 2026-11-07, for the run of 2026-11-07." in brief.markdown(report)
    late = Late(source="simulated", last_day=date(2026, 11, 1), days_behind=6, allowed_lag_days=1)
    reached = Freshness(through=date(2026, 11, 7), described_until=late.last_day, late=(late,))
    page = brief.markdown(dataclasses.replace(report, reached=reached))
    assert "Data up to 2026-11-01, 6 days behind, for the run of 2026-11-07." in page
    assert "**Late**: simulated 6 days (1 allowed)." in page
