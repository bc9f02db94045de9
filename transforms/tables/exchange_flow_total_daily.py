"""Coins from all miners to all exchanges by day."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.table import Origin, Tables
from transforms.checks.days import none_broken
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily
from transforms.tables.exchange_flow_daily import flow_table


def checks(given: Prepared, tables: Tables) -> Iterator[Check]:
    """Checks of the flows against the totals of the days."""
    same_source = given.origins.get(Origin.FLOWS) == given.resolved.chosen.get("miner_to_exchange_sat")
    yield from check_flows(tables[TABLE.name], tables[capitulation_daily.TABLE.name], same_source=same_source)


def check_flows(flows: pl.DataFrame, days: pl.DataFrame, *, same_source: bool) -> Iterator[Check]:
    """Check that the flow to all exchanges is the day's flow, where both come from one source."""
    if not same_source:
        return
    compared = (
        flows.select("day", pl.col("miner_to_exchange_btc").alias("all_btc"))
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


TABLE: Final = flow_table(
    "exchange_flow_total_daily", "Coins from all miners to all exchanges: one row a UTC day.", (), checks
)
