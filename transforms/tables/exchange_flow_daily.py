"""Coins from miners to exchanges by day, exchange and pool."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.table import Lineage, Origin, Table, Tables
from transforms.checks.days import none_broken
from transforms.inputs.exchange_flows import exchange_flow_days, exchange_flow_totals
from transforms.inputs.transfer_days import transfer_flow_days
from transforms.metrics import day, exchange_flows
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily

SATOSHI_BTC: Final = 1e-8


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """The flows as sums of single transfers, else as a vendor states them by exchange or in all."""
    if given.flows_are_transfers:
        return given.marked(transfer_flow_days(given.transfers), Origin.FLOWS)
    inputs = given.inputs
    flows = exchange_flow_days(inputs.flows) if inputs.flow_source else exchange_flow_totals(given.days)
    return given.marked(flows.filter(pl.col("day") <= inputs.through), Origin.FLOWS, by_blocks=False)


def checks(given: Prepared, tables: Tables) -> Iterator[Check]:
    """Checks of the flows against the totals of the days."""
    same_source = given.origins.get(Origin.FLOWS) == given.resolved.chosen.get("miner_to_exchange_sat")
    yield from check_flows(tables[TABLE.name], tables[capitulation_daily.TABLE.name], same_source=same_source)


def check_flows(flows: pl.DataFrame, days: pl.DataFrame, *, same_source: bool) -> Iterator[Check]:
    """Check that the flow to all exchanges is the day's flow, where both come from one source."""
    if not same_source:
        return
    compared = (
        flows.filter((pl.col("exchange") == "all") & (pl.col("pool") == "all"))
        .select("day", pl.col("miner_to_exchange_btc").alias("all_btc"))
        .join(days.select("day", "miner_to_exchange_btc"), on="day", how="inner", validate="1:1")
        .sort("day")
    )
    yield none_broken(
        compared,
        "flow to all exchanges is the flow of the day",
        "error",
        (pl.col("all_btc") - pl.col("miner_to_exchange_btc")).abs() <= 1e-8,
        "equal to the satoshi",
    )


TABLE: Final = Table(
    name="exchange_flow_daily",
    description="Coins from miners to exchanges: one row a UTC day, exchange and pool, either of them also 'all'.",
    key=("day", "exchange", "pool"),
    metrics=(day.day, *exchange_flows.METRICS, day.is_final, day.sources),
    main=("miner_to_exchange_btc",),
    truths={
        "the ten largest transfers are no more than all": (
            pl.col("miner_to_exchange_top10_btc") <= pl.col("miner_to_exchange_btc") + SATOSHI_BTC
        )
    },
    frame=frame,
    checks=checks,
    lineage=Lineage(origin=Origin.FLOWS),
)
