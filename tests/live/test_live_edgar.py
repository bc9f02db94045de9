"""EDGAR: amounts as filed, filings looked at once, one queue for two hosts, and nothing guessed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.run.pipeline import run_all
from flows.run.plan import plan
from flows.settings import read_profile, read_settings
from flows.sources.choose import source_named, web_session_of
from flows.sources.edgar import source as edgar
from flows.sources.edgar.company_facts import CompanyFacts, filing_facts
from flows.sources.edgar.plain_text import plain_text
from flows.sources.edgar.site import ARCHIVE, DATA, classify_document
from flows.sources.edgar.source import Edgar
from flows.sources.edgar.submissions import Submissions, filings_of
from flows.sources.edgar.unread import MOST_DAYS_COUNT, Unread
from flows.sources.protocol import Known, Request
from flows.sources.web.access import Access
from flows.sources.web.session import WebSession
from flows.sources.web.site import RawResponse
from flows.sources.web.usage import Usage
from schemas.errors import (
    BadInputError,
    HashpivotError,
    RequestBudgetError,
    RequestRejectedError,
    SettingsError,
    SourcePausedError,
    TransientError,
)
from schemas.observations import Batch, Notice, ObservedTable
from tests.live.replaying import replayed
from tests.replay import Fault, Limit, ReplayServer
from tests.replay.sites.coinmetrics import CoinMetricsReplay
from tests.replay.sites.edgar import EdgarReplay
from transforms.inputs.capex import CAPEX_TAGS, filed_quarters
from transforms.inputs.filings import CANDIDATE_FORMS
from warehouse.reading import query
from warehouse.registry import load_registry

THROUGH = date(2026, 9, 10)
NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
ALPHABET, NVIDIA, MICROSOFT = 1652044, 1045810, 789019
MINERS = (1083301, 1507605, 1720424)
OCTETS = "application/json"


@pytest.fixture
def site() -> EdgarReplay:
    site = EdgarReplay()
    site.through = THROUGH
    return site


@pytest.fixture
def server(site: EdgarReplay, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    with replayed(monkeypatch, [site], time_scale=0.1) as server:
        yield server


def source(
    server: ReplayServer, home: Path, facts: tuple[int, ...], filings: tuple[int, ...], most: int | None = None
) -> Edgar:
    session = WebSession(home, Usage(most), time_scale=server.time_scale)
    base, contact = server.base("edgar"), "Jane Doe jane@example.org"
    data = session.client(DATA, Access(url=base, contact=contact))
    archive = session.client(ARCHIVE, Access(url=f"{base}/Archives", contact=contact))
    return Edgar(data, archive, Unread(home / "edgar"), facts_of=facts, filings_of=filings)


def request(**changed: Any) -> Request:
    return Request(**{"since": None, "through": THROUGH, "now": NOW} | changed)


class Seen:
    """What was yielded up to the end or an error."""

    def __init__(self, items: Iterator[Batch | Notice]) -> None:
        self.batches: list[Batch] = []
        self.notices: list[str] = []
        self.error: HashpivotError | None = None
        try:
            for item in items:
                if isinstance(item, Batch):
                    self.batches.append(item)
                else:
                    self.notices.append(item.message)
        except HashpivotError as error:
            self.error = error

    def rows(self, table: ObservedTable) -> pl.DataFrame:
        return pl.concat(batch.rows for batch in self.batches if batch.table is table)

    @property
    def accessions(self) -> list[str]:
        return [batch.rows["accession"].item() for batch in self.batches if batch.table is ObservedTable.FILING]


def known_from(*seen: Seen) -> Known:
    filings: dict[tuple[int, str], date] = {}
    days: dict[tuple[str, int], date] = {}
    for batch in (batch for each in seen for batch in each.batches):
        if batch.table is ObservedTable.FILING:
            filings |= {(row["cik"], row["accession"]): row["filed_on"] for row in batch.rows.iter_rows(named=True)}
        else:
            days["edgar", batch.rows["cik"][0]] = batch.rows["filed_on"].max()  # type: ignore[assignment]
    return Known(filings={"edgar": filings}, newest_filing_day=days)


def recorded(site: EdgarReplay, shared_data: Path, cik: int) -> None:
    file = shared_data / "edgar" / f"api__xbrl__companyfacts__CIK{cik:010d}.json"
    if not file.is_file():
        pytest.skip("recorded company facts not present")
    site.recorded[f"/api/xbrl/companyfacts/CIK{cik:010d}.json"] = file.read_bytes()


def quarters(seen: Seen) -> dict[date, tuple[int | None, str]]:
    frame = filed_quarters(seen.rows(ObservedTable.FILING_FACT))
    return {end: (usd, tag) for end, usd, tag in frame.select("period_end", "capex_usd", "tag").iter_rows()}


def test_alphabets_quarters_come_out_of_the_recorded_facts(
    server: ReplayServer, site: EdgarReplay, tmp_path: Path, shared_data: Path
) -> None:
    recorded(site, shared_data, ALPHABET)
    seen = Seen(source(server, tmp_path, (ALPHABET,), ()).observe(request()))
    assert seen.error is None
    of_2025 = {end.month: usd for end, (usd, _) in quarters(seen).items() if end.year == 2025}
    assert of_2025 == {3: 17_197_000_000, 6: 22_446_000_000, 9: 23_953_000_000, 12: 27_851_000_000}


def test_nothing_filed_after_the_day_is_known_and_no_quarter_is_guessed(
    server: ReplayServer, site: EdgarReplay, tmp_path: Path, shared_data: Path
) -> None:
    recorded(site, shared_data, ALPHABET)
    before_the_annual_report = Seen(
        source(server, tmp_path, (ALPHABET,), ()).observe(request(through=date(2026, 2, 4), now=NOW))
    )
    assert before_the_annual_report.rows(ObservedTable.FILING_FACT)["filed_on"].max() == date(2025, 10, 30)
    assert date(2025, 12, 31) not in quarters(before_the_annual_report)
    # The half-year is filed, the first three months are not: the second quarter stays unknown.
    path = f"/api/xbrl/companyfacts/CIK{ALPHABET:010d}.json"
    facts = msgspec.json.decode(site.recorded[path])
    stated = facts["facts"]["us-gaap"][CAPEX_TAGS[0]]["units"]["USD"]
    facts["facts"]["us-gaap"][CAPEX_TAGS[0]]["units"]["USD"] = [
        each for each in stated if (each["start"], each["end"]) != ("2025-01-01", "2025-03-31")
    ]
    site.recorded[path] = msgspec.json.encode(facts)
    with_a_gap = quarters(Seen(source(server, tmp_path, (ALPHABET,), ()).observe(request())))
    assert date(2025, 3, 31) not in with_a_gap
    assert with_a_gap[date(2025, 6, 30)][0] is None
    assert with_a_gap[date(2025, 9, 30)][0] == 23_953_000_000


def test_nvidias_two_elements_follow_each_other(
    server: ReplayServer, site: EdgarReplay, tmp_path: Path, shared_data: Path
) -> None:
    recorded(site, shared_data, NVIDIA)
    found = quarters(Seen(source(server, tmp_path, (NVIDIA,), ()).observe(request())))
    assert found[date(2020, 7, 26)] == (217_000_000, CAPEX_TAGS[0])
    assert found[date(2020, 10, 25)] == (473_000_000, CAPEX_TAGS[1])
    assert {tag for end, (_, tag) in found.items() if end <= date(2020, 7, 26)} == {CAPEX_TAGS[0]}
    assert {tag for end, (_, tag) in found.items() if end > date(2020, 7, 26)} == {CAPEX_TAGS[1]}
    of_2026 = [found[end][0] for end in sorted(found) if date(2025, 1, 27) <= end <= date(2026, 1, 25)]
    assert sum(of_2026) == 6_042_000_000  # type: ignore[arg-type]  # the year as its 10-K states it
    # The year to January 2021 is nowhere stated with this element, nor are the first six months to July 2022.
    assert date(2021, 1, 31) not in found
    assert found[date(2022, 10, 30)][0] is None


def test_facts_are_those_of_the_file_and_no_others(shared_data: Path) -> None:
    for cik in (ALPHABET, NVIDIA):
        file = shared_data / "edgar" / f"api__xbrl__companyfacts__CIK{cik:010d}.json"
        if not file.is_file():
            pytest.skip("recorded company facts not present")
        whole = msgspec.json.decode(file.read_bytes())["facts"]["us-gaap"]
        stated = {
            (tag, each["start"], each["end"], each["accn"], each["val"])
            for tag in CAPEX_TAGS
            for each in whole.get(tag, {"units": {"USD": []}})["units"]["USD"]
        }
        rows, notices = filing_facts(
            "file", msgspec.json.decode(file.read_bytes(), type=CompanyFacts), cik, date(2026, 12, 31)
        )
        found = {
            (tag, str(start), str(end), accession, usd)
            for tag, start, end, accession, usd in rows.select(
                "tag", "period_start", "period_end", "accession", "value_usd"
            ).iter_rows()
        }
        assert found == stated
        assert not notices


def test_recorded_list_gives_its_candidates(shared_data: Path) -> None:
    file = shared_data / "edgar" / f"submissions__CIK{MICROSOFT:010d}.json"
    if not file.is_file():
        pytest.skip("recorded submissions not present")
    listed = msgspec.json.decode(file.read_bytes(), type=Submissions)
    span = date(2025, 7, 1), date(2026, 3, 3)
    found = list(filings_of("file", listed.filings.recent, MICROSOFT, listed.name, CANDIDATE_FORMS, span))
    recent = msgspec.json.decode(file.read_bytes())["filings"]["recent"]
    expected = [
        (accession, form, document)
        for accession, day, form, document in zip(
            recent["accessionNumber"], recent["filingDate"], recent["form"], recent["primaryDocument"], strict=True
        )
        if form in ("8-K", "10-Q", "10-K") and "2025-07-01" <= day <= "2026-03-03"
    ]
    assert expected
    assert [(each.accession, each.form, each.document) for each in found] == expected
    assert [page.last_day for page in listed.filings.files] == [date(2019, 11, 6), date(2008, 1, 30)]


def test_first_run_looks_thirty_days_back_and_the_next_at_nothing_twice(
    server: ReplayServer, site: EdgarReplay, tmp_path: Path
) -> None:
    first = Seen(source(server, tmp_path, (ALPHABET,), MINERS).observe(request()))
    filings = first.rows(ObservedTable.FILING)
    assert first.error is None
    assert filings["filed_on"].min() >= THROUGH - timedelta(days=30)  # type: ignore[operator]
    expected = {
        each.accession
        for cik in (ALPHABET, *MINERS)
        for each in site.filed(cik)
        if each.form in CANDIDATE_FORMS and each.day >= THROUGH - timedelta(days=30)
    }
    assert set(filings["accession"]) == expected
    assert filings["accession"].is_unique().all()
    count = len(server.log)
    assert count == 4 + 1 + len(expected)
    second = Seen(source(server, tmp_path, (ALPHABET,), MINERS).observe(request(known=known_from(first))))
    assert (second.batches, second.error) == ([], None)
    assert len(server.log) - count == 4


def test_words_are_evidence_and_what_is_hidden_is_not(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    seen = Seen(source(server, tmp_path, (), MINERS).observe(request()))
    rows = {row["cik"]: row for row in seen.rows(ObservedTable.FILING).iter_rows(named=True)}
    with_lease = rows[1083301]
    assert with_lease["keywords"] == "hosting,hpc,lease,megawatt"
    assert "101 MW of critical IT load" in with_lease["excerpt"]
    assert with_lease["items"] == "1.01,9.01"
    assert with_lease["company"] == "Company 1083301, Inc."
    assert with_lease["document_url"] == (
        "https://www.sec.gov/Archives/edgar/data/1083301/000108330126253001/f20260910_8K.htm"
    )
    assert (rows[1720424]["keywords"], rows[1720424]["excerpt"]) == ("", None)


def test_new_report_brings_new_facts(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    site.through = date(2026, 8, 8)
    first = Seen(source(server, tmp_path, (ALPHABET,), ()).observe(request(through=site.through)))
    assert first.rows(ObservedTable.FILING_FACT)["filed_on"].max() == date(2026, 5, 10)
    site.next_day()
    second = Seen(
        source(server, tmp_path, (ALPHABET,), ()).observe(request(through=site.through, known=known_from(first)))
    )
    assert second.rows(ObservedTable.FILING_FACT)["filed_on"].max() == date(2026, 8, 9)
    assert second.rows(ObservedTable.FILING)["form"].to_list() == ["10-Q"]


def test_long_pause_between_runs_misses_nothing(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    site.through = date(2026, 2, 20)
    first = Seen(source(server, tmp_path, (ALPHABET,), MINERS).observe(request(through=site.through)))
    site.through, site.recent_count = THROUGH, 20
    later = Seen(source(server, tmp_path, (ALPHABET,), MINERS).observe(request(known=known_from(first))))
    since = first.rows(ObservedTable.FILING)["filed_on"].min()
    expected = {
        each.accession
        for cik in (ALPHABET, *MINERS)
        for each in site.filed(cik)
        if each.form in CANDIDATE_FORMS and each.day >= since  # type: ignore[operator]
    }
    assert set(first.accessions) | set(later.accessions) == expected
    assert not set(first.accessions) & set(later.accessions)
    assert any(sent.path.endswith("-submissions-001.json") for sent in server.log)
    assert later.rows(ObservedTable.FILING_FACT)["filed_on"].max() == date(2026, 8, 9)


def test_more_documents_than_a_run_opens_come_with_the_next(
    server: ReplayServer, site: EdgarReplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgar, "MOST_DOCUMENTS_COUNT", 4)
    since = date(2026, 6, 1)
    runs: list[Seen] = []
    while not runs or len(runs[-1].accessions) == 4:
        runs.append(
            Seen(
                source(server, tmp_path, (), MINERS).observe(
                    request(since=since if not runs else None, known=known_from(*runs))
                )
            )
        )
    opened = [accession for run in runs for accession in run.accessions]
    filed = [each for cik in MINERS for each in site.filed(cik) if each.form in CANDIDATE_FORMS and each.day >= since]
    assert sorted(opened) == sorted(each.accession for each in filed)
    assert f"{len(filed) - 4} more filings up to {THROUGH}" in runs[0].notices[0]
    assert not runs[-1].notices


def test_unreadable_document_holds_up_no_other(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    whole = Seen(source(server, tmp_path / "other", (), MINERS).observe(request()))
    bad = whole.accessions[0]
    site.changed[bad] = b"<html><body>Welcome! Please accept our terms.</body></html>"
    first = Seen(source(server, tmp_path, (), MINERS).observe(request()))
    assert isinstance(first.error, TransientError)
    assert "names no" in str(first.error) or "does not name the Commission" in str(first.error)
    assert not first.accessions
    for day in range(1, MOST_DAYS_COUNT):
        later = Seen(source(server, tmp_path, (), MINERS).observe(request(now=NOW + timedelta(days=day))))
        assert later.error is not None
        assert later.accessions == whole.accessions[1:]
    last = Seen(source(server, tmp_path, (), MINERS).observe(request(now=NOW + timedelta(days=9))))
    assert last.error is None
    assert last.accessions == whole.accessions[1:]
    assert f"not looked at: 1 filings that could not be read on 7 days: {bad}" in last.notices
    del site.changed[bad]
    again = Seen(source(server, tmp_path, (), MINERS).observe(request(since=THROUGH - timedelta(days=30))))
    assert set(again.accessions) == set(whole.accessions)


def test_cut_page_is_no_filing(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    filed = next(each for each in site.filed(MINERS[0]) if each.form == "8-K")
    site.changed[filed.accession] = site.document(filed)[:-12]
    seen = Seen(source(server, tmp_path, (), MINERS[:1]).observe(request()))
    assert "breaks off" in str(seen.error)
    assert not seen.accessions


def test_page_of_hidden_words_alone_is_refused(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    filed = next(each for each in site.filed(MINERS[0]) if each.form == "8-K")
    site.changed[filed.accession] = site.document(filed).replace(b"</ix:header>", b"")
    seen = Seen(source(server, tmp_path, (), MINERS[:1]).observe(request()))
    assert isinstance(seen.error, BadInputError)
    assert not seen.accessions


def test_missing_documents_are_reported(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    gone = next(each for each in site.filed(MINERS[1]) if each.form == "8-K")
    site.absent, site.unlisted, site.without_facts = {gone.accession}, {MINERS[0]}, {ALPHABET}
    seen = Seen(source(server, tmp_path, (ALPHABET,), MINERS).observe(request()))
    assert seen.error is None
    assert f"CIK {MINERS[0]} is not there: HTTP 404" in seen.notices
    assert f"CIK {ALPHABET} has no facts: HTTP 404" in seen.notices
    assert "8-K is not there: HTTP 404" in seen.notices
    assert gone.accession not in seen.accessions
    site.unlisted = {ALPHABET, *MINERS}
    with pytest.raises(RequestRejectedError, match="404"):
        list(source(server, tmp_path, (ALPHABET,), MINERS).observe(request()))


def test_many_absent_documents_are_an_error(server: ReplayServer, site: EdgarReplay, tmp_path: Path) -> None:
    ciks = tuple(range(1083301, 1083307))
    site.absent = {each.accession for cik in ciks for each in site.filed(cik)}
    seen = Seen(source(server, tmp_path, (), ciks).observe(request()))
    assert isinstance(seen.error, RequestRejectedError)
    assert sum("/Archives/" in sent.path for sent in server.log) == edgar.MOST_REJECTIONS_COUNT


@pytest.mark.parametrize("at", [1, 4], ids=["data", "archive"])
def test_block_on_one_host_closes_both(server: ReplayServer, tmp_path: Path, at: int) -> None:
    server.faults.append(Fault("403 html", "edgar", at))
    seen = Seen(source(server, tmp_path, (), MINERS).observe(request()))
    assert isinstance(seen.error, SourcePausedError)
    assert "Request Rate Threshold Exceeded" in str(seen.error)
    for path in ("/submissions/CIK0001083301.json", "/edgar/data/1/000000000000000000/a.htm"):
        again = source(server, tmp_path, (), MINERS)
        client = again._data if "submissions" in path else again._archive
        with pytest.raises(SourcePausedError):
            client.text(path, {})
    assert len(server.log) == at


def test_two_hosts_wait_in_one_queue(site: EdgarReplay, tmp_path: Path) -> None:
    # Each by itself keeps to five a second; two queues would make it ten.
    site.limits = (Limit(6, 1),)
    with ReplayServer([site], time_scale=0.4) as server:
        one = source(server, tmp_path, (), MINERS)
        page = next(each for each in site.filed(MINERS[0]) if each.form == "8-K")
        path = f"/edgar/data/{MINERS[0]}/{page.accession.replace('-', '')}/{page.document}"
        with ThreadPoolExecutor(2) as threads:
            data = threads.submit(lambda: [one.probe() for _ in range(10)])
            archive = threads.submit(lambda: [one._archive.text(path, {}) for _ in range(10)])
            assert len(data.result()) == len(archive.result()) == 10
        server.check()


def test_undeclared_tool_names_the_contact(server: ReplayServer, tmp_path: Path) -> None:
    server.faults.append(Fault("403 undeclared", "edgar"))
    with pytest.raises(SettingsError, match=r"HASHPIVOT_EDGAR_CONTACT.*Undeclared Automated Tool"):
        list(source(server, tmp_path, (), MINERS).observe(request()))


@pytest.mark.parametrize("contact", [None, "Jane Doe", "https://example.org jane@example.org"])
def test_without_a_contact_nothing_is_fetched(
    server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contact: str | None
) -> None:
    monkeypatch.delenv("HASHPIVOT_EDGAR_CONTACT")
    if contact is not None:
        monkeypatch.setenv("HASHPIVOT_EDGAR_CONTACT", contact)
    settings = read_settings(home=tmp_path)
    with pytest.raises(SettingsError, match="HASHPIVOT_EDGAR_CONTACT"):
        source_named("edgar", settings, web_session_of(settings))
    assert not server.log


@pytest.mark.parametrize("variable", ["HASHPIVOT_EDGAR_URL", "HASHPIVOT_EDGAR_ARCHIVE_URL"])
def test_addresses_of_both_hosts_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("HASHPIVOT_EDGAR_CONTACT", "Jane Doe jane@example.org")
    monkeypatch.setenv(variable, "ftp://example.org")
    settings = read_settings(home=tmp_path)
    with pytest.raises(SettingsError, match=f"{variable}: "):
        source_named("edgar", settings, web_session_of(settings))


def test_plan_is_what_it_costs(server: ReplayServer, tmp_path: Path) -> None:
    one = source(server, tmp_path, (ALPHABET,), MINERS)
    first = one.plan(request())
    assert not server.log
    seen = Seen(one.observe(request()))
    # Reports of 40 days after the quarter are just beyond the thirty days.
    assert len(server.log) <= first.requests_count == 4 + 1 + 14
    assert first.seconds == pytest.approx(first.requests_count * 0.2)
    assert one.plan(request(known=known_from(seen))).requests_count <= 4 + 1


def test_budget_keeps_what_was_read(server: ReplayServer, tmp_path: Path) -> None:
    seen = Seen(source(server, tmp_path, (ALPHABET,), MINERS, most=6).observe(request()))
    assert isinstance(seen.error, RequestBudgetError)
    assert [batch.table for batch in seen.batches] == [ObservedTable.FILING_FACT, ObservedTable.FILING]
    assert len(server.log) == 6


def test_probe_costs_one_request(server: ReplayServer, tmp_path: Path) -> None:
    assert source(server, tmp_path, (ALPHABET,), MINERS).probe() == (
        "lists the filings of Company 1652044, Inc. up to 2026-09-07"
    )
    assert len(server.log) == 1


def test_profile_publishes_quarters_and_candidates_and_makes_no_deal_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path
) -> None:
    sites = EdgarReplay(), CoinMetricsReplay()
    for each in sites:
        each.through = THROUGH
    recorded(sites[0], shared_data, ALPHABET)
    own = tmp_path / "own.toml"
    own.write_text(
        'title = "Own"\nsources = ["coinmetrics", "edgar"]\n[precedence]\nblocks = []\nprice = ["coinmetrics"]\n'
        'chain = ["coinmetrics"]\nminer_flows = []\nexchange_flows = ["coinmetrics"]\nfilings = ["edgar"]\n'
    )
    with ReplayServer(sites, time_scale=0.1) as server:
        for variable, value in server.settings().items():
            monkeypatch.setenv(variable, value)
        settings = read_settings(home=tmp_path / "home")

        def requests_of_a_run(now: datetime) -> int:
            before = len(server.requests_of("edgar"))
            run = plan(settings, read_profile(str(own)), now=now)
            run_all(run)
            return len(server.requests_of("edgar")) - before

        first_count = requests_of_a_run(NOW)
        for each in sites:
            each.next_day()
        assert requests_of_a_run(NOW + timedelta(days=1)) == 0
        for each in sites:
            each.next_day()
            each.next_day()
        later_count = requests_of_a_run(NOW + timedelta(days=3))
        server.check()
    found = rows_of(
        settings.published,
        "select capex_usd, basis, source_url, notes from capex_quarter "
        "where company = 'alphabet' and year(period_end) = 2025 order by period_end",
    )
    assert [usd for usd, *_ in found] == [17_197_000_000, 22_446_000_000, 23_953_000_000, 27_851_000_000]
    assert {basis for _, basis, *_ in found} == {"cash_purchases"}
    assert all(notes.startswith(f"XBRL {CAPEX_TAGS[0]}") for *_, notes in found)
    assert all(url.startswith("https://www.sec.gov/Archives/edgar/data/1652044/0001652044") for *_, url, _ in found)
    candidates = rows_of(settings.published, "select accession, review, deal_id, keywords from filing_candidate")
    expected = {
        each.accession
        for cik in registry_ciks()
        for each in sites[0].filed(cik)
        if each.states_a_lease and each.day >= THROUGH - timedelta(days=30)
    }
    assert {accession for accession, *_ in candidates} == expected
    assert len(candidates) == len(expected) > 5
    assert {row[1:] for row in candidates} == {("open", None, "hosting,hpc,lease,megawatt")}
    assert rows_of(
        settings.published,
        "select count(*) from meta.columns where table_name = 'filing_candidate' and sources = 'edgar'",
    ) > [(0,)]
    deals = rows_of(settings.published, "select count(*) from conversion_deal")
    assert deals == [(load_registry()["conversion_deal"].height,)]
    assert first_count <= len(registry_ciks()) + 5 + 40
    filed = [each for cik in registry_ciks() for each in sites[0].filed(cik)]
    since = [each for each in filed if THROUGH < each.day <= THROUGH + timedelta(days=3)]
    new_count = sum(each.form in CANDIDATE_FORMS for each in since)
    # One more: the invented list has a report of August, which the facts that were recorded before it do not state.
    assert later_count == len(registry_ciks()) + new_count + 1


def rows_of(published: Path, sql: str) -> list[tuple[Any, ...]]:
    return query(published, sql)[1]


def registry_ciks() -> set[int]:
    tables = load_registry().values()
    return {cik for rows in tables if "cik" in rows.columns for cik in rows["cik"].drop_nulls().to_list()}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12) | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FACT = st.fixed_dictionaries(
    {
        "end": st.dates(date(2020, 1, 1), date(2026, 12, 31)).map(str) | JSON,
        "val": st.integers() | JSON,
        "accn": st.sampled_from(["0001652044-26-000018", "0001652044-26-000019"]) | JSON,
        "form": st.sampled_from(["10-Q", "10-K/A"]) | JSON,
        "filed": st.dates(date(2020, 1, 1), date(2026, 12, 31)).map(str) | JSON,
    },
    optional={"start": st.dates(date(2020, 1, 1), date(2026, 12, 31)).map(str) | JSON, "frame": JSON},
)
PLAIN_FACT = st.fixed_dictionaries(
    {
        "start": st.dates(date(2025, 1, 1), date(2025, 1, 3)).map(str),
        "end": st.dates(date(2025, 1, 1), date(2025, 1, 4)).map(str),
        "val": st.integers(-(2**63), 2**63 - 1),
        "accn": st.sampled_from(["0001652044-26-000018", "0001652044-26-000019"]),
        "form": st.sampled_from(["10-Q", "10-K/A"]),
        "filed": st.dates(date(2025, 1, 1), date(2025, 1, 4)).map(str),
    }
)


@given(facts=st.lists(FACT, max_size=4) | st.lists(PLAIN_FACT, max_size=12), tag=st.sampled_from(CAPEX_TAGS))
def test_any_facts_give_rows_that_hold_or_an_error_of_ours(facts: list[Any], tag: str) -> None:
    body = msgspec.json.encode({"cik": ALPHABET, "facts": {"us-gaap": {tag: {"units": {"USD": facts}}}}})
    try:
        rows, _ = filing_facts("fuzz", msgspec.json.decode(body, type=CompanyFacts), ALPHABET, date(2026, 12, 31))
    except HashpivotError:
        return
    batch("edgar", ObservedTable.FILING_FACT, rows)


def batch(name: str, table: ObservedTable, rows: pl.DataFrame) -> Batch:
    return Batch(source=name, table=table, origin="fuzz", sha256="", observed_at=NOW, rows=rows)


TEXTS = st.text(max_size=24) | st.sampled_from(["0001652044-26-000018", "8-K", "10-Q", "../../x.htm", "a.htm", "1.01"])


@given(
    lists=st.lists(st.tuples(TEXTS, st.dates(date(2026, 8, 1), THROUGH).map(str), TEXTS, TEXTS, TEXTS), max_size=4),
    cut=st.booleans(),
)
def test_any_list_gives_filings_of_one_folder_or_an_error_of_ours(lists: list[tuple[str, ...]], cut: bool) -> None:
    names = ("accessionNumber", "filingDate", "form", "items", "primaryDocument")
    columns: dict[str, list[str]] = {name: [row[at] for row in lists] for at, name in enumerate(names)}
    if cut:
        columns["form"] = columns["form"][1:]
    body = {"cik": "0001652044", "name": "x", "filings": {"recent": columns, "files": []}}
    listed = msgspec.json.decode(msgspec.json.encode(body), type=Submissions)
    try:
        found = list(
            filings_of("fuzz", listed.filings.recent, ALPHABET, "x", CANDIDATE_FORMS, (date(2026, 8, 1), THROUGH))
        )
    except HashpivotError:
        return
    assert all(each.form in CANDIDATE_FORMS for each in found)
    assert all(each.document is None or "/" not in each.document for each in found)
    assert all(each.path.startswith("/edgar/data/1652044/000165204426000018/") for each in found)


MARKUP = st.lists(
    st.sampled_from(
        (
            *("<", ">", "</", "<!--", "-->", "<p>", "<b", "</head>", "<head>", "<ix:header>", "</ix:header>", "&"),
            *("&amp;", "&#55296;", "&#" + "9" * 5000 + ";", "<![CDATA[", "]]>", "<script>", "</script", "\x00"),
            *("lease", '"', "/>"),
        )
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@given(markup=MARKUP)
def test_any_page_gives_words(markup: str) -> None:
    text = plain_text(markup)
    assert text == " ".join(text.split())
    text.encode()


@given(plain=st.lists(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1), max_size=12))
def test_tags_leave_words_as_they_are(plain: list[str]) -> None:
    tags = ["<p>", "</td><td colspan='2'>", "<br/>", "<div\nstyle='a:b'>", "<!-- hidden <b>words</b> -->"]
    marked = "".join(word + tags[at % len(tags)] for at, word in enumerate(plain))
    assert plain_text(f"<html><head><title>no</title></head><body>{marked}</body></html>") == " ".join(plain)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>hos<b>ting</b></p>", "hosting"),
        ("<ix:nonFraction>30</ix:nonFraction><ix:continuation>0&nbsp;MW", "300 MW"),
        ("<ix:header><ix:hidden>a</ix:hidden><p>b</ix:header>c", "c"),
        ("<IX:Header><ix:header>a</ix:header>b</IX:HEADER>c", "c"),
        ("a<!-- <p> lease --> b", "a b"),
        ("3 < 4 &lt; 5 <5", "3 < 4 < 5 <5"),
        ("high&#8209;performance hos&shy;ting&#7;", "high-performance hosting"),
        ("<![if gte mso 9]>a<![endif]>", "a"),
        ("<style>p>b {}</style><SCRIPT>if (a<b) lease()</SCRIPT>c", "c"),
    ],
)
def test_what_a_reader_sees(markup: str, text: str) -> None:
    assert plain_text(markup) == text


def test_no_page_takes_long() -> None:
    for piece in ("<!--", "<a ", "<", "<script>", "<ix:header>", "&", "securities <", "securities&nbsp;"):
        page = piece * (2_000_000 // len(piece))
        plain_text(page)
        classify_document(RawResponse(200, {"content-type": "text/html"}, page.encode()))


@given(body=st.binary(max_size=60), status=st.sampled_from([200, 403, 404, 503]), html=st.booleans())
def test_any_bytes_can_be_explained(body: bytes, status: int, html: bool) -> None:
    reply = RawResponse(status, {"content-type": "text/html" if html else OCTETS}, b"<title>" + body)
    problem = classify_document(reply)
    assert problem is not None or status != 200


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": ["2026-01-01"]}', b'{"x": ["2026-01-01"', b"\xff"])
def test_damaged_notes_of_what_was_unread_count_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "unread.json").write_bytes(content)
    notes = Unread(tmp_path)
    notes.add("x", date(2026, 1, 1))
    notes.add("x", date(2026, 12, 31))
    assert Unread(tmp_path).days_count("x", date(2026, 11, 20)) == 1
