"""Miner flows by exchange and pool, with the sums over either."""

import polars as pl

ALL = "all"
_NOT_TOLD = (
    pl.lit(None, pl.Int64).alias("fresh_sat"),
    pl.lit(None, pl.Int64).alias("one_hop_sat"),
    pl.lit(None, pl.String).alias("label_set"),
)
"""What only single transactions tell."""


def exchange_flow_days(flows: pl.DataFrame) -> pl.DataFrame:
    """Add the sums over pools and over exchanges to observed `flows`.

    Shape: one row a day, exchange and pool with a transfer, `exchange` and `pool` each a name or 'all', sorted by them:
    `day`, `exchange`, `pool`, `transfer_sat`, `transfer_count`, `top10_sat`, and `fresh_sat`, `one_hop_sat`,
    `label_set`, all NULL. The ten largest transfers of a sum are not known from those of its parts, so they are NULL
    there.
    """
    summed = [pl.col("transfer_sat").sum(), pl.col("transfer_count").sum(), pl.lit(None, pl.Int64).alias("top10_sat")]
    by_exchange = flows.group_by("day", "exchange").agg(summed).with_columns(pl.lit(ALL).alias("pool"))
    by_pool = flows.group_by("day", "pool").agg(summed).with_columns(pl.lit(ALL).alias("exchange"))
    both = flows.group_by("day").agg(summed).with_columns(pl.lit(ALL).alias("exchange"), pl.lit(ALL).alias("pool"))
    columns = ["day", "exchange", "pool", "transfer_sat", "transfer_count", "top10_sat"]
    parts = [flows, by_exchange, by_pool, both]
    return pl.concat(part.select(*columns, *_NOT_TOLD) for part in parts).sort("day", "exchange", "pool")


def exchange_flow_totals(days: pl.DataFrame) -> pl.DataFrame:
    """Lay out a vendor's daily totals in the same shape, where nobody tells the flows of single exchanges.

    `days`: resolved days with `miner_to_exchange_sat` and `miner_to_exchange_count`. Shape: as
    `exchange_flow_days`, one row a day with a stated flow, both `exchange` and `pool` 'all'.
    """
    return days.filter(pl.col("miner_to_exchange_sat").is_not_null()).select(
        "day",
        pl.lit(ALL).alias("exchange"),
        pl.lit(ALL).alias("pool"),
        pl.col("miner_to_exchange_sat").cast(pl.Int64).alias("transfer_sat"),
        pl.col("miner_to_exchange_count").cast(pl.Int64).alias("transfer_count"),
        pl.lit(None, pl.Int64).alias("top10_sat"),
        *_NOT_TOLD,
    )
