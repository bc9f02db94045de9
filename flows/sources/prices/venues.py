"""The venues: what each calls its candles, and in which order it writes the numbers of one."""

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from flows.sources.daily_cells import shortened
from flows.sources.prices import sites
from flows.sources.prices.closes import DailyCloses, Page, candle, page_of
from flows.sources.unix_days import midnight_seconds
from schemas.errors import BadInputError
from schemas.units import SECONDS_PER_DAY

_SECONDS: Final = re.compile("[0-9]{1,12}")
MINUTES_PER_DAY: Final = 1_440
MILLISECONDS_PER_SECOND: Final = 1_000

CoinbaseRow = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Begin in seconds, low, high, open, close, volume."""
KrakenRow = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, int]
"""Begin in seconds, open, high, low, close, mean by volume, volume, number of trades."""
BinanceRow = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, int, Decimal, int, Decimal, Decimal, Decimal]
"""Begin in milliseconds, open, high, low, close, volume, end, volume in USDT, number of trades, three more volumes."""


class KrakenAnswer(msgspec.Struct):
    """Candles under Kraken's own name of the pair, whatever name was asked for; `last` is for asking again."""

    result: dict[str, list[KrakenRow] | int]


class BitstampRow(msgspec.Struct):
    """One candle; every number is a string."""

    timestamp: str
    close: Decimal


class BitstampCandles(msgspec.Struct):
    """All candles of one answer."""

    ohlc: list[BitstampRow]


class BitstampAnswer(msgspec.Struct):
    """The envelope around them."""

    data: BitstampCandles


class Coinbase(DailyCloses):
    """Coinbase Exchange, BTC-USD. Days without a trade have no candle; the answer has the newest first.

    A range is answered with both ends, and refused beyond 300 candles.
    """

    site = sites.COINBASE
    listed_on = date(2015, 7, 20)
    page_days = 300

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"granularity": SECONDS_PER_DAY}
        if span:
            params |= {"start": f"{span[0]}T00:00:00Z", "end": f"{span[1]}T00:00:00Z"}
        answer = self._client.json("/products/BTC-USD/candles", params, list[CoinbaseRow])
        return page_of([candle(row[0], row[4]) for row in answer.value], answer)


class Kraken(DailyCloses):
    """Kraken, XBT/USD: the last 720 candles, the running one included, whatever is asked for."""

    site = sites.KRAKEN
    listed_on = date(2013, 10, 6)
    page_days = 720
    kept_days = 720

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"pair": "XBTUSD", "interval": MINUTES_PER_DAY}
        if span:
            # Candles after `since`: the day before ours, so that ours is among them.
            params["since"] = midnight_seconds(span[0] - timedelta(days=1))
        answer = self._client.json("/public/OHLC", params, KrakenAnswer)
        of_pairs = [rows for name, rows in answer.value.result.items() if name != "last"]
        if len(of_pairs) != 1 or isinstance(of_pairs[0], int):
            names = ", ".join(sorted(answer.value.result))
            raise BadInputError(answer.origin, names, "candles of one pair, and last", "check HASHPIVOT_KRAKEN_URL")
        return page_of([candle(row[0], row[4]) for row in of_pairs[0]], answer)


class Binance(DailyCloses):
    """Binance, BTC/USDT, which is not the US dollar. Responds to nobody in the USA and in some data centres."""

    site = sites.BINANCE
    listed_on = date(2017, 8, 17)
    page_days = 1_000

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"symbol": "BTCUSDT", "interval": "1d", "limit": self.page_days if span else 1}
        if span:
            params["startTime"] = midnight_seconds(span[0]) * MILLISECONDS_PER_SECOND
            params["endTime"] = midnight_seconds(span[1]) * MILLISECONDS_PER_SECOND
        answer = self._client.json("/klines", params, list[BinanceRow])
        return page_of([candle(row[0], row[4], per_second=MILLISECONDS_PER_SECOND) for row in answer.value], answer)


class Bitstamp(DailyCloses):
    """Bitstamp, BTC/USD: the longest history of them."""

    site = sites.BITSTAMP
    listed_on = date(2011, 8, 18)
    page_days = 1_000

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"step": SECONDS_PER_DAY, "limit": 1}
        if span:
            params["limit"] = (span[1] - span[0]).days + 1
            params["start"] = midnight_seconds(span[0])
        answer = self._client.json("/ohlc/btcusd/", params, BitstampAnswer)
        rows = answer.value.data.ohlc
        for row in rows:
            if not _SECONDS.fullmatch(row.timestamp):
                raise BadInputError(
                    answer.origin, shortened(row.timestamp), "a time in seconds", "check HASHPIVOT_BITSTAMP_URL"
                )
        return page_of([candle(int(row.timestamp), row.close) for row in rows], answer)


VENUES: Final[dict[str, type[DailyCloses]]] = {
    venue.site.name: venue for venue in (Binance, Bitstamp, Coinbase, Kraken)
}
"""By the name of the source."""
