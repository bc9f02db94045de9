"""mempool's responses as its backend writes them, and the blocks in them. Amounts are in satoshi.

Source: `BlockExtended` and `BlockExtension` in the backend's mempool.interfaces.ts, `$getBlocksBetweenHeights` of its
api/blocks.ts for the other names of the bulk response.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from flows.sources.hosted_blocks.block import Hash, Header, Height, HostedBlock, Satoshi, Version, Word, checked, proven
from flows.sources.hosted_blocks.pool import pool_of, scripts_of
from transforms.attribution.pool_names import PoolNames

MOST_NAME_CHARACTERS: Final = 64
Hexadecimal = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{2})*\Z")]
Slug = Annotated[str, msgspec.Meta(max_length=MOST_NAME_CHARACTERS)]


class Pool(msgspec.Struct):
    """The pool as the server names it, by a list that changes: it may name the same block otherwise tomorrow."""

    slug: Slug | None = None


class Extras(msgspec.Struct):
    """What the server knows beyond the header. `reward`: all that the coinbase pays out."""

    reward: Satoshi | None = None
    totalFees: Satoshi | None = None
    pool: Pool | None = None
    coinbaseRaw: Hexadecimal | None = None
    coinbaseAddress: str | None = None
    coinbaseAddresses: list[str] | None = None


class Block(Header):
    """One block of `/v1/blocks`."""

    extras: Extras | None = None


class BulkBlock(msgspec.Struct):
    """One block of `/v1/blocks-bulk`: the same facts under other names."""

    hash: Hash
    height: Height
    version: Version
    timestamp: Word
    bits: Word
    nonce: Word
    difficulty: float
    merkle_root: Hash
    median_timestamp: Word
    previous_block_hash: Hash | None = None
    reward: Satoshi | None = None
    total_fee_amt: Satoshi | None = None
    pool_slug: Slug | None = None
    coinbase_raw: Hexadecimal | None = None
    coinbase_address: str | None = None
    coinbase_addresses: list[str] | None = None

    def as_block(self) -> Block:
        """The same block under the usual names."""
        return Block(
            id=self.hash,
            height=self.height,
            version=self.version,
            timestamp=self.timestamp,
            bits=self.bits,
            nonce=self.nonce,
            difficulty=self.difficulty,
            merkle_root=self.merkle_root,
            mediantime=self.median_timestamp,
            previousblockhash=self.previous_block_hash,
            extras=Extras(
                reward=self.reward,
                totalFees=self.total_fee_amt,
                pool=Pool(self.pool_slug),
                coinbaseRaw=self.coinbase_raw,
                coinbaseAddress=self.coinbase_address,
                coinbaseAddresses=self.coinbase_addresses,
            ),
        )


def hosted_block(place: str, block: Block, names: PoolNames) -> HostedBlock:
    """What one block says, checked against its own hash and the rules of consensus.

    An amount or a name that is missing is None. Raises `BadInputError` with what cannot be believed.
    """
    extras = block.extras or Extras()
    addresses: Sequence[str] = extras.coinbaseAddresses or []
    if not addresses and extras.coinbaseAddress is not None:
        addresses = [extras.coinbaseAddress]
    row = proven(place, block)._replace(
        reward_sat=extras.reward,
        fees_sat=extras.totalFees,
        pool=pool_of(names, extras.coinbaseRaw, scripts_of(addresses), extras.pool.slug if extras.pool else None),
    )
    return checked(place, row, extras.coinbaseRaw)
