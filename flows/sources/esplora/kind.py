"""Esplora: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

ESPLORA: Final = Supplier(
    name="esplora",
    title="Esplora, blockstream.info or a server of one's own",
    licence="none stated: no bulk redistribution",
    terms=Terms.NO_BULK,
    delay="minutes; the newest blocks can still be replaced",
    # A day is whole once a block of the next one is there, which a server may get late.
    allowed_lag_days=1,
    trust="headers prove themselves; pool names by payout address and coinbase tag; fees of small blocks only",
    address="https://github.com/Blockstream/esplora/blob/master/API.md",
    groups=(Group.BLOCKS, Group.CHAIN),
)


class EsploraSettings(SourceSettings):
    """Variables `HASHPIVOT_ESPLORA_...`."""

    url: SecretStr | None = Field(None, description="Address of an Esplora server, its /api included")


def _make(context: SourceContext[EsploraSettings]) -> "Source":
    from flows.sources.esplora.site import SITE
    from flows.sources.esplora.source import Esplora
    from flows.sources.hosted_blocks.kept import KeptHashes
    from transforms.attribution.pool_names import PoolNames
    from warehouse.pool_list import read_pool_list

    kept = KeptHashes(context.folder / "blocks.json")
    return Esplora(context.client(SITE), PoolNames(read_pool_list()), kept)


SOURCE: Final = SourceKind(suppliers=(ESPLORA,), settings=EsploraSettings, make=_make, hosted=True, names_pools=True)
