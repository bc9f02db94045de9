"""Miner flows by exchange and pool, with the sums over either."""

from typing import Final

import polars as pl

ALL = "all"

RESTS_ON: Final = {
    "one_hop_sat": ("raw.miner_transfer.transfer_sat", "raw.miner_transfer.hop"),
}
"""What the columns that are laid out here rest on."""
_NOT_STATED = (
    pl.lit(None, pl.Int64).alias("fresh_sat"),
    pl.lit(None, pl.Int64).alias("one_hop_sat"),
    pl.lit(None, pl.String).alias("label_set"),
)
"""What only single transactions show."""


def exchange_flow_days(flows: pl.DataFrame) -> pl.DataFrame:
    """Add the sums over pools and over exchanges to observed `flows`.

    Shape: one row a day, exchange and pool with a transfer, `exchange` and `pool` each a name or 'all', sorted by them:
    `day`, `exchange`, `pool`, `transfer_sat`, `transfer_count`, `top10_sat`, and `fresh_sat`, `one_hop_sat`,
    `label_set`, all NULL. The ten largest transfers of a sum are not known from those of its parts, so they are NULL
    there; so is a count of which a part is. Where the source states a sum itself, with 'all' in place of a name, that
    counts, and it is no part of another sum.
    """
    is_stated_sum = (pl.col("exchange") == ALL) | (pl.col("pool") == ALL)
    singles = flows.filter(~is_stated_sum)
    count = pl.col("transfer_count")
    summed = [
        pl.col("transfer_sat").sum(),
        pl.when(count.null_count() == 0).then(count.sum()).alias("transfer_count"),
        pl.lit(None, pl.Int64).alias("top10_sat"),
    ]
    by_exchange = singles.group_by("day", "exchange").agg(summed).with_columns(pl.lit(ALL).alias("pool"))
    by_pool = singles.group_by("day", "pool").agg(summed).with_columns(pl.lit(ALL).alias("exchange"))
    both = singles.group_by("day").agg(summed).with_columns(pl.lit(ALL).alias("exchange"), pl.lit(ALL).alias("pool"))
    key = ["day", "exchange", "pool"]
    columns = [*key, "transfer_sat", "transfer_count", "top10_sat"]
    sums = pl.concat(part.select(columns) for part in (by_exchange, by_pool, both))
    sums = sums.join(flows.filter(is_stated_sum), on=key, how="anti")
    return pl.concat([flows.select(columns), sums]).with_columns(_NOT_STATED).sort(key)


def exchange_flow_totals(days: pl.DataFrame) -> pl.DataFrame:
    """Lay out a vendor's daily totals in the same shape, where no source states the flows of single exchanges.

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
        *_NOT_STATED,
    )
