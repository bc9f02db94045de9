"""The block lake: its supplier, its settings, and how it is made."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings, variable
from schemas.errors import SettingsError
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    from flows.sources.lake.bucket import Bucket
    from flows.sources.lake.layout import Layout
    from flows.sources.protocol import Source

LAKE: Final = Supplier(
    name="lake",
    title="Public block lake, Parquet of every transaction (AWS public blockchain data)",
    licence="none stated for the data: the chain is nobody's; code of the producer MIT-0; raw files not redistributed",
    terms=Terms.NO_BULK,
    delay="a day: files of a UTC day are whole some 35 minutes after it",
    # A day is whole once a block of the next one is there, which the files of that next day have.
    allowed_lag_days=2,
    trust=(
        "amounts to the satoshi, blocks linked by hash, days with a hole left out; flows are a lower bound: miners are "
        "those whom coinbases of the days that were read paid, and payout addresses of the pool list"
    ),
    address="https://registry.opendata.aws/aws-public-blockchain/",
    groups=(Group.BLOCKS, Group.CHAIN, Group.MINER_FLOWS),
)


COVERAGE_SERIES: Final = "coinbase_to_known_ratio"
MAX_BYTES_SETTING: Final = variable(LAKE.name, "max_bytes")
LAYOUT_SETTING: Final = variable(LAKE.name, "layout")


class LakeSettings(SourceSettings):
    """Variables `HASHPIVOT_LAKE_...`."""

    url: SecretStr | None = Field(None, description="Address of the bucket, or of a mirror that lists as S3 does")
    prefix: str = Field("v1.0/btc", description="What the keys of the lake begin with in the bucket")
    folder: Path | None = Field(None, description="Folder with the layout of the lake, read in place of a bucket")
    layout: str = Field("aws", description="aws, or bigquery: days exported from BigQuery's crypto_bitcoin")
    chain: str = Field("main", description="Chain of the lake: main, test, testnet4, signet or regtest")
    max_bytes: int = Field(
        5_000_000_000, ge=0, description="Most bytes that one run may fetch; 30 days are about 2.9 GB, a year 36 GB"
    )


def bucket_of(context: SourceContext[LakeSettings]) -> "Bucket":
    """Where the files are. Raises `SettingsError` for an address that is none."""
    from flows.sources.lake.bucket import SITE, FolderBucket, WebBucket

    settings = context.settings
    if settings.folder is not None:
        return FolderBucket(settings.folder)
    return WebBucket(context.client(SITE), settings.prefix)


def _make(context: SourceContext[LakeSettings]) -> "Source":
    from flows.sources.lake.aws import AWS
    from flows.sources.lake.bigquery import BIGQUERY
    from flows.sources.lake.copies import Copies
    from flows.sources.lake.source import Lake
    from flows.sources.node.checkpoints import Checkpoints
    from flows.sources.node.kind import label_set_of
    from transforms.attribution.pool_names import PoolNames
    from warehouse.pool_list import read_pool_list

    settings = context.settings
    layouts: dict[str, Layout] = {each.name: each for each in (AWS, BIGQUERY)}
    layout = layouts.get(settings.layout)
    if layout is None:
        raise SettingsError(LAYOUT_SETTING, settings.layout, " or ".join(layouts), "correct it")
    # Copies of one layout mean something else in another.
    folder = context.folder / ("copies" if layout is AWS else f"copies_{layout.name}")
    return Lake(
        Copies(bucket_of(context), folder, layout),
        Checkpoints(context.home / "warehouse" / "lake_miner_set", settings.chain),
        PoolNames(read_pool_list()),
        label_set_of(context),
        chain=settings.chain,
        max_bytes=settings.max_bytes,
    )


def _family(settings: LakeSettings) -> str:
    return settings.chain


SOURCE: Final = SourceKind(
    suppliers=(LAKE,),
    settings=LakeSettings,
    make=_make,
    hosted=True,
    sharded=True,
    # As many requests at once as the bucket's readers are advised to make.
    most_readers_count=8,
    labelled=True,
    names_pools=True,
    family=_family,
)
