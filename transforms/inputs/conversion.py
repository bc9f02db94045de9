"""What was known of the conversion to AI on each day: the registry as step functions of when its rows were known."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from schemas.registry import (
    BACKSTOP,
    COMPANY_GUIDANCE,
    CUSTOMER_CONTRACT,
    GPU_CLOUD,
    IMPUTED,
    MINED,
    NEVER_MINED,
    PARTLY_MINED,
    UNVERIFIED,
)
from transforms.calendar import spine

GOOGLE: Final = "Google"
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

Registry = Mapping[str, pl.DataFrame]


def conversion_days(registry: Registry, first: date, last: date) -> pl.DataFrame:
    """Sum up, for every day, the rows of the registry that were known by then and stood.

    `registry` holds the checked frames `conversion_deal`, `deal_delivery`, `credit_support`, `capex_guidance`,
    `capex_quarter` and `lease_assumption`.
    Shape: one row a UTC day from `first` to `last`, both included, sorted; `day`, then counts as Int64, and megawatts,
    years, USD and shares as Float64. A sum is 0 while no standing row states the figure; guidance and spending are
    NULL while no company is counted, shares while there is nothing to share. A row counts from its `known_at` on, a
    version of a deal until the next one is known. Names that end in `_with_unverified_` count every row, the others
    leave unverified ones out. Raises `ValueError` when `last` is before `first`.
    """
    if last < first:
        raise ValueError(f"last day {last} is before the first day {first}")
    deals = _deal_spans(registry["conversion_deal"])
    supports = _support_spans(registry["credit_support"], registry["conversion_deal"])
    days = _held(spine(first, last), deals, _deal_totals())
    days = _held(days, _tenant_shares(deals), _share_totals("tenant"))
    days = _held(days, supports, _support_totals())
    days = _held(days, _guarantor_shares(supports), _share_totals("guarantor"))
    days = _held(days, _delivery_spans(registry["deal_delivery"], registry["conversion_deal"]), _delivery_totals())
    days = _held(days, _stopped_spans(deals), _stopped_totals())
    days = _held(days, _guidance_spans(registry["capex_guidance"]), _guidance_totals())
    days = _held(days, _spending_spans(registry["capex_quarter"]), _spending_totals())
    return _blank_empty(days).join_asof(_assumptions(registry["lease_assumption"]), on="day", strategy="backward")


def _blank_empty(days: pl.DataFrame) -> pl.DataFrame:
    """Sums over companies or parties are unknown, not zero, where there is none."""
    counted_by = {
        "capex_guidance_company_count": ("capex_guidance_low_usd", "capex_guidance_high_usd"),
        "capex_guidance_with_unverified_company_count": ("capex_guidance_with_unverified_usd",),
        "capex_trailing_12m_company_count": ("capex_trailing_12m_usd", "capex_trailing_12m_unverified_usd"),
        "tenant_count": ("top_tenant_share_pct", "tenant_hhi_index"),
        "guarantor_count": ("top_guarantor_share_pct", "guarantor_hhi_index"),
    }
    return days.with_columns(
        pl.when(pl.col(count) > 0).then(pl.col(name)).alias(name)
        for count, names in counted_by.items()
        for name in names
    )


def _sourced() -> pl.Expr:
    return pl.col("confidence") != UNVERIFIED


def _deal_totals() -> dict[str, pl.Expr]:
    every = pl.col("kind").is_in(CUSTOMER_CONTRACT)
    contract = every & _sourced()
    mw, gross, years = pl.col("critical_it_mw"), pl.col("gross_mw"), pl.col("term_years")
    value = pl.col("contract_value_usd")
    cloud = pl.col("lease_type").eq_missing(pl.lit(GPU_CLOUD))
    termed = contract & mw.is_not_null() & years.is_not_null()
    # GPU cloud includes the servers, so its price says nothing about power and building.
    lease = termed & value.is_not_null() & ~cloud
    brown = contract & pl.col("site_history").is_in([MINED, PARTLY_MINED])
    # What never mined takes nothing away; where nobody tells, the most that could be taken is all of it.
    taken = contract & pl.col("site_history").ne_missing(pl.lit(NEVER_MINED))
    priced = contract & pl.col("capex_usd").is_not_null() & mw.is_not_null()
    return {
        "deal_count": _count(contract),
        "deal_with_unverified_count": _count(every),
        "other_announcement_count": _count(~every),
        "contracted_critical_it_mw": _sum(mw, contract),
        "contracted_critical_it_with_unverified_mw": _sum(mw, every),
        # An extension adds years to power that is counted already: its empty cell hides nothing.
        "critical_it_mw_undisclosed_count": _count(contract & (pl.col("kind") == "contract") & mw.is_null()),
        "contracted_gross_mw": _sum(gross, contract),
        "contracted_value_usd": _sum(value, contract),
        "contracted_value_with_unverified_usd": _sum(value, every),
        "contract_value_undisclosed_count": _count(contract & value.is_null()),
        "leased_critical_it_mw": _sum(mw, contract & ~cloud),
        "gpu_cloud_critical_it_mw": _sum(mw, contract & cloud),
        "leased_value_usd": _sum(value, contract & ~cloud),
        "gpu_cloud_value_usd": _sum(value, contract & cloud),
        "brownfield_critical_it_mw": _sum(mw, brown),
        "brownfield_stated_gross_mw": _sum(gross, brown),
        "brownfield_bare_critical_mw": _sum(mw, brown & gross.is_null()),
        "taken_gross_mw": _sum(_taken_mw(), taken),
        "taken_bare_critical_mw": _sum(mw, taken & gross.is_null() & pl.col("prior_mining_mw").is_null()),
        "termed_mw": _sum(mw, termed),
        "termed_mw_years": _sum(mw * years, termed),
        "lease_value_usd": _sum(value, lease),
        "lease_mw_years": _sum(mw * years, lease),
        "annual_value_usd": _sum(value / years, contract),
        "capex_told_usd": _sum(pl.col("capex_usd"), priced),
        "capex_told_mw": _sum(mw, priced),
    }


def _taken_mw() -> pl.Expr:
    """Mining power that a deal takes: what mined there before, but no more than the deal draws."""
    return pl.when(pl.col("prior_mining_mw").is_not_null() | pl.col("gross_mw").is_not_null()).then(
        pl.min_horizontal("prior_mining_mw", "gross_mw")
    )


def _support_totals() -> dict[str, pl.Expr]:
    every = pl.col("kind").is_in(BACKSTOP)
    backstop = every & pl.col("source_url").is_not_null()
    amount = pl.col("amount_usd")
    return {
        "backstop_usd": _sum(amount, backstop),
        "backstop_with_unverified_usd": _sum(amount, every),
        "google_backstop_usd": _sum(amount, backstop & (pl.col("provider") == GOOGLE)),
        "backstop_undisclosed_count": _count(backstop & amount.is_null()),
        "backed_value_usd": _sum(
            pl.col("deal_value_usd"), backstop & amount.is_not_null() & pl.col("deal_id").is_first_distinct()
        ),
    }


def _share_totals(party: str) -> dict[str, pl.Expr]:
    """Concentration over the parties of a turn; each of its rows is one party with its amount."""
    share = pl.col("amount") / pl.col("amount").sum()
    return {
        f"{party}_count": pl.len().cast(pl.Int64),
        f"top_{party}_share_pct": 100 * share.max(),
        f"{party}_hhi_index": ((100 * share) ** 2).sum(),
    }


def _delivery_totals() -> dict[str, pl.Expr]:
    mw, brown = pl.col("critical_it_mw"), pl.col("site_history").is_in([MINED, PARTLY_MINED])
    every, sourced = pl.lit(True), _sourced()
    # Only sites that mined as a whole count here: of the others nobody tells which part was switched on.
    left = (pl.col("site_history") == MINED) & pl.col("mining_stopped_on").is_null()
    ratio = pl.col("gross_mw") / pl.col("deal_mw")
    return {
        "energised_critical_it_mw": _sum(mw, sourced),
        "energised_critical_it_with_unverified_mw": _sum(mw, every),
        "energised_imputed_critical_it_mw": _sum(mw, sourced & (pl.col("split") == IMPUTED)),
        "energised_brownfield_critical_it_mw": _sum(mw, sourced & brown),
        "left_gross_mw": _sum(mw * ratio, sourced & left),
        "left_bare_critical_mw": _sum(mw, sourced & left & ratio.is_null()),
    }


def _stopped_totals() -> dict[str, pl.Expr]:
    return {"stopped_mining_mw": _sum(_taken_mw(), _sourced())}


def _guidance_totals() -> dict[str, pl.Expr]:
    sourced = pl.col("source_url").is_not_null()
    low, high = pl.col("low_usd"), pl.col("high_usd")
    return {
        "capex_guidance_low_usd": _sum(low, sourced),
        "capex_guidance_high_usd": _sum(high, sourced),
        "capex_guidance_company_count": pl.col("company").filter(sourced).n_unique().cast(pl.Int64),
        "capex_guidance_with_unverified_usd": _sum((low + high) / 2, pl.lit(True)),
        "capex_guidance_with_unverified_company_count": pl.col("company").n_unique().cast(pl.Int64),
    }


def _spending_totals() -> dict[str, pl.Expr]:
    return {
        "capex_trailing_12m_usd": _sum(pl.col("year_usd"), pl.lit(True)),
        "capex_trailing_12m_unverified_usd": _sum(pl.col("unverified_usd"), pl.lit(True)),
        "capex_trailing_12m_company_count": pl.len().cast(pl.Int64),
    }


def _count(which: pl.Expr) -> pl.Expr:
    return which.sum().cast(pl.Int64)


def _sum(what: pl.Expr, which: pl.Expr) -> pl.Expr:
    return what.filter(which).sum().cast(pl.Float64)


def _deal_spans(deals: pl.DataFrame) -> pl.DataFrame:
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
        .sort("deal_id", "provider", "kind")
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


def _delivery_spans(deliveries: pl.DataFrame, deals: pl.DataFrame) -> pl.DataFrame:
    """The steps of delivery with the deal they belong to; power stays on until the deal ends."""
    taken = {name: name for name in ("gross_mw", "site_history", "mining_stopped_on")} | {"deal_mw": "critical_it_mw"}
    return (
        deliveries.sort("deal_id", "energised_on")
        .pipe(_with_version, deals, taken)
        .with_columns(from_day=pl.max_horizontal("energised_on", "known_at"))
    )


def _stopped_spans(spans: pl.DataFrame) -> pl.DataFrame:
    """The versions of deals whose site is told to have stopped mining, from that day on."""
    return spans.drop_nulls("mining_stopped_on").with_columns(
        from_day=pl.max_horizontal("mining_stopped_on", "known_at")
    )


def _tenant_shares(spans: pl.DataFrame) -> pl.DataFrame:
    """The contracts by tenant: spans of `party` and `amount`. A tenant that is not named is one of its own."""
    return spans.filter(
        pl.col("kind").is_in(CUSTOMER_CONTRACT), _sourced(), pl.col("contract_value_usd").is_not_null()
    ).select(
        "from_day",
        "until_day",
        party=pl.coalesce("tenant_group", "deal_id"),
        amount=pl.col("contract_value_usd").cast(pl.Float64),
    )


def _guarantor_shares(spans: pl.DataFrame) -> pl.DataFrame:
    """The disclosed backstops by guarantor: spans of `party` and `amount`."""
    return spans.filter(
        pl.col("kind").is_in(BACKSTOP), pl.col("source_url").is_not_null(), pl.col("amount_usd") > 0
    ).select("from_day", "until_day", party="provider", amount=pl.col("amount_usd").cast(pl.Float64))


def _guidance_spans(guidance: pl.DataFrame) -> pl.DataFrame:
    """The companies' own guidance with its spans: within its calendar year, until the company's next word on it.

    Guidance for a fiscal year is left out: its days are not those of a calendar year.
    """
    year = pl.col("calendar_or_fiscal_year").str.strip_prefix("CY").cast(pl.Int32, strict=False)
    next_word = pl.col("known_at").shift(-1).over("company", "year", order_by="known_at")
    return (
        guidance.filter(pl.col("basis") == COMPANY_GUIDANCE)
        .with_columns(year.alias("year"))
        .drop_nulls(["year", "known_at"])
        .sort("company", "year", "known_at")
        .with_columns(
            pl.max_horizontal("known_at", pl.date(pl.col("year"), 1, 1)).alias("from_day"),
            pl.min_horizontal(next_word, pl.date(pl.col("year") + 1, 1, 1)).alias("until_day"),
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
    stated = ("as_of", "known_at", "source", "source_url", "confidence", "notes")
    return (
        rows.sort("known_at", "as_of")
        .filter(pl.col("as_of") >= pl.col("as_of").cum_max())
        .unique("known_at", keep="last", maintain_order=True)
        .select(pl.col("known_at").alias("day"), pl.exclude(stated))
        .rename({"escalator_pct": "assumed_escalator_pct", "capex_usd_per_mw": "assumed_capex_usd_per_mw"})
        .sort("day")
    )


def _held(days: pl.DataFrame, spans: pl.DataFrame, totals: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """`days` with each of `totals` taken over the `spans` that stand on the day, 0 where none does.

    Spans that name a `party` are summed by it first. The totals are taken afresh on each day a span begins or ends and
    held until the next one. Adding and subtracting amounts day by day would leave remainders of float arithmetic where
    everything has ended.
    """
    from_day, until_day = pl.col("from_day"), pl.col("until_day")
    turns = pl.concat([spans["from_day"], spans["until_day"]]).drop_nulls().unique().sort().alias("turn").to_frame()
    standing = (from_day <= pl.col("turn")) & (until_day.is_null() | (pl.col("turn") < until_day))
    rows = turns.join(spans, how="cross", maintain_order="left_right").filter(standing)
    if "party" in spans.columns:
        rows = rows.group_by("turn", "party", maintain_order=True).agg(pl.col("amount").sum())
    steps = rows.group_by("turn", maintain_order=True).agg(
        expression.alias(name) for name, expression in totals.items()
    )
    steps = turns.join(steps, on="turn", how="left", validate="1:1", maintain_order="left")
    held = days.join_asof(steps, left_on="day", right_on="turn")
    return held.select(*days.columns, pl.col(*totals).fill_null(0))
