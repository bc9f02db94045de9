"""mempool: its supplier, its settings, and how it is made."""

from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

MEMPOOL: Final = Supplier(
    name="mempool",
    title="mempool.space, or a mempool server of one's own",
    licence="none stated: no bulk redistribution",
    terms=Terms.NO_BULK,
    delay="minutes; the newest blocks can still be replaced",
    # A day is whole once a block of the next one is there, which a server may get late.
    allowed_lag_days=1,
    trust="headers prove themselves, amounts are the server's; pools that our list lacks are as the server named them",
    address="https://mempool.space/docs/api/rest",
    groups=(Group.BLOCKS, Group.CHAIN),
)


class MempoolSettings(SourceSettings):
    """Variables `HASHPIVOT_MEMPOOL_...`."""

    url: SecretStr | None = Field(None, description="Address of a mempool server, its /api included")


def _make(context: SourceContext[MempoolSettings]) -> "Source":
    from flows.sources.hosted_blocks.kept import KeptHashes
    from flows.sources.mempool.site import SITE
    from flows.sources.mempool.source import Mempool
    from transforms.attribution.pool_names import PoolNames
    from warehouse.pool_list import read_pool_list

    # The hosted server gives fewer blocks in a bulk than in a page.
    bulk = context.settings.url is not None
    kept = KeptHashes(context.folder / "blocks.json")
    return Mempool(context.client(SITE), PoolNames(read_pool_list()), kept, bulk=bulk)


SOURCE: Final = SourceKind(suppliers=(MEMPOOL,), settings=MempoolSettings, make=_make, hosted=True, names_pools=True)
