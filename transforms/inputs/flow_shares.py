"""Flows to exchanges by month and exchange, with the rest that no source states by exchange."""

from typing import Final

import polars as pl

from transforms.metrics.flow_shares import NOT_NAMED

RESTS_ON: Final = {
    "month_transfer_sat": ("transfer_sat",),
    "month_outflow_btc": ("capitulation_daily.miner_outflow_btc",),
    "stated_day_count": ("transfer_sat",),
}
"""What the columns that are laid out here rest on."""


def exchange_months(flows: pl.DataFrame, totals: pl.DataFrame, outflow: pl.DataFrame) -> pl.DataFrame:
    """Sum up `flows`, by day and exchange, to months, beside the `totals` of the days and the `outflow` of miners.

    `flows` and `totals` have `transfer_sat`, `outflow` has `day` and `miner_outflow_btc`, NULL where it is not known or
    not comparable. Shape: one row a month and exchange, sorted by `month_start` and `exchange`: `transfer_sat`,
    `month_transfer_sat` of all exchanges, `month_outflow_btc`, NULL unless every day of the totals has one,
    `stated_day_count` and `is_final`. What the exchanges lack of the total of a month is `NOT_NAMED`.
    """
    month = pl.col("day").dt.truncate("1mo").alias("month_start")
    sat = pl.col("transfer_sat")
    named = flows.group_by(month, "exchange").agg(sat.sum())
    stated = totals.join(outflow, on="day", how="left", validate="1:1", maintain_order="left")
    outflow_btc = pl.col("miner_outflow_btc")
    months = stated.group_by(month, maintain_order=True).agg(
        sat.sum().alias("total_sat"),
        pl.len().cast(pl.Int64).alias("stated_day_count"),
        pl.when(outflow_btc.null_count() == 0).then(outflow_btc.sum()).alias("month_outflow_btc"),
        pl.col("is_final").all(),
        (pl.col("day").max().dt.month_end() == pl.col("day").max()).alias("is_over"),
    )
    sums = named.group_by("month_start").agg(sat.sum().alias("named_sat"))
    rest_sat = (pl.col("total_sat") - pl.col("named_sat").fill_null(0)).clip(lower_bound=0)
    months = months.join(sums, on="month_start", how="left", validate="1:1", maintain_order="left").with_columns(
        rest_sat.alias("rest_sat"),
        (rest_sat + pl.col("named_sat").fill_null(0)).alias("month_transfer_sat"),
        pl.col("is_final") & pl.col("is_over"),
    )
    rest = months.filter((pl.col("rest_sat") > 0) | pl.col("named_sat").is_null()).select(
        "month_start", pl.lit(NOT_NAMED).alias("exchange"), pl.col("rest_sat").alias("transfer_sat")
    )
    columns = ("month_start", "month_transfer_sat", "month_outflow_btc", "stated_day_count", "is_final")
    return (
        pl.concat([named, rest])
        .join(months.select(columns), on="month_start", how="left", validate="m:1", maintain_order="left")
        .sort("month_start", "exchange")
    )
