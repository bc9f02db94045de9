"""Coins from all miners to each exchange by day."""

from typing import Final

from transforms.tables.exchange_flow_daily import flow_table

TABLE: Final = flow_table(
    "exchange_flow_by_exchange_daily",
    "Coins from all miners to each exchange: one row a UTC day and exchange.",
    ("exchange",),
)
