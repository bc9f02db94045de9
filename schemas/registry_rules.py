"""What must be true between the cells of one row of the registry, and how large a ratio of them can plausibly be."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pandera.polars as pa
import polars as pl

from schemas.enforce import row_check

GPU_CLOUD: Final = "gpu_cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that must be true of every row: its statement, and the expression that is false where it is broken.

    A comparison with an unknown cell is NULL and breaks nothing.
    """

    statement: str
    holds: pl.Expr

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns the rule reads, for the message about a row that breaks it."""
        return tuple(dict.fromkeys(self.holds.meta.root_names()))

    def check(self) -> pa.Check:
        """The same rule as a check of the whole frame."""
        return row_check(self.statement, self.holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausible:
    """A ratio of cells and the range outside of which a digit or a unit is wrong.

    `because`: the source of the range, or that it is a judgement. Ranges hold every row of the registry with room, and
    are narrower than a factor of ten from its middle wherever deals are that much alike. `where`: the rows it is about.
    """

    what: str
    ratio: pl.Expr
    least: float
    most: float
    unit: str
    because: str
    where: pl.Expr | None = None

    def rule(self) -> Rule:
        """The range as a rule of the row."""
        inside = self.ratio.is_between(self.least, self.most)
        return Rule(
            statement=f"{self.what} from {self.least:g} to {self.most:g} {self.unit}; it is {self.because}",
            holds=inside if self.where is None else ~self.where | inside,
        )


_CLOUD: Final = (pl.col("lease_type") == GPU_CLOUD).fill_null(False)
_POWER_MW: Final = pl.coalesce("critical_it_mw", "gross_mw")
_MW_YEARS: Final = _POWER_MW * pl.col("term_years")
_MILLION: Final = 1e6

DEAL_RANGES: Final = (
    Plausible(
        what="contract_value_usd over megawatts and years of a lease",
        ratio=pl.col("contract_value_usd") / _MW_YEARS / _MILLION,
        least=0.5,
        most=6,
        unit="million USD",
        because="1.5 to 3 as companies state it, 0.8 to 2.8 in the registry",
        where=~_CLOUD,
    ),
    Plausible(
        what="contract_value_usd over megawatts and years of GPU cloud",
        ratio=pl.col("contract_value_usd") / _MW_YEARS / _MILLION,
        least=3,
        most=30,
        unit="million USD",
        because="about 10 with the servers, by the deals of IREN with Microsoft and NVIDIA",
        where=_CLOUD,
    ),
    Plausible(
        what="gross_mw over critical_it_mw",
        ratio=pl.col("gross_mw") / pl.col("critical_it_mw"),
        least=1,
        most=2,
        unit="",
        because="1.10 to 1.54 in the registry; above 2 would be a data centre worse than any in use, a judgement",
    ),
    Plausible(
        what="power of one deal",
        ratio=pl.max_horizontal("gross_mw", "critical_it_mw"),
        least=1,
        most=4_000,
        unit="MW",
        because="5 to 1,200 in the registry; the upper end is a judgement",
    ),
    Plausible(
        what="noi_usd over contract_value_usd",
        ratio=pl.col("noi_usd") / pl.col("contract_value_usd"),
        least=0.3,
        most=1,
        unit="",
        because="0.85 as TeraWulf states it and 0.99 for a triple-net lease; the lower end is a judgement",
    ),
    Plausible(
        what="capex_usd over megawatts",
        ratio=pl.col("capex_usd") / _POWER_MW / _MILLION,
        least=1,
        most=25,
        unit="million USD",
        because="8 to 15 for a new building and 3.6 for Riot's converted one; the ends are a judgement",
    ),
    Plausible(
        what="term_years of a lease",
        ratio=pl.col("term_years"),
        least=3,
        most=40,
        unit="years",
        because="5 to 25 in the registry; the ends are a judgement",
        where=~_CLOUD,
    ),
    Plausible(
        what="term_years of GPU cloud",
        ratio=pl.col("term_years"),
        least=1,
        most=10,
        unit="years",
        because="5 in the registry; servers last no longer than 10, a judgement",
        where=_CLOUD,
    ),
    Plausible(
        what="with_extensions_value_usd over contract_value_usd",
        ratio=pl.col("with_extensions_value_usd") / pl.col("contract_value_usd"),
        least=1,
        most=6,
        unit="",
        because="1.7 to 3.2 in the registry; the upper end is a judgement",
    ),
)
"""Ranges of `conversion_deal`."""

ESCALATOR: Final = Plausible(
    what="escalator_pct, in percent, of 0 or",
    ratio=pl.when(pl.col("escalator_pct") != 0).then(pl.col("escalator_pct")),
    least=0.5,
    most=8,
    unit="%",
    because="2.5 to 3 in the registry; a smaller one is a share that was taken for a percentage",
)
"""Of a deal and of the assumption where the parties do not state it."""

FUNDED: Final = Plausible(
    what="tenant_funded_usd over capex_usd",
    ratio=pl.col("tenant_funded_usd") / pl.col("capex_usd"),
    least=0.05,
    most=1,
    unit="",
    because="0.74 and 0.80 in the registry; the lower end is a judgement",
)
"""Of a quarter that a tenant paid a part of."""

_FORMS: Final = (
    # site, the form of its addresses, an example or what it is called
    (
        r"^https?://([\w-]+\.)*sec\.gov(/|$)",
        r"^https://www\.sec\.gov/(Archives/edgar/data/\d{1,10}/\d{18}/\S*|cgi-bin/browse-edgar\?action=getcompany&CIK=\d{10})$",
        "an address of sec.gov names filer and filing: /Archives/edgar/data/CIK/18 digits/file",
    ),
    (
        r"^https?://([\w-]+\.)*prnewswire\.com(/|$)",
        r"/news-releases/[\w-]+-\d{9}\.html$",
        "an address of prnewswire.com ends in the nine digits of a press release: /news-releases/title-302818664.html",
    ),
    (
        r"^https?://([\w-]+\.)*globenewswire\.com(/|$)",
        r"/news-release/20\d\d/[01]\d/[0-3]\d/\d+/",
        "an address of globenewswire.com has day and number: /news-release/2026/09/25/3369064/",
    ),
)
_FILING: Final = r"^https://www\.sec\.gov/Archives/|/(sec-filings?|filings?)/"
"""Filings at the SEC, and at sites that copy them under a path of that name."""

FILING_KIND: Final = Rule(
    statement="an address of a filing (sec.gov/Archives, or a path with /filing/ or /sec-filings/) of an 8-K",
    holds=(pl.col("source_kind") != "8-K") | pl.col("source_url").str.contains(_FILING),
)


def address_rules() -> Iterator[Rule]:
    """Addresses have the form that their site gives them."""
    for site, form, statement in _FORMS:
        address = pl.col("source_url")
        yield Rule(statement=statement, holds=~address.str.contains(site) | address.str.contains(form))
