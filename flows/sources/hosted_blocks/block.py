"""One block as an explorer states it, checked against its own hash and the rules of consensus.

An explorer states all six fields of the header, so time, difficulty and previous block can be checked: serialised
again, they must hash to the stated hash.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Final, NamedTuple

import msgspec

from schemas.errors import BadInputError
from transforms.chain import POW_LIMIT, decode_compact, difficulty, subsidy_sat

DIFFICULTY_TOLERANCE: Final = 1e-9
"""Relative; explorers print 15 or 16 digits."""
FIRST_WITH_HEIGHT: Final = 227_931
"""From this block on, BIP 34 makes the coinbase begin with the height of its block."""
HEIGHT_BYTES: Final = 3
"""Until block 8,388,608."""
REMEDY: Final = "do not trust this server; compare the block with another"

_HEADER: Final = struct.Struct("<I32s32sIII")
_NOTHING_BEFORE: Final = "0" * 64
_UINT32_VALUES: Final = 2**32

Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Height = Annotated[int, msgspec.Meta(ge=0, lt=2**23)]
Word = Annotated[int, msgspec.Meta(ge=0, lt=_UINT32_VALUES)]
Version = Annotated[int, msgspec.Meta(ge=-(2**31), lt=_UINT32_VALUES)]
Satoshi = Annotated[int, msgspec.Meta(ge=0, le=21_000_000 * 10**8)]


class Header(msgspec.Struct):
    """The fields of a block that both Esplora and mempool state. Times are Unix seconds, `bits` and `nonce` integers.

    `previousblockhash` is null or missing for the genesis block.
    """

    id: Hash
    height: Height
    version: Version
    timestamp: Word
    bits: Word
    nonce: Word
    difficulty: float
    merkle_root: Hash
    mediantime: Word
    previousblockhash: Hash | None = None


class HostedBlock(NamedTuple):
    """One checked block. What the explorer does not state is None."""

    height: int
    hash: str
    previous_hash: str | None
    time: int
    median_time: int
    difficulty: float
    reward_sat: int | None = None
    fees_sat: int | None = None
    pool: str | None = None

    @property
    def subsidy_claimed_sat(self) -> int | None:
        """What the coinbase pays beyond the fees. A miner who leaves even fees behind claims no subsidy."""
        if self.reward_sat is None or self.fees_sat is None:
            return None
        return max(self.reward_sat - self.fees_sat, 0)


def proven(place: str, header: Header) -> HostedBlock:
    """The block of this `header`.

    Raises `BadInputError` where its fields do not hash to its hash, or its difficulty does not follow from its bits.
    """
    where = f"{place} block {header.height:,}"
    found = header_hash(
        header.version,
        header.previousblockhash or _NOTHING_BEFORE,
        header.merkle_root,
        header.timestamp,
        header.bits,
        header.nonce,
    )
    if found != header.id:
        raise BadInputError(where, f"a header that hashes to {found}", header.id, REMEDY)
    try:
        target = decode_compact(header.bits)
    except ValueError:
        target = 0
    if not 0 < target <= POW_LIMIT:
        raise BadInputError(where, f"bits {header.bits:#010x}", "a target that the main chain accepts", REMEDY)
    exact = difficulty(target)
    if not abs(header.difficulty / exact - 1) <= DIFFICULTY_TOLERANCE:
        raise BadInputError(where, f"difficulty {header.difficulty}", f"{exact}, as its bits give", REMEDY)
    return HostedBlock(
        height=header.height,
        hash=header.id,
        previous_hash=header.previousblockhash if header.height else None,
        time=header.timestamp,
        median_time=header.mediantime,
        difficulty=exact,
    )


def checked(place: str, block: HostedBlock, coinbase_script: str | None) -> HostedBlock:
    """`block`, whose height is in its coinbase and whose subsidy is no more than allowed.

    Raises `BadInputError` where it is not. The script is in hexadecimal.
    """
    claimed, allowed = block.subsidy_claimed_sat, subsidy_sat(block.height)
    if coinbase_script is not None and block.height >= FIRST_WITH_HEIGHT:
        pushed = bytes([HEIGHT_BYTES]) + block.height.to_bytes(HEIGHT_BYTES, "little")
        if not coinbase_script.startswith(pushed.hex()):
            where = f"{place} block {block.height:,}"
            raise BadInputError(where, f"a coinbase that begins {coinbase_script[:8]}", pushed.hex(), REMEDY)
    if claimed is not None and claimed > allowed:
        where = f"{place} block {block.height:,}"
        raise BadInputError(where, f"a subsidy of {claimed:,} satoshi", f"at most {allowed:,}", REMEDY)
    return block


def chained(place: str, newest_first: Sequence[HostedBlock]) -> list[HostedBlock]:
    """The blocks of one page, oldest first. Raises `BadInputError` where one is not the child of the next."""
    for child, parent in pairwise(newest_first):
        if child.height != parent.height + 1 or child.previous_hash != parent.hash:
            raise BadInputError(
                f"{place} block {child.height:,}",
                f"block {parent.height:,} ({parent.hash}) after it",
                f"block {child.height - 1:,} ({child.previous_hash})",
                "try again later; if it stays, do not trust this server",
            )
    return list(reversed(newest_first))


def header_hash(version: int, previous_hash: str, merkle_root: str, time: int, bits: int, nonce: int) -> str:
    """The hash of the block with this header. Raises `ValueError` for what no header can have."""
    before, root = bytes.fromhex(previous_hash)[::-1], bytes.fromhex(merkle_root)[::-1]
    try:
        header = _HEADER.pack(version % _UINT32_VALUES, before, root, time, bits, nonce)
    except struct.error as error:
        raise ValueError(f"no field of a header: {error}") from error
    return sha256(sha256(header).digest()).digest()[::-1].hex()
