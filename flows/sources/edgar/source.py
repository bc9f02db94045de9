"""What companies file with the SEC: capital expenditure from their facts, the words of a lease from their documents."""

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from flows.sources.edgar.company_facts import REMEDY, CompanyFacts, filing_facts, same_cik
from flows.sources.edgar.plain_text import plain_text
from flows.sources.edgar.site import ARCHIVE
from flows.sources.edgar.submissions import Columns, Filing, Submissions, filings_of
from flows.sources.edgar.unread import MOST_DAYS_COUNT, Unread
from flows.sources.protocol import Estimate, Request
from flows.sources.web.client import Client
from schemas.errors import BadInputError, RequestBudgetError, RequestRejectedError, SourcePausedError, TransientError
from schemas.observations import Batch, Notice, ObservedTable
from schemas.text import cell
from transforms.inputs.filings import CANDIDATE_FORMS, EXCERPT_CHARACTERS, evidence, filing_rows

FETCH_INTERVAL: Final = timedelta(days=3)
"""Filings need a person's review anyway, so that a list a company every day would be wasted."""
FIRST_LOOK_BACK: Final = timedelta(days=30)
"""Filings of so many days are looked at in the first run."""
MOST_DOCUMENTS_COUNT: Final = 40
"""Documents that one run opens, the oldest first; the others come with the next runs."""
MOST_REJECTIONS_COUNT: Final = 5
"""Documents that are not there, before we take it that something is wrong with the address."""
COVER_WORD: Final = "commission"
"""Whom every form is addressed to. A page without it, once its tags are gone, was not understood."""
WITH_AMOUNTS: Final = ("10-Q", "10-K", "20-F", "40-F")
"""Forms that bring new facts. An amendment changes no amount that was filed before it."""
FILINGS_A_YEAR: Final = 40
"""What a company files of `CANDIDATE_FORMS` in a year, for the plan: a miner more, a large company fewer."""


class Edgar:
    """Company facts and filings, by CIK.

    Fetched again `FETCH_INTERVAL` after the last batch, or where a `since` is given; nothing in between. Costs one
    request a company for the list of its filings; one for its facts where none are stored, or where it has filed a
    report since; and one for each filing that nobody has looked at. Looked at are the filings since the oldest that is
    stored, or of the last `FIRST_LOOK_BACK` where none is or where that is longer, at most `MOST_DOCUMENTS_COUNT` a
    run. A filing never changes, so none is opened twice, whatever `since` says; a `since` reads all facts again, which
    hold everything ever filed, and tries documents again that could not be read.
    """

    def __init__(
        self, data: Client, archive: Client, unread: Unread, facts_of: Sequence[int], filings_of: Sequence[int]
    ) -> None:
        """`facts_of` and `filings_of`: CIKs of the companies whose amounts and whose filings count."""
        self._data, self._archive, self._unread = data, archive, unread
        self.name = data.site.name
        self._facts_of = tuple(sorted(set(facts_of)))
        self._companies = (*self._facts_of, *sorted(set(filings_of) - set(facts_of)))

    def plan(self, request: Request) -> Estimate:
        """A list a company, the facts that are not stored, and as many documents as the days usually bring."""
        if self._received_lately(request):
            return Estimate(requests_count=0, seconds=0)
        looked_at = request.known.filings.get(self.name, {})
        first = self._first_day(request)
        since = max(first, max(looked_at.values())) if looked_at and request.since is None else first
        days = max((request.through - since).days, 0)
        documents = min(math.ceil(len(self._companies) * FILINGS_A_YEAR * days / 365), MOST_DOCUMENTS_COUNT)
        facts = sum(
            request.since is not None or (self.name, cik) not in request.known.newest_filing_day
            for cik in self._facts_of
        )
        count = len(self._companies) + facts + documents
        return Estimate(requests_count=count, seconds=count * self._data.site.spacing_seconds)

    def probe(self) -> str:
        """Fetch one list of filings; what was found, in words. Raises as `Client.json`."""
        cik = self._companies[0]
        listed = self._data.json(_list_of(cik), {}, Submissions).value
        return f"lists the filings of {listed.name} up to {max(listed.filings.recent.filed_on, default=None)}"

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield one batch of facts a company, then one of each document that was opened.

        Raises as `Client.json` and `Client.text`, and `BadInputError`.
        """
        if self._received_lately(request):
            return
        looked_at = request.known.filings.get(self.name, {})
        first_day = self._first_day(request)
        waiting: list[Filing] = []
        rejected_count = 0
        for cik in self._companies:
            facts_until = request.known.newest_filing_day.get((self.name, cik), first_day)
            try:
                listed = self._listed(cik, (min(first_day, facts_until), request.through))
            except RequestRejectedError as rejection:
                rejected_count += 1
                if rejected_count == len(self._companies):
                    raise
                yield self._notice(self._data.place(_list_of(cik), {}), f"CIK {cik} is not there: {rejection.code}")
                continue
            waiting += [
                each for each in listed if each.filed_on >= first_day and (cik, each.accession) not in looked_at
            ]
            if cik in self._facts_of and self._facts_wanted(cik, listed, request):
                yield from self._facts(cik, request)
        yield from self._documents(waiting, request)

    def _received_lately(self, request: Request) -> bool:
        received_at = request.known.received_at.get(self.name)
        return request.since is None and received_at is not None and request.now - received_at < FETCH_INTERVAL

    def _first_day(self, request: Request) -> date:
        if request.since is not None:
            return request.since
        looked_at = request.known.filings.get(self.name, {})
        return min([request.through - FIRST_LOOK_BACK, *looked_at.values()])

    def _listed(self, cik: int, span: tuple[date, date]) -> list[Filing]:
        """The company's filings of the days in `span`, the newest first."""
        path = _list_of(cik)
        response = self._data.json(path, {}, Submissions)
        same_cik(response.origin, response.value.cik, cik)
        pages: list[tuple[str, Columns]] = [(response.origin, response.value.filings.recent)]
        for page in response.value.filings.files:
            if page.last_day >= span[0] and page.first_day <= span[1]:
                older = self._data.json(f"/submissions/{page.name}", {}, Columns)
                pages.append((older.origin, older.value))
        filings = [
            filing
            for origin, columns in pages
            for filing in filings_of(origin, columns, cik, response.value.name, CANDIDATE_FORMS, span)
        ]
        return list({each.accession: each for each in filings}.values())

    def _facts_wanted(self, cik: int, listed: Sequence[Filing], request: Request) -> bool:
        """Whether there may be facts that are not stored."""
        stored_until = request.known.newest_filing_day.get((self.name, cik))
        if request.since is not None or stored_until is None:
            return True
        return any(each.form in WITH_AMOUNTS and each.filed_on > stored_until for each in listed)

    def _facts(self, cik: int, request: Request) -> Iterator[Batch | Notice]:
        path = f"/api/xbrl/companyfacts/CIK{cik:010d}.json"
        try:
            response = self._data.json(path, {}, CompanyFacts)
        except RequestRejectedError as rejection:
            yield self._notice(self._data.place(path, {}), f"CIK {cik} has no facts: {rejection.code}")
            return
        rows, notices = filing_facts(response.origin, response.value, cik, request.through)
        for message in notices:
            yield self._notice(response.origin, message)
        yield Batch(
            source=self.name,
            table=ObservedTable.FILING_FACT,
            origin=response.origin,
            sha256=response.sha256,
            observed_at=request.now,
            rows=rows,
        )

    def _documents(self, waiting: Sequence[Filing], request: Request) -> Iterator[Batch | Notice]:
        pages = [each for each in waiting if each.document is not None]
        left = [each for each in pages if request.since is None and self._failed_days(each, request) >= MOST_DAYS_COUNT]
        yield from self._about_left(left, [each for each in waiting if each.document is None])
        # One that could not be read before comes last, so that it holds up no other.
        ordered = sorted(
            (each for each in pages if each not in left),
            key=lambda each: (self._failed_days(each, request), each.filed_on, each.cik, each.accession),
        )
        rejected_count = 0
        for filing in ordered[:MOST_DOCUMENTS_COUNT]:
            try:
                batch = self._looked_at(filing, request)
            except (SourcePausedError, RequestBudgetError):
                raise
            except RequestRejectedError as rejection:
                self._unread.add(filing.accession, request.now.date())
                rejected_count += 1
                if rejected_count == MOST_REJECTIONS_COUNT:
                    raise
                yield self._notice(
                    self._archive.place(filing.path, {}), f"{filing.form} is not there: {rejection.code}"
                )
            except (BadInputError, TransientError):
                self._unread.add(filing.accession, request.now.date())
                raise
            else:
                yield batch
        if rest := ordered[MOST_DOCUMENTS_COUNT:]:
            yield self._notice(
                self._archive.place("/edgar/data", {}),
                f"{len(rest)} more filings up to {max(each.filed_on for each in rest)} are to be looked at; "
                f"the next runs do, {MOST_DOCUMENTS_COUNT} at a time",
            )

    def _failed_days(self, filing: Filing, request: Request) -> int:
        return self._unread.days_count(filing.accession, request.now.date())

    def _about_left(self, unread: Sequence[Filing], no_pages: Sequence[Filing]) -> Iterator[Notice]:
        for filings, why in (
            (unread, f"could not be read on {MOST_DAYS_COUNT} days"),
            (no_pages, "have no main document in HTML"),
        ):
            if filings:
                shown = ", ".join(each.accession for each in filings[:5]) + (", ..." if len(filings) > 5 else "")
                message = f"not looked at: {len(filings)} filings that {why}: {shown}"
                yield self._notice(self._archive.place("/edgar/data", {}), message)

    def _looked_at(self, filing: Filing, request: Request) -> Batch:
        response = self._archive.text(filing.path, {})
        text = plain_text(response.value)
        if COVER_WORD not in text.lower():
            raise BadInputError(
                response.origin, "a page whose words cannot be made out", "the cover of a filing", REMEDY
            )
        found = evidence(text)
        row = {
            "cik": filing.cik,
            "accession": filing.accession,
            "company": cell(filing.company),
            "form": filing.form,
            "filed_on": filing.filed_on,
            "items": cell(filing.items) if filing.items else None,
            # For readers: the Commission's own address, whoever it was that served the page.
            "document_url": f"{ARCHIVE.address}{filing.path}",
            "keywords": ",".join(found.keywords),
            "excerpt": cell(found.excerpt)[:EXCERPT_CHARACTERS] if found.excerpt else None,
        }
        return Batch(
            source=self.name,
            table=ObservedTable.FILING,
            origin=response.origin,
            sha256=response.sha256,
            observed_at=request.now,
            rows=filing_rows([row]),
        )

    def _notice(self, origin: str, message: str) -> Notice:
        return Notice(source=self.name, origin=origin, message=message)


def _list_of(cik: int) -> str:
    return f"/submissions/CIK{cik:010d}.json"
