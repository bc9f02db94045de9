"""Which of Glassnode's daily metrics we fetch. Amounts are in BTC.

Source: https://docs.glassnode.com/. What miners send to exchanges counts direct transfers only.
"""

from typing import Final

from flows.sources.daily_cells import BTC, Column

TO_EXCHANGES: Final = "transactions/transfers_volume_miners_to_exchanges"
TO_EACH_EXCHANGE: Final = "transactions/transfers_volume_miners_to_exchanges_all"

METRICS: Final = (
    Column(header="transactions/transfers_volume_from_miners_sum", series="miner_outflow_sat", unit=BTC),
    Column(header="transactions/transfers_volume_to_miners_sum", series="miner_inflow_sat", unit=BTC),
    Column(header=TO_EXCHANGES, series="miner_to_exchange_sat", unit=BTC),
    Column(header="distribution/balance_miners_sum", series="miner_reserve_sat", unit=BTC),
    Column(header="indicators/puell_multiple", series="reported_puell_ratio", zero_before_start=True),
)
"""The header is the path of the metric."""
