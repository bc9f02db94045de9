"""What miners' scripts sent and received by day."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.metrics import attributed_flows, day
from transforms.prepare import Prepared

SATOSHI_BTC: Final = 1e-8


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """The sums of the days that attribution has seen whole."""
    return given.marked(given.inputs.flow_days.sums, Origin.TRANSFERS)


TABLE: Final = Table(
    name="miner_flow_daily",
    description=(
        "What miners' scripts sent and received, attributed from whole blocks: one row a UTC day. Empty where no "
        "source states single transactions."
    ),
    key=("day",),
    metrics=(day.day, *attributed_flows.METRICS, day.is_final, day.sources),
    main=("outflow_btc",),
    truths={
        "what went to exchanges is part of the outflow": (
            pl.col("outflow_to_exchange_btc") <= pl.col("outflow_btc") + SATOSHI_BTC
        ),
        "what is fresh is a part": pl.col("outflow_to_exchange_fresh_btc") <= pl.col("outflow_to_exchange_btc"),
    },
    frame=frame,
    lineage=Lineage(origin=Origin.TRANSFERS),
)
