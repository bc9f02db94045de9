"""Coin Metrics' daily CSV: one row a UTC day, one column a metric, amounts in BTC, hash rate in TH/s.

Source: https://docs.coinmetrics.io/ and the community data set. The file names no asset; a supply or a block count that
Bitcoin cannot have is refused by the bounds of its series.
"""

from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Final

import polars as pl

from flows.sources.files.daily_csv import BTC, TERAHASH_PER_SECOND, Column, DailyCsv, daily_values
from flows.sources.files.reading import Reading
from schemas.observations import ObservedTable
from schemas.suppliers import COINMETRICS_EXPORT

COLUMNS: Final = (
    Column(header="PriceUSD", series="price_usd", zero_before_start=True),
    Column(header="BlkCnt", series="block_count"),
    Column(header="IssTotNtv", series="issuance_sat", unit=BTC),
    Column(header="FeeTotNtv", series="fees_sat", unit=BTC),
    Column(header="HashRate", series="reported_hashrate_ehs", unit=TERAHASH_PER_SECOND),
    Column(header="SplyCur", series="supply_sat", unit=BTC),
    Column(header="FlowInExNtv", series="exchange_inflow_sat", unit=BTC, zero_before_start=True),
    Column(header="FlowOutExNtv", series="exchange_outflow_sat", unit=BTC, zero_before_start=True),
    Column(header="SplyExNtv", series="exchange_reserve_sat", unit=BTC, zero_before_start=True),
)
"""Fees and blocks of zero in the first days are values: the chain stood still from 2009-01-03 to 2009-01-08."""

_TELLING_COLUMNS: Final = frozenset(column.header for column in COLUMNS) - {"HashRate"}
"""Names nobody else uses. Two of them without `time` are still this file, damaged, and not somebody else's."""


def recognised(header: Sequence[str]) -> bool:
    """Whether these are the columns of a Coin Metrics file."""
    telling = _TELLING_COLUMNS.intersection(header)
    return len(telling) > 1 or (bool(telling) and "time" in header)


def read(origin: str, content: bytes, header: Sequence[str], today: date) -> Reading:
    """What the file states, without its last day where only reference rates are filled yet.

    Raises `BadInputError` at the topmost row that cannot be believed.
    """
    columns = tuple(column for column in COLUMNS if column.header in header)
    absent = [column.header for column in COLUMNS if column.header not in header]
    kind = DailyCsv(
        day_header="time",
        columns=columns,
        partial=_without_blocks,
        only={"asset": "btc"} if "asset" in header else {},
    )
    rows, last_day, notices = daily_values(origin, content, kind, today)
    if absent:
        notices.append(f"has no column {', '.join(absent)}")
    return Reading(
        source=COINMETRICS_EXPORT.name,
        table=ObservedTable.DAILY_VALUE,
        origin=origin,
        sha256=sha256(content).hexdigest(),
        last_day=last_day,
        rows=rows,
        notices=tuple(notices),
    )


def _without_blocks(last: pl.DataFrame) -> str | None:
    """Chain metrics come hours after reference rates, so a last day without a block count is still being filled."""
    if "BlkCnt" in last.columns and last["BlkCnt"].is_null().all():
        return "BlkCnt is empty, so the day is not complete yet"
    return None
