"""Names of profiles to sources: the one place that knows what each source needs from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flows.settings import Settings
from flows.sources.protocol import Source
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from flows.sources.node import ChainWalk, Node


SHARDS_AT_ONCE: Final = 4
"""Readers of one source that a run starts together. They share what one of them alone would take of connections."""


def node_walk(settings: Settings, readers_count: int = 1) -> ChainWalk:
    """The chain of the own node, for one of `readers_count` that read at once.

    Raises `SettingsError` where its address or our credentials are missing.
    """
    from flows.sources.node import MOST_CONNECTIONS_COUNT, ChainWalk, Connection, CookieFile, Password

    if settings.node_url is None:
        raise SettingsError("HASHPIVOT_NODE_URL", None, "an address such as http://127.0.0.1:8332", "set it")
    credentials: CookieFile | Password | None = None
    if settings.node_cookie_file is not None:
        credentials = CookieFile(settings.node_cookie_file)
    elif settings.node_user is not None and settings.node_password is not None:
        credentials = Password(settings.node_user, settings.node_password.get_secret_value())
    connection = Connection(
        settings.node_url.get_secret_value(), credentials, connections_count=MOST_CONNECTIONS_COUNT // readers_count
    )
    return ChainWalk(connection, settings.node_chain)


def source_named(name: str, settings: Settings, readers_count: int = 1) -> Source:
    """The source called `name`; modules are imported when asked for, so that a run loads only what it uses.

    `readers_count`: how many of it are at work at once.

    Raises `SettingsError` when a setting the source needs is missing.
    """
    if name == "simulated":
        from flows.sources.simulated import Simulated

        return Simulated(seed=settings.simulated_seed)
    if name == "files":
        from flows.sources.files import Files

        if settings.files_dir is None:
            raise SettingsError(
                "HASHPIVOT_FILES_DIR", None, "a folder of vendor exports", "set it, or pass --files-dir"
            )
        return Files(settings.files_dir)
    if name == "node":
        return _node(settings, readers_count)
    raise SettingsError("profile source", name, "simulated, files or node", "correct the profile")


def _node(settings: Settings, readers_count: int) -> Node:
    from flows.sources.node import Checkpoints, ColdStart, Node
    from transforms.pool_names import PoolNames
    from warehouse.coinbase_shards import CoinbaseShards
    from warehouse.labels import label_set, read_labels, read_own
    from warehouse.pool_list import read_pool_list

    walk = node_walk(settings, readers_count)
    parts = [read_own()]
    if settings.labels_file is not None:
        parts.append(read_labels(settings.labels_file))
    pools = PoolNames(read_pool_list())
    shards = CoinbaseShards(settings.coinbase_shards, settings.node_chain)
    return Node(
        walk,
        Checkpoints(settings.miner_sets, settings.node_chain),
        ColdStart(walk, shards, pools.pool, settings.node_shard_blocks),
        pools,
        label_set(parts),
    )
