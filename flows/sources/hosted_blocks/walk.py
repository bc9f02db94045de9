"""Walks the chain of an explorer upwards, and back to the fork where blocks were replaced.

Explorers serve blocks in pages that lead down from a height. Here they are requested from the bottom up, so that blocks
can be stored on the way: a run that ends early is continued, not restarted.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from flows.sources.block_frame import block_frame
from flows.sources.hosted_blocks.block import HostedBlock
from flows.sources.hosted_blocks.kept import KEPT_COUNT, KeptHashes
from flows.sources.protocol import Request
from schemas.errors import BadInputError, ChainReorganisedError, HashpivotError, TransientError
from schemas.observations import Batch, Notice, ObservedTable
from transforms.chain import BLOCK_SPACING_S

BLOCKS_A_BATCH_COUNT: Final = 144
MOST_REORGANISATIONS_COUNT: Final = 5
"""In one run. After more of them the server gets time to settle."""
MOST_MISSED_BLOCKS_COUNT: Final = 4_464
"""About 31 days: after a longer gap a run begins anew instead of requesting all that was missed."""
TIME_SLACK: Final = timedelta(hours=3)
"""How far the time of a block may lie ahead of the median time of the blocks below it: two hours by consensus of the
nodes' clocks, and as much as the median itself lags."""
AFTER_THE_LAST_DAY: Final = timedelta(hours=12)
"""How far to read beyond the last day: the blocks that close it and make it final."""
WORTH_LEAVING_OUT: Final = timedelta(hours=36)
"""Newer blocks than needed are skipped where they span more than this."""
MOST_PROBES_COUNT: Final = 40
INTERPOLATED_PROBES_COUNT: Final = 12
"""Of a search for a time; after these, the range is halved."""


class Page(NamedTuple):
    """Blocks without a gap, oldest first, and the digest of the bytes they were read from."""

    blocks: list[HostedBlock]
    sha256: str


class Explorer(Protocol):
    """Pages of one explorer, checked: every block matches its hash and is the child of the one before it."""

    @property
    def name(self) -> str:
        """The supplier."""
        ...

    @property
    def origin(self) -> str:
        """Address of the blocks, without secrets."""
        ...

    def newest(self) -> Page:
        """The page that ends at the tip, fetched anew."""
        ...

    def below(self, height: int) -> Page:
        """The page that ends at `height`; fields that cost further requests may be missing."""
        ...

    def whole(self, first: int, last: int) -> Page:
        """Blocks from `first` on with all their fields, as many as one page holds up to `last`."""
        ...


class BlockWalk:
    """Blocks of one explorer. `first_days_count`: how many days of blocks a first run fetches.

    A later run begins above the highest block that was stored. Stored blocks are fetched again only where they were
    replaced, so that a pool which only the server names keeps the name it had on that day. Where a branch that replaces
    another is shorter, the blocks above it stay stored until it has grown past them. With a `since`, reading begins
    there, whatever is stored; this is the only way to get days before the span of a first run.
    """

    def __init__(self, explorer: Explorer, kept: KeptHashes, first_days_count: int) -> None:
        self._explorer, self._kept, self._first_days_count = explorer, kept, first_days_count

    def blocks_count(self, request: Request) -> int:
        """About how many blocks `observe` will fetch."""
        spacing = timedelta(seconds=BLOCK_SPACING_S)
        received_at = request.known.received_at.get(self._explorer.name)
        since = _midnight(request.since or request.through - timedelta(days=self._first_days_count - 1)) - TIME_SLACK
        if request.since is None and received_at is not None and self._explorer.name in request.known.newest_height:
            missed = (request.now - received_at) // spacing
            if missed <= MOST_MISSED_BLOCKS_COUNT:
                return max(missed, 0)
        until = _midnight(request.through + timedelta(days=1)) + AFTER_THE_LAST_DAY
        until = until if request.now - until > WORTH_LEAVING_OUT else request.now
        return max((until - since) // spacing, 0)

    def observe(self, request: Request, newest: Page) -> Iterator[Batch | Notice]:
        """Yield blocks, oldest first; `newest` is the page at the tip.

        Raises as the explorer; `TransientError` where the chain keeps changing or ends below what is stored;
        `BadInputError` where it is not the chain that was read before.
        """
        explorer = self._explorer
        newest_stored = request.known.newest_height.get(explorer.name, -1)
        kept = self._kept.read()
        if max(kept, default=-1) > newest_stored:
            kept = {}  # of a warehouse that was removed, or restored from a backup
        kept_top = max(kept, default=-1)
        tip = newest.blocks[-1]
        if kept and tip.height < min(kept):
            raise TransientError(
                f"{explorer.origin}: found a tip at {tip.height:,}, expected at least block {kept_top:,}, which was "
                "read before; wait until the server has caught up"
            )
        first, message = self._first(request, tip, kept_top)
        if message:
            yield self._notice(message)
        last, to_the_tip = self._last(request, tip)
        # Blocks that a `since` put above a gap do not replace the kept hashes, so that the next run fills the gap.
        joined = first <= kept_top + 1 or not kept or request.since is None
        trail = _between(0, first - 1, kept) if first <= kept_top + 1 else {}
        height, gathered, digests, reorganisations = first, list[HostedBlock](), list[str](), 0

        def batch() -> Batch:
            return self._batch(gathered, digests, request.now)

        def keep() -> None:
            # The next run does not continue from a range of the past.
            top = gathered[-1].height
            newest = top >= newest_stored or (to_the_tip and top >= last)
            if joined and (request.since is None or newest):
                self._kept.write(_between(0, top, trail))

        if kept.get(tip.height, tip.hash) != tip.hash and first == kept_top + 1:
            # The new branch is no longer than the one that was read, so no block above it shows the change.
            fork = self._fork(tip.height, trail, first)
            yield self._replaced(fork)
            trail, height = _between(0, fork, trail), fork + 1
        while height <= last or gathered:
            if height > last or len(gathered) >= BLOCKS_A_BATCH_COUNT:
                yield batch()
                keep()
                gathered, digests = [], []
                continue
            try:
                page = self._next(height, last, trail.get(height - 1))
            except ChainReorganisedError as error:
                reorganisations += 1
                if reorganisations > MOST_REORGANISATIONS_COUNT:
                    raise TransientError(
                        f"{explorer.origin}: found {reorganisations} reorganisations in one run, expected a stable "
                        "chain; try again later"
                    ) from error
                # Fetched anew, because the page at the tip may be the one that is out of date.
                tip = explorer.newest().blocks[-1]
                last = tip.height if to_the_tip else min(last, tip.height)
                fork = self._fork(min(height - 1, tip.height), trail, first)
                if fork < height - 1:
                    yield self._replaced(fork)
                gathered = [block for block in gathered if block.height <= fork]
                trail, height = _between(0, fork, trail), fork + 1
            except HashpivotError:
                if gathered:
                    yield batch()
                    keep()
                raise
            else:
                gathered += page.blocks
                digests.append(page.sha256)
                height = page.blocks[-1].height + 1
                trail.update((block.height, block.hash) for block in page.blocks)
                if len(trail) > 2 * KEPT_COUNT:
                    trail = _between(height - KEPT_COUNT, height, trail)

    def _first(self, request: Request, tip: HostedBlock, kept_top: int) -> tuple[int, str]:
        """The height to begin at, and the text of a notice about it, if any."""
        message = ""
        stored = request.known.newest_height.get(self._explorer.name)
        if request.since is None and stored is not None:
            next_height = (kept_top if kept_top >= 0 else stored) + 1
            if tip.height - next_height < MOST_MISSED_BLOCKS_COUNT:
                if kept_top >= 0:
                    return next_height, ""
                # It is unknown whether what is stored is still on the chain: its last days are read again.
                return min(next_height, self._height_before(self._first_span(request), tip)), ""
            message = f"blocks from {next_height:,} on were missed and are skipped; fetch them with `backfill --from`"
        since = _midnight(request.since) if request.since else self._first_span(request)
        return self._height_before(since, tip), message

    def _first_span(self, request: Request) -> datetime:
        return _midnight(request.through - timedelta(days=self._first_days_count - 1))

    def _last(self, request: Request, tip: HostedBlock) -> tuple[int, bool]:
        """The height to end at, and whether that is the tip."""
        until = _midnight(request.through + timedelta(days=1)) + AFTER_THE_LAST_DAY
        if datetime.fromtimestamp(tip.median_time, UTC) - until <= WORTH_LEAVING_OUT:
            return tip.height, True
        return self._height_before(until + TIME_SLACK, tip), False

    def _height_before(self, at: datetime, tip: HostedBlock) -> int:
        """The highest block whose median time lies more than `TIME_SLACK` before `at`, 0 if none does.

        Median times never step back, so that they can be searched: first as if blocks came evenly, then by halves.
        """
        wanted = int((at - TIME_SLACK).timestamp())
        if tip.median_time < wanted:
            return tip.height
        low, high = 0, tip.height  # the result lies in low..high - 1
        guess = tip.height - (tip.median_time - wanted) // BLOCK_SPACING_S
        for probe in range(MOST_PROBES_COUNT):
            if high - low <= 1:
                return low
            if probe >= INTERPOLATED_PROBES_COUNT:
                guess = (low + high) // 2
            blocks = self._explorer.below(min(max(guess, low + 1), high - 1)).blocks
            oldest, newest = blocks[0], blocks[-1]
            if oldest.median_time < wanted <= newest.median_time:
                return max(block.height for block in blocks if block.median_time < wanted)
            # After a page that just misses the time comes its neighbour.
            if newest.median_time < wanted:
                low = max(low, newest.height)
                distance = max((wanted - newest.median_time) // BLOCK_SPACING_S + len(blocks) // 2, len(blocks))
                guess = newest.height + distance
            else:
                high = min(high, oldest.height)
                guess = oldest.height - (oldest.median_time - wanted) // BLOCK_SPACING_S + len(blocks) // 2
        raise BadInputError(
            self._explorer.origin,
            f"no block at {at:%Y-%m-%d %H:%M} UTC",
            "one",
            "do not trust this server; use another",
        )

    def _next(self, height: int, last: int, parent_hash: str | None) -> Page:
        page = self._explorer.whole(height, last)
        lowest = page.blocks[0] if page.blocks else None
        if lowest is None or lowest.height != height:
            raise TransientError(
                f"{self._explorer.origin}: found {f'block {lowest.height:,}' if lowest else 'no block'}, expected "
                f"block {height:,}; try again later"
            )
        if parent_hash is not None and lowest.previous_hash != parent_hash:
            raise ChainReorganisedError(height, lowest.previous_hash, parent_hash)
        return page

    def _fork(self, height: int, trail: dict[int, str], first: int) -> int:
        """The highest block up to `height` that is still what it was in `trail`."""
        bottom = min(trail, default=first)
        while height >= bottom:
            blocks = self._explorer.below(height).blocks
            for block in reversed(blocks):
                if trail.get(block.height) == block.hash:
                    return block.height
            height = blocks[0].height - 1
        if bottom == first:
            return first - 1
        raise BadInputError(
            self._explorer.origin,
            f"a chain without any of the {len(trail)} newest blocks that were read before",
            "the same chain",
            "check the address; if that is right, read the blocks again with `backfill --from`",
        )

    def _replaced(self, fork: int) -> Notice:
        return self._notice(f"blocks above {fork:,} were replaced by others, and were read again from there")

    def _notice(self, message: str) -> Notice:
        return Notice(source=self._explorer.name, origin=self._explorer.origin, message=message)

    def _batch(self, blocks: list[HostedBlock], digests: list[str], now: datetime) -> Batch:
        return Batch(
            source=self._explorer.name,
            table=ObservedTable.BLOCK,
            origin=f"{self._explorer.origin} {blocks[0].height}..{blocks[-1].height}",
            sha256=sha256("".join(digests).encode()).hexdigest(),
            observed_at=now,
            rows=block_frame(blocks),
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _between(low: int, high: int, hashes: dict[int, str]) -> dict[int, str]:
    return {height: block_hash for height, block_hash in hashes.items() if low <= height <= high}
