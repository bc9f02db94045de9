"""Who received the coins that miners sent to exchanges, by month."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.flow_shares import RESTS_ON, exchange_months
from transforms.metrics import day, flow_shares, periods
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily, exchange_flow_by_exchange_daily, exchange_flow_total_daily

FLOWS: Final = exchange_flow_by_exchange_daily.TABLE
TOTALS: Final = exchange_flow_total_daily.TABLE
DAYS: Final = capitulation_daily.TABLE


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The months of each exchange, beside the outflow of miners where the same source states it."""
    source = given.origins.get(Origin.FLOWS)
    outflow = pl.col("miner_outflow_btc")
    if given.resolved.chosen.get("miner_outflow_sat") != source:
        outflow = pl.lit(None, pl.Float64).alias("miner_outflow_btc")
    months = exchange_months(tables[FLOWS.name], tables[TOTALS.name], tables[DAYS.name].select("day", outflow))
    return months.with_columns(pl.lit(source, pl.String).alias("sources"))


TABLE: Final = Table(
    name="flow_by_exchange",
    description=(
        "Coins from all miners to each exchange, which add up to all that went to exchanges: one row a calendar month, "
        "UTC, and exchange; not_named is what the source states of no exchange."
    ),
    key=("month_start", "exchange"),
    metrics=(periods.month_start, *flow_shares.METRICS, day.is_final, day.sources),
    frame=frame,
    reads=(FLOWS, TOTALS, DAYS),
    lineage=Lineage(origin=Origin.FLOWS, rests_on=RESTS_ON),
)
