"""Kraken: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

KRAKEN: Final = Supplier(
    name="kraken",
    title="Kraken, XBT/USD daily candles",
    licence="exchange terms: own use, no redistribution",
    terms=Terms.OWN_USE,
    delay="none once the UTC day is over",
    # The close is there when the day is over; a venue that is down for a day is mended the next.
    allowed_lag_days=1,
    trust="close of one venue in USD; only the last 720 days",
    address="https://docs.kraken.com/api/",
    groups=(Group.PRICE,),
)


class KrakenSettings(SourceSettings):
    """Variables `HASHPIVOT_KRAKEN_...`."""

    url: SecretStr | None = Field(None, description="Address of Kraken's API, its /0 included")


def _make(context: SourceContext[KrakenSettings]) -> "Source":
    from flows.sources.kraken.source import Kraken

    return Kraken(context.client(Kraken.site))


SOURCE: Final = SourceKind(suppliers=(KRAKEN,), settings=KrakenSettings, make=_make, hosted=True)
