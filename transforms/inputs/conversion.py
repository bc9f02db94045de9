"""What was known of the conversion to AI on each day: the registry as step functions of when its rows were known."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from schemas.registry import COMPANY_GUIDANCE
from transforms.calendar import spine
from transforms.derive import aggregate
from transforms.inputs.leases import ASSUMPTIONS
from transforms.metrics import conversion, economics

QUARTERS_OF_A_YEAR: Final = 4
YEAR_OF_QUARTERS_DAYS: Final = (270, 280)
"""Days from the end of one quarter to the end of the third one after it."""
QUARTER_EXPIRES: Final = "200d"
"""A company whose newest quarter ended longer ago than this is no longer counted: its next one is missing."""

FROM_MARKET: Final = (
    "hashrate_30d_ehs",
    "miner_revenue_usd",
    "revenue_usd_per_mwh",
    "new_fleet_revenue_usd_per_mwh",
)
"""Columns of the derived `capitulation_daily` that the conversion is set beside."""

_VALUE: Final = ("conversion_deal.kind", "conversion_deal.confidence", "conversion_deal.contract_value_usd")
_YEAR: Final = ("capex_quarter.capex_usd", "capex_quarter.period_end")

RESTS_ON: Final = {
    **{name: (f"capitulation_daily.{name}",) for name in FROM_MARKET},
    "tenant.amount": (*_VALUE, "conversion_deal.tenant"),
    "guarantor.amount": tuple(f"credit_support.{name}" for name in ("kind", "source_url", "provider", "amount_usd")),
    "credit_support.deal_value_usd": ("conversion_deal.contract_value_usd",),
    "deal_delivery.gross_mw": ("conversion_deal.gross_mw",),
    "deal_delivery.deal_mw": ("conversion_deal.critical_it_mw",),
    **{f"deal_delivery.{name}": (f"conversion_deal.{name}",) for name in ("site_history", "mining_stopped_on")},
    **{f"stopped_site.{name}": (f"conversion_deal.{name}",) for name in ("confidence", "gross_mw", "prior_mining_mw")},
    "capex_quarter.year_usd": _YEAR,
    "capex_quarter.unverified_usd": (*_YEAR, "capex_quarter.source_url"),
    **{
        column: tuple(f"{rows}.{name}" for name in dict.fromkeys(expression.meta.root_names()))
        for rows, sums in conversion.SUMS.items()
        for column, expression in sums.items()
    },
    **{column: (f"lease_assumption.{name}",) for name, column in ASSUMPTIONS.items()},
}
"""What the columns that are laid out here rest on."""

Registry = Mapping[str, pl.DataFrame]


def conversion_days(registry: Registry, first: date, last: date) -> pl.DataFrame:
    """Sum up, for every day, the rows of the registry that were known by then and stood.

    `registry` holds the checked frames `conversion_deal`, `deal_delivery`, `credit_support`, `capex_guidance`,
    `capex_quarter` and `lease_assumption`.
    Shape: one row a UTC day from `first` to `last`, both included, sorted; `day`, then counts as Int64, and megawatts,
    years, USD and shares as Float64. A sum is 0 while no standing row states the figure. Power switched on is NULL
    while no delivery is known, guidance and spending while no company is counted, shares while there is nothing to
    share. A row counts from its `known_at` on, a version of a deal until the next one is known. Names that end in
    `_with_unverified_` count every row, the others leave unverified ones out. Raises `ValueError` when `last` is before
    `first`.
    """
    if last < first:
        raise ValueError(f"last day {last} is before the first day {first}")
    days = aggregate(
        spine(first, last), standing_rows(registry), (*conversion.METRICS, *economics.METRICS), conversion.SUMS
    )
    return days.join_asof(_assumptions(registry["lease_assumption"]), on="day", strategy="backward")


def standing_rows(registry: Registry) -> dict[str, pl.DataFrame]:
    """The rows that metrics sum up, by the name those give them."""
    deals = deal_spans(registry["conversion_deal"])
    supports = _support_spans(registry["credit_support"], registry["conversion_deal"])
    return {
        "conversion_deal": deals,
        "tenant": _tenant_shares(deals),
        "credit_support": supports,
        "guarantor": _guarantor_shares(supports),
        "deal_delivery": delivery_spans(registry["deal_delivery"], registry["conversion_deal"]),
        "stopped_site": _stopped_spans(deals),
        "capex_guidance": _guidance_spans(registry["capex_guidance"]),
        "capex_quarter": _spending_spans(registry["capex_quarter"]),
    }


def deal_spans(deals: pl.DataFrame) -> pl.DataFrame:
    """The versions with the span of days each stands: `from_day`, included, to `until_day`, excluded or NULL."""
    return (
        deals.drop_nulls("known_at")
        .sort("deal_id", "known_at")
        .with_columns(from_day="known_at", until_day=pl.min_horizontal("ended_on", "superseded_at"))
    )


def _standing(deals: pl.DataFrame) -> pl.DataFrame:
    """The last version of each deal."""
    return deals.filter(pl.col("superseded_at").is_null())


def _support_spans(supports: pl.DataFrame, deals: pl.DataFrame) -> pl.DataFrame:
    """The credit supports with their spans and the value their deal had then: each ends with the deal it supports."""
    return (
        supports.drop_nulls("known_at")
        .sort("deal_id", "provider", "kind", nulls_last=True)
        .pipe(_with_version, deals, {"deal_value_usd": "contract_value_usd"})
        .with_columns(from_day="known_at")
    )


def _with_version(rows: pl.DataFrame, deals: pl.DataFrame, taken: Mapping[str, str]) -> pl.DataFrame:
    """`rows` beside the version of their deal that was known when they were; `taken` maps new names to its columns.

    `until_day` is the day the deal ended. A deal that was not known yet gives NULL.
    """
    versions = deals.drop_nulls("known_at").select(
        "deal_id", "known_at", *(pl.col(old).alias(new) for new, old in taken.items())
    )
    ends = _standing(deals).select("deal_id", until_day="ended_on")
    numbered = rows.with_row_index("row").sort("known_at", "row")
    return (
        # Sorted by day, and only within a deal does the order matter: what Polars cannot check by itself.
        numbered.join_asof(
            versions.sort("known_at"), on="known_at", by="deal_id", strategy="backward", check_sortedness=False
        )
        .join(ends, on="deal_id", how="left", validate="m:1", maintain_order="left")
        .sort("row")
        .drop("row")
    )


def delivery_spans(deliveries: pl.DataFrame, deals: pl.DataFrame) -> pl.DataFrame:
    """The steps of delivery with the deal they belong to; power stays on until the deal ends."""
    taken = {name: name for name in ("gross_mw", "site_history", "mining_stopped_on")} | {"deal_mw": "critical_it_mw"}
    return (
        deliveries.sort("deal_id", "energised_on")
        .pipe(_with_version, deals, taken)
        .with_columns(from_day=pl.max_horizontal("energised_on", "known_at"))
    )


def _stopped_spans(spans: pl.DataFrame) -> pl.DataFrame:
    """The versions of deals whose site is known to have stopped mining, from that day on."""
    return spans.drop_nulls("mining_stopped_on").with_columns(
        from_day=pl.max_horizontal("mining_stopped_on", "known_at")
    )


def _tenant_shares(spans: pl.DataFrame) -> pl.DataFrame:
    """The contracts by tenant: spans of `party` and `amount`. A tenant that is not named is one of its own."""
    return spans.filter(conversion.CONTRACT, pl.col("contract_value_usd").is_not_null()).select(
        "from_day",
        "until_day",
        party=pl.coalesce("tenant", "deal_id"),
        amount=pl.col("contract_value_usd").cast(pl.Float64),
    )


def _guarantor_shares(spans: pl.DataFrame) -> pl.DataFrame:
    """The disclosed backstops by guarantor: spans of `party` and `amount`. One that is not named is one of its own."""
    return spans.filter(conversion.BACKSTOP_SOURCED, pl.col("amount_usd") > 0).select(
        "from_day", "until_day", party=pl.coalesce("provider", "deal_id"), amount=pl.col("amount_usd").cast(pl.Float64)
    )


def _guidance_spans(guidance: pl.DataFrame) -> pl.DataFrame:
    """The companies' own guidance with its spans: within its calendar year, until the company's next figure for it.

    Guidance for a fiscal year is left out: its days are not those of a calendar year.
    """
    year = pl.col("calendar_or_fiscal_year").str.strip_prefix("CY").cast(pl.Int32, strict=False)
    next_figure = pl.col("known_at").shift(-1).over("company", "year", order_by="known_at")
    return (
        guidance.filter(pl.col("basis") == COMPANY_GUIDANCE)
        .with_columns(year.alias("year"))
        .drop_nulls(["year", "known_at"])
        .sort("company", "year", "known_at")
        .with_columns(
            pl.max_horizontal("known_at", pl.date(pl.col("year"), 1, 1)).alias("from_day"),
            pl.min_horizontal(next_figure, pl.date(pl.col("year") + 1, 1, 1)).alias("until_day"),
        )
    )


def _spending_spans(quarters: pl.DataFrame) -> pl.DataFrame:
    """What each company spent in its last four quarters, from the day the last of them was known to the next one.

    A company with a quarter missing among the four is left out until four in a row are known again.
    """
    ordered = quarters.sort("company", "period_end")
    n = QUARTERS_OF_A_YEAR

    def last_four(column: pl.Expr) -> pl.Expr:
        return column.rolling_sum(n, min_samples=n).over("company")

    unverified = pl.when(pl.col("source_url").is_null()).then(pl.col("capex_usd")).otherwise(0)
    since_first = (pl.col("period_end") - pl.col("period_end").shift(n - 1).over("company")).dt.total_days()
    # A quarter that was filed late holds back the sums that need it.
    known = pl.max_horizontal(pl.col("known_at").shift(i).over("company") for i in range(n))
    sums = ordered.with_columns(
        last_four(pl.col("capex_usd")).alias("year_usd"),
        last_four(unverified).alias("unverified_usd"),
        since_first.is_between(*YEAR_OF_QUARTERS_DAYS).fill_null(False).alias("is_year"),
        known.alias("from_day"),
    )
    until = pl.min_horizontal(
        pl.col("from_day").shift(-1).over("company"), pl.col("period_end").dt.offset_by(QUARTER_EXPIRES)
    )
    return sums.with_columns(until.alias("until_day")).filter("is_year", pl.col("from_day") < pl.col("until_day"))


def _assumptions(rows: pl.DataFrame) -> pl.DataFrame:
    """The assumptions by the day they were known, to be joined as of a day."""
    return (
        rows.sort("known_at", "as_of")
        .filter(pl.col("as_of") >= pl.col("as_of").cum_max())
        .unique("known_at", keep="last", maintain_order=True)
        .select(pl.col("known_at").alias("day"), *(pl.col(name).alias(new) for name, new in ASSUMPTIONS.items()))
        .sort("day")
    )
