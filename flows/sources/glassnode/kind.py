"""Glassnode: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

GLASSNODE: Final = Supplier(
    name="glassnode",
    title="Glassnode API",
    licence="vendor terms: internal use, no redistribution",
    terms=Terms.OWN_USE,
    delay="a day; labels are updated all the time, so history moves",
    # A day of delay, and one more before it is called late.
    allowed_lag_days=2,
    trust="miners to exchanges are direct transfers only; levels differ from other vendors by 100 %",
    address="https://docs.glassnode.com/",
    groups=(Group.CHAIN, Group.MINER_FLOWS),
)


class GlassnodeSettings(SourceSettings):
    """Variables `HASHPIVOT_GLASSNODE_...`."""

    url: SecretStr | None = Field(None, description="Address of Glassnode's API, its /v1 included")
    key: SecretStr | None = Field(None, description="Key of Glassnode's API")


def _make(context: SourceContext[GlassnodeSettings]) -> "Source":
    from flows.sources.glassnode.site import SITE
    from flows.sources.glassnode.source import Glassnode

    return Glassnode(context.client(SITE))


SOURCE: Final = SourceKind(suppliers=(GLASSNODE,), settings=GlassnodeSettings, make=_make, hosted=True)
