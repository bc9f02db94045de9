"""The folder of vendor exports: its suppliers, its settings, and how it is made."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings, variable
from schemas.errors import SettingsError
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.protocol import Source

COINMETRICS_EXPORT: Final = Supplier(
    name="coinmetrics_export",
    title="Coin Metrics community data set, daily CSV",
    licence="CC BY-NC 4.0: attribution, no commercial use",
    terms=Terms.NON_COMMERCIAL,
    delay="a day; recent flow rows are revised",
    # Somebody downloads files by hand, once a week if they are looked after.
    allowed_lag_days=7,
    trust="chain totals exact; exchange flows are lower bounds that move as addresses are tagged",
    address="https://docs.coinmetrics.io/",
    groups=(Group.PRICE, Group.CHAIN, Group.EXCHANGE_FLOWS),
)
CRYPTOQUANT_EXPORT: Final = Supplier(
    name="cryptoquant_export",
    title="CryptoQuant web exports, one metric a CSV file",
    licence="vendor terms: internal use, no redistribution",
    terms=Terms.OWN_USE,
    delay="a day; clustering is rewritten every Tuesday, so history moves",
    # Somebody downloads files by hand, once a week if they are looked after.
    allowed_lag_days=7,
    trust="'miner' means pool participants; levels differ from other vendors by 100 %",
    address="https://userguide.cryptoquant.com/",
    groups=(Group.PRICE, Group.CHAIN, Group.MINER_FLOWS, Group.EXCHANGE_FLOWS),
)
POOL_BLOCKS_EXPORT: Final = Supplier(
    name="pool_blocks_export",
    title="Pool of each block, Parquet file",
    licence="BSD 2-Clause",
    terms=Terms.ATTRIBUTION,
    delay="as old as the file",
    # Somebody downloads files by hand, once a week if they are looked after.
    allowed_lag_days=7,
    trust="heights and header times exact; pool names by coinbase tag and payout address",
    address="https://github.com/mempool/mining-pools",
    groups=(Group.BLOCKS, Group.CHAIN),
)


class FilesSettings(SourceSettings):
    """Variables `HASHPIVOT_FILES_...`."""

    dir: Path | None = Field(None, description="Folder the files source reads")


def _make(context: SourceContext[FilesSettings]) -> "Source":
    from flows.sources.files.folder import Files

    if context.settings.dir is None:
        raise SettingsError(
            variable(context.name, "dir"), None, "a folder of vendor exports", "set it, or pass --files-dir"
        )
    return Files(context.settings.dir)


SOURCE: Final = SourceKind(
    suppliers=(COINMETRICS_EXPORT, CRYPTOQUANT_EXPORT, POOL_BLOCKS_EXPORT), settings=FilesSettings, make=_make
)
