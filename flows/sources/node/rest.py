"""Blocks as bytes over REST: `/rest/block` and `/rest/spenttxouts`, so that the node need not make JSON.

Source: https://github.com/bitcoin/bitcoin/blob/master/doc/REST-interface.md, Core 30.0 and later with `rest=1`, for
`/rest/blockpart` 31.0 and later. Needs no credentials. Does not state which spent outputs a coinbase made.
"""

from collections.abc import Container
from typing import Final, TypeVar

from flows.sources.node.connection import Connection
from flows.sources.node.rpc import NOT_DOWNLOADED
from flows.sources.node.serialised import (
    HEADER_BYTES,
    HeaderFacts,
    RawTransaction,
    node_block,
    raw_block,
    raw_coinbase,
    spent_coins,
)
from schemas.errors import BadInputError, ChainReorganisedError, TransientError
from schemas.node_block import NodeBlock

OK: Final = 200
REJECTED: Final = 400
"""Of a part: it ends behind the block."""
MISSING: Final = 404
PRUNED: Final = b"pruned data"
FIRST_PART_BYTES: Final = 16_384
"""Of a block: room for its header and nearly every coinbase."""
FEW_TRANSACTIONS_COUNT: Final = 40
"""A block with no more is fetched whole at once: it is hardly larger than that part, and mostly smaller."""
LEAST_VERSION_WITH_BLOCKS: Final = 300_000
"""Core 30.0, the first that serves what a block spends as bytes."""
LEAST_VERSION_WITH_PARTS: Final = 310_000

Read = TypeVar("Read")


class Rest:
    """REST requests to one node."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def is_on(self) -> bool:
        """Whether the node has `rest=1`, at the price of one small request."""
        return self._status("/rest/chaininfo.json") == OK

    def offers_blocks(self, header: HeaderFacts) -> bool:
        """Whether the node serves this block as bytes, that is, whether it has `rest=1`."""
        return self._status(_path("block", header)) == OK

    def offers_spent_outputs(self, header: HeaderFacts) -> bool:
        """Whether the node serves this block and what it spends as bytes: it is 30.0 or later and has `rest=1`."""
        return self._status(_path("spenttxouts", header)) == OK and self.offers_blocks(header)

    def offers_parts(self, header: HeaderFacts) -> bool:
        """Whether the node serves the first bytes of a block."""
        return self._status(_part(header, HEADER_BYTES)) == OK

    def coinbase_of_part(self, header: HeaderFacts) -> RawTransaction:
        """The coinbase of the block of `header`, from the first bytes of the block. Raises as `block`."""

        def attempt() -> RawTransaction | None:
            reply = self.connection.get(_part(header, FIRST_PART_BYTES))
            # Of a block that is smaller, pruned or replaced the whole is requested, which shows which of them it is.
            if reply.status in (REJECTED, MISSING):
                return None
            if reply.status != OK:
                raise self.connection.unexpected(
                    _path("blockpart", header), reply, f"a part of block {header.height:,}"
                )
            try:
                return raw_coinbase(reply.body, header.hash)
            except EOFError:
                return None
            except ValueError as error:
                raise self._damaged(header, error) from error

        is_small = 0 < header.transactions_count <= FEW_TRANSACTIONS_COUNT
        found = None if is_small else self.connection.with_retries(attempt)
        return found or self.coinbase_of_block(header)

    def coinbase_of_block(self, header: HeaderFacts) -> RawTransaction:
        """The coinbase of the block of `header`, from the whole block. Raises as `block`."""

        def attempt() -> RawTransaction:
            try:
                return raw_coinbase(self._content("block", header), header.hash)
            except (EOFError, ValueError) as error:
                raise self._damaged(header, error) from error

        return self.connection.with_retries(attempt)

    def block(self, header: HeaderFacts, coinbase_txids: Container[bytes] | None = None) -> NodeBlock:
        """The block of `header`, checked against its own hashes; `coinbase_txids` as in `node_block`.

        Raises `ChainReorganisedError` where the node no longer has it, `BadInputError` where it was pruned,
        `TransientError` after the last retry.
        """

        def attempt() -> NodeBlock:
            block, spent = self._content("block", header), self._content("spenttxouts", header)
            try:
                return node_block(header, raw_block(block), spent_coins(spent), coinbase_txids)
            except ValueError as error:
                raise self._damaged(header, error) from error

        return self.connection.with_retries(attempt)

    def _damaged(self, header: HeaderFacts, error: Exception) -> TransientError:
        return TransientError(
            f"{self.connection.origin} block {header.height:,}: found {error}, expected {header.hash} with all it "
            "spends; try again later"
        )

    def _status(self, path: str) -> int:
        return self.connection.with_retries(lambda: self.connection.get(path)).status

    def _content(self, part: str, header: HeaderFacts) -> bytes:
        reply = self.connection.get(_path(part, header))
        if reply.status == MISSING and PRUNED in reply.body:
            raise BadInputError(
                f"{self.connection.origin} block {header.height:,}",
                "a block that the node has pruned",
                "a block it still has",
                "use a node with prune=0, or a home that has read the blocks below",
            )
        if reply.status == MISSING and NOT_DOWNLOADED.encode() in reply.body:
            raise TransientError(
                f"{self.connection.origin} block {header.height:,}: found a block that the node has not downloaded, "
                "expected the whole chain; wait for it"
            )
        if reply.status == MISSING:
            raise ChainReorganisedError(header.height, None, header.hash)
        if reply.status != OK:
            raise self.connection.unexpected(_path(part, header), reply, f"the bytes of block {header.height:,}")
        return reply.body


def _part(header: HeaderFacts, size_bytes: int) -> str:
    return f"{_path('blockpart', header)}?offset=0&size={size_bytes}"


def _path(part: str, header: HeaderFacts) -> str:
    return f"/rest/{part}/{header.hash}.bin"
