"""Recent blocks with their pool from an Esplora server: for those who do without mempool."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from flows.sources.esplora.responses import Block, Transaction, with_coinbase
from flows.sources.hosted_blocks.block import chained, proven
from flows.sources.hosted_blocks.kept import KeptHashes
from flows.sources.hosted_blocks.walk import BlockWalk, Page
from flows.sources.protocol import Estimate, Request
from flows.sources.web.client import Client
from schemas.errors import TransientError
from schemas.observations import Batch, Notice
from transforms.attribution.pool_names import PoolNames

BLOCKS: Final = "/blocks"
PAGE_BLOCKS: Final = 10
FIRST_DAYS_COUNT: Final = 2
"""Days of blocks that a first run fetches; each block is a request of its own, some seven minutes in all."""
PROBES_COUNT: Final = 2


class EsploraBlocks:
    """Pages of `/blocks`, and the first transactions of each block."""

    def __init__(self, client: Client, names: PoolNames) -> None:
        self._client, self._names = client, names
        self.name = client.site.name

    @property
    def origin(self) -> str:
        """Address of the blocks."""
        return self._client.place(BLOCKS, {})

    def newest(self) -> Page:
        """The newest blocks, without what their transactions state. Raises as `Client.json`, and `BadInputError`."""
        return self._page(BLOCKS)[0]

    def below(self, height: int) -> Page:
        """10 blocks down from `height`, without what their transactions state. Raises as `newest`."""
        return self._page(f"{BLOCKS}/{height}")[0]

    def whole(self, first: int, last: int) -> Page:
        """Up to 10 blocks from `first` on, with their pools. Raises as `newest`."""
        page, blocks = self._page(f"{BLOCKS}/{min(first + PAGE_BLOCKS - 1, last)}")
        rows, digests = [], [page.sha256]
        for block in reversed(blocks):
            if first <= block.height <= last:
                response = self._client.json(f"/block/{block.id}/txs/0", {}, list[Transaction])
                rows.append(with_coinbase(response.origin, block, response.value, self._names))
                digests.append(response.sha256)
        return Page(rows, sha256("".join(digests).encode()).hexdigest())

    def _page(self, path: str) -> tuple[Page, list[Block]]:
        response = self._client.json(path, {}, list[Block])
        blocks = chained(response.origin, [proven(response.origin, block) for block in response.value])
        if not blocks:
            raise TransientError(
                f"{response.origin}: found no block, expected one; see whether the server has caught up"
            )
        return Page(blocks, response.sha256), response.value


class Esplora:
    """Blocks of recent days: height, time, difficulty and pool; reward and fees only of blocks of 25 transactions.

    A block costs a request, and ten of them one more: about 160 a day, and 330 for the `FIRST_DAYS_COUNT` of a first
    run. See `BlockWalk` for what is fetched again.
    """

    def __init__(self, client: Client, names: PoolNames, kept: KeptHashes) -> None:
        self._client = client
        self.name = client.site.name
        self._blocks = EsploraBlocks(client, names)
        self._walk = BlockWalk(self._blocks, kept, FIRST_DAYS_COUNT)

    def plan(self, request: Request) -> Estimate:
        """The tip, the search for where to begin, pages of 10 blocks, and each block."""
        going_on = request.since is None and self.name in request.known.newest_height
        blocks_count = self._walk.blocks_count(request)
        count = 1 + (0 if going_on else PROBES_COUNT) + math.ceil(blocks_count / PAGE_BLOCKS) + blocks_count
        return Estimate(requests_count=count, seconds=count * self._client.site.spacing_seconds)

    def probe(self) -> str:
        """Where the server stands, in a few words: one request. Raises as `Client.json`, and `BadInputError`."""
        tip = self._blocks.newest().blocks[-1]
        return (
            f"{self._blocks.origin}: block {tip.height:,} of {datetime.fromtimestamp(tip.time, UTC):%Y-%m-%d %H:%M} UTC"
        )

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield blocks, oldest first. Raises as `Client.json` and `BlockWalk.observe`."""
        yield from self._walk.observe(request, self._blocks.newest())
