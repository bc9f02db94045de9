"""The deals that stand on a day, beside the names of their parties and sites."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

RESTS_ON: Final = {
    "miner_name": ("company.name",),
    "tenant_name": ("company.name",),
    "site_name": ("site.name",),
}
"""What the columns that are laid out here rest on."""


def standing_deals(deals: pl.DataFrame, day: date) -> pl.DataFrame:
    """The version of each deal that was known and stood on `day`: rows of `conversion_deal`, one a deal."""
    return deals.filter(
        pl.col("known_at") <= day,
        pl.col("superseded_at").is_null() | (pl.col("superseded_at") > day),
        pl.col("ended_on").is_null() | (pl.col("ended_on") > day),
    )


def named_deals(registry: Mapping[str, pl.DataFrame], day: date) -> pl.DataFrame:
    """The standing deals of `day` with `miner_name`, `tenant_name` and `site_name`, sorted by `deal_id`.

    `registry` holds the checked frames `conversion_deal`, `company` and `site`.
    """
    named = standing_deals(registry["conversion_deal"], day)
    for column, table, key in (
        ("miner", "company", "company"),
        ("tenant", "company", "company"),
        ("site", "site", "site"),
    ):
        names = registry[table].select(pl.col(key).alias(column), pl.col("name").alias(f"{column}_name"))
        named = named.join(names, on=column, how="left", validate="m:1", maintain_order="left")
    return named.sort("deal_id")
