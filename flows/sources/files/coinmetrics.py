"""Coin Metrics' daily CSV: one row a UTC day, one column a metric, amounts in BTC, hash rate in TH/s.

Source: https://docs.coinmetrics.io/ and the community data set. The file names no asset; a supply or a block count that
Bitcoin cannot have is rejected by the bounds of its series. Files of 2019 call the day `date` and state the difficulty;
narrow ones of later years lack metrics that were taken out of the free offer, prices among them.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from flows.sources.coinmetrics.metrics import METRICS, without_chain_metrics
from flows.sources.daily_cells import Column, DailyCells
from flows.sources.files.daily_csv import read_daily_values, reject_other_case
from flows.sources.files.kind import COINMETRICS_EXPORT
from flows.sources.files.reading import Reading

FORMER: Final = (Column(header="DiffMean", series="difficulty", zero_before_start=True),)
"""Metrics that only older files have."""
_READ: Final = (*METRICS, *FORMER)
_DAYS: Final = ("time", "date")
_OWN_COLUMNS: Final = frozenset(column.header for column in _READ) - {"HashRate"}
"""Names that no other vendor uses. With two of them but without a day it is a damaged file of this kind."""


def recognised(header: Sequence[str]) -> bool:
    """Whether these are the columns of a Coin Metrics file, in whatever case: `read` rejects all but the vendor's."""
    written = {name.lower() for name in header}
    own = {name.lower() for name in _OWN_COLUMNS} & written
    return len(own) > 1 or (bool(own) and not written.isdisjoint(_DAYS))


def read(origin: str, content: bytes, header: Sequence[str], today: date) -> Reading:
    """What the file states, without a last day for which only reference rates are filled.

    Raises `BadInputError` at the topmost invalid row.
    """
    reject_other_case(origin, header, [*_DAYS, *(column.header for column in _READ)])
    columns = tuple(column for column in _READ if column.header in header)
    absent = [column.header for column in METRICS if column.header not in header]
    kind = DailyCells(
        day_header=next((name for name in _DAYS if name in header), _DAYS[0]),
        columns=columns,
        partial=without_chain_metrics,
        only={"asset": "btc"} if "asset" in header else {},
    )
    notice = f"has no column {', '.join(absent)}" if absent else None
    return read_daily_values(COINMETRICS_EXPORT.name, origin, content, kind, today, notice=notice)
