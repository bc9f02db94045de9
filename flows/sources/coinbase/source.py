"""Coinbase Exchange: where its public API is, how fast it may be used, and its daily candles of BTC-USD.

Source: https://docs.cdp.coinbase.com/exchange/reference/. It says "about" of its limit, so it gets half of that.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from flows.sources.coinbase.kind import COINBASE
from flows.sources.prices.closes import DailyCloses, Page, candle, page_of
from flows.sources.web.site import Limit, Site
from schemas.units import SECONDS_PER_DAY

Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Begin in seconds, low, high, open, close, volume."""

SITE: Final = Site(
    name=COINBASE.name,
    title="Coinbase Exchange",
    address="https://api.exchange.coinbase.com",
    limits=(Limit(10, 1),),
    share=0.5,
)


class Coinbase(DailyCloses):
    """Coinbase Exchange, BTC-USD. Days without a trade have no candle; the response has the newest first.

    A range includes both ends, and is rejected beyond 300 candles.
    """

    site = SITE
    listed_on = date(2015, 7, 20)
    page_days = 300

    def _page(self, span: tuple[date, date] | None) -> Page:
        params: dict[str, str | int] = {"granularity": SECONDS_PER_DAY}
        if span:
            params |= {"start": f"{span[0]}T00:00:00Z", "end": f"{span[1]}T00:00:00Z"}
        response = self._client.json("/products/BTC-USD/candles", params, list[Row])
        return page_of([candle(row[0], row[4]) for row in response.value], response)
