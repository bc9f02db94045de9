"""Blocks as a node stores them: parsed, checked against their hashes, and given the shape of `schemas.node_block`.

Source: Core's `primitives/block.h`, `primitives/transaction.h` (BIP 144 for the witness) and `SerializeBlockUndo` in
`rest.cpp`, the same in 30.0 and 31.0. Each block is checked: its header must hash to the requested hash, and its
transactions to the Merkle root of that header.

A block is walked once for its ids, scripts and sums, in one loop without calls, which is where the time goes; the few
transactions that touch a miner are parsed again, each when it is read.
"""

from collections.abc import Container
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from struct import Struct, error, unpack
from typing import Final

import msgspec

from flows.sources.whole_blocks import BlockTransactions
from schemas.node_block import (
    NO_AMOUNT,
    BlockScripts,
    Input,
    NodeBlock,
    Output,
    Prevout,
    Script,
    Transaction,
    amount_of,
)

HEADER_BYTES: Final = 80
PREVIOUS_HASH: Final = slice(4, 36)
MERKLE_ROOT: Final = slice(36, 68)
TXID_BYTES: Final = 32
OUTPOINT_BYTES: Final = 36
NOTHING_SPENT: Final = bytes(TXID_BYTES)
"""What the input of a coinbase points to."""
SEQUENCE_BYTES: Final = 4
LOCK_TIME_BYTES: Final = 4
VERSION_BYTES: Final = 4
AMOUNT_BYTES: Final = 8
WITNESS_MARK: Final = b"\x00\x01"

_SHORT, _LONG, _LONGER = 0xFD, 0xFE, 0xFF
_UINT16, _UINT32, _INT64 = Struct("<H"), Struct("<I"), Struct("<q")
_TIME = Struct("<68xI")

Coin = tuple[int, bytes]
"""Satoshi and script of an output."""


@dataclass(frozen=True, slots=True)
class RawTransaction:
    """One transaction: its id, the script of its first input, the transactions it spends from, and its outputs."""

    txid: bytes
    first_script: bytes
    spent_txids: list[bytes]
    outputs: list[Coin]


@dataclass(frozen=True, slots=True)
class RawBlock:
    """One serialised block, hashes in the byte order of the network, and where each transaction starts.

    Of all transactions but the coinbase, one after another: the scripts that they pay, how many inputs and outputs each
    has, and what they pay in all.
    """

    content: bytes
    hash: bytes
    previous_hash: bytes
    time: int
    starts: list[int]
    inputs_counts: list[int]
    outputs_counts: list[int]
    paid: list[bytes]
    paid_sat: int

    def transaction(self, number: int) -> RawTransaction:
        """The transaction at this place, the coinbase at 0."""
        return _transaction(self.content, self.starts[number])[0]


@dataclass(frozen=True, slots=True)
class RawSpent:
    """The outputs that all transactions of a block spend, one after another, and how many each of them does."""

    counts: list[int]
    amounts_sat: tuple[int, ...]
    scripts: list[bytes]


class HeaderFacts(msgspec.Struct, rename={"previous_hash": "previousblockhash", "transactions_count": "nTx"}):
    """A header with the further fields of `getblockheader`. `confirmations` is -1 off the active chain.

    `transactions_count` is 0 where the node does not know it.
    """

    hash: str
    height: int
    time: int
    mediantime: int
    difficulty: float
    confirmations: int
    previous_hash: str | None = None
    transactions_count: int = 0


def raw_block(content: bytes) -> RawBlock:
    """Walk a block and check it against its own Merkle root. Raises `ValueError` for anything else."""
    starts, inputs_counts, outputs_counts, txids = [], [], [], []
    paid: list[bytes] = []
    amounts: list[bytes] = []
    try:
        transactions_count, at = _compact(content, HEADER_BYTES)
        for _ in range(transactions_count):
            start = at
            body = at = start + VERSION_BYTES
            has_witness = content[at] == 0 and content[at + 1] == 1
            if has_witness:
                body = at = at + 2
            count = content[at]
            at += 1
            if count >= _SHORT:
                count, at = _compact(content, at - 1)
            for _ in range(count):
                size = content[at + OUTPOINT_BYTES]
                if size < _SHORT:
                    at += OUTPOINT_BYTES + 1 + size + SEQUENCE_BYTES
                else:
                    size, at = _compact(content, at + OUTPOINT_BYTES)
                    at += size + SEQUENCE_BYTES
            outputs_count = content[at]
            at += 1
            if outputs_count >= _SHORT:
                outputs_count, at = _compact(content, at - 1)
            for _ in range(outputs_count):
                script = at + AMOUNT_BYTES
                amounts.append(content[at:script])
                size = content[script]
                if size < _SHORT:
                    script += 1
                else:
                    size, script = _compact(content, script)
                at = script + size
                paid.append(content[script:at])
            if has_witness:
                end = at
                for _ in range(count):
                    items_count = content[at]
                    at += 1
                    if items_count >= _SHORT:
                        items_count, at = _compact(content, at - 1)
                    for _ in range(items_count):
                        size = content[at]
                        if size < _SHORT:
                            at += 1 + size
                        else:
                            size, at = _compact(content, at)
                            at += size
                # The id leaves the witness out.
                hashed = content[start : start + VERSION_BYTES] + content[body:end] + content[at : at + LOCK_TIME_BYTES]
                at += LOCK_TIME_BYTES
            else:
                at += LOCK_TIME_BYTES
                hashed = content[start:at]
            txids.append(sha256(sha256(hashed).digest()).digest())
            starts.append(start)
            inputs_counts.append(count)
            outputs_counts.append(outputs_count)
        coinbase_outputs_count = outputs_counts[0] if outputs_counts else 0
        amounts_sat = unpack(f"<{len(amounts)}q", b"".join(amounts))
    except (IndexError, error) as fault:
        raise ValueError(f"{len(content)} bytes that end early") from fault
    if at != len(content):
        raise ValueError(f"{len(content)} bytes of which a block takes {at}")
    if not txids or _merkle_root(txids) != content[MERKLE_ROOT]:
        raise ValueError("transactions that do not hash to the Merkle root of their header")
    return RawBlock(
        content=content,
        hash=_double_sha256(content[:HEADER_BYTES]),
        previous_hash=content[PREVIOUS_HASH],
        time=_TIME.unpack_from(content)[0],
        starts=starts,
        inputs_counts=inputs_counts[1:],
        outputs_counts=outputs_counts[1:],
        paid=paid[coinbase_outputs_count:],
        paid_sat=sum(amounts_sat[coinbase_outputs_count:]),
    )


def raw_coinbase(content: bytes, block_hash: str) -> RawTransaction:
    """The first transaction of a block, of which `content` is the beginning or all.

    Only the header is checked here; to check that the coinbase belongs to it would take every transaction of the block.

    Raises `EOFError` where `content` ends before the coinbase does, `ValueError` where it is of another block.
    """
    if len(content) < HEADER_BYTES or _displayed(_double_sha256(content[:HEADER_BYTES])) != block_hash:
        raise ValueError(f"{len(content)} bytes of another block")
    try:
        _, at = _compact(content, HEADER_BYTES)
        coinbase, stop = _transaction(content, at)
    except (IndexError, error) as fault:
        raise EOFError(f"{len(content)} bytes that end early") from fault
    if stop > len(content):
        raise EOFError(f"{len(content)} bytes that end early")
    if coinbase.spent_txids != [NOTHING_SPENT]:
        raise ValueError("a first transaction that is not a coinbase")
    return coinbase


def spent_coins(content: bytes) -> RawSpent:
    """The outputs that each transaction of a block spends, none for the coinbase. Raises `ValueError`."""
    counts: list[int] = []
    amounts: list[bytes] = []
    scripts: list[bytes] = []
    try:
        transactions_count, at = _compact(content, 0)
        for _ in range(transactions_count):
            count = content[at]
            at += 1
            if count >= _SHORT:
                count, at = _compact(content, at - 1)
            for _ in range(count):
                script = at + AMOUNT_BYTES
                amounts.append(content[at:script])
                size = content[script]
                if size < _SHORT:
                    script += 1
                else:
                    size, script = _compact(content, script)
                at = script + size
                scripts.append(content[script:at])
            counts.append(count)
        amounts_sat = unpack(f"<{len(amounts)}q", b"".join(amounts))
    except (IndexError, error) as fault:
        raise ValueError(f"{len(content)} bytes that end early") from fault
    if at != len(content):
        raise ValueError(f"{len(content)} bytes of which the spent outputs take {at}")
    return RawSpent(counts, amounts_sat, scripts)


def coinbase_transaction(coinbase: RawTransaction) -> Transaction:
    """The coinbase in the shape of `getblock`."""
    return Transaction(
        txid=_displayed(coinbase.txid),
        vin=(Input(coinbase=coinbase.first_script.hex()),),
        vout=tuple(Output(_amount(sat), Script(code.hex())) for sat, code in coinbase.outputs),
        fee=NO_AMOUNT,
    )


class SerialisedTransactions(BlockTransactions):
    """The transactions of a block out of its bytes and those of what it spent."""

    __slots__ = ("_block", "_coinbase_txids", "_ends", "_spent")

    def __init__(self, block: RawBlock, spent: RawSpent, coinbase_txids: Container[bytes] | None) -> None:
        self._block, self._spent, self._coinbase_txids = block, spent, coinbase_txids
        self._ends = list(accumulate(spent.counts))

    def __len__(self) -> int:
        return len(self._block.starts)

    def _transaction(self, number: int) -> Transaction:
        raw = self._block.transaction(number)
        if number == 0:
            return coinbase_transaction(raw)
        spent = slice(self._ends[number - 1], self._ends[number])
        amounts_sat, scripts = self._spent.amounts_sat[spent], self._spent.scripts[spent]
        known = self._coinbase_txids
        return Transaction(
            txid=_displayed(raw.txid),
            vin=tuple(
                Input(prevout=Prevout(_amount(sat), Script(script.hex()), None if known is None else txid in known))
                for sat, script, txid in zip(amounts_sat, scripts, raw.spent_txids, strict=True)
            ),
            vout=tuple(Output(_amount(sat), Script(code.hex())) for sat, code in raw.outputs),
            fee=_amount(sum(amounts_sat) - sum(sat for sat, _ in raw.outputs)),
        )


def node_block(
    header: HeaderFacts,
    block: RawBlock,
    spent: RawSpent,
    coinbase_txids: Container[bytes] | None = None,
) -> NodeBlock:
    """The block in the shape of `getblock` at verbosity 3, without the heights of spent outputs.

    `generated` follows from `coinbase_txids`, those of all blocks that are 100 below or deeper; without them it is
    None.

    Raises `ValueError` where the three do not belong together.
    """
    if _displayed(block.hash) != header.hash:
        raise ValueError(f"block {_displayed(block.hash)}")
    if spent.counts != [0, *block.inputs_counts]:
        raise ValueError("spent outputs that do not fit the inputs of the block")
    fees_sat = sum(spent.amounts_sat) - block.paid_sat
    if fees_sat < 0:
        raise ValueError(f"fees of {fees_sat} satoshi")
    return NodeBlock(
        hash=header.hash,
        height=header.height,
        time=block.time,
        mediantime=header.mediantime,
        difficulty=header.difficulty,
        tx=SerialisedTransactions(block, spent, coinbase_txids),
        previous_hash=_displayed(block.previous_hash) if header.height else None,
        scripts=BlockScripts(
            list(map(bytes.hex, spent.scripts)),
            block.inputs_counts,
            list(map(bytes.hex, block.paid)),
            block.outputs_counts,
        ),
        fees_sat=fees_sat,
    )


def _compact(content: bytes, at: int) -> tuple[int, int]:
    """Core's `CompactSize` at `at`, and where it ends."""
    first = content[at]
    if first < _SHORT:
        return first, at + 1
    if first == _SHORT:
        return _UINT16.unpack_from(content, at + 1)[0], at + 3
    if first == _LONG:
        return _UINT32.unpack_from(content, at + 1)[0], at + 5
    raise ValueError(f"a count above 32 bits at byte {at}")


def _coin(content: bytes, at: int) -> tuple[Coin, int]:
    (amount_sat,) = _INT64.unpack_from(content, at)
    size_bytes, start = _compact(content, at + _INT64.size)
    return (amount_sat, content[start : start + size_bytes]), start + size_bytes


def _transaction(content: bytes, start: int) -> tuple[RawTransaction, int]:
    at = start + VERSION_BYTES
    has_witness = content[at : at + len(WITNESS_MARK)] == WITNESS_MARK
    body = at + len(WITNESS_MARK) if has_witness else at
    inputs_count, at = _compact(content, body)
    first_script = b""
    spent_txids = []
    for number in range(inputs_count):
        spent_txids.append(content[at : at + TXID_BYTES])
        size_bytes, at = _compact(content, at + OUTPOINT_BYTES)
        if number == 0:
            first_script = content[at : at + size_bytes]
        at += size_bytes + SEQUENCE_BYTES
    outputs_count, at = _compact(content, at)
    outputs = []
    for _ in range(outputs_count):
        coin, at = _coin(content, at)
        outputs.append(coin)
    end = at
    if has_witness:
        for _ in range(inputs_count):
            items_count, at = _compact(content, at)
            for _ in range(items_count):
                size_bytes, at = _compact(content, at)
                at += size_bytes
    stop = at + LOCK_TIME_BYTES
    # The id leaves the witness out.
    hashed = content[start : start + VERSION_BYTES] + content[body:end] + content[at:stop]
    return RawTransaction(_double_sha256(hashed), first_script, spent_txids, outputs), stop


def _double_sha256(content: bytes) -> bytes:
    return sha256(sha256(content).digest()).digest()


def _merkle_root(row: list[bytes]) -> bytes:
    while len(row) > 1:
        if len(row) % 2:
            row = [*row, row[-1]]
        row = [_double_sha256(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _displayed(digest: bytes) -> str:
    """A hash as it is displayed, last byte first."""
    return digest[::-1].hex()


def _amount(amount_sat: int) -> msgspec.Raw:
    """The JSON number of bitcoin that a node would write, so that amounts of both formats have one type."""
    if amount_sat < 0:
        raise ValueError(f"an amount of {amount_sat} satoshi")
    return amount_of(amount_sat)
