"""Which days attribution has seen whole, and their sums of transfers in the shapes of all other sources."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Final, Self

import polars as pl

from transforms.attribution.transfers import block_flow_rows, miner_flow_days, transfer_days, transfer_rows
from transforms.inputs.exchange_flows import AXES

FLOW_AXES: Final = (AXES, *((axis,) for axis in AXES), ())
"""What flows to exchanges are published by, beside the day."""
PART_BLOCKS: Final = 30_000
"""Blocks of half a year."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDays:
    """Flows of the days that attribution has seen whole, summed by day.

    `sums`: `miner_flow_days`. `transfers`: `transfer_days` by each of `FLOW_AXES`, one below the other: `day`, `axes`
    (names of the axes, comma-separated), `exchange` and `pool` (NULL where they are summed over), then the sums.
    """

    sums: pl.DataFrame
    transfers: pl.DataFrame

    def by(self, axes: Sequence[str]) -> pl.DataFrame:
        """Flows to exchanges by day and `axes`, which is one of `FLOW_AXES`. Shape: as `exchange_flow_days`."""
        rows = self.transfers.filter(pl.col("axes") == ",".join(axes))
        return rows.drop("axes", *(axis for axis in AXES if axis not in axes)).sort("day", *axes)

    def of(self, days: pl.DataFrame) -> Self:
        """The same of nothing but the `days`."""
        kept = (rows.join(days, on="day", how="semi", maintain_order="left") for rows in (self.sums, self.transfers))
        sums, transfers = kept
        return replace(self, sums=sums, transfers=transfers)

    @staticmethod
    def joined(parts: Sequence["FlowDays"]) -> "FlowDays":
        """Flows of different days as one, sorted by day."""
        none = no_flow_days()
        every = (none, *parts)
        return FlowDays(
            sums=pl.concat([part.sums.select(none.sums.columns) for part in every]).sort("day"),
            transfers=pl.concat([part.transfers.select(none.transfers.columns) for part in every]),
        )


@cache
def no_flow_days() -> FlowDays:
    """Flows of no day."""
    known = pl.DataFrame(schema={"height": pl.Int64, "day": pl.Date})
    return flow_days(block_flow_rows((), ""), transfer_rows((), ""), known)


def seen_days(attributed: pl.DataFrame, blocks: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Days that are whole and whose every block has been attributed, with what their flows are made from.

    `attributed`: the heights whose flows are known, each with the `newest_batch_id` that states anything of it;
    `blocks` are dated, `whole` is `whole_days` of them. Shape: one row a day, sorted: `day`, `first_height`,
    `last_height`, `newest_batch_id`. A day of which only a part has been looked at has no row, because a part of a day
    is not a small day.
    """
    days = (
        blocks.select("height", "day")
        .join(attributed, on="height", how="left", validate="m:1", maintain_order="left")
        .group_by("day", maintain_order=True)
        .agg(
            pl.col("height").first().alias("first_height"),
            pl.col("height").last().alias("last_height"),
            pl.col("newest_batch_id").max(),
            (pl.col("newest_batch_id").null_count() == 0).alias("is_seen"),
        )
    )
    return (
        days.filter("is_seen")
        .drop("is_seen")
        .join(whole.filter("is_whole"), on="day", how="semi", maintain_order="left")
    )


def flow_days(block_flows: pl.DataFrame, transfers: pl.DataFrame, known: pl.DataFrame) -> FlowDays:
    """Sum flows over the `known` heights, each with its `day`, whatever other heights are among the flows.

    Some months at a time, as tables of transactions and of largest outflows of all history would fill the memory.
    """
    flows, sent = (rows if rows["height"].is_sorted() else rows.sort("height") for rows in (block_flows, transfers))
    parts = [_summed(_at(flows, part), _at(sent, part), part) for part in _parts(known)]
    return FlowDays(
        sums=pl.concat([part.sums for part in parts]), transfers=pl.concat([part.transfers for part in parts])
    )


def _parts(known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut `known` between days into parts of about `PART_BLOCKS` rows; one empty part of none."""
    firsts = known.select((pl.col("day") != pl.col("day").shift()).fill_null(True).arg_true()).to_series()
    cuts = [0]
    for first in firsts:
        if first - cuts[-1] >= PART_BLOCKS:
            cuts.append(first)
    for start, end in pairwise([*cuts, known.height]):
        yield known.slice(start, end - start)


def _at(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Of `rows`, which are sorted by height, those at the `known` heights, which are sorted too."""
    if known.is_empty():
        return rows.clear()
    first, last = known["height"][0], known["height"][-1]
    start, end = rows["height"].search_sorted(first, "left"), rows["height"].search_sorted(last, "right")
    return rows.slice(start, end - start).join(known, on="height", how="semi", maintain_order="left")


def _summed(block_flows: pl.DataFrame, transfers: pl.DataFrame, known: pl.DataFrame) -> FlowDays:
    # Numbers in the place of texts of 64 characters, by which rows are grouped again and again.
    numbers = transfers.select("txid").unique().with_row_index("number")
    numbered = transfers.join(numbers, on="txid", validate="m:1", maintain_order="left")
    numbered = numbered.with_columns(pl.col("number").alias("txid"))
    return FlowDays(
        sums=miner_flow_days(block_flows, numbered, known),
        transfers=pl.concat(
            transfer_days(numbered, known, by)
            .drop("mean_sat")
            .select(
                "day",
                pl.lit(",".join(by)).alias("axes"),
                *(pl.col(axis) if axis in by else pl.lit(None, pl.String).alias(axis) for axis in AXES),
                pl.exclude("day", *AXES),
            )
            for by in FLOW_AXES
        ),
    )


def miner_flow_values(sums: pl.DataFrame) -> pl.DataFrame:
    """Daily values out of `miner_flow_days`.

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
