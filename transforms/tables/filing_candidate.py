"""Filings that may describe a lease."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.filings import filing_candidates
from transforms.metrics import day, filings
from transforms.prepare import Prepared


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """The filings with enough keywords, each with its review."""
    candidates = filing_candidates(given.inputs.filings, given.inputs.reference["filing_review"])
    return candidates.with_columns(pl.lit(given.origins.get(Origin.FILINGS), pl.String).alias("sources"))


TABLE: Final = Table(
    name="filing_candidate",
    description=(
        "Filings that speak of leases and power, found by keyword for a person to read: one row a filing. Never deals "
        "by themselves. Empty where no source reads filings."
    ),
    key=("cik", "accession"),
    metrics=(*filings.METRICS, day.sources),
    frame=frame,
    lineage=Lineage(origin=Origin.FILINGS),
)
