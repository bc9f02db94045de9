"""EDGAR: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

EDGAR: Final = Supplier(
    name="edgar",
    title="SEC EDGAR: company facts and filings",
    licence="public domain",
    terms=Terms.FREE,
    delay="minutes to a day after a filing",
    # Every company files each quarter: three months, and some days for those that file together.
    allowed_lag_days=100,
    trust="amounts as filed, with the basis of the element; keywords are found by machine and prove nothing",
    address="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
    groups=(Group.FILINGS,),
)


class EdgarSettings(SourceSettings):
    """Variables `HASHPIVOT_EDGAR_...`."""

    url: SecretStr | None = Field(None, description="Address of EDGAR's data host")
    archive_url: SecretStr | None = Field(
        None, description="Address of the host of EDGAR's documents, its /Archives included"
    )
    contact: str | None = Field(
        None, description="Your name and mail address, which the SEC demands of programs: 'Jane Doe jane@example.org'"
    )


def _make(context: SourceContext[EdgarSettings]) -> "Source":
    from flows.sources.edgar.site import ARCHIVE, DATA
    from flows.sources.edgar.source import Edgar
    from flows.sources.edgar.unread import Unread
    from warehouse.registry import load_registry

    registry = load_registry()
    ciks = dict(registry["company"].drop_nulls("cik").select("company", "cik").rows())
    spenders = registry["capex_quarter"]["company"].unique(maintain_order=True)
    return Edgar(
        context.client(DATA),
        context.client(ARCHIVE),
        Unread(context.folder),
        facts_of=[ciks[company] for company in spenders if company in ciks],
        filings_of=list(ciks.values()),
    )


SOURCE: Final = SourceKind(suppliers=(EDGAR,), settings=EdgarSettings, make=_make, hosted=True)
