"""Kraken: where its public API is, how fast it may be used, how it reports errors, and its daily candles of XBT/USD.

Source: https://docs.kraken.com/api/. It says "about" of its limit, so it gets half of that.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from flows.sources.kraken.kind import KRAKEN
from flows.sources.prices.closes import DailyCloses, Page, candle, page_of
from flows.sources.unix_days import midnight_seconds
from flows.sources.web.site import Failure, FailureKind, Limit, RawResponse, Site
from schemas.errors import BadInputError

_FAILURES: Final = {
    "EGeneral:Too many requests": FailureKind.RATE_LIMITED,
    "EAPI:Rate limit exceeded": FailureKind.RATE_LIMITED,
    "EGeneral:Temporary lockout": FailureKind.BLOCKED,
    "EGeneral:Internal error": FailureKind.TRANSIENT,
    "EService:Unavailable": FailureKind.TRANSIENT,
    "EService:Busy": FailureKind.TRANSIENT,
    "EService:Timeout": FailureKind.TRANSIENT,
}
MINUTES_PER_DAY: Final = 1_440

Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, int]
"""Begin in seconds, open, high, low, close, mean by volume, volume, number of trades."""


class Candles(msgspec.Struct):
    """Candles under Kraken's own name of the pair, whatever name was requested; `last` is for the next request."""

    result: dict[str, list[Row] | int]


class _Errors(msgspec.Struct):
    error: list[str]


def classify(reply: RawResponse) -> Failure | None:
    """Kraken's list of errors, which comes with the status 200. One that begins with W is a warning alone."""
    found = reply.json(_Errors)
    for error in found.error if found else ():
        if not error.startswith("W"):
            return Failure(_FAILURES.get(error, FailureKind.REJECTED), error, "")
    return None


SITE: Final = Site(
    name=KRAKEN.name,
    title="Kraken",
    address="https://api.kraken.com/0",
    limits=(Limit(1, 1),),
    share=0.5,
    cool_down_seconds=900,
    classify=classify,
)


class Kraken(DailyCloses):
    """Kraken, XBT/USD: the last 720 candles, the running one included, whatever is requested."""

    site = SITE
    listed_on = date(2013, 10, 6)
    page_days = 720
    kept_days = 720

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"pair": "XBTUSD", "interval": MINUTES_PER_DAY}
        if span:
            # Candles after `since`: the day before ours, so that ours is among them.
            params["since"] = midnight_seconds(span[0] - timedelta(days=1))
        response = self._client.json("/public/OHLC", params, Candles)
        of_pairs = [rows for name, rows in response.value.result.items() if name != "last"]
        if len(of_pairs) != 1 or isinstance(of_pairs[0], int):
            names = ", ".join(sorted(response.value.result))
            raise BadInputError(response.origin, names, "candles of one pair, and last", "check HASHPIVOT_KRAKEN_URL")
        return page_of([candle(row[0], row[4]) for row in of_pairs[0]], response)
