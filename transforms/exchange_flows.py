"""Miner flows by exchange and pool, with the sums over either."""

import polars as pl

ALL = "all"


def exchange_flow_days(flows: pl.DataFrame) -> pl.DataFrame:
    """Add the sums over pools and over exchanges to observed `flows`.

    Shape: one row a day, exchange and pool with a transfer, `exchange` and `pool` each a name or 'all', sorted by them:
    `day`, `exchange`, `pool`, `transfer_sat`, `transfer_count`, `top10_sat`. The ten largest transfers of a sum are not
    known from those of its parts, so they are NULL there.
    """
    summed = [pl.col("transfer_sat").sum(), pl.col("transfer_count").sum(), pl.lit(None, pl.Int64).alias("top10_sat")]
    by_exchange = flows.group_by("day", "exchange").agg(summed).with_columns(pl.lit(ALL).alias("pool"))
    by_pool = flows.group_by("day", "pool").agg(summed).with_columns(pl.lit(ALL).alias("exchange"))
    both = flows.group_by("day").agg(summed).with_columns(pl.lit(ALL).alias("exchange"), pl.lit(ALL).alias("pool"))
    columns = ["day", "exchange", "pool", "transfer_sat", "transfer_count", "top10_sat"]
    parts = [flows, by_exchange, by_pool, both]
    return pl.concat(part.select(columns) for part in parts).sort("day", "exchange", "pool")
