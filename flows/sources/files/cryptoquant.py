"""CryptoQuant's web exports: one metric a CSV file, `date,<metric>`, amounts in BTC, hash rate in GH/s.

Source: https://userguide.cryptoquant.com/. The files name neither asset nor entity, but where a file still has the name
that the vendor gave it, the name shows whether it covers all of Bitcoin. Prices come as candles.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import PurePath
from typing import Final

import polars as pl

from flows.sources.daily_cells import AS_STORED, BTC, GIGAHASH_PER_SECOND, Column, DailyCells
from flows.sources.files.daily_csv import read_daily_values, reject_other_case
from flows.sources.files.kind import CRYPTOQUANT_EXPORT
from flows.sources.files.reading import Reading
from schemas.series import SERIES, Group
from schemas.units import Unit

_SERIES: Final = {
    "Miner Outflow (Total)": "miner_outflow_sat",
    "Miner Outflow (Mean)": "miner_outflow_mean_sat",
    "Miner Outflow (Top10)": "miner_outflow_top10_sat",
    "Miner Inflow (Total)": "miner_inflow_sat",
    "Miner Netflow Total": "miner_netflow_sat",
    "Miner Reserve": "miner_reserve_sat",
    "Miners' Position Index (MPI)": "reported_mpi_zscore",
    "Miner to Exchange Flow (Total)": "miner_to_exchange_sat",
    "Miner to Exchange Flow (Mean)": "miner_to_exchange_mean_sat",
    "Miner to Exchange Transactions": "miner_to_exchange_count",
    "Exchange to Miner Flow (Total)": "exchange_to_miner_sat",
    "Exchange Inflow (Total)": "exchange_inflow_sat",
    "Exchange Inflow (Mean)": "exchange_inflow_mean_sat",
    "Exchange Inflow (Top10)": "exchange_inflow_top10_sat",
    "Exchange Outflow (Total)": "exchange_outflow_sat",
    "Exchange Reserve": "exchange_reserve_sat",
    "Difficulty": "difficulty",
    "Hashrate": "reported_hashrate_ehs",
    "Blocks Mined": "block_count",
    "Block Rewards": "reward_sat",
    "Block Rewards USD": "reward_usd",
    "Fees (Total)": "fees_sat",
    "New Supply": "issuance_sat",
    "Total Supply": "supply_sat",
    "Puell Multiple": "reported_puell_ratio",
}
_CANDLES: Final = ["Open", "High", "Low", "Close", "Volume"]
_PRICE: Final = Column(header="Close", series="price_usd", zero_before_start=True)
_IN_DOLLARS: Final = "BTC-USD"
_RUNS_INTO_THE_DOWNLOAD: Final = (Group.MINER_FLOWS, Group.EXCHANGE_FLOWS, Group.PRICE)
_CELL_UNITS: Final = {Unit.SAT: BTC, Unit.EXAHASH_PER_SECOND: GIGAHASH_PER_SECOND}
_NOTHING_YET: Final = ("reward_usd", "difficulty", "reported_puell_ratio")
"""Series besides the exchange flows with zeros from before there was anything to measure."""


def _column(header: str) -> Column:
    series = SERIES[_SERIES[header]]
    return Column(
        header=header,
        series=series.name,
        unit=_CELL_UNITS.get(series.unit, AS_STORED),
        zero_before_start=series.group is Group.EXCHANGE_FLOWS or series.name in _NOTHING_YET,
    )


def recognised(header: Sequence[str]) -> bool:
    """Whether these are the columns of a CryptoQuant export of a metric that is a series here, hourly ones included.

    Some metrics have common names, so the first column has to be a date as well. A name of several words in another
    case counts too, so that `read` rejects it instead of skipping the file.
    """
    if len(header) < 2 or not header[0].lower().startswith("date"):
        return False
    if header[1:] == _CANDLES:
        return True
    return header[1] in _SERIES or header[1].lower() in {name.lower() for name in _SERIES if " " in name}


def why_skipped(origin: str, header: Sequence[str]) -> str | None:
    """Why a recognised file is not about all of Bitcoin, by the name that the vendor gave it; None where it is.

    The vendor writes `Bitcoin <metric> - <All Miners, All Exchanges> - Day.csv`, and for prices
    `Bitcoin Price & Volume - Spot, All Exchanges, BTC-USD - Day.csv`. Prices of all currencies have the same header, so
    that one without the name of its currency may be in any.
    """
    name = PurePath(origin).stem
    title, *scope = name.split(" - ")
    entities = {entity.strip() for part in scope[:-1] for entity in part.split(",")}
    if header[1:] == _CANDLES:
        if _IN_DOLLARS not in name:
            return f"skipped: by its name not a price in USD, expected {_IN_DOLLARS} in it"
        entities -= {_IN_DOLLARS, "Spot"}
    if not scope or not scope[-1].startswith("Day"):
        return None
    is_whole = title.startswith("Bitcoin ") and all(entity.startswith("All ") for entity in entities)
    return None if is_whole else "skipped: by its name not about all of Bitcoin"


def read(origin: str, content: bytes, header: Sequence[str], today: date) -> Reading:
    """What the file states, without the last day of a flow, a price or an index.

    Chain metrics appear once their day is over. The others run on through the day of the download, whose row is partial
    and looks like any other: nothing proves that a last row is complete, so theirs is always dropped.
    Raises `BadInputError` at the topmost invalid row.
    """
    reject_other_case(origin, header[1:2], _SERIES)
    column = _PRICE if header[1:] == _CANDLES else _column(header[1])
    runs_on = SERIES[column.series].group in _RUNS_INTO_THE_DOWNLOAD or column.series == "reported_puell_ratio"
    kind = DailyCells(day_header="date", columns=(column,), partial=_day_of_download if runs_on else _complete)
    return read_daily_values(CRYPTOQUANT_EXPORT.name, origin, content, kind, today)


def _day_of_download(last: pl.DataFrame) -> str | None:
    return "flows, prices and indices run into the day of the download, so the last row is partial and dropped"


def _complete(last: pl.DataFrame) -> str | None:
    return None
