"""Coinbase Exchange: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

COINBASE: Final = Supplier(
    name="coinbase",
    title="Coinbase Exchange, BTC-USD daily candles",
    licence="exchange terms: own use, no redistribution",
    terms=Terms.OWN_USE,
    delay="none once the UTC day is over",
    # The close is there when the day is over; a venue that is down for a day is mended the next.
    allowed_lag_days=1,
    trust="close of one venue in USD",
    address="https://docs.cdp.coinbase.com/exchange/reference/",
    groups=(Group.PRICE,),
)


class CoinbaseSettings(SourceSettings):
    """Variables `HASHPIVOT_COINBASE_...`."""

    url: SecretStr | None = Field(None, description="Address of Coinbase Exchange's API")


def _make(context: SourceContext[CoinbaseSettings]) -> "Source":
    from flows.sources.coinbase.source import Coinbase

    return Coinbase(context.client(Coinbase.site))


SOURCE: Final = SourceKind(suppliers=(COINBASE,), settings=CoinbaseSettings, make=_make, hosted=True)
