"""Coins from each pool to all exchanges by day."""

from typing import Final

from transforms.tables.exchange_flow_daily import flow_table

TABLE: Final = flow_table(
    "exchange_flow_by_pool_daily",
    "Coins from the miners of each pool to all exchanges: one row a UTC day and pool.",
    ("pool",),
)
