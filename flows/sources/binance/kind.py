"""Binance: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

BINANCE: Final = Supplier(
    name="binance",
    title="Binance, BTC/USDT daily candles",
    licence="exchange terms: own use, no redistribution",
    terms=Terms.OWN_USE,
    delay="none once the UTC day is over",
    # The close is there when the day is over; a venue that is down for a day is mended the next.
    allowed_lag_days=1,
    trust="close of one venue in USDT, which is not the US dollar",
    address="https://developers.binance.com/docs/binance-spot-api-docs",
    groups=(Group.PRICE,),
)


class BinanceSettings(SourceSettings):
    """Variables `HASHPIVOT_BINANCE_...`."""

    url: SecretStr | None = Field(None, description="Address of Binance's market data API, its /api/v3 included")


def _make(context: SourceContext[BinanceSettings]) -> "Source":
    from flows.sources.binance.source import Binance

    return Binance(context.client(Binance.site))


SOURCE: Final = SourceKind(suppliers=(BINANCE,), settings=BinanceSettings, make=_make, hosted=True)
