"""The walk over one venue's daily candles that all venues share, and the strict reading of what they state."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple

import polars as pl

from flows.sources.daily_cells import Column, DailyCells, daily_values
from flows.sources.protocol import Estimate, Request
from flows.sources.unix_days import day_text
from flows.sources.web.client import Client, Response
from flows.sources.web.site import Site
from schemas.errors import BadInputError
from schemas.observations import Batch, Notice, ObservedTable
from schemas.quarantine import FailedRow

SERIES: Final = "price_usd"
LOOK_BACK: Final = timedelta(days=2)
"""A close is final once its day is over; the days before the newest stored one catch what came late."""


class Candle(NamedTuple):
    """One day of one venue, as text: the day it begins on, and its close."""

    day: str
    close: str


class Page(NamedTuple):
    """What one request gave, in whatever order."""

    candles: Sequence[Candle]
    origin: str
    sha256: str


class DailyCloses(ABC):
    """Daily closes of one venue in USD.

    A first run goes from the day of listing to the last day that is over, oldest page first, so that one that is cut
    off goes on where it ended. Later runs fetch the days from `LOOK_BACK` before the newest stored one: one request.
    Nothing is ever read again, as closes of past days do not move; a hole in the store is filled by a backfill.
    """

    site: ClassVar[Site]
    listed_on: ClassVar[date]
    """First day that has a candle."""
    page_days: ClassVar[int]
    """Days that one request may span."""
    kept_days: ClassVar[int | None] = None
    """Days that the venue looks back, the running one included; None where it keeps all."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def name(self) -> str:
        """Name of the venue, as a source and as a supplier."""
        return self._client.site.name

    def plan(self, request: Request) -> Estimate:
        """One request a page of days."""
        count = len(self._spans(request))
        return Estimate(requests_count=count, seconds=count * self.site.spacing_seconds)

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield one batch a page, oldest first. Raises as `Client.json`, and `BadInputError`."""
        first, oldest = self._first_day(request), self._oldest(request)
        if first < oldest:
            message = f"requested days from {first} on, but its candles begin on {oldest}"
            yield Notice(source=self.name, origin=self._client.place("", {}), message=message)
        for span in self._spans(request):
            page = self._page(span)
            values, notices, failed = parsed(page, span, request.now.date())
            for message in notices:
                yield Notice(source=self.name, origin=page.origin, message=message)
            if failed or not values.is_empty():
                yield Batch(
                    source=self.name,
                    table=ObservedTable.DAILY_VALUE,
                    origin=page.origin,
                    sha256=page.sha256,
                    observed_at=request.now,
                    rows=values,
                    failed=failed,
                )

    def probe(self) -> str:
        """The newest candle in words, for one request. Raises as `observe`."""
        page = self._page(None)
        if not page.candles:
            raise BadInputError(page.origin, "no candle at all", "the newest one", "try again later")
        newest = max(page.candles)
        return f"newest candle: {newest.day}, {newest.close} USD"

    @abstractmethod
    def _page(self, span: tuple[date, date] | None) -> Page:
        """The candles of the days of `span`, both included, and maybe others; of None, the newest."""

    def _first_day(self, request: Request) -> date:
        if request.since is not None:
            return max(request.since, self.listed_on)
        newest = request.known.newest_day.get((self.name, SERIES))
        return self._oldest(request) if newest is None else min(newest, request.through) - LOOK_BACK

    def _oldest(self, request: Request) -> date:
        if self.kept_days is None:
            return self.listed_on
        return max(self.listed_on, request.now.date() - timedelta(days=self.kept_days - 1))

    def _spans(self, request: Request) -> list[tuple[date, date]]:
        """First and last day of each request: days that are over, oldest first."""
        last = min(request.through, request.now.date() - timedelta(days=1))
        first = max(self._first_day(request), self._oldest(request))
        spans = []
        while first <= last:
            spans.append((first, min(first + timedelta(days=self.page_days - 1), last)))
            first = spans[-1][1] + timedelta(days=1)
        return spans


def candle(begins_at: int, close: Decimal, *, per_second: int = 1) -> Candle:
    """A candle of the UTC day that begins at `begins_at`; a time that is no midnight stays the number it is."""
    return Candle(day_text(begins_at, per_second=per_second), str(close))


def page_of(candles: Sequence[Candle], response: Response[Any]) -> Page:
    """`candles` with where they come from."""
    return Page(candles, response.origin, response.sha256)


def parsed(page: Page, span: tuple[date, date], today: date) -> tuple[pl.DataFrame, list[str], tuple[FailedRow, ...]]:
    """Closes of the days of `span`, what there is to say about them, and candles that are set aside.

    The running candle of `today` is left out. Shape: series, day, value. Raises as `daily_values`.
    """
    first, last = span
    cells = (
        pl.DataFrame(page.candles, schema={"day": pl.String, "close": pl.String}, orient="row")
        .with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64))
        .filter(pl.col("day") != str(today))
    )
    values = pl.DataFrame(schema={"series": pl.String, "day": pl.Date, "value": pl.Float64})
    notices: list[str] = []
    failed: tuple[FailedRow, ...] = ()
    if not cells.is_empty():
        kind = DailyCells(
            day_header="day",
            columns=[Column(header="close", series=SERIES)],
            partial=lambda _: None,
            remedy="nothing of the response is used; try again tomorrow, or take the venue out of the profile",
        )
        values, _, notices, failed = daily_values(page.origin, cells, kind, today)
        values = values.filter(pl.col("day").is_between(first, last))
    missing = sorted({first + timedelta(days=n) for n in range((last - first).days + 1)} - set(values["day"]))
    if missing:
        notices.append(f"states no candle for {len(missing)} day(s) from {missing[0]} to {missing[-1]}")
    return values, notices, failed
