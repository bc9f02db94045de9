"""What was known of the conversion to AI on each day: the registry as step functions of its announcements."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from schemas.registry import BACKSTOP, COMPANY_GUIDANCE, CUSTOMER_CONTRACT, GPU_CLOUD, UNVERIFIED
from transforms.calendar import spine

GOOGLE: Final = "Google"


def conversion_days(registry: Mapping[str, pl.DataFrame], first: date, last: date) -> pl.DataFrame:
    """Sum up, for every day, the rows of the registry that had been announced by then and had not ended.

    `registry` holds the checked frames `conversion_deal`, `credit_support` and `capex_guidance`.
    Shape: one row a UTC day from `first` to `last`, both included, sorted; `day`, then counts as Int64, and megawatts,
    years and USD as Float64. A sum is 0 while no standing row states the figure; the two ends of the guidance are NULL
    while no company guides for the year of the day. A row without `announced_on` counts on no day. The figures of a
    row are those the registry holds now, placed on the day of its announcement. Raises `ValueError` when `last` is
    before `first`.
    """
    if last < first:
        raise ValueError(f"last day {last} is before the first day {first}")
    days = spine(first, last)
    deals = _deal_spans(registry["conversion_deal"])
    supports = _support_spans(registry["credit_support"], deals)
    days = _held(days, deals, _deal_totals())
    days = _held(days, supports, _support_totals())
    days = _held(days, _guidance_spans(registry["capex_guidance"]), _guidance_totals())
    guided = pl.col("capex_guidance_company_count") > 0
    guidance = pl.col("capex_guidance_low_usd", "capex_guidance_high_usd")
    return days.with_columns(pl.when(guided).then(guidance))


def _deal_totals() -> dict[str, pl.Expr]:
    contract = pl.col("kind").is_in(CUSTOMER_CONTRACT)
    sourced = pl.col("confidence") != UNVERIFIED
    mw, years, value = pl.col("critical_it_mw"), pl.col("term_years"), pl.col("contract_value_usd")
    termed = contract & mw.is_not_null() & years.is_not_null()
    # GPU cloud includes the servers, so its price says nothing about power and building.
    lease = termed & value.is_not_null() & pl.col("lease_type").ne_missing(GPU_CLOUD)
    return {
        "deal_count": _count(contract),
        "other_announcement_count": _count(~contract),
        "contracted_critical_it_mw": _sum(mw, contract),
        "contracted_critical_it_sourced_mw": _sum(mw, contract & sourced),
        # An extension adds years to power that is counted already: its empty cell hides nothing.
        "critical_it_mw_undisclosed_count": _count((pl.col("kind") == "contract") & mw.is_null()),
        "contracted_gross_mw": _sum(pl.col("gross_mw"), contract),
        "contracted_value_usd": _sum(value, contract),
        "contracted_value_sourced_usd": _sum(value, contract & sourced),
        "contract_value_undisclosed_count": _count(contract & value.is_null()),
        "termed_mw": _sum(mw, termed),
        "termed_mw_years": _sum(mw * years, termed),
        "lease_value_usd": _sum(value, lease),
        "lease_mw_years": _sum(mw * years, lease),
    }


def _support_totals() -> dict[str, pl.Expr]:
    backstop = pl.col("kind").is_in(BACKSTOP)
    amount = pl.col("amount_usd")
    return {
        "backstop_usd": _sum(amount, backstop),
        "google_backstop_usd": _sum(amount, backstop & (pl.col("provider") == GOOGLE)),
        "backstop_undisclosed_count": _count(backstop & amount.is_null()),
    }


def _guidance_totals() -> dict[str, pl.Expr]:
    every = pl.lit(True)
    return {
        "capex_guidance_low_usd": _sum(pl.col("low_usd"), every),
        "capex_guidance_high_usd": _sum(pl.col("high_usd"), every),
        "capex_guidance_company_count": pl.col("company").n_unique().cast(pl.Int64),
    }


def _count(which: pl.Expr) -> pl.Expr:
    return which.sum().cast(pl.Int64)


def _sum(what: pl.Expr, which: pl.Expr) -> pl.Expr:
    return what.filter(which).sum().cast(pl.Float64)


def _deal_spans(deals: pl.DataFrame) -> pl.DataFrame:
    """The deals with the span of days each stands: `from_day`, included, to `until_day`, excluded or NULL."""
    return deals.sort("deal_id").with_columns(from_day="announced_on", until_day="ended_on")


def _support_spans(supports: pl.DataFrame, deals: pl.DataFrame) -> pl.DataFrame:
    """The credit supports with their spans: each ends with the deal it supports."""
    return (
        supports.sort("deal_id", "provider", "kind")
        .join(deals.select("deal_id", "until_day"), on="deal_id", how="left", validate="m:1", maintain_order="left")
        .with_columns(from_day="announced_on")
    )


def _guidance_spans(guidance: pl.DataFrame) -> pl.DataFrame:
    """The companies' own guidance with its spans: within its calendar year, until the company's next word on it.

    Guidance for a fiscal year is left out: its days are not those of a calendar year.
    """
    year = pl.col("calendar_or_fiscal_year").str.strip_prefix("CY").cast(pl.Int32, strict=False)
    next_word = pl.col("announced_on").shift(-1).over("company", "year", order_by="announced_on")
    return (
        guidance.filter(pl.col("basis") == COMPANY_GUIDANCE)
        .with_columns(year.alias("year"))
        .drop_nulls(["year", "announced_on"])
        .sort("company", "year", "announced_on")
        .with_columns(
            pl.max_horizontal("announced_on", pl.date(pl.col("year"), 1, 1)).alias("from_day"),
            pl.min_horizontal(next_word, pl.date(pl.col("year") + 1, 1, 1)).alias("until_day"),
        )
    )


def _held(days: pl.DataFrame, spans: pl.DataFrame, totals: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """`days` with each of `totals` taken over the `spans` that stand on the day, 0 where none does.

    The totals are taken afresh on each day a span begins or ends and held until the next one. Adding and subtracting
    amounts day by day would leave remainders of float arithmetic where everything has ended.
    """
    from_day, until_day = pl.col("from_day"), pl.col("until_day")
    turns = pl.concat([spans["from_day"], spans["until_day"]]).drop_nulls().unique().sort().alias("turn").to_frame()
    standing = (from_day <= pl.col("turn")) & (until_day.is_null() | (pl.col("turn") < until_day))
    steps = (
        turns.join(spans, how="cross", maintain_order="left_right")
        .filter(standing)
        .group_by("turn", maintain_order=True)
        .agg(expression.alias(name) for name, expression in totals.items())
    )
    steps = turns.join(steps, on="turn", how="left", validate="1:1", maintain_order="left")
    held = days.join_asof(steps, left_on="day", right_on="turn")
    return held.select(*days.columns, pl.col(*totals).fill_null(0))
