"""Blocks as bytes over REST: `/rest/block` and `/rest/spenttxouts`, which spare the node the making of JSON.

Source: https://github.com/bitcoin/bitcoin/blob/master/doc/REST-interface.md, Core 30.0 and later with `rest=1`. Needs
no credentials. Does not tell which of the spent outputs were made by a coinbase.
"""

from typing import Final, TypeVar

from flows.sources.node.addresses import Chain
from flows.sources.node.connection import Connection
from flows.sources.node.serialised import HeaderFacts, node_block, raw_block, spent_coins
from schemas.errors import BadInputError, ChainReorganisedError, TransientError
from schemas.node_block import NodeBlock

OK: Final = 200
MISSING: Final = 404
PRUNED: Final = b"pruned data"

Read = TypeVar("Read")


class Rest:
    """The binary pair of one node."""

    def __init__(self, connection: Connection, chain: Chain) -> None:
        self.connection = connection
        self._chain = chain

    def offered(self, header: HeaderFacts) -> bool:
        """Whether the node gives both halves of this block, so whether it is new enough and has `rest=1`."""
        return all(self._status(half, header) == OK for half in ("spenttxouts", "block"))

    def block(self, header: HeaderFacts) -> NodeBlock:
        """The block of `header`, checked against its own hashes.

        Raises `ChainReorganisedError` where the node no longer has it, `BadInputError` where it never will again,
        `TransientError` where patience ran out.
        """

        def attempt() -> NodeBlock:
            block, spent = self._half("block", header), self._half("spenttxouts", header)
            try:
                return node_block(header, raw_block(block), spent_coins(spent), self._chain)
            except ValueError as error:
                raise TransientError(
                    f"{self.connection.origin} block {header.height:,}: found {error}, expected {header.hash} with "
                    "all it spends; try again later"
                ) from error

        return self.connection.patiently(attempt)

    def _status(self, half: str, header: HeaderFacts) -> int:
        return self.connection.patiently(lambda: self.connection.get(_path(half, header))).status

    def _half(self, half: str, header: HeaderFacts) -> bytes:
        reply = self.connection.get(_path(half, header))
        if reply.status == MISSING and PRUNED in reply.body:
            raise BadInputError(
                f"{self.connection.origin} block {header.height:,}",
                "a block that the node has pruned",
                "a block it still has",
                "ask a node with prune=0, or for later days",
            )
        if reply.status == MISSING:
            raise ChainReorganisedError(header.height, None, header.hash)
        if reply.status != OK:
            raise self.connection.refuse(_path(half, header), reply, f"the bytes of block {header.height:,}")
        return reply.body


def _path(half: str, header: HeaderFacts) -> str:
    return f"/rest/{half}/{header.hash}.bin"
