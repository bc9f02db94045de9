"""Coins from miners to exchanges by day, exchange and pool; the tables of sums over either are built here as well."""

from typing import Final

import polars as pl

from schemas.table import Checks, Lineage, Origin, Table, Tables
from transforms.inputs.exchange_flows import ALL, AXES, exchange_flow_days, exchange_flow_totals
from transforms.metrics import day, exchange_flows
from transforms.prepare import Prepared

SATOSHI_BTC: Final = 1e-8


def flow_table(name: str, description: str, by: tuple[str, ...], checks: Checks | None = None) -> Table:
    """The table of flows by day and `by`, some of `AXES`. Each has only rows that can be added up."""

    def frame(given: Prepared, _: Tables) -> pl.DataFrame:
        """The flows as sums of single transfers, else as a vendor states them by exchange or in all."""
        if given.flows_are_transfers:
            return given.marked(given.inputs.flow_days.by(by), Origin.FLOWS)
        inputs = given.inputs
        is_total_only = not by and not inputs.flow_source
        flows = exchange_flow_totals(given.days) if is_total_only else exchange_flow_days(inputs.flows, by)
        return given.marked(flows.filter(pl.col("day") <= inputs.through), Origin.FLOWS, by_blocks=False)

    return Table(
        name=name,
        description=description,
        key=("day", *by),
        metrics=(
            day.day,
            *(m for m in exchange_flows.METRICS if m.name in by or m.name not in AXES),
            day.is_final,
            day.sources,
        ),
        main=("miner_to_exchange_btc",),
        truths={
            "the ten largest transfers are no more than all": (
                pl.col("miner_to_exchange_top10_btc") <= pl.col("miner_to_exchange_btc") + SATOSHI_BTC
            ),
            **{f"no {axis} is the sum of others": pl.col(axis) != ALL for axis in by},
        },
        frame=frame,
        checks=checks,
        lineage=Lineage(origin=Origin.FLOWS),
        # Sorted by day, so that years are slices. Those of one axis are a tenth of its rows.
        is_by_year=by == AXES,
    )


TABLE: Final = flow_table(
    "exchange_flow_daily",
    "Coins from miners to exchanges: one row a UTC day, exchange and pool, where the source states them by both.",
    AXES,
)
