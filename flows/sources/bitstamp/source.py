"""Bitstamp: where its public API is, how fast it may be used, how it reports errors, and its candles of BTC/USD.

Source: https://www.bitstamp.net/api/. Its limit is not known to us; it gets one request a second.
"""

import re
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from flows.sources.bitstamp.kind import BITSTAMP
from flows.sources.daily_cells import shortened
from flows.sources.prices.closes import DailyCloses, Page, candle, page_of
from flows.sources.unix_days import midnight_seconds
from flows.sources.web.site import Failure, FailureKind, Limit, RawResponse, Site
from schemas.errors import BadInputError
from schemas.units import SECONDS_PER_DAY

_SECONDS: Final = re.compile("[0-9]{1,12}")


class Row(msgspec.Struct):
    """One candle; every number is a string."""

    timestamp: str
    close: Decimal


class Candles(msgspec.Struct):
    """All candles of one response."""

    ohlc: list[Row]


class Envelope(msgspec.Struct):
    """The envelope around them."""

    data: Candles


class _Error(msgspec.Struct):
    status: str
    reason: str | dict[str, list[str]] = ""
    code: str = "error"


def classify(reply: RawResponse) -> Failure | None:
    """Bitstamp's error object with status 200; with any other status that status decides."""
    error = reply.json(_Error) if reply.status == 200 else None
    return Failure(FailureKind.REJECTED, error.code, str(error.reason)) if error else None


SITE: Final = Site(
    name=BITSTAMP.name,
    title="Bitstamp",
    address="https://www.bitstamp.net/api/v2",
    limits=(Limit(1, 1),),
    share=1,
    classify=classify,
)


class Bitstamp(DailyCloses):
    """Bitstamp, BTC/USD: the longest history of them."""

    site = SITE
    listed_on = date(2011, 8, 18)
    page_days = 1_000

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"step": SECONDS_PER_DAY, "limit": 1}
        if span:
            params["limit"] = (span[1] - span[0]).days + 1
            params["start"] = midnight_seconds(span[0])
        response = self._client.json("/ohlc/btcusd/", params, Envelope)
        rows = response.value.data.ohlc
        for row in rows:
            if not _SECONDS.fullmatch(row.timestamp):
                raise BadInputError(
                    response.origin, shortened(row.timestamp), "a time in seconds", "check HASHPIVOT_BITSTAMP_URL"
                )
        return page_of([candle(int(row.timestamp), row.close) for row in rows], response)
