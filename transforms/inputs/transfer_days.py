"""Which days attribution has seen whole, and their sums of transfers in the shapes of all other sources."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from transforms.attribution.transfers import miner_flow_days, transfer_days

SERIES_OF: Final = {
    "outflow_sat": "miner_outflow_sat",
    "outflow_mean_sat": "miner_outflow_mean_sat",
    "outflow_top10_sat": "miner_outflow_top10_sat",
    "inflow_sat": "miner_inflow_sat",
    "netflow_sat": "miner_netflow_sat",
    "to_exchange_sat": "miner_to_exchange_sat",
    "to_exchange_tx_count": "miner_to_exchange_count",
}
"""Sums of `miner_flow_days` to series of `schemas.series`."""

RESTS_ON: Final = {
    "outflow_mean_sat": ("raw.miner_block_flow.outflow_sat", "raw.miner_block_flow.outflow_tx_count"),
    "outflow_top10_sat": ("raw.miner_block_flow.largest_outflows_sat",),
    "to_exchange_sat": ("raw.miner_transfer.transfer_sat",),
    "to_exchange_tx_count": ("raw.miner_transfer.txid",),
    "to_exchange_fresh_sat": ("raw.miner_transfer.fresh_sat",),
    "one_hop_to_exchange_sat": ("raw.miner_transfer.transfer_sat", "raw.miner_transfer.hop"),
}
"""What the columns that are laid out here rest on."""


def seen_days(block_flows: pl.DataFrame, blocks: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Give the day of each height of days that are whole and whose every block has been attributed.

    `blocks` are dated, `whole` is `whole_days` of them. Shape: `height`, `day`, sorted by `height`. A day of which
    only a part has been looked at has no row, because a part of a day is not a small day.
    """
    is_seen = pl.col("height").is_in(block_flows["height"].implode())
    return (
        blocks.select("height", "day")
        .filter(is_seen.all().over("day"))
        .join(whole.filter("is_whole"), on="day", how="semi", maintain_order="left")
    )


def seen_flow_days(block_flows: pl.DataFrame, transfers: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """`miner_flow_days` of the `known` days, which are `seen_days`."""
    seen_flows, seen_transfers = (rows.join(known, on="height", how="semi") for rows in (block_flows, transfers))
    return miner_flow_days(seen_flows, seen_transfers, known)


def miner_flow_values(sums: pl.DataFrame) -> pl.DataFrame:
    """Daily values out of `seen_flow_days`.

    Shape: long, (`series`, `day`, `value`), without the days on which a series is not defined.
    """
    netflow = (pl.col("inflow_sat") - pl.col("outflow_sat") - pl.col("fee_sat")).alias("netflow_sat")
    return (
        sums.with_columns(netflow)
        .select("day", *(pl.col(name).cast(pl.Float64).alias(series) for name, series in SERIES_OF.items()))
        .unpivot(index="day", variable_name="series", value_name="value")
        .drop_nulls("value")
        .select("series", "day", "value")
    )


def transfer_flow_days(transfers: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Flows by day and `by`, some of `exchange` and `pool`, from `transfers` with their `day`.

    Shape: as `exchange_flow_days`, but the ten largest of a sum are known.
    """
    days = transfers.select("height", "day").unique()
    return transfer_days(transfers.drop("day"), days, by).drop("mean_sat")
