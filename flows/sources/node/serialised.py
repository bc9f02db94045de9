"""Blocks as a node stores them: parsed, checked against their hashes, and given the shape of `schemas.node_block`.

Source: Core's `primitives/block.h`, `primitives/transaction.h` (BIP 144 for the witness) and `SerializeBlockUndo` in
`rest.cpp`, the same in 30.0 and 31.0. Each block is checked: its header must hash to the requested hash, and its
transactions to the Merkle root of that header.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct, error
from typing import Final

import msgspec

from schemas.node_block import NO_AMOUNT, Input, NodeBlock, Output, Prevout, Script, Transaction
from schemas.units import SAT_PER_BTC

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
    """One serialised block, hashes in the byte order of the network."""

    hash: bytes
    previous_hash: bytes
    time: int
    transactions: list[RawTransaction]


class HeaderFacts(msgspec.Struct, rename={"previous_hash": "previousblockhash"}):
    """A header with the further fields of `getblockheader`. `confirmations` is -1 off the active chain."""

    hash: str
    height: int
    time: int
    mediantime: int
    difficulty: float
    confirmations: int
    previous_hash: str | None = None


def raw_block(content: bytes) -> RawBlock:
    """Parse a block and check it against its own Merkle root. Raises `ValueError` for anything else."""
    try:
        count, at = _compact(content, HEADER_BYTES)
        transactions = []
        for _ in range(count):
            transaction, at = _transaction(content, at)
            transactions.append(transaction)
    except (IndexError, error) as fault:
        raise ValueError(f"{len(content)} bytes that end early") from fault
    if at != len(content):
        raise ValueError(f"{len(content)} bytes of which a block takes {at}")
    if not transactions or _merkle_root([each.txid for each in transactions]) != content[MERKLE_ROOT]:
        raise ValueError("transactions that do not hash to the Merkle root of their header")
    return RawBlock(
        hash=_double_sha256(content[:HEADER_BYTES]),
        previous_hash=content[PREVIOUS_HASH],
        time=_TIME.unpack_from(content)[0],
        transactions=transactions,
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


def spent_coins(content: bytes) -> list[list[Coin]]:
    """The outputs that each transaction of a block spends, none for the coinbase. Raises `ValueError`."""
    try:
        count, at = _compact(content, 0)
        transactions = []
        for _ in range(count):
            inputs_count, at = _compact(content, at)
            coins = []
            for _ in range(inputs_count):
                coin, at = _coin(content, at)
                coins.append(coin)
            transactions.append(coins)
    except (IndexError, error) as fault:
        raise ValueError(f"{len(content)} bytes that end early") from fault
    if at != len(content):
        raise ValueError(f"{len(content)} bytes of which the spent outputs take {at}")
    return transactions


def coinbase_transaction(coinbase: RawTransaction) -> Transaction:
    """The coinbase in the shape of `getblock`."""
    return Transaction(
        txid=_displayed(coinbase.txid),
        vin=(Input(coinbase=coinbase.first_script.hex()),),
        vout=tuple(Output(_amount(sat), Script(code.hex())) for sat, code in coinbase.outputs),
        fee=NO_AMOUNT,
    )


def node_block(
    header: HeaderFacts,
    block: RawBlock,
    spent: Sequence[Sequence[Coin]],
    coinbase_txids: Container[bytes] | None = None,
) -> NodeBlock:
    """The block in the shape of `getblock` at verbosity 3, without the heights of spent outputs.

    `generated` follows from `coinbase_txids`, those of all blocks that are 100 below or deeper; without them it is
    None.

    Raises `ValueError` where the three do not belong together.
    """
    if _displayed(block.hash) != header.hash:
        raise ValueError(f"block {_displayed(block.hash)}")
    if [len(coins) for coins in spent[1:]] != [len(each.spent_txids) for each in block.transactions[1:]] or spent[0]:
        raise ValueError("spent outputs that do not fit the inputs of the block")
    coinbase, *others = block.transactions
    transactions = [coinbase_transaction(coinbase)]
    for transaction, coins in zip(others, spent[1:], strict=True):
        fee_sat = sum(coin[0] for coin in coins) - sum(coin[0] for coin in transaction.outputs)
        transactions.append(
            Transaction(
                txid=_displayed(transaction.txid),
                vin=tuple(
                    Input(
                        prevout=Prevout(
                            _amount(coin[0]),
                            Script(coin[1].hex()),
                            None if coinbase_txids is None else txid in coinbase_txids,
                        )
                    )
                    for coin, txid in zip(coins, transaction.spent_txids, strict=True)
                ),
                vout=tuple(Output(_amount(coin[0]), Script(coin[1].hex())) for coin in transaction.outputs),
                fee=_amount(fee_sat),
            )
        )
    return NodeBlock(
        hash=header.hash,
        height=header.height,
        time=block.time,
        mediantime=header.mediantime,
        difficulty=header.difficulty,
        tx=transactions,
        previous_hash=_displayed(block.previous_hash) if header.height else None,
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
    return msgspec.Raw(b"%d.%08d" % divmod(amount_sat, SAT_PER_BTC))
