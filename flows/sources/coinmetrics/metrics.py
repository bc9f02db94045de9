"""Which of Coin Metrics' daily metrics we use, in which unit they come, and when a day of them is complete.

Source: https://docs.coinmetrics.io/. Amounts are in BTC, the hash rate in TH/s. The same in its files and its API.
"""

from typing import Final

import polars as pl

from flows.sources.daily_cells import BTC, TERAHASH_PER_SECOND, Column

METRICS: Final = (
    Column(header="PriceUSD", series="price_usd", zero_before_start=True),
    Column(header="BlkCnt", series="block_count"),
    Column(header="IssTotNtv", series="issuance_sat", unit=BTC),
    Column(header="IssTotUSD", series="reported_issuance_usd", zero_before_start=True),
    Column(header="FeeTotNtv", series="fees_sat", unit=BTC),
    Column(header="HashRate", series="reported_hashrate_ehs", unit=TERAHASH_PER_SECOND),
    Column(header="SplyCur", series="supply_sat", unit=BTC),
    Column(header="FlowInExNtv", series="exchange_inflow_sat", unit=BTC, zero_before_start=True),
    Column(header="FlowOutExNtv", series="exchange_outflow_sat", unit=BTC, zero_before_start=True),
    Column(header="SplyExNtv", series="exchange_reserve_sat", unit=BTC, zero_before_start=True),
)
"""Fees and blocks of zero in the first days are values: the chain stood still from 2009-01-03 to 2009-01-08."""


OF_THE_CHAIN: Final = ("BlkCnt", "IssTotNtv", "IssTotUSD", "FeeTotNtv", "HashRate", "SplyCur")


def without_chain_metrics(last: pl.DataFrame) -> str | None:
    """Chain metrics come hours after reference rates, so a last day without any of them is still being filled."""
    stated = [name for name in OF_THE_CHAIN if name in last.columns]
    if stated and last.select(pl.all_horizontal(pl.col(stated).is_null().all())).item():
        return f"{stated[0]} is empty, so the day is not complete yet"
    return None
