"""Frames of what attribution found, and their daily sums by exchange and pool."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from schemas.observations import MINER_BLOCK_FLOW, MINER_TRANSFER
from transforms.attribution.blocks import LARGEST_COUNT, BlockFlows

UNKNOWN_SUM: Final = -1
"""Stands for an unknown sum until days without any transfer have got their 0."""
_ZERO_HOP: Final = pl.col("hop") == 0


def transfer_rows(flows: Iterable[BlockFlows], label_set: str) -> pl.DataFrame:
    """One row a transaction, exchange and layer that moved coins there, in the order of the chain.

    Shape: the fields of `Transfer` and `label_set`, the version of the labels that were used.
    """
    rows = [transfer for block in flows for transfer in block.transfers]
    return _frame(rows, MINER_TRANSFER.columns, label_set)


def block_flow_rows(flows: Iterable[BlockFlows], label_set: str) -> pl.DataFrame:
    """One row a block: the fields of `transforms.attribution.blocks.BlockFlows` but its transfers, and `label_set`."""
    rows = [block[:-1] for block in flows]
    return _frame(rows, MINER_BLOCK_FLOW.columns, label_set)


def _frame(rows: Iterable[tuple[object, ...]], columns: Mapping[str, Any], label_set: str) -> pl.DataFrame:
    types = {name: column.dtype.type for name, column in columns.items()}
    return pl.DataFrame([(*row, label_set) for row in rows], schema=types, orient="row")


def transfer_days(transfers: pl.DataFrame, days: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Sum `transfers` by day and `by`, which is some of `exchange` and `pool`; `days` gives the `day` of each `height`.

    Shape: one row a day and name on each axis of `by` with a transfer, sorted by them: `day`, `by`; of the 0-hop layer
    `transfer_sat`, `transfer_count` (transactions), `mean_sat` (NULL without a transaction), `top10_sat` (the ten
    largest transactions), `fresh_sat` (directly from coinbase outputs, NULL where a block does not state it);
    `one_hop_sat` on top of it; `label_set`, that of the lowest block. A transaction that pays two exchanges counts once
    in their sum.
    """
    dated = transfers.join(days.select("height", "day"), on="height", how="left", validate="m:1", maintain_order="left")
    keys = ["day", *by]
    # Most transactions have one row, and grouping the others alone takes a fifth of the time.
    is_single = pl.col("txid").is_unique()
    by_transaction = pl.concat([_single(dated.filter(is_single), keys), _grouped(dated.filter(~is_single), keys)])
    sat, is_counted = pl.col("transfer_sat"), pl.col("is_zero_hop")
    sums = by_transaction.group_by(keys).agg(
        sat.sum(),
        is_counted.sum().cast(pl.Int64).alias("transfer_count"),
        sat.filter(is_counted).mean().alias("mean_sat"),
        sat.top_k(LARGEST_COUNT).sum().alias("top10_sat"),
        _sum_if_all_known("fresh_sat"),
        pl.col("one_hop_sat").sum(),
        pl.col("label_set").get(pl.col("height").arg_min()),
    )
    return sums.sort(keys)


def _grouped(dated: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """One row a transaction and `keys`."""
    return dated.group_by(*keys, "txid").agg(
        pl.col("transfer_sat").filter(_ZERO_HOP).sum(),
        _sum_if_all_known("fresh_sat"),
        pl.col("transfer_sat").filter(~_ZERO_HOP).sum().alias("one_hop_sat"),
        _ZERO_HOP.any().alias("is_zero_hop"),
        pl.col("label_set").first(),
        pl.col("height").first(),
    )


def _single(dated: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The same of transactions with one row."""
    sat = pl.col("transfer_sat")
    return dated.select(
        *keys,
        "txid",
        pl.when(_ZERO_HOP).then(sat).otherwise(0).alias("transfer_sat"),
        "fresh_sat",
        pl.when(_ZERO_HOP).then(0).otherwise(sat).alias("one_hop_sat"),
        _ZERO_HOP.alias("is_zero_hop"),
        "label_set",
        "height",
    )


def _sum_if_all_known(column: str) -> pl.Expr:
    return pl.when(pl.col(column).null_count() == 0).then(pl.col(column).sum()).alias(column)


def miner_flow_days(block_flows: pl.DataFrame, transfers: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Sum `block_flows` by day, with sums of their `transfers`; `days` gives the `day` of each `height`.

    Shape: one row a day with a block, sorted: `day`, `outflow_sat`, `outflow_tx_count`, `outflow_mean_sat` and
    `unlabelled_ratio` (share of the outflow to scripts without a label; both NULL without outflow),
    `outflow_top10_sat`, `inflow_sat`, `fee_sat`, `one_hop_outflow_sat`, `coinbase_direct_to_exchange_sat`,
    `to_exchange_sat`, `to_exchange_tx_count`, `to_exchange_fresh_sat` (NULL where a block does not state it),
    `one_hop_to_exchange_sat`, `transfer_row_count`, `label_set`, that of the first row. A day without a transfer has a
    true 0.
    """
    day_of = days.select("height", "day")
    sums = ["outflow_sat", "outflow_tx_count", "inflow_sat", "fee_sat", "one_hop_outflow_sat"]
    dated = block_flows.join(day_of, on="height", how="left", validate="1:1", maintain_order="left")
    largest = (
        dated.select("day", pl.col("largest_outflows_sat").alias("outflow_top10_sat"))
        .explode("outflow_top10_sat", empty_as_null=False)
        .group_by("day")
        .agg(pl.col("outflow_top10_sat").top_k(LARGEST_COUNT).sum())
    )
    sent = (
        transfers.join(day_of, on="height", how="left", validate="m:1")
        .group_by("day")
        .agg(
            pl.col("transfer_sat").filter(_ZERO_HOP).sum().alias("to_exchange_sat"),
            pl.col("txid").filter(_ZERO_HOP).n_unique().cast(pl.Int64).alias("to_exchange_tx_count"),
            _sum_if_all_known("fresh_sat").fill_null(UNKNOWN_SUM).alias("to_exchange_fresh_sat"),
            pl.col("transfer_sat").filter(~_ZERO_HOP).sum().alias("one_hop_to_exchange_sat"),
            pl.len().cast(pl.Int64).alias("transfer_row_count"),
        )
    )
    has_outflow = pl.when(pl.col("outflow_sat") > 0)
    return (
        dated.group_by("day")
        .agg(
            pl.col(sums).sum(),
            pl.col("coinbase_direct_to_exchange_sat").sum(),
            pl.col("label_set").first(),
        )
        .join(largest, on="day", how="left", validate="1:1")
        .with_columns(pl.col("outflow_top10_sat").fill_null(0))
        .join(sent, on="day", how="left", validate="1:1")
        .with_columns(
            pl.col(
                "to_exchange_sat",
                "to_exchange_tx_count",
                "to_exchange_fresh_sat",
                "one_hop_to_exchange_sat",
                "transfer_row_count",
            ).fill_null(0)
        )
        .with_columns(pl.col("to_exchange_fresh_sat").replace(UNKNOWN_SUM, None))
        .select(
            "day",
            "outflow_sat",
            "outflow_tx_count",
            has_outflow.then(pl.col("outflow_sat") / pl.col("outflow_tx_count")).alias("outflow_mean_sat"),
            "outflow_top10_sat",
            has_outflow.then(1 - pl.col("to_exchange_sat") / pl.col("outflow_sat")).alias("unlabelled_ratio"),
            "inflow_sat",
            "fee_sat",
            "one_hop_outflow_sat",
            "coinbase_direct_to_exchange_sat",
            "to_exchange_sat",
            "to_exchange_tx_count",
            "to_exchange_fresh_sat",
            "one_hop_to_exchange_sat",
            "transfer_row_count",
            "label_set",
        )
        .sort("day")
    )
