"""The own node: its supplier, its settings, and how it is made."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, SecretStr

from flows.sources.kinds import SourceContext, SourceKind, SourceSettings, variable
from schemas.errors import SettingsError
from schemas.series import Group
from schemas.suppliers import Supplier, Terms

if TYPE_CHECKING:
    import polars as pl

    from flows.sources.node.connection import RetryPolicy
    from flows.sources.node.walk import ChainWalk
    from flows.sources.protocol import Source

NODE: Final = Supplier(
    name="node",
    title="Own Bitcoin Core node",
    licence="none: the chain is nobody's",
    terms=Terms.FREE,
    delay="minutes; the newest blocks can still be replaced",
    # A day is whole once a block of the next one is there, which a node may get late.
    allowed_lag_days=1,
    trust="exact: every amount in satoshi; pool names by payout address and coinbase tag",
    address="https://bitcoincore.org/en/doc/",
    groups=(Group.BLOCKS, Group.CHAIN, Group.MINER_FLOWS),
)


class NodeSettings(SourceSettings):
    """Variables `HASHPIVOT_NODE_...`."""

    url: SecretStr | None = Field(None, description="Address of the node's RPC port, such as http://127.0.0.1:8332")
    cookie_file: Path | None = Field(None, description="Cookie file in the node's data folder")
    user: str | None = Field(None, description="User of the node's RPC, where there is no cookie file")
    password: SecretStr | None = Field(None, description="Password of that user")
    chain: str = Field("main", description="Chain of the node: main, test, testnet4, signet or regtest")
    shard_blocks: int = Field(
        10_000, ge=100, le=1_000_000, description="Blocks in one shard of the coinbases that a first run reads"
    )


def chain_walk(context: SourceContext[NodeSettings], retry_policy: "RetryPolicy | None" = None) -> "ChainWalk":
    """The chain of the node. Raises `SettingsError` where its address or our credentials are missing."""
    from flows.sources.node.connection import MOST_CONNECTIONS_COUNT, Connection
    from flows.sources.node.credentials import CookieFile, Password
    from flows.sources.node.walk import ChainWalk

    settings = context.settings
    if settings.url is None:
        raise SettingsError(variable(context.name, "url"), None, "an address such as http://127.0.0.1:8332", "set it")
    credentials: CookieFile | Password | None = None
    if settings.cookie_file is not None:
        credentials = CookieFile(settings.cookie_file)
    elif settings.user is not None and settings.password is not None:
        credentials = Password(settings.user, settings.password.get_secret_value())
    connection = Connection(
        settings.url.get_secret_value(),
        credentials,
        retry_policy=retry_policy,
        connections_count=context.share.of(MOST_CONNECTIONS_COUNT),
    )
    return ChainWalk(connection, settings.chain)


def label_set_of(context: SourceContext[Any]) -> "tuple[str, pl.DataFrame]":
    """Version and rows of the labels by which blocks are attributed: our own list and that of the user."""
    from warehouse.labels import label_set, read_csv, read_labels

    return label_set([read_csv(), *([read_labels(context.labels_file)] if context.labels_file else [])])


def _make(context: SourceContext[NodeSettings]) -> "Source":
    from flows.sources.node.checkpoints import Checkpoints
    from flows.sources.node.cold_start import ColdStart
    from flows.sources.node.source import Node
    from transforms.attribution.candidates import renumbered
    from transforms.attribution.pool_names import PoolNames
    from warehouse.candidate_files import CandidateFiles
    from warehouse.coinbase_shards import CoinbaseShards
    from warehouse.pool_list import read_pool_list

    settings, kept = context.settings, context.home / "warehouse"
    walk = chain_walk(context)
    pools = PoolNames(read_pool_list())
    return Node(
        walk,
        Checkpoints(kept / "miner_set", settings.chain),
        ColdStart(walk, CoinbaseShards(kept / "coinbases", settings.chain), pools.pool, settings.shard_blocks),
        pools,
        label_set_of(context),
        CandidateFiles(kept / "candidates", settings.chain, renumbered),
        readers_count=context.share.threads_count,
    )


def _family(settings: NodeSettings) -> str:
    return settings.chain


SOURCE: Final = SourceKind(
    suppliers=(NODE,),
    settings=NodeSettings,
    make=_make,
    sharded=True,
    # Each has a connection at least; Core closes those beyond 16, and others of its users have some too.
    most_readers_count=8,
    labelled=True,
    names_pools=True,
    family=_family,
)
