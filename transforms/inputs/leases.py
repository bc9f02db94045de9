"""The standing contracts, each beside the assumptions and the market of one day, ready to be valued."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from schemas.registry import BACKSTOP, CUSTOMER_CONTRACT, NEVER_MINED, REGISTRY
from schemas.units import PERCENT
from transforms.inputs.deals import standing_deals

MARKET: Final = ("revenue_usd_per_mwh", "all_in_usd_per_mwh")
"""What mining earns and costs, from the derived `capitulation_daily`."""
ASSUMPTIONS: Final = {
    name: "assumed_escalator_pct" if name == "escalator_pct" else name
    for name in REGISTRY["lease_assumption"].columns
    if name not in ("as_of", "known_at", "source", "source_url", "confidence", "notes")
}
"""Columns of `lease_assumption`, and what they are called beside the figures that the parties state themselves."""

RESTS_ON: Final = {
    **{name: (f"capitulation_daily.{name}",) for name in MARKET},
    **{column: (f"lease_assumption.{name}",) for name, column in ASSUMPTIONS.items()},
    "is_guaranteed": ("credit_support.kind",),
    "listed_backstop_usd": ("credit_support.kind", "credit_support.amount_usd"),
    "tenant_funded_pct": ("tenant_funding.capex_usd", "tenant_funding.tenant_funded_usd"),
    "mined_mw": ("conversion_deal.site_history", "conversion_deal.prior_mining_mw"),
}
"""What the columns that are laid out here rest on."""


def standing_contracts(registry: Mapping[str, pl.DataFrame], market: pl.DataFrame, day: date) -> pl.DataFrame:
    """The contracts that were known and stood on `day`.

    `registry` holds the checked frames `conversion_deal`, `credit_support`, `tenant_funding` and `lease_assumption`;
    `market` has `day` and `MARKET`. Shape: one row a contract, sorted by `deal_id`: the columns of the deal,
    `is_guaranteed` (a guarantee or a letter of credit was known on the day, with or without an amount),
    `listed_backstop_usd`, `tenant_funded_pct` (part that the tenant paid of all that the miner spent in the quarters
    known, NULL where none is), `mined_mw` (0 at a site that never mined, NULL where unknown), the assumptions known on
    the day, and the market of the newest day that has one.
    """
    deals = standing_deals(registry["conversion_deal"], day).filter(pl.col("kind").is_in(CUSTOMER_CONTRACT))
    backed = (
        registry["credit_support"]
        .filter(pl.col("kind").is_in(BACKSTOP), pl.col("known_at") <= day)
        .group_by("deal_id")
        .agg(
            pl.lit(True).alias("is_guaranteed"),
            pl.when(pl.col("amount_usd").is_not_null().any())
            .then(pl.col("amount_usd").sum())
            .cast(pl.Float64)
            .alias("listed_backstop_usd"),
        )
    )
    paid = (
        registry["tenant_funding"]
        .filter(pl.col("known_at") <= day)
        .group_by("miner", "tenant")
        .agg((PERCENT * pl.col("tenant_funded_usd").sum() / pl.col("capex_usd").sum()).alias("tenant_funded_pct"))
    )
    never = pl.col("site_history").eq_missing(pl.lit(NEVER_MINED))
    assumed = (
        registry["lease_assumption"]
        .filter(pl.col("known_at") <= day)
        .sort("as_of", "known_at")
        .tail(1)
        .select(pl.col(name).alias(new) for name, new in ASSUMPTIONS.items())
    )
    priced = market.filter(pl.col("day") <= day).drop_nulls(MARKET[0]).tail(1).select(MARKET)
    return (
        deals.join(backed, on="deal_id", how="left", validate="m:1", maintain_order="left")
        .join(paid, on=["miner", "tenant"], how="left", validate="m:1", maintain_order="left")
        .with_columns(
            pl.col("is_guaranteed").fill_null(False),
            pl.when(never).then(0.0).otherwise("prior_mining_mw").alias("mined_mw"),
        )
        .sort("deal_id")
        .pipe(_beside, assumed)
        .pipe(_beside, priced)
    )


def _beside(rows: pl.DataFrame, one: pl.DataFrame) -> pl.DataFrame:
    """The cells of the one row of `one` beside every row, NULL where it has none."""
    cells = one.row(0, named=True) if one.height else dict.fromkeys(one.columns)
    return rows.with_columns(pl.lit(cell, one.schema[name]).alias(name) for name, cell in cells.items())
