"""The list of a company's filings: those of the forms that are worth opening, in the days that are requested."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

import msgspec

from flows.sources.edgar.company_facts import REMEDY
from schemas.errors import BadInputError

_ACCESSION: Final = re.compile(r"[0-9]{10}-[0-9]{2}-[0-9]{6}")
_DOCUMENT: Final = re.compile(r"[A-Za-z0-9_][\w.~-]*\.html?", re.ASCII | re.IGNORECASE)
"""A page in the filing's own folder: no path that leads elsewhere."""


class Columns(msgspec.Struct):
    """Filings as parallel lists, the newest first."""

    accession: list[str] = msgspec.field(name="accessionNumber")
    filed_on: list[date] = msgspec.field(name="filingDate")
    form: list[str]
    items: list[str]
    document: list[str] = msgspec.field(name="primaryDocument")


class Page(msgspec.Struct):
    """A further page: older filings."""

    name: Annotated[str, msgspec.Meta(pattern=r"^CIK[0-9]{10}-submissions-[0-9]{3}\.json\Z")]
    first_day: date = msgspec.field(name="filingFrom")
    last_day: date = msgspec.field(name="filingTo")


class Lists(msgspec.Struct):
    """The newest thousand or so, and where the others are."""

    recent: Columns
    files: list[Page] = []


class Submissions(msgspec.Struct):
    """One company."""

    cik: int | str
    name: Annotated[str, msgspec.Meta(min_length=1)]
    filings: Lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """One filing. `document`: its main page, None where that is not HTML."""

    cik: int
    company: str
    accession: str
    form: str
    filed_on: date
    items: str | None
    document: str | None

    @property
    def path(self) -> str:
        """Where the main page is, below the archive's address."""
        return f"/edgar/data/{self.cik}/{self.accession.replace('-', '')}/{self.document}"


def filings_of(
    origin: str, columns: Columns, cik: int, company: str, forms: tuple[str, ...], span: tuple[date, date]
) -> Iterator[Filing]:
    """The filings of `forms` that were filed in `span`, both days included; the newest first.

    Raises `BadInputError` where the lists do not belong together or a number is none.
    """
    lists = (columns.accession, columns.filed_on, columns.form, columns.items, columns.document)
    lengths = sorted({len(each) for each in lists})
    if len(lengths) > 1:
        raise BadInputError(origin, f"lists of {lengths[0]} and {lengths[-1]} filings", "lists of one length", REMEDY)
    first, last = span
    for accession, filed_on, form, items, document in zip(*lists, strict=True):
        if form not in forms or not first <= filed_on <= last:
            continue
        if not _ACCESSION.fullmatch(accession):
            raise BadInputError(origin, accession[:40], "a number such as 0001652044-26-000018", REMEDY)
        yield Filing(
            cik=cik,
            company=company,
            accession=accession,
            form=form,
            filed_on=filed_on,
            items=items or None,
            document=document if _DOCUMENT.fullmatch(document) else None,
        )
