"""The report as a model and as text: every figure is the publication's, and the text of others is nothing but text."""

import dataclasses
import hashlib
import html
import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_series_equal

from flows.reports.figure_shown import shown_value
from flows.reports.page import changes, computed, dictionary, facts, series, today
from flows.reports.page import pages as made
from flows.reports.page.charts import CHARTS
from flows.reports.page.file import published_report, write_report
from flows.reports.page.given import Before, Given, of_folder, shown_before
from schemas.errors import WarehouseError
from tests.invocation import REPOSITORY
from transforms.catalog import TABLES

ATTACK = "</script><script>document.title='planted'</script><img src=x onerror=alert(1)>\u202e"
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def given(published_demo: Path) -> Given:
    return of_folder(published_demo, None)


@pytest.fixture(scope="module")
def model(given: Given) -> dict[str, Any]:
    return made.report_model(given)


@pytest.fixture(scope="module")
def drawn(model: dict[str, Any]) -> dict[str, Any]:
    """What the script reads."""
    found: dict[str, Any] = json.loads(model["data"])
    return found


def unpacked(column: dict[str, Any], count: int) -> list[float | None]:
    """One value a day, as the script makes it."""
    found: list[float | None] = [None] * count
    if "at" in column:
        for at, end, value in zip(column["at"], [*column["at"][1:], column["until"]], column["values"], strict=True):
            found[at:end] = [value] * (end - at)
    else:
        found[column["from"] : column["from"] + len(column["values"])] = column["values"]
    return found


def values_of(cells: list[float | None]) -> pl.Series:
    return pl.Series(cells, dtype=pl.Float64, strict=False)


def test_every_column_of_every_chart_is_that_of_its_table(given: Given, drawn: dict[str, Any]) -> None:
    first, count = date.fromisoformat(drawn["axis"]["first"]), drawn["axis"]["count"]
    keys = [line["key"] for chart in drawn["charts"] for line in chart["lines"]]
    assert len(keys) > 40
    for key in keys:
        table, _, name = key.partition(".")
        if table == "report":
            continue
        rows = given.tables[table]
        offset = (rows["day"][0] - first).days
        shown = unpacked(drawn["columns"][key], count)[offset : offset + rows.height]
        assert_series_equal(values_of(shown), rows[name].cast(pl.Float64), check_names=False, rel_tol=5e-6)


def test_megawatts_by_company_add_up_to_those_of_the_day(given: Given, drawn: dict[str, Any]) -> None:
    axis = series.Axis(
        first=date.fromisoformat(drawn["axis"]["first"]), last=given.tables["conversion_daily"]["day"][-1]
    )
    for what in ("contracted", "energised"):
        days = given.tables["conversion_daily"].select("day", mw=f"{what}_critical_it_mw")
        for party in ("miner", "tenant"):
            (chart,) = [chart for chart in drawn["charts"] if chart["name"] == f"{what}_by_{party}"]
            columns = [unpacked(drawn["columns"][line["key"]], axis.count) for line in chart["lines"]]
            sums = [sum(value or 0 for value in values) for values in zip(*columns, strict=True)]
            assert len(columns) >= 2
            for day, mw in days.iter_rows():
                assert sums[axis.index(day)] == pytest.approx(mw or 0), (what, party, day)


def test_hash_price_that_pays_the_cost_is_that_at_which_coverage_would_be_one(given: Given) -> None:
    days = given.tables["capitulation_daily"].with_columns(**computed.break_even(given.tables["capitulation_daily"]))
    known = days.drop_nulls("cost_coverage_ratio")
    middle, low, high = (known[f"report.break_even_hashprice{end}_usd_per_phs_day"] for end in ("", "_low", "_high"))
    assert known.height > 100
    assert (middle * known["cost_coverage_ratio"]).to_list() == pytest.approx(
        known["hashprice_7d_usd_per_phs_day"].to_list()
    )
    assert bool(((low <= middle) & (middle <= high)).all())


def test_figures_of_the_page_are_those_of_the_tables(published_demo: Path, model: dict[str, Any]) -> None:
    shown = {row["key"]: row["value"] for rows in model["figures"].values() for row in rows}
    with duckdb.connect(str(published_demo / "hashpivot.duckdb"), read_only=True) as reader:
        sql = (
            "select c.price_usd, c.capitulation_score, s.pool_hhi_index, v.contracted_critical_it_mw "
            "from capitulation_daily c join security_daily s using (day) join conversion_daily v using (day) "
            "where day = '2026-11-07'"
        )
        price, score, hhi, contracted_mw = reader.execute(sql).fetchall()[0]
    assert shown["capitulation_daily.price_usd"] == f"{price:,.0f} USD"
    assert shown["capitulation_daily.capitulation_score"] == f"{score:.1f} of 100"
    assert shown["security_daily.pool_hhi_index"] == f"{hhi:,.0f} index points"
    assert shown["conversion_daily.contracted_critical_it_mw"] == f"{contracted_mw:,.0f} MW"


def test_parts_of_the_score_add_up(model: dict[str, Any]) -> None:
    assert sum(part["points"] for part in model["today"]["parts"]) == pytest.approx(model["today"]["points"])


def test_every_figure_and_line_has_its_definition(model: dict[str, Any], given: Given) -> None:
    keys = [line.key for chart in model["charts"] for line in chart.lines]
    keys += [row["key"] for rows in model["figures"].values() for row in rows]
    for key in keys:
        fact = model["facts"][key]
        assert fact.description
        assert fact.unit
        assert fact.error
    stated = facts.column_facts(given.meta["columns"], ["capitulation_daily.price_usd"])["capitulation_daily.price_usd"]
    assert model["facts"]["capitulation_daily.price_usd"] == stated


def test_every_declared_chart_is_drawn(drawn: dict[str, Any]) -> None:
    named = {chart["name"] for chart in drawn["charts"]}
    assert {chart.name for chart in CHARTS} < named
    assert {"contracted_by_miner", "contracted_by_tenant", "energised_by_miner", "energised_by_tenant"} < named


def test_states_halvings_and_outages_are_marked_where_the_tables_have_them(given: Given, drawn: dict[str, Any]) -> None:
    days = given.tables["capitulation_daily"]
    first = date.fromisoformat(drawn["axis"]["first"])
    marked = {
        first + timedelta(days=at): state for begin, end, state in drawn["states"] for at in range(begin, end + 1)
    }
    stated = {day: state for day, state in days.select("day", "capitulation_state").iter_rows() if state}
    assert marked == {day: state for day, state in stated.items() if state != "normal"}
    counts = days["halving_count"].drop_nulls()
    assert len(drawn["halvings"]) == counts[-1] - counts[0] > 0
    for at, _ in drawn["halvings"]:
        day = first + timedelta(days=at)
        then = days.filter(pl.col("day").is_in([day - timedelta(days=1), day]))["halving_count"].to_list()
        assert then[1] == then[0] + 1
    storms = {event: start for event, start in given.tables["outage_event"].select("event", "start_on").iter_rows()}
    assert {name: first + timedelta(days=at) for at, _, name in drawn["outages"]} == storms


@pytest.mark.parametrize(
    "cells",
    [
        [None, None, 1.5, None, 2.5, 123456.789, None],
        [None, 1.0, 1.0, 1.0, 1.0, 1.0, None, None, None, None, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0],
        [None, None],
        [0.1, 0.2, 0.3],
        [1e18, 2e18, 3.0],
    ],
)
def test_packed_column_unpacks_to_what_it_was(cells: list[float | None]) -> None:
    column = series.packed(pl.Series(cells, dtype=pl.Float64), 3)
    found = unpacked(column, len(cells) + 5)[3 : 3 + len(cells)]
    assert_series_equal(values_of(found), values_of(cells), rel_tol=5e-6)


def as_before(given: Given) -> Before:
    """The same publication, as if it were the one before."""
    return Before(version="v0", tables=dict(given.tables))


def test_nothing_has_changed_against_the_same_publication(given: Given) -> None:
    assert changes.changes(dataclasses.replace(given, before=as_before(given))) == []
    assert changes.changes(given) == []


def test_changes_name_state_score_past_days_deals_and_verdicts(given: Given) -> None:
    same = as_before(given)
    days = (
        same.tables["capitulation_daily"]
        .head(-1)
        .with_columns(
            capitulation_score=pl.when(pl.col("day") == date(2026, 11, 1)).then(1.0).otherwise("capitulation_score"),
            capitulation_state=pl.when(pl.col("day") == date(2026, 11, 6))
            .then(pl.lit("normal"))
            .otherwise("capitulation_state"),
        )
    )
    claims = same.tables["claim"].with_columns(verdict=pl.lit("not measurable"))
    deals = same.tables["deal_current"].head(-1)
    before = Before(version="v0", tables={"capitulation_daily": days, "claim": claims, "deal_current": deals})
    found = changes.changes(dataclasses.replace(given, before=before))
    listed = {row["what"]: row["how"] for row in found}
    newest = given.tables["deal_current"].row(-1, named=True)
    assert listed["Newest day with a score"] == "2026-11-06 to 2026-11-07"
    assert listed["State"] == "normal to squeeze"
    assert listed["Days already published"] == "score or state of 2 is another now: 2026-11-01 to 2026-11-06"
    assert listed["New deal"].startswith(newest["miner_name"])
    assert any(what.startswith("Verdict: ") for what in listed)


def test_dictionary_states_of_each_column_when_it_is_null_or_never(given: Given) -> None:
    page = dictionary.table_pages(given)["capitulation_daily"]
    entries = {entry.row["column_name"]: entry for _, of_topic in page.topics for entry in of_topic}
    never = {name for name, entry in entries.items() if entry.null_rule == "never"}
    assert never == {metric.name for metric in TABLES["capitulation_daily"].metrics if metric.null_rule is None}
    assert all(entry.null_rule or entry.null_notes for entry in entries.values())


def test_parties_come_by_their_power_then_by_name() -> None:
    power = {"b": (3.0, 5.0), "a": (3.0, 5.0), "c": (9.0, 5.0), "d": (0.0, 7.0), "none": (0.0, 0.0)}
    first, second = date(2026, 11, 1), date(2026, 11, 2)
    rows = [(day, name, mw[n]) for name, mw in power.items() for n, day in enumerate((first, second))]
    days = pl.DataFrame(rows, schema=["day", "miner", "mw"], orient="row")
    axis = series.Axis.of(days)
    assert list(computed.by_party(days, "miner", "mw", {}, axis)) == ["d", "c", "a", "b"]


def test_publication_of_another_profile_is_not_compared_with(published_demo: Path) -> None:
    shown = shown_before(published_demo, "demo")
    assert shown is not None
    assert shown.tables["capitulation_daily"].height > 2_000
    assert shown_before(published_demo, "live") is None


def test_text_of_others_is_text(given: Given) -> None:
    company = given.tables["company"].with_columns(name=pl.lit(ATTACK))
    deals = given.tables["deal_current"].with_columns(
        miner_name=pl.lit(ATTACK), source_url=pl.lit("javascript:alert(1)")
    )
    quality = given.meta["quality"].with_columns(detail=pl.lit(ATTACK), passed=pl.lit(False))
    planted = dataclasses.replace(
        given,
        tables={**given.tables, "company": company, "deal_current": deals},
        meta={**given.meta, "quality": quality},
    )
    page = made.pages(planted)["index.html"].decode()
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "javascript:" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "\u202e" not in page
    assert page.count("&lt;/script&gt;") > 20


def test_policy_lets_nothing_run_but_the_script_of_the_page_and_fetches_nothing(given: Given) -> None:
    page = made.pages(given)["index.html"].decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//(?!\S+" rel="noopener)""", page)
    assert not re.findall(r"\sstyle=|\son[a-z]+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def test_page_is_small_and_part_of_the_version(published_demo: Path) -> None:
    path = published_report(published_demo)
    assert path == published_demo / "report" / "index.html"
    assert path.stat().st_size < MOST_BYTES
    assert path.stat().st_mode & 0o777 == 0o444
    files = {file["path"]: file for file in json.loads((published_demo / "manifest.json").read_bytes())["files"]}
    for name in ("index.html", "dictionary.html", "dictionary-capitulation_daily.html"):
        content = (published_demo / "report" / name).read_bytes()
        assert files[f"report/{name}"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_page_of_the_run_is_that_of_its_publication(published_demo: Path, given: Given) -> None:
    assert made.pages(given)["index.html"] == published_report(published_demo).read_bytes()


def test_every_figure_of_the_report_leads_to_how_it_came_about(published_demo: Path, given: Given) -> None:
    page = (published_demo / "report" / "explained.html").read_text(encoding="utf-8")
    report = (published_demo / "report" / "index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="explained\.html#([^"]+)"', report))
    assert len(linked) > 40
    sections = dict(re.findall(r'<section id="([^"]+)" class="explained".*?<p><b>([^<]*)</b>', page, re.DOTALL))
    assert linked <= set(sections)
    newest = given.newest_scored()["day"]
    for name in linked:
        table, _, column = name.partition(".")
        row = given.tables[table].filter(pl.col("day") == newest).row(0, named=True)
        assert html.unescape(sections[name]) == shown_value(row[column]), name
    assert "which differs" not in page
    assert page.count("computed again from these values: the same") > 60
    assert re.search(r"simulated:seed=7, sha256 [0-9a-f]{12}, observed ", page)


def test_dictionary_has_every_column(published_demo: Path, given: Given) -> None:
    folder = published_demo / "report"
    index = (folder / "dictionary.html").read_text(encoding="utf-8")
    for (table,), columns in given.meta["columns"].group_by("table_name"):
        page = (folder / f"dictionary-{table}.html").read_text(encoding="utf-8")
        assert f'href="dictionary-{table}.html"' in index
        for column in columns["column_name"]:
            assert f'<tr id="{column}">' in page
            assert f'href="dictionary-{table}.html#{column}"' in index


def test_every_link_of_report_and_dictionary_leads_somewhere(published_demo: Path) -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in (published_demo / "report").glob("*.html")}
    places = {name: set(re.findall(r'\sid="([^"]+)"', page)) for name, page in pages.items()}
    assert len(pages) > 40
    for name, page in pages.items():
        for link in re.findall(r'<a [^>]*href="([^"]+)"', page):
            if link.startswith("http"):
                continue
            file, _, place = link.partition("#")
            assert file in ("", *pages) or (published_demo / "report" / file).exists(), (name, link)
            assert not place or place in places[file or name], (name, link)


def test_no_page_of_the_dictionary_repeats_a_sentence_and_none_is_missing(given: Given) -> None:
    for table, page in dictionary.table_pages(given).items():
        rows = {
            row["column_name"]: row for row in given.meta["columns"].iter_rows(named=True) if row["table_name"] == table
        }
        entries = [entry for _, entries in page.topics for entry in entries]
        assert [entry.row["starter_rank"] for entry in page.starters] == list(range(1, len(page.starters) + 1))
        assert len(page.starters) == sum(entry.row["starter_rank"] is not None for entry in entries)
        shown = [sentence for entry in entries for sentence in entry.error.split(". ") if len(sentence) > 40]
        assert all(shown.count(sentence) < 3 for sentence in shown), table
        for entry in entries:
            whole = " ".join([entry.error, *(page.notes[number - 1] for number in entry.error_notes)])
            assert sorted(whole.split()) == sorted(rows[entry.row["column_name"]]["error"].split())


def test_report_is_written_anew_as_one_file(published_demo: Path, tmp_path: Path) -> None:
    output = tmp_path / "mail" / "report.html"
    write_report(published_demo, output)
    page = output.read_text(encoding="utf-8")
    assert "Bitcoin miners on 2026-11-07: squeeze" in page
    assert "dictionary.html" not in page
    with pytest.raises(WarehouseError, match=r"^[^\n]*name another one$"):
        write_report(published_demo, tmp_path)


def test_publication_without_a_report_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"^[^\n]*found no publication, expected a report; run `hashpivot daily`"):
        published_report(tmp_path)


def test_tones_know_every_state() -> None:
    known = {state: today.tone(state) for state in (None, "normal", "recovery", "capitulation", "deep_capitulation")}
    assert list(known.values()) == ["unknown", "calm", "recovery", "capitulation", "deep"]
    assert today.tone("squeeze") == today.tone("outage") == "strained"


def test_vendored_files_are_those_of_the_release() -> None:
    folder = REPOSITORY / "flows/reports/page/assets/uplot"
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
