"""The squeeze of the miners by month."""

from typing import Final

from transforms.metrics import periods
from transforms.tables.capitulation_weekly import period_table

TABLE: Final = period_table(
    "capitulation_monthly",
    "How hard Bitcoin's miners are being squeezed: one row a calendar month, UTC.",
    periods.month_start,
    "1mo",
)
