"""CryptoQuant: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

CRYPTOQUANT: Final = Supplier(
    name="cryptoquant",
    title="CryptoQuant API",
    licence="vendor terms: internal use, no redistribution",
    terms=Terms.OWN_USE,
    delay="a day; clustering is rewritten every Tuesday, so history moves",
    # Its status page calls daily data an error once the newest day began more than three days ago.
    allowed_lag_days=2,
    trust="'miner' means pool participants; levels differ from other vendors by 100 %",
    address="https://docs.cryptoquant.com/",
    groups=(Group.CHAIN, Group.MINER_FLOWS, Group.EXCHANGE_FLOWS),
)


class CryptoQuantSettings(SourceSettings):
    """Variables `HASHPIVOT_CRYPTOQUANT_...`."""

    url: SecretStr | None = Field(None, description="Address of CryptoQuant's API, its /v1 included")
    key: SecretStr | None = Field(None, description="Token of CryptoQuant's API")


def _make(context: SourceContext[CryptoQuantSettings]) -> "Source":
    from flows.sources.cryptoquant.busiest import Busiest
    from flows.sources.cryptoquant.site import SITE
    from flows.sources.cryptoquant.source import CryptoQuant

    return CryptoQuant(context.client(SITE), Busiest(context.folder))


SOURCE: Final = SourceKind(suppliers=(CRYPTOQUANT,), settings=CryptoQuantSettings, make=_make, hosted=True)
