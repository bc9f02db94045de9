"""Amounts of periods out of the facts of a company: every one of the elements we use, as each filing states it."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final

import msgspec
import polars as pl

from flows.sources.decoders import decoder
from schemas.errors import BadInputError
from schemas.observations import FILING_FACT, KEYS, ObservedTable
from transforms.inputs.capex import CAPEX_TAGS

_Usd = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: Final = {name: column.dtype.type for name, column in FILING_FACT.columns.items()}
REMEDY: Final = "nothing of the response is used; try again tomorrow, or take edgar out of the profile"


class Fact(msgspec.Struct):
    """One amount in one filing. `start` is missing where it describes a day and not a period."""

    end: date
    val: _Usd
    accn: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{10}-[0-9]{2}-[0-9]{6}\Z")]
    form: Annotated[str, msgspec.Meta(min_length=1)]
    filed: date
    start: date | None = None


class Units(msgspec.Struct):
    """Facts by the unit they are stated in."""

    usd: list[Fact] = msgspec.field(name="USD", default_factory=list)


class Concept(msgspec.Struct):
    """Facts of one element."""

    units: Units


class Taxonomies(msgspec.Struct):
    """Elements by name. Only those we use are looked into: others have units and values of other kinds."""

    us_gaap: Mapping[str, msgspec.Raw] = msgspec.field(name="us-gaap", default_factory=dict)


class CompanyFacts(msgspec.Struct):
    """All that a company ever stated in numbers. The CIK is a number, here and there a padded string."""

    cik: int | str
    facts: Taxonomies


def same_cik(origin: str, stated: int | str, cik: int) -> None:
    """Raise `BadInputError` where a response is about another company."""
    if str(stated).lstrip("0") != str(cik):
        raise BadInputError(origin, f"the CIK {stated}", str(cik), REMEDY)


def filing_facts(origin: str, company: CompanyFacts, cik: int, through: date) -> tuple[pl.DataFrame, list[str]]:
    """The amounts of `CAPEX_TAGS` that the company filed up to `through`, and what was left out.

    Shape: `schemas.observations.FILING_FACT`, sorted by its key. Raises `BadInputError` for facts that are none. A
    period that ends before it begins or after it was filed is somebody's slip in one old filing, and left out, as is an
    amount that the same filing states twice with different values.
    """
    same_cik(origin, company.cik, cik)
    rows = [
        (cik, tag, fact.start, fact.end, fact.val, fact.form, fact.filed, fact.accn)
        for tag in CAPEX_TAGS
        for fact in _of_element(origin, company, tag)
        if fact.start is not None and fact.filed <= through
    ]
    stated = pl.DataFrame(rows, schema=_TYPES, orient="row").unique(maintain_order=True)
    in_order = (pl.col("period_start") < pl.col("period_end")) & (pl.col("period_end") <= pl.col("filed_on"))
    key = list(KEYS[ObservedTable.FILING_FACT])
    believed = stated.filter(in_order)
    once = believed.filter(pl.struct(key).is_unique())
    notices = [
        f"CIK {cik}: {count} amounts left out, as {why}"
        for count, why in (
            (stated.height - believed.height, "their periods end before they begin or after they were filed"),
            (believed.height - once.height, "one filing states them with different values"),
        )
        if count
    ]
    return once.sort(key), notices


def _of_element(origin: str, company: CompanyFacts, tag: str) -> list[Fact]:
    raw = company.facts.us_gaap.get(tag)
    if raw is None:
        return []
    try:
        return decoder(Concept).decode(raw).units.usd
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = f"{tag}: {error}"
    raise BadInputError(origin, problem, "facts as EDGAR documents them", REMEDY)
