"""SEC EDGAR's two hosts behind one prefix, as its documentation has them, over filings made by rule.

Source: https://www.sec.gov/search-filings/edgar-application-programming-interfaces. Both hosts count one user's
requests together. Every CIK is a company that files a report 40 days after each calendar quarter, a current report on
one day of each month, and every Monday something that nobody here reads. Recorded responses can take the place of the
invented ones.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response

RATE_403 = b"""<!DOCTYPE html><html><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head><body>
<h1>Request Rate Threshold Exceeded</h1><p>Please wait ten minutes.</p></body></html>"""
UNDECLARED_403 = b"""<!DOCTYPE html><html><head><title>SEC.gov | Your Request Originates from an Undeclared Automated
Tool</title></head><body><h1>Your Request Originates from an Undeclared Automated Tool</h1></body></html>"""
NO_SUCH_KEY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"""
CAPEX = "PaymentsToAcquirePropertyPlantAndEquipment"
FIRST_YEAR = 2023
FORMS = ("4", "8-K", "10-Q", "10-K")
RECENT_COUNT = 1000
QUARTER_ENDS = ((3, 31), (6, 30), (9, 30), (12, 31))

COVER = """<p style="text-align:center"><span style="font-weight:700">UNITED STATES</span></p>
<p><span>SECURITIES AND EXCHANGE COMMISSION</span></p><p>FORM <ix:nonNumeric name="dei:DocumentType"
contextRef="c-1">{form}</ix:nonNumeric></p>"""
HEADER = """<div style="display:none"><ix:header><ix:hidden><ix:nonNumeric name="dei:AmendmentFlag" contextRef="c-1">
backstop guarantee false</ix:nonNumeric></ix:hidden></ix:header></div>"""
LEASE = """<p>On that day the Company entered into a <b>lea</b>se of its data center campus with {megawatt}&#160;MW of
critical IT load for high&#8209;performance computing and <i>HPC</i> hosting.</p>"""
NOTHING = "<p>The annual meeting of shareholders was held; all directors were elected.</p>"


@dataclass(frozen=True)
class Filed:
    cik: int
    form: str
    day: date
    items: str = ""

    @property
    def accession(self) -> str:
        return f"{self.cik:010d}-{self.day:%y}-{self.day:%j}{FORMS.index(self.form):03d}"

    @property
    def document(self) -> str:
        return "xslF345X05/form4.xml" if self.form == "4" else f"f{self.day:%Y%m%d}_{self.form.replace('-', '')}.htm"

    @property
    def states_a_lease(self) -> bool:
        return "1.01" in self.items


class EdgarReplay(ReplaySite):
    """Filings up to `through` are there. `absent` documents and `unlisted` companies get 404, as XML."""

    name = "edgar"
    prefix = ""
    limits = (Limit(10, 1),)
    settings: Mapping[str, str] = {
        "HASHPIVOT_EDGAR_URL": "{base}",
        "HASHPIVOT_EDGAR_ARCHIVE_URL": "{base}/Archives",
        "HASHPIVOT_EDGAR_CONTACT": "Jane Doe jane@example.org",
    }
    contact_needed = True
    cool_down_seconds = 600

    def __init__(self) -> None:
        super().__init__()
        self.through = datetime.now(UTC).date() - timedelta(days=1)
        self.recorded: dict[str, bytes] = {}
        self.absent: set[str] = set()
        self.unlisted: set[int] = set()
        self.without_facts: set[int] = set()
        self.recent_count = RECENT_COUNT
        self.changed: dict[str, bytes] = {}
        self.switches = {"next-day": self.next_day}
        self.flavours["403 html"] = ReplayResponse(403, RATE_403, "text/html")
        self.flavours["403 undeclared"] = ReplayResponse(403, UNDECLARED_403, "text/html")

    def next_day(self) -> None:
        """One more day of filings is there."""
        self.through += timedelta(days=1)

    def filed(self, cik: int) -> list[Filed]:
        """Everything of one company, the newest first."""
        found = []
        day = date(FIRST_YEAR, 1, 1)
        while day <= self.through:
            quarter_end = day - timedelta(days=40)
            if (quarter_end.month, quarter_end.day) in QUARTER_ENDS:
                found.append(Filed(cik, "10-K" if quarter_end.month == 12 else "10-Q", day))
            if day.day == cik % 28 + 1:
                # Of every second company the report of each month states a lease.
                found.append(Filed(cik, "8-K", day, "1.01,9.01" if cik % 2 else "5.07"))
            if day.weekday() == 0:
                found.append(Filed(cik, "4", day))
            day += timedelta(days=1)
        return sorted(found, key=lambda each: (each.day, each.accession), reverse=True)

    def facts(self, cik: int) -> list[dict[str, object]]:
        """Amounts since the beginning of the year, each in its report and again in that of a year later."""
        reports = {}
        for each in self.filed(cik):
            if each.form in ("10-Q", "10-K"):
                reports[each.day - timedelta(days=40)] = each
        facts = []
        for end, report in sorted(reports.items()):
            quarter = end.month // 3
            amount = sum(
                1_000_000 * (cik % 900 + 100) * (4 * (end.year - FIRST_YEAR) + n) for n in range(1, quarter + 1)
            )
            for filed_with in (report, reports.get(end.replace(year=end.year + 1))):
                if filed_with is not None:
                    facts.append(
                        {
                            "start": f"{end.year}-01-01",
                            "end": str(end),
                            "val": amount,
                            "accn": filed_with.accession,
                            # Of the filing and not of the fact, as in the wild.
                            "fy": (filed_with.day - timedelta(days=40)).year,
                            "fp": "FY" if quarter == 4 else f"Q{quarter}",
                            "form": filed_with.form,
                            "filed": str(filed_with.day),
                        }
                    )
        return facts

    def document(self, filed: Filed) -> bytes:
        body = LEASE.format(megawatt=filed.cik % 300 + 100) if filed.states_a_lease else NOTHING
        page = f"""<?xml version='1.0' encoding='ASCII'?><html xmlns:ix="http://www.xbrl.org/2013/inlineXBRL"><head>
<title>hosting megawatt</title><style>.hpc {{}}</style></head><body>{HEADER}{COVER.format(form=filed.form)}{body}
</body></html>"""
        return page.encode()

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if request.query:
            return None
        if request.path in self.recorded:
            return ReplayResponse(200, self.recorded[request.path])
        if found := re.fullmatch(r"/api/xbrl/companyfacts/CIK(\d{10})\.json", request.path):
            return self._company_facts(int(found[1]))
        if found := re.fullmatch(r"/submissions/CIK(\d{10})\.json", request.path):
            return self._submissions(int(found[1]))
        if found := re.fullmatch(r"/submissions/CIK(\d{10})-submissions-001\.json", request.path):
            return json_response(_columns(self.filed(int(found[1]))[self.recent_count :]))
        # Without leading zeros and without dashes.
        if found := re.fullmatch(r"/Archives/edgar/data/([1-9]\d*)/(\d{18})/([\w.-]+)", request.path):
            return self._page(int(found[1]), found[2], found[3])
        return None

    def _company_facts(self, cik: int) -> ReplayResponse:
        if cik in self.without_facts:
            return ReplayResponse(404, NO_SUCH_KEY, "application/xml")
        shares = {"end": str(self.through), "val": 1_000_000, "accn": "x", "form": "10-K", "filed": str(self.through)}
        concepts = {
            CAPEX: {"label": "Payments to Acquire", "description": None, "units": {"USD": self.facts(cik)}},
            "EarningsPerShareBasic": {"label": None, "units": {"USD/shares": [{**shares, "val": 1.25}]}},
        }
        return json_response({"cik": cik, "entityName": f"COMPANY {cik}", "facts": {"dei": {}, "us-gaap": concepts}})

    def _submissions(self, cik: int) -> ReplayResponse:
        if cik in self.unlisted:
            return ReplayResponse(404, NO_SUCH_KEY, "application/xml")
        filed = self.filed(cik)
        files = [
            {
                "name": f"CIK{cik:010d}-submissions-001.json",
                "filingCount": len(older),
                "filingFrom": str(min(each.day for each in older)),
                "filingTo": str(max(each.day for each in older)),
            }
            for older in [filed[self.recent_count :]]
            if older
        ]
        return json_response(
            {
                "cik": f"{cik:010d}",
                "name": f"Company {cik}, Inc.",
                "tickers": [],
                "lei": None,
                "filings": {"recent": _columns(filed[: self.recent_count]), "files": files},
            }
        )

    def _page(self, cik: int, number: str, name: str) -> ReplayResponse:
        for filed in self.filed(cik):
            if filed.accession.replace("-", "") == number and filed.document == name:
                if filed.accession in self.absent:
                    break
                return ReplayResponse(200, self.changed.get(filed.accession) or self.document(filed), "text/html")
        return ReplayResponse(404, NO_SUCH_KEY, "application/xml")


def _columns(filed: list[Filed]) -> dict[str, list[object]]:
    return {
        "accessionNumber": [each.accession for each in filed],
        "filingDate": [str(each.day) for each in filed],
        "reportDate": ["" for _ in filed],
        "acceptanceDateTime": [f"{each.day}T01:04:33.000Z" for each in filed],
        "form": [each.form for each in filed],
        "items": [each.items for each in filed],
        "core_type": [each.form for each in filed],
        "size": [1000 for _ in filed],
        "isXBRL": [0 for _ in filed],
        "primaryDocument": [each.document for each in filed],
        "primaryDocDescription": [each.form for each in filed],
    }


def recorded_facts(folder_file: bytes) -> tuple[str, bytes]:
    """Path and body of a recorded response."""
    return f"/api/xbrl/companyfacts/CIK{json.loads(folder_file)['cik']:010d}.json", folder_file
