"""Quarters of capital expenditure out of the cumulative amounts that companies file, and how they override ours.

A 10-Q states the year to date, so a quarter is the difference of two amounts that begin on the same day. Where one of
the two is missing the quarter is unknown: the amount of nine months is not a quarter.
"""

from typing import Final

import polars as pl

CAPEX_TAGS: Final = ("PaymentsToAcquirePropertyPlantAndEquipment", "PaymentsToAcquireProductiveAssets")
"""Elements by which filers state cash paid for property and equipment. Some have changed from one to the other."""
MONTHS_BY_DAYS: Final = {3: (70, 120), 6: (140, 229), 9: (230, 329), 12: (330, 420)}
QUARTER_DAYS: Final = (80, 100)
"""Days between the ends of two amounts that differ by one quarter; fiscal quarters have 12 to 14 weeks."""
CASH_PURCHASES: Final = "cash_purchases"
ARCHIVE: Final = "https://www.sec.gov/Archives/edgar/data"

_PERIOD: Final = ("cik", "tag", "period_start", "period_end")


def filed_quarters(facts: pl.DataFrame) -> pl.DataFrame:
    """Turn amounts of periods into quarters; `facts` are rows of `schemas.observations.FILING_FACT`.

    Shape: one row a filer and end of a quarter, sorted by (`cik`, `period_end`): `cik`, `period_end`, `capex_usd`
    (NULL where it cannot be derived), `how` (in words), `tag`, `known_at` (the day the last amount it needs was first
    filed), `accession` (of that filing), `other_tag_usd` (another element's different figure for the quarter, if any).
    An amount counts as it was first filed; comparatives and amendments of later filings change nothing. Of two
    elements the one that stated the quarter first is taken, and of two at once the one that is still in use.
    """
    days = (pl.col("period_end") - pl.col("period_start")).dt.total_days() + 1
    months = pl.coalesce(
        pl.when(days.is_between(least, most)).then(pl.lit(n, pl.Int64)) for n, (least, most) in MONTHS_BY_DAYS.items()
    )
    first = (
        facts.filter(pl.col("tag").is_in(CAPEX_TAGS))
        .sort(*_PERIOD, "filed_on", "accession")
        .unique(_PERIOD, keep="first", maintain_order=True)
        .with_columns(months.alias("months"))
        .drop_nulls("months")
    )
    year = ("cik", "tag", "period_start")
    before = {name: pl.col(name).shift().over(*year) for name in ("months", "value_usd", "period_end", "filed_on")}
    gap = (pl.col("period_end") - before["period_end"]).dt.total_days()
    stated = pl.col("months") == min(MONTHS_BY_DAYS)
    joined = (pl.col("months") - before["months"] == min(MONTHS_BY_DAYS)) & gap.is_between(*QUARTER_DAYS)
    earlier_is_later = joined.fill_null(False) & (before["filed_on"] > pl.col("filed_on"))
    months_text, months_before = pl.col("months").cast(pl.String), before["months"].cast(pl.String)
    quarters = first.with_columns(
        pl.when(stated)
        .then(pl.col("value_usd"))
        .when(joined)
        .then(pl.col("value_usd") - before["value_usd"])
        .alias("capex_usd"),
        pl.when(stated)
        .then(pl.lit("as stated for three months"))
        .when(joined)
        .then(pl.format("{} months less {}", months_text, months_before))
        .otherwise(pl.format("{} months stated, but not the part before the quarter", months_text))
        .alias("how"),
        pl.when(earlier_is_later).then(before["filed_on"]).otherwise(pl.col("filed_on")).alias("known_at"),
        pl.when(earlier_is_later)
        .then(pl.col("accession").shift().over(*year))
        .otherwise(pl.col("accession"))
        .alias("accession"),
        pl.col("period_end").max().over("cik", "tag").alias("tag_until"),
    )
    key = ("cik", "period_end")
    known_first = quarters.sort(
        *key, pl.col("capex_usd").is_null(), "known_at", "tag_until", descending=[False] * 4 + [True]
    )
    chosen = known_first.unique(key, keep="first", maintain_order=True)
    others = (
        known_first.drop_nulls("capex_usd")
        .join(
            chosen.select(*key, pl.col("capex_usd").alias("chosen_usd")), on=key, validate="m:1", maintain_order="left"
        )
        .filter(pl.col("capex_usd") != pl.col("chosen_usd"))
        .group_by(key, maintain_order=True)
        .agg(pl.col("capex_usd").first().alias("other_tag_usd"))
    )
    return (
        chosen.join(others, on=key, how="left", validate="1:1", maintain_order="left")
        .select(*key, "capex_usd", "how", "tag", "known_at", "accession", "other_tag_usd")
        .sort(*key)
    )


def capex_quarters(curated: pl.DataFrame, facts: pl.DataFrame, companies: pl.DataFrame) -> pl.DataFrame:
    """The curated quarters, overridden and completed by those that `facts` of filings state.

    `curated`: the registry table `capex_quarter`; `companies`: `company`, which has the CIKs. Shape: columns and types
    of `curated`, sorted by its key. A filed quarter replaces the curated one of the same company and end, and stands
    beside it where there is none, if the company's own quarter is known from another year. Its `basis` is cash
    purchases, its `notes` name the element and how the quarter was made, its `source_url` is the filing. Quarters
    before the first curated one of a company stay out.
    """
    filed = filed_quarters(facts).drop_nulls("capex_usd")
    spenders = curated.join(
        companies.select("company", "cik").drop_nulls(), on="company", validate="m:1", maintain_order="left"
    )
    since = spenders.group_by("cik", "company").agg(pl.col("period_end").min().alias("since"))
    fiscal = spenders.select(
        "cik",
        pl.col("period_end").dt.month().alias("month"),
        "fiscal_quarter",
        (pl.col("fiscal_year") - pl.col("period_end").dt.year()).alias("years_ahead"),
    ).unique(["cik", "month"], keep="first", maintain_order=True)
    number = pl.col("accession").str.replace_all("-", "")
    overriding = (
        filed.join(since, on="cik", validate="m:1", maintain_order="left")
        .filter(pl.col("period_end") >= pl.col("since"), pl.col("period_end") == pl.col("period_end").dt.month_end())
        .with_columns(pl.col("period_end").dt.month().alias("month"))
        .join(fiscal, on=["cik", "month"], validate="m:1", maintain_order="left")
        .select(
            "company",
            (pl.col("period_end").dt.year() + pl.col("years_ahead")).cast(pl.Int64).alias("fiscal_year"),
            "fiscal_quarter",
            "period_end",
            "capex_usd",
            pl.lit(CASH_PURCHASES).alias("basis"),
            "known_at",
            pl.format(f"{ARCHIVE}/{{}}/{{}}/", pl.col("cik"), number).alias("source_url"),
            pl.format("XBRL {}, {}, accession {}", pl.col("tag"), pl.col("how"), pl.col("accession")).alias("notes"),
            pl.lit("read").alias("url_read"),
        )
    )
    key = ["company", "period_end"]
    kept = curated.join(overriding, on=key, how="anti", maintain_order="left")
    return pl.concat([kept, overriding.select(curated.columns).cast(curated.schema)]).sort(key)
