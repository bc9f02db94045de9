"""Coin Metrics: its supplier, its settings, and how it is made."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

COINMETRICS: Final = Supplier(
    name="coinmetrics",
    title="Coin Metrics, daily metrics of the community API",
    licence="CC BY-NC 4.0: attribution, no commercial use",
    terms=Terms.NON_COMMERCIAL,
    delay="1 to 5 hours after the day; flows of recent days are revised",
    # A run at 02:30 may come before the day is there, and so may the run of the day after a late one.
    allowed_lag_days=2,
    trust="chain totals exact; exchange flows are lower bounds that move as addresses are tagged",
    address="https://docs.coinmetrics.io/api/v4",
    groups=(Group.PRICE, Group.CHAIN, Group.EXCHANGE_FLOWS),
)


class CoinMetricsSettings(SourceSettings):
    """Variables `HASHPIVOT_COINMETRICS_...`."""

    url: SecretStr | None = Field(None, description="Address of Coin Metrics' API, its /v4 included")
    key: SecretStr | None = Field(None, description="Key of the pro API; without one the community host is used")


def _make(context: SourceContext[CoinMetricsSettings]) -> "Source":
    from flows.sources.coinmetrics.site import PRO_ADDRESS, SITE
    from flows.sources.coinmetrics.source import CoinMetrics

    pro = context.settings.key is not None and context.settings.url is None
    return CoinMetrics(context.client(replace(SITE, address=PRO_ADDRESS) if pro else SITE))


SOURCE: Final = SourceKind(suppliers=(COINMETRICS,), settings=CoinMetricsSettings, make=_make, hosted=True)
