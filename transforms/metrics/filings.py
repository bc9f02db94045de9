"""Filings that may announce a deal. Nothing here is a figure: a person reads, and enters a deal by hand."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import Unit

AS_FILED: Final = "As filed."
BY_MACHINE: Final = "Found by keyword: most hits are no deal, and a deal in other words is missed."
BY_HAND: Final = "As good as the person who read it."


@metric(unit=Unit.LABEL, error=AS_FILED, null_rule=None)
def cik() -> pl.Expr:
    """Central Index Key of the filer, ten digits."""
    return pl.col("cik")


@metric(unit=Unit.LABEL, error=AS_FILED, null_rule=None)
def accession() -> pl.Expr:
    """Number of the filing."""
    return pl.col("accession")


@metric(unit=Unit.LABEL, error=AS_FILED, null_rule=None)
def company() -> pl.Expr:
    """Name of the filer."""
    return pl.col("company")


@metric(unit=Unit.LABEL, error=AS_FILED, null_rule=None)
def form() -> pl.Expr:
    """Form of the filing: 8-K, 10-Q, 10-K, 6-K and the like."""
    return pl.col("form")


@metric(unit=Unit.DAY, error=AS_FILED, null_rule=None)
def filed_on() -> pl.Expr:
    """Day the filing was made public; after 17:30 in New York it is the next business day."""
    return pl.col("filed_on")


@metric(unit=Unit.LABEL, error=AS_FILED, null_rule="NULL for forms without items.")
def items() -> pl.Expr:
    """Items of an 8-K, comma-separated; 1.01 is a material agreement."""
    return pl.col("items")


@metric(unit=Unit.LABEL, error=BY_MACHINE, null_rule=None)
def keywords() -> pl.Expr:
    """Keywords in the text, comma-separated: backstop, guarantee, hosting, hpc, lease, megawatt."""
    return pl.col("keywords")


@metric(
    Example(given={"keywords": ["hpc,lease,megawatt"]}, gives=3),
    unit=Unit.COUNT,
    error=BY_MACHINE,
    null_rule=None,
    ge=1,
)
def keyword_count() -> pl.Expr:
    """Different keywords in the text."""
    return pl.col("keywords").str.split(",").list.len()


@metric(unit=Unit.LABEL, error=BY_MACHINE, null_rule=None)
def excerpt() -> pl.Expr:
    """Words around the place with the most different keywords."""
    return pl.col("excerpt")


@metric(unit=Unit.LABEL, error=AS_FILED, null_rule=None)
def document_url() -> pl.Expr:
    """Document that was searched."""
    return pl.col("document_url")


@metric(unit=Unit.LABEL, error=BY_HAND, null_rule=None, labels=("open", "deal", "no_deal"))
def review() -> pl.Expr:
    """Result of the review by a person: 'open' until it has been read, then whether it announces a deal."""
    return pl.col("review")


@metric(unit=Unit.LABEL, error=BY_HAND, null_rule="NULL unless the review found a deal.")
def deal_id() -> pl.Expr:
    """Deal of the registry that it announces."""
    return pl.col("deal_id")


@metric(unit=Unit.DAY, error=BY_HAND, null_rule="NULL while the review is open.")
def reviewed_on() -> pl.Expr:
    """Day it was read."""
    return pl.col("reviewed_on")


METRICS = (
    cik,
    accession,
    company,
    form,
    filed_on,
    items,
    keywords,
    keyword_count,
    excerpt,
    document_url,
    review,
    deal_id,
    reviewed_on,
)
