"""Filings that may announce a lease, found by keyword: candidates for a person to read, never deals by themselves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from schemas.observations import FILING
from schemas.registry import OPEN_REVIEW
from transforms.metrics.filings import keyword_count

KEYWORDS: Final = {
    "backstop": r"backstop(?:s|ped)?",
    "guarantee": r"guarant(?:ee|ees|eed|y|ies)",
    "hosting": r"hosting",
    "hpc": r"hpc|high[- ]performance comput(?:e|ing)",
    "lease": r"leases?|leased|sublease",
    "megawatt": r"megawatts?|gigawatts?|mws?|gws?",
}
"""What is looked for, and how it is written; whole words, capital letters do not matter."""
CANDIDATE_FORMS: Final = ("8-K", "10-Q", "10-K", "6-K", "8-K/A", "10-Q/A", "10-K/A", "6-K/A", "20-F", "40-F")
"""Forms that are worth opening."""
LEAST_KEYWORDS: Final = 2
"""Different keywords a filing needs: every 10-Q mentions leases, so a single one means nothing."""
POWER_KEYWORDS: Final = ("hpc", "megawatt", "hosting")
"""A candidate mentions at least one of these."""
EXCERPT_CHARACTERS: Final = 400

_WORDS: Final = {
    name: re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE) for name, pattern in KEYWORDS.items()
}
_NUMBER_AND_UNIT: Final = re.compile(r"(?<=\d)(?=(?:mw|gw)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the text of a filing gives away: the keywords in it, sorted, and the words around the densest place."""

    keywords: tuple[str, ...]
    excerpt: str | None


def evidence(text: str) -> Evidence:
    """Look for the keywords in the plain `text` of a filing.

    The excerpt is the stretch of at most `EXCERPT_CHARACTERS` that holds the most different keywords, the first such
    one; None where no keyword is.
    """
    plain = _NUMBER_AND_UNIT.sub(" ", " ".join(text.split()))
    places = sorted((found.start(), name) for name, words in _WORDS.items() for found in words.finditer(plain))
    if not places:
        return Evidence(keywords=(), excerpt=None)
    best, most, last = 0, 0, 0
    inside: dict[str, int] = {}
    # Two pointers over the places: a long annual report has thousands of them.
    for start, name in places:
        while last < len(places) and places[last][0] < start + EXCERPT_CHARACTERS - 40:
            inside[places[last][1]] = inside.get(places[last][1], 0) + 1
            last += 1
        different = sum(count > 0 for count in inside.values())
        if different > most:
            best, most = start, different
        inside[name] -= 1
    begin = max(best - 20, 0)
    if begin:
        begin = plain.find(" ", begin, best) + 1 or best
    cut = plain[begin : begin + EXCERPT_CHARACTERS]
    whole = cut if begin + EXCERPT_CHARACTERS >= len(plain) else cut.rsplit(" ", 1)[0]
    return Evidence(keywords=tuple(sorted({name for _, name in places})), excerpt=whole.strip())


def filing_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame of `schemas.observations.FILING`."""
    return pl.DataFrame(rows, schema={name: column.dtype.type for name, column in FILING.columns.items()})


def filing_candidates(filings: pl.DataFrame, reviews: pl.DataFrame) -> pl.DataFrame:
    """The filings with enough keywords, each with the result of its review by a person.

    `filings`: rows of `schemas.observations.FILING`; `reviews`: the registry table `filing_review`. Shape: one row a
    filing, the newest last, sorted by (`filed_on`, `cik`, `accession`): its columns, and
    `review` ('open' until somebody has looked), `deal_id`, `reviewed_on` and `review_notes` from the review.
    """
    words = pl.col("keywords").str.split(",")
    return (
        filings.filter(pl.col("keywords") != "")
        .filter(
            keyword_count.expr >= LEAST_KEYWORDS,
            words.list.eval(pl.element().is_in(POWER_KEYWORDS)).list.any(),
        )
        .join(
            reviews.select("accession", "review", "deal_id", "reviewed_on", pl.col("notes").alias("review_notes")),
            on="accession",
            how="left",
            validate="m:1",
            maintain_order="left",
        )
        .with_columns(pl.col("review").fill_null(OPEN_REVIEW), pl.col("cik").cast(pl.String).str.zfill(10))
        .sort("filed_on", "cik", "accession")
    )
