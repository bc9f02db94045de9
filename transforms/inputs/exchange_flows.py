"""Miner flows by exchange and pool, by either of them, or in all."""

from collections.abc import Sequence
from typing import Final

import polars as pl

ALL: Final = "all"
"""What a source states in place of a name for the sum over all; no published row has it."""
AXES: Final = ("exchange", "pool")

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


def exchange_flow_days(flows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Observed `flows` by day and `by`, which is some of `AXES`; summed over the others.

    Shape: one row a day and name on each axis of `by` with a transfer, sorted by them: `day`, `by`, `transfer_sat`,
    `transfer_count`, `top10_sat`, and `fresh_sat`, `one_hop_sat`, `label_set`, all NULL. The ten largest transfers of a
    sum are not known from those of its parts, so they are NULL there; so is a count of which a part is. Where the
    source states a sum itself, with 'all' in place of a name, that counts, and it is no part of another sum.
    """
    summed_over = [axis for axis in AXES if axis not in by]
    columns = ["day", *by, "transfer_sat", "transfer_count", "top10_sat"]
    stated = flows.filter(pl.col(axis).eq(ALL) if axis in summed_over else pl.col(axis).ne(ALL) for axis in AXES)
    rows = stated.select(columns)
    if summed_over:
        count = pl.col("transfer_count")
        singles = flows.filter(pl.col(axis) != ALL for axis in AXES)
        sums = singles.group_by("day", *by).agg(
            pl.col("transfer_sat").sum(),
            pl.when(count.null_count() == 0).then(count.sum()).alias("transfer_count"),
            pl.lit(None, pl.Int64).alias("top10_sat"),
        )
        rows = pl.concat([rows, sums.join(rows, on=["day", *by], how="anti").select(columns)])
    return rows.with_columns(_NOT_STATED).sort("day", *by)


def exchange_flow_totals(days: pl.DataFrame) -> pl.DataFrame:
    """Lay out a vendor's daily totals in the same shape, where no source states the flows of single exchanges.

    `days`: resolved days with `miner_to_exchange_sat` and `miner_to_exchange_count`. Shape: as `exchange_flow_days` by
    nothing but the day, one row a day with a stated flow.
    """
    return days.filter(pl.col("miner_to_exchange_sat").is_not_null()).select(
        "day",
        pl.col("miner_to_exchange_sat").cast(pl.Int64).alias("transfer_sat"),
        pl.col("miner_to_exchange_count").cast(pl.Int64).alias("transfer_count"),
        pl.lit(None, pl.Int64).alias("top10_sat"),
        *_NOT_STATED,
    )
