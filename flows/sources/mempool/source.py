"""Recent blocks with pool, reward and fees, and the difficulty of all days, from a mempool server."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from flows.sources.hosted_blocks.block import HostedBlock, chained
from flows.sources.hosted_blocks.kept import KeptHashes
from flows.sources.hosted_blocks.walk import BlockWalk, Page
from flows.sources.mempool.difficulty import SERIES, Adjustment, difficulty_days
from flows.sources.mempool.responses import Block, BulkBlock, hosted_block
from flows.sources.protocol import Estimate, Request
from flows.sources.web.client import Client
from schemas.errors import RequestRejectedError, TransientError
from schemas.observations import Batch, Notice, ObservedTable
from transforms.attribution.pool_names import PoolNames
from transforms.chain import BLOCKS_PER_RETARGET

BLOCKS: Final = "/v1/blocks"
BULK: Final = "/v1/blocks-bulk"
ADJUSTMENTS: Final = "/v1/mining/difficulty-adjustments"
PAGE_BLOCKS: Final = 15
BULK_BLOCKS: Final = 1_000
"""Requested at once from a server of one's own, unless it allows fewer."""
BULK_WORTHWHILE_BLOCKS: Final = 150
"""Two requests may be lost on a server that does not offer it, so not for the blocks of a day."""
FIRST_DAYS_COUNT: Final = 8
"""Days of blocks that a first run fetches: shares of 1,008 blocks then stand on the last of them."""
PROBES_COUNT: Final = 2
"""Of the search for the first block, usually."""
LOOK_BACK: Final = timedelta(days=30)


class MempoolBlocks:
    """Pages of `/v1/blocks`, and of `/v1/blocks-bulk` where `bulk` may be tried and the server offers it."""

    def __init__(self, client: Client, names: PoolNames, *, bulk: bool = False) -> None:
        self._client, self._names = client, names
        self.name = client.site.name
        self._bulk_blocks = BULK_BLOCKS if bulk else 0
        self._at_the_tip: Page | None = None

    @property
    def origin(self) -> str:
        """Address of the blocks."""
        return self._client.place(BLOCKS, {})

    def newest(self) -> Page:
        """The newest blocks, 15 of them. Raises as `Client.json`, and `BadInputError`."""
        self._at_the_tip = self._page(BLOCKS)
        return self._at_the_tip

    def below(self, height: int) -> Page:
        """15 blocks down from `height`, fewer where the tip is below it. Raises as `newest`."""
        return self._page(f"{BLOCKS}/{height}")

    def whole(self, first: int, last: int) -> Page:
        """Blocks from `first` on: those at the tip as they were received, a bulk, or a page. Raises as `newest`."""
        newest = self._at_the_tip
        if newest is not None and newest.blocks[0].height <= first <= last <= newest.blocks[-1].height:
            page = newest
        elif self._bulk_blocks and last - first >= BULK_WORTHWHILE_BLOCKS:
            page = self._bulk(first, last)
        else:
            page = self.below(min(first + PAGE_BLOCKS - 1, last))
        return page._replace(blocks=[block for block in page.blocks if first <= block.height <= last])

    def _page(self, path: str) -> Page:
        response = self._client.json(path, {}, list[Block])
        blocks = [hosted_block(response.origin, block, self._names) for block in response.value]
        return _page(response.origin, chained(response.origin, blocks), response.sha256)

    def _bulk(self, first: int, last: int) -> Page:
        while self._bulk_blocks > PAGE_BLOCKS:
            top = min(first + self._bulk_blocks - 1, last)
            try:
                response = self._client.json(f"{BULK}/{first}/{top}", {}, list[BulkBlock])
            except RequestRejectedError as rejection:
                allowed = re.search(r"only query (\d{1,6}) blocks", rejection.message)
                fewer = int(allowed[1]) if allowed else 0
                # Pages do as well where bulks are switched off, or hold no more than a page.
                self._bulk_blocks = fewer if PAGE_BLOCKS < fewer < self._bulk_blocks else 0
            else:
                blocks = [
                    hosted_block(response.origin, each.as_block(), self._names) for each in reversed(response.value)
                ]
                return _page(response.origin, chained(response.origin, blocks), response.sha256)
        return self.below(min(first + PAGE_BLOCKS - 1, last))


class Mempool:
    """Blocks of recent days, and the difficulty of every day since 2009.

    A first run costs about 80 requests: `FIRST_DAYS_COUNT` days of blocks, 15 a request, and one for the difficulty,
    which is stated for all days. Later ones cost one for each 15 blocks and two more; `BlockWalk` states what is
    fetched again. The difficulty of the last `LOOK_BACK` is stated each time, and all days in the first run
    of an ISO week.
    """

    def __init__(self, client: Client, names: PoolNames, kept: KeptHashes, *, bulk: bool = False) -> None:
        self._client = client
        self.name = client.site.name
        self._blocks = MempoolBlocks(client, names, bulk=bulk)
        self._walk = BlockWalk(self._blocks, kept, FIRST_DAYS_COUNT)

    def plan(self, request: Request) -> Estimate:
        """The tip, the difficulty, the search for where to begin, and pages of 15 blocks."""
        going_on = request.since is None and self.name in request.known.newest_height
        searching = 0 if going_on else PROBES_COUNT
        count = 2 + searching + math.ceil(self._walk.blocks_count(request) / PAGE_BLOCKS)
        return Estimate(requests_count=count, seconds=count * self._client.site.spacing_seconds)

    def probe(self) -> str:
        """Where the server stands, in a few words: one request. Raises as `Client.json`, and `BadInputError`."""
        tip = self._blocks.newest().blocks[-1]
        return (
            f"{self._blocks.origin}: block {tip.height:,} of {datetime.fromtimestamp(tip.time, UTC):%Y-%m-%d %H:%M} UTC"
        )

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield the difficulty, then blocks, oldest first. Raises as `Client.json` and `BlockWalk.observe`."""
        newest = self._blocks.newest()
        yield from self._difficulty(request, newest.blocks[-1])
        yield from self._walk.observe(request, newest)

    def _difficulty(self, request: Request, tip: HostedBlock) -> Iterator[Batch | Notice]:
        origin = self._client.place(ADJUSTMENTS, {})
        try:
            response = self._client.json(ADJUSTMENTS, {}, list[Adjustment])
        except RequestRejectedError as rejection:
            yield Notice(source=self.name, origin=origin, message=f"the history of difficulty is missing: {rejection}")
            return
        through, steps = request.through, response.value
        if not steps:
            yield Notice(source=self.name, origin=origin, message="has no adjustment; its server indexes none")
            return
        if steps[0].height < tip.height - tip.height % BLOCKS_PER_RETARGET and not _same(steps[0], tip):
            # The server has not noted the newest adjustment yet; what it says ends with a day that is surely before.
            stands_until = datetime.fromtimestamp(steps[0].time, UTC).date()
            yield Notice(source=self.name, origin=origin, message=f"has no adjustment after {stands_until} yet")
            through = min(through, stands_until)
        rows = difficulty_days(origin, steps, request.first_day(self.name, [SERIES], LOOK_BACK), through)
        if rows.is_empty():
            return
        yield Batch(
            source=self.name,
            table=ObservedTable.DAILY_VALUE,
            origin=origin,
            sha256=response.sha256,
            observed_at=request.now,
            rows=rows,
        )


def _same(step: Adjustment, tip: HostedBlock) -> bool:
    return math.isclose(step.difficulty, tip.difficulty, rel_tol=1e-9)


def _page(origin: str, blocks: list[HostedBlock], digest: str) -> Page:
    if not blocks:
        raise TransientError(f"{origin}: found no block, expected one; see whether the server has caught up")
    return Page(blocks, digest)
