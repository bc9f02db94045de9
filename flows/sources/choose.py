"""Names of profiles to sources: the one place that knows what each source needs from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from flows.settings import Settings
from flows.sources.protocol import Source
from schemas.errors import SettingsError
from schemas.suppliers import SUPPLIERS

if TYPE_CHECKING:
    from flows.sources.node import ChainWalk, Node
    from flows.sources.web.access import Access
    from flows.sources.web.session import WebSession


def node_walk(settings: Settings) -> ChainWalk:
    """The chain of the own node.

    Raises `SettingsError` where its address or our credentials are missing.
    """
    from flows.sources.node import ChainWalk, Connection, CookieFile, Password

    if settings.node_url is None:
        raise SettingsError("HASHPIVOT_NODE_URL", None, "an address such as http://127.0.0.1:8332", "set it")
    credentials: CookieFile | Password | None = None
    if settings.node_cookie_file is not None:
        credentials = CookieFile(settings.node_cookie_file)
    elif settings.node_user is not None and settings.node_password is not None:
        credentials = Password(settings.node_user, settings.node_password.get_secret_value())
    return ChainWalk(Connection(settings.node_url.get_secret_value(), credentials), settings.node_chain)


def access_of(name: str, settings: Settings) -> Access:
    """Address, key and contact of the hosted source `name`, as far as it has them."""
    from flows.sources.web.access import Access

    def told(what: str) -> str | None:
        value = getattr(settings, f"{name}_{what}", None)
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    return Access(url=told("url"), key=told("key"), contact=told("contact"))


def source_named(name: str, settings: Settings, session: WebSession | None = None) -> Source:
    """The source called `name`; modules are imported when asked for, so that a run loads only what it uses.

    `session` is what the hosted sources of a run share; without it, this one is alone.

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
        return _node(settings)
    if name in HOSTED:
        return HOSTED[name](settings, session or web_session_of(settings))
    raise SettingsError("profile source", name, f"simulated, files, node, {', '.join(HOSTED)}", "correct the profile")


def web_session_of(settings: Settings, *, single_attempt: bool = False) -> WebSession:
    """What the hosted sources of one run share. `single_attempt`: each request is tried once."""
    from flows.sources.web.session import WebSession
    from flows.sources.web.usage import Usage

    return WebSession(
        settings.web, Usage(settings.max_requests), time_scale=settings.web_time_scale, single_attempt=single_attempt
    )


def suppliers_of(name: str) -> tuple[str, ...]:
    """Names of `schemas.suppliers` that the source called `name` speaks for."""
    if name == "files":
        return tuple(supplier for supplier in SUPPLIERS if supplier.endswith("_export"))
    return (name,)


def _coinmetrics(settings: Settings, session: WebSession) -> Source:
    from dataclasses import replace

    from flows.sources.coinmetrics.site import PRO_ADDRESS, SITE
    from flows.sources.coinmetrics.source import CoinMetrics

    access = access_of("coinmetrics", settings)
    if access.key and not access.url:
        access = replace(access, url=PRO_ADDRESS)
    return CoinMetrics(session.client(SITE, access))


def _esplora(settings: Settings, session: WebSession) -> Source:
    from flows.sources.esplora.site import SITE
    from flows.sources.esplora.source import Esplora
    from flows.sources.hosted_blocks.kept import KeptHashes
    from transforms.attribution.pool_names import PoolNames
    from warehouse.pool_list import read_pool_list

    client = session.client(SITE, access_of("esplora", settings))
    return Esplora(client, PoolNames(read_pool_list()), KeptHashes(settings.web / "esplora" / "blocks.json"))


def _mempool(settings: Settings, session: WebSession) -> Source:
    from flows.sources.hosted_blocks.kept import KeptHashes
    from flows.sources.mempool.site import SITE
    from flows.sources.mempool.source import Mempool
    from transforms.attribution.pool_names import PoolNames
    from warehouse.pool_list import read_pool_list

    access = access_of("mempool", settings)
    # The hosted server gives fewer blocks in a bulk than in a page.
    bulk = access.url is not None
    kept = KeptHashes(settings.web / "mempool" / "blocks.json")
    return Mempool(session.client(SITE, access), PoolNames(read_pool_list()), kept, bulk=bulk)


def _venue(name: str, settings: Settings, session: WebSession) -> Source:
    from flows.sources.prices.venues import VENUES

    venue = VENUES[name]
    return venue(session.client(venue.site, access_of(name, settings)))


def _cryptoquant(settings: Settings, session: WebSession) -> Source:
    from flows.sources.cryptoquant.busiest import Busiest
    from flows.sources.cryptoquant.site import SITE
    from flows.sources.cryptoquant.source import CryptoQuant

    client = session.client(SITE, access_of("cryptoquant", settings))
    return CryptoQuant(client, Busiest(settings.web / "cryptoquant"))


def _glassnode(settings: Settings, session: WebSession) -> Source:
    from flows.sources.glassnode.site import SITE
    from flows.sources.glassnode.source import Glassnode

    return Glassnode(session.client(SITE, access_of("glassnode", settings)))


def _edgar(settings: Settings, session: WebSession) -> Source:
    from flows.sources.edgar.site import ARCHIVE, DATA
    from flows.sources.edgar.source import Edgar
    from flows.sources.edgar.unread import Unread
    from flows.sources.web.access import Access
    from warehouse.registry import load_registry

    secret = settings.edgar_archive_url
    archive = Access(url=secret.get_secret_value() if secret else None, contact=settings.edgar_contact)
    clients = session.client(DATA, access_of("edgar", settings)), session.client(ARCHIVE, archive)
    ciks = {name: rows["cik"].drop_nulls().to_list() for name, rows in load_registry().items() if "cik" in rows.columns}
    return Edgar(
        *clients,
        Unread(settings.web / "edgar"),
        facts_of=ciks["capex_quarter"],
        filings_of=[cik for of_table in ciks.values() for cik in of_table],
    )


HOSTED: Final[Mapping[str, Callable[[Settings, WebSession], Source]]] = {
    "binance": partial(_venue, "binance"),
    "bitstamp": partial(_venue, "bitstamp"),
    "coinbase": partial(_venue, "coinbase"),
    "coinmetrics": _coinmetrics,
    "cryptoquant": _cryptoquant,
    "edgar": _edgar,
    "esplora": _esplora,
    "glassnode": _glassnode,
    "kraken": partial(_venue, "kraken"),
    "mempool": _mempool,
}
"""What makes each hosted source; a name of `HOSTED_SOURCES` that is not here yet is refused."""


def _node(settings: Settings) -> Node:
    from flows.sources.node import Checkpoints, ColdStart, Node
    from transforms.attribution.pool_names import PoolNames
    from warehouse.coinbase_shards import CoinbaseShards
    from warehouse.labels import label_set, read_labels, read_own
    from warehouse.pool_list import read_pool_list

    walk = node_walk(settings)
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
