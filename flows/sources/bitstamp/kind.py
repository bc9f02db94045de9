"""Bitstamp: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

BITSTAMP: Final = Supplier(
    name="bitstamp",
    title="Bitstamp, BTC/USD daily candles",
    licence="exchange terms: own use, no redistribution",
    terms=Terms.OWN_USE,
    delay="none once the UTC day is over",
    # The close is there when the day is over; a venue that is down for a day is mended the next.
    allowed_lag_days=1,
    trust="close of one venue in USD",
    address="https://www.bitstamp.net/api/",
    groups=(Group.PRICE,),
)


class BitstampSettings(SourceSettings):
    """Variables `HASHPIVOT_BITSTAMP_...`."""

    url: SecretStr | None = Field(None, description="Address of Bitstamp's API, its /api/v2 included")


def _make(context: SourceContext[BitstampSettings]) -> "Source":
    from flows.sources.bitstamp.source import Bitstamp

    return Bitstamp(context.client(Bitstamp.site))


SOURCE: Final = SourceKind(suppliers=(BITSTAMP,), settings=BitstampSettings, make=_make, hosted=True)
