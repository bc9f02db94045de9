"""Walks the active chain of one node by hash, in order of height, a bounded number of blocks ahead.

Source: https://developer.bitcoin.org/reference/rpc/ and Core's own help: getblockchaininfo, getnetworkinfo,
getblockhash, getblockheader, getblock 3, getblockstats.
"""

from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Final, TypeVar

import msgspec

from flows.sources.node.connection import URL_SETTING, Connection
from flows.sources.node.rest import LEAST_VERSION_WITH_BLOCKS, LEAST_VERSION_WITH_PARTS, Rest
from flows.sources.node.rpc import BAD_PARAMETER, METHOD_NOT_FOUND, MISCELLANEOUS, NOT_FOUND, Rpc
from flows.sources.node.serialised import HeaderFacts, RawTransaction, coinbase_transaction, raw_coinbase
from schemas.errors import BadInputError, ChainReorganisedError, NodeRefusalError, SettingsError, TransientError
from schemas.node_block import NO_AMOUNT, NodeBlock, Transaction

CHAIN_SETTING: Final = "HASHPIVOT_NODE_CHAIN"
CHAINS: Final = ("main", "test", "testnet4", "signet", "regtest")
"""As a node calls them."""
LEAST_VERSION: Final = 230_000
"""Core 23.0, the first with prevouts at verbosity 3."""
CORE: Final = "/Satoshi:"
HEADERS_A_BATCH_COUNT: Final = 100
STATS_A_BATCH_COUNT: Final = 24
"""Each reads a whole block and its undo data, and a batch occupies one of the node's threads."""
AS_BYTES, WITH_PREVOUTS = 0, 3
CLOCK_SLACK: Final = timedelta(hours=3)
"""How far the time of a block may lie ahead of the median time of the blocks below it: two hours by consensus of the
nodes' clocks, and as much as the median itself lags."""
NOT_READ_YET: Final = ("headers-only", "valid-headers")
"""Branches of which the node lacks blocks, or has not checked them."""
STATS: Final = ("blockhash", "height", "subsidy", "totalfee")

Key = TypeVar("Key")
Result = TypeVar("Result")


class ChainFacts(msgspec.Struct, rename={"tip_height": "blocks"}):
    """The fields of `getblockchaininfo` that decide whether the node can be read."""

    chain: str
    tip_height: int
    initialblockdownload: bool
    pruned: bool
    headers: int = 0
    pruneheight: int = 0


class ChainTip(msgspec.Struct):
    """The end of a branch that the node knows, from `getchaintips`."""

    height: int
    status: str


class NetworkFacts(msgspec.Struct):
    """The software of the node, from `getnetworkinfo`."""

    version: int
    subversion: str


class BlockStats(
    msgspec.Struct, rename={"allowed_subsidy_sat": "subsidy", "fees_sat": "totalfee", "hash": "blockhash"}
):
    """What the node itself counts in a block, and the subsidy that its chain allows at that height."""

    hash: str
    height: int
    allowed_subsidy_sat: int
    fees_sat: int


class ChainWalk:
    """The active chain of one node."""

    def __init__(self, connection: Connection, chain: str = "main") -> None:
        """Send no request yet. Raises `SettingsError` where there is no such `chain`."""
        self.chain = chain
        self.connection = connection
        if chain not in CHAINS:
            raise SettingsError(CHAIN_SETTING, chain, f"one of {', '.join(CHAINS)}", "correct it")
        self._rpc = Rpc(connection)
        self._rest = Rest(connection)

    @property
    def origin(self) -> str:
        """Address of the node, without secrets."""
        return self.connection.origin

    def facts(self, from_height: int | None = None) -> ChainFacts:
        """The state of the node, after a check that it can serve blocks from `from_height` on, if one is given.

        Raises `SettingsError` for a node of another chain, `BadInputError` for one that is too old or has pruned these
        blocks, `TransientError` for one that is still catching up.
        """
        facts = self._rpc.call("getblockchaininfo", (), ChainFacts)
        if facts.chain != self.chain:
            raise SettingsError(
                CHAIN_SETTING,
                self.chain,
                f"{facts.chain}, the chain of {self.origin}",
                "correct it or use another node",
            )
        software = self._software()
        if CORE not in software.subversion or software.version < LEAST_VERSION:
            raise BadInputError(
                self.origin,
                f"{software.subversion} (version {software.version})",
                "Bitcoin Core 23.0 or later, which states what inputs spend",
                f"upgrade the node, or set {URL_SETTING} to another",
            )
        if facts.initialblockdownload:
            raise TransientError(
                f"{self.origin}: found a node at block {facts.tip_height:,} of {facts.headers:,} in its initial "
                "download, expected the whole chain; wait for it"
            )
        if from_height is not None and facts.pruned and from_height < facts.pruneheight:
            raise BadInputError(
                self.origin,
                f"a pruned node whose first block is {facts.pruneheight:,}",
                f"blocks from {from_height:,} on",
                "use a node with prune=0, or a home that has read the blocks below",
            )
        return facts

    def is_catching_up(self, facts: ChainFacts) -> bool:
        """Whether the node has headers of more work than its blocks and is still to get or check their blocks.

        Headers above the tip alone do not show it: a branch that the node holds for invalid has them too.
        """
        if facts.headers <= facts.tip_height:
            return False
        tips = self._rpc.call("getchaintips", (), list[ChainTip])
        return any(tip.height >= facts.headers and tip.status in NOT_READ_YET for tip in tips)

    def summary(self, from_height: int | None = None) -> str:
        """Address, chain and height in one line. Raises as `facts`."""
        facts = self.facts(from_height)
        kept = f", pruned: serves blocks from {facts.pruneheight:,} on" if facts.pruned else ""
        return f"{self.origin}, chain {facts.chain}, block {facts.tip_height:,}{kept}"

    def advice(self) -> str:
        """What would make the node faster to read, '' for nothing. Raises as `Rpc.call`."""
        version = self._software().version
        if version < LEAST_VERSION_WITH_BLOCKS:
            return (
                "upgrade the node to Bitcoin Core 31.0 and set rest=1: blocks come as bytes, which takes a seventh of "
                "the processor time"
            )
        if not self._rest.is_on():
            return (
                "set rest=1 in bitcoin.conf and restart the node: blocks come as bytes, which takes a seventh of the "
                "processor time of whole blocks and a third of that of a first run's coinbases"
            )
        if version < LEAST_VERSION_WITH_PARTS:
            return "upgrade the node to 31.0, whose parts of blocks make a first run faster"
        return ""

    def headers(self, from_height: int, to_height: int, previous_hash: str | None = None) -> Iterator[HeaderFacts]:
        """Headers of the active chain, each the child of the one before, the first of `previous_hash` if given.

        Raises `ChainReorganisedError` where the links break.
        """
        for start in range(from_height, to_height + 1, HEADERS_A_BATCH_COUNT):
            heights = range(start, min(start + HEADERS_A_BATCH_COUNT, to_height + 1))
            hashes = [
                self._on_chain(height, found) for height, found in zip(heights, self._hashes(heights), strict=True)
            ]
            responses = self._rpc.batch("getblockheader", [(each, True) for each in hashes], HeaderFacts)
            for height, response in zip(heights, responses, strict=True):
                header = self._on_chain(height, response)
                if header.height != height or header.confirmations < 0:
                    raise ChainReorganisedError(height, None, header.hash)
                if previous_hash is not None and header.previous_hash != previous_hash:
                    raise ChainReorganisedError(height - 1, header.previous_hash, previous_hash)
                previous_hash = header.hash
                yield header

    def blocks(
        self,
        from_height: int,
        to_height: int,
        *,
        previous_hash: str | None = None,
        coinbase_txids: Container[bytes] | None = None,
    ) -> Iterator[NodeBlock]:
        """Blocks of the active chain with what their inputs spend, both ends included, in order of height.

        `previous_hash`: the block below `from_height` as it was read before. `coinbase_txids`: those of all blocks that
        are 100 below the current one, or deeper; with them, blocks are fetched as bytes where the node offers that, as
        bytes do not state which spent outputs a coinbase made. At most one block for each connection is in memory,
        besides the current one.

        Raises `ChainReorganisedError` at the first block that shows it, and at the latest after the last block; what
        was yielded above the fork is then invalid. Raises as `facts` and `Rpc.call`.
        """
        tip_height = self._tip_height(from_height, to_height)
        read: Callable[[HeaderFacts], NodeBlock] = self._read
        if coinbase_txids is not None and self._rest.offers_spent_outputs(self._header(tip_height)):
            read = partial(self._rest.block, coinbase_txids=coinbase_txids)
        last = None
        for block in self._read_ahead(self.headers(from_height, to_height, previous_hash), read):
            yield block
            last = block
        if last is not None:
            self._check_unchanged(last.height, last.hash)

    def coinbases(
        self, from_height: int, to_height: int, *, readers_count: int = 1
    ) -> Iterator[tuple[HeaderFacts, Transaction]]:
        """Headers of the active chain with the coinbase transaction only, both ends included, in order of height.

        Fetches the first bytes of each block where the node offers that, else the whole block as bytes: over REST where
        the node has that, else over RPC. In no case does the node look up what the block spends. `readers_count`:
        how many threads call this at once; they share the connections. Raises as `blocks`.
        """
        tip = self._header(self._tip_height(from_height, to_height))
        if self._rest.offers_parts(tip):
            read = self._rest.coinbase_of_part
        elif self._rest.offers_blocks(tip):
            read = self._rest.coinbase_of_block
        else:
            read = self._read_coinbase

        def with_header(header: HeaderFacts) -> tuple[HeaderFacts, Transaction]:
            return header, coinbase_transaction(read(header))

        last = None
        for last, coinbase in self._read_ahead(self.headers(from_height, to_height), with_header, readers_count):
            yield last, coinbase
        if last is not None:
            self._check_unchanged(last.height, last.hash)

    def first_height_since(self, day: date) -> int:
        """A height below which no block is of `day` or later, close to the first that is; the tip where none is.

        Compares the median time, which never steps back, unlike the time of a block. Raises as `facts`.
        """
        wanted = (datetime.combine(day, time(), UTC) - CLOCK_SLACK).timestamp()
        low, high = 0, self.facts().tip_height
        while low < high:
            middle = (low + high) // 2
            if self._header(middle).mediantime < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def replaced(self, blocks: Mapping[int, str]) -> list[int]:
        """The heights of `blocks`, given with their hashes, at which the active chain now has another block or none."""
        heights = sorted(blocks)
        found: list[str | NodeRefusalError] = []
        for start in range(0, len(heights), HEADERS_A_BATCH_COUNT):
            found += self._hashes(heights[start : start + HEADERS_A_BATCH_COUNT])
        return [height for height, block_hash in zip(heights, found, strict=True) if block_hash != blocks[height]]

    def fork_height(self, stored: Callable[[int], str | None], top: int) -> int | None:
        """The highest block up to `top` that is on the node the same as `stored`; None where there is none.

        `stored` gives the hash of a height, None below the first that is known.
        """
        for end in range(top, -1, -HEADERS_A_BATCH_COUNT):
            heights = range(end, max(end - HEADERS_A_BATCH_COUNT, -1), -1)
            for height, found in zip(heights, self._hashes(heights), strict=True):
                expected = stored(height)
                if expected is None:
                    return None
                if found == expected:
                    return height
        return None

    def stats(self, blocks: Sequence[tuple[int, str]], *, readers_count: int = 1) -> list[BlockStats]:
        """What the node counts in each of `blocks`, given by height and hash, never the genesis block.

        `readers_count` as in `coinbases`. Raises `ChainReorganisedError` where it no longer has one of them.
        """
        parts = (blocks[start : start + STATS_A_BATCH_COUNT] for start in range(0, len(blocks), STATS_A_BATCH_COUNT))
        return [each for part in self._read_ahead(parts, self._stats_of, readers_count) for each in part]

    def _stats_of(self, blocks: Sequence[tuple[int, str]]) -> list[BlockStats]:
        responses = self._rpc.batch("getblockstats", [(each, STATS) for _, each in blocks], BlockStats)
        return [self._on_chain(height, response) for (height, _), response in zip(blocks, responses, strict=True)]

    def _software(self) -> NetworkFacts:
        return self._rpc.call("getnetworkinfo", (), NetworkFacts)

    def _hashes(self, heights: Sequence[int]) -> list[str | NodeRefusalError]:
        return self._rpc.batch("getblockhash", [(height,) for height in heights], str)

    def _on_chain(self, height: int, response: Result | NodeRefusalError) -> Result:
        """`response`, unless it is an error. A height or a hash that is no longer known means a reorganisation."""
        if not isinstance(response, NodeRefusalError):
            return response
        if response.code in (NOT_FOUND, BAD_PARAMETER):
            raise ChainReorganisedError(height, None, None) from response
        raise self._translated(height, response) from response

    def _translated(self, height: int, error: NodeRefusalError) -> BadInputError:
        if error.code == MISCELLANEOUS and "pruned" in error.message:
            return BadInputError(
                f"{self.origin} block {height:,}",
                error.message,
                "a block it still has",
                "use a node with prune=0, or a home that has read the blocks below",
            )
        if error.code == METHOD_NOT_FOUND:
            return BadInputError(error.place, error.message, "a method of Bitcoin Core 23.0", "upgrade the node")
        return error

    def _read(self, header: HeaderFacts) -> NodeBlock:
        try:
            block = self._rpc.call("getblock", (header.hash, WITH_PREVOUTS), NodeBlock)
        except NodeRefusalError as error:
            return self._on_chain(header.height, error)
        if (block.hash, block.height, block.previous_hash) != (header.hash, header.height, header.previous_hash):
            raise BadInputError(
                f"{self.origin} block {header.height:,}",
                f"block {block.hash} at {block.height}",
                header.hash,
                "check what kind of node this is",
            )
        if not _is_whole(block):
            # A block that never was on the active chain has no undo data; check that this one still is.
            for again in self.headers(header.height, header.height):
                if again.hash != header.hash:
                    raise ChainReorganisedError(header.height, again.hash, header.hash)
            raise BadInputError(
                f"{self.origin} block {header.height:,}",
                "transactions without fee or without what they spend",
                "both, from the node's undo data",
                "use a node with prune=0, or restart it with -reindex",
            )
        return block

    def _read_coinbase(self, header: HeaderFacts) -> RawTransaction:
        try:
            content = self._rpc.call("getblock", (header.hash, AS_BYTES), str)
        except NodeRefusalError as error:
            return self._on_chain(header.height, error)
        try:
            return raw_coinbase(bytes.fromhex(content), header.hash)
        except (EOFError, ValueError) as error:
            raise BadInputError(
                f"{self.origin} block {header.height:,}", str(error), header.hash, "check what kind of node this is"
            ) from error

    def _tip_height(self, from_height: int, to_height: int) -> int:
        """The height of the newest block, after a check that the node has all blocks of a range."""
        facts = self.facts(from_height)
        if to_height > facts.tip_height:
            raise BadInputError(
                self.origin, f"a chain of {facts.tip_height:,} blocks", f"block {to_height:,}", "request earlier days"
            )
        return facts.tip_height

    def _header(self, height: int) -> HeaderFacts:
        return next(self.headers(height, height))

    def _check_unchanged(self, height: int, block_hash: str) -> None:
        now = self._on_chain(height, self._hashes([height])[0])
        if now != block_hash:
            raise ChainReorganisedError(height, now, block_hash)

    def _read_ahead(
        self, keys: Iterator[Key], read: Callable[[Key], Result], readers_count: int = 1
    ) -> Iterator[Result]:
        """`read` of each key in order, as many at a time as there are connections for each of `readers_count`."""
        reading: deque[Future[Result]] = deque()
        share_count = max(1, self.connection.connections_count // readers_count)
        executor = ThreadPoolExecutor(share_count, thread_name_prefix="node")
        try:
            for key in keys:
                reading.append(executor.submit(read, key))
                if len(reading) >= share_count:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()
        except BaseException as error:
            # A time limit or a signal ends the run: without this, the threads would go on with their retries for
            # minutes.
            if not isinstance(error, (Exception, GeneratorExit)):
                self.connection.stop()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _is_whole(block: NodeBlock) -> bool:
    """Whether every transaction but the coinbase has its fee, and every input the output that it spends."""
    return all(
        tx.fee != NO_AMOUNT and all(spent.prevout is not None for spent in tx.vin) for tx in block.tx[1:]
    ) and bool(block.tx and block.tx[0].vin and block.tx[0].vin[0].coinbase is not None)
