"""What each company has let, and what each tenant has taken, day by day, as known then."""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from schemas.metric import Metric
from transforms.calendar import spine
from transforms.derive import aggregate_by
from transforms.inputs.conversion import deal_spans, delivery_spans
from transforms.metrics.conversion import EVERY_CONTRACT
from transforms.metrics.megawatts import NOT_NAMED


def party_days(registry: Mapping[str, pl.DataFrame], party: str, metrics: Sequence[Metric], last: date) -> pl.DataFrame:
    """Sum up for every day, by `party` of the deals, 'miner' or 'tenant', the contracts and deliveries that stand.

    `registry` holds the checked frames `conversion_deal`, `deal_delivery` and `company`; `metrics` sum up rows of the
    first two. Shape: one row a UTC day up to `last` and party with a contract, unverified ones included, sorted by
    party and day: `day`, `party`, the metrics, and the name of the party. A contract without a tenant belongs to
    `NOT_NAMED`.
    """
    rows = party_rows(registry, party)
    deals = rows["conversion_deal"]
    first = deals.select(pl.col("from_day").filter(pl.col("from_day") <= last).min()).item()
    name = f"{party}_name"
    names = registry["company"].select(pl.col("company").alias(party), pl.col("name").alias(name))
    return (
        aggregate_by(spine(first or last, last), rows, party, metrics)
        .join(names, on=party, how="left", validate="m:1", maintain_order="left")
        .with_columns(pl.col(name).fill_null(NOT_NAMED))
    )


def party_rows(registry: Mapping[str, pl.DataFrame], party: str) -> dict[str, pl.DataFrame]:
    """The contracts and deliveries that are summed up, each with its `party`, by the name that metrics give them."""
    contracts = deal_spans(registry["conversion_deal"]).filter(EVERY_CONTRACT)
    deals = contracts.with_columns(pl.col(party).fill_null(NOT_NAMED))
    deliveries = delivery_spans(registry["deal_delivery"], registry["conversion_deal"])
    return {"conversion_deal": deals, "deal_delivery": _by_version(deliveries, deals, party)}


def _by_version(deliveries: pl.DataFrame, deals: pl.DataFrame, party: str) -> pl.DataFrame:
    """The spans of `deliveries`, each cut where another version of its deal begins, with the `party` of the version."""
    versions = deals.select(
        "deal_id", party, pl.col("from_day").alias("version_from"), pl.col("until_day").alias("version_until")
    )
    return (
        deliveries.join(versions, on="deal_id", how="inner", validate="m:m", maintain_order="left_right")
        .with_columns(
            from_day=pl.max_horizontal("from_day", "version_from"),
            until_day=pl.min_horizontal("until_day", "version_until"),
        )
        .filter(pl.col("until_day").is_null() | (pl.col("from_day") < pl.col("until_day")))
    )
