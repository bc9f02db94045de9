"""Binance: where its public API is, how fast it may be used, how it reports errors, and its candles of BTC/USDT.

Source: https://developers.binance.com/docs/binance-spot-api-docs.
"""

from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from flows.sources.binance.kind import BINANCE
from flows.sources.prices.closes import DailyCloses, Page, candle, page_of
from flows.sources.unix_days import midnight_seconds
from flows.sources.web.site import Failure, FailureKind, Limit, RawResponse, Site

GEO_BLOCKED: Final = "geo-blocked"
_TOO_MANY: Final = -1003
MILLISECONDS_PER_SECOND: Final = 1_000

Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, int, Decimal, int, Decimal, Decimal, Decimal]
"""Begin in milliseconds, open, high, low, close, volume, end, volume in USDT, number of trades, three more volumes."""


class _Error(msgspec.Struct):
    code: int
    msg: str = ""


def classify(reply: RawResponse) -> Failure | None:
    """Binance's code and message, and the two statuses that nobody else has."""
    error = reply.json(_Error)
    message = error.msg if error else ""
    if reply.status == 451:
        return Failure(FailureKind.REJECTED, GEO_BLOCKED, f"{message} Take binance out of the profile here.".strip())
    if reply.status == 418:
        return Failure(FailureKind.BLOCKED, "HTTP 418", message)
    if error is None:
        return None
    return Failure(
        FailureKind.RATE_LIMITED if error.code == _TOO_MANY else FailureKind.REJECTED, str(error.code), message
    )


SITE: Final = Site(
    name=BINANCE.name,
    title="Binance",
    # The same candles as api.binance.com, from a host that has no accounts.
    address="https://data-api.binance.vision/api/v3",
    # 6,000 of weight a minute, of which candles weigh 2; others behind the same address spend of it too.
    limits=(Limit(3_000, 60),),
    share=0.1,
    classify=classify,
)


class Binance(DailyCloses):
    """Binance, BTC/USDT, which is not the US dollar. Responds to nobody in the USA and in some data centres."""

    site = SITE
    listed_on = date(2017, 8, 17)
    page_days = 1_000

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"symbol": "BTCUSDT", "interval": "1d", "limit": self.page_days if span else 1}
        if span:
            params["startTime"] = midnight_seconds(span[0]) * MILLISECONDS_PER_SECOND
            params["endTime"] = midnight_seconds(span[1]) * MILLISECONDS_PER_SECOND
        response = self._client.json("/klines", params, list[Row])
        return page_of([candle(row[0], row[4], per_second=MILLISECONDS_PER_SECOND) for row in response.value], response)
