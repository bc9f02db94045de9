"""A block in the shape of `getblock` at verbosity 3: only the fields that attribution reads, decoded in one pass.

Amounts stay the raw bytes of the JSON number until they are needed: most transactions of a block touch no miner,
and a float in between would lose a satoshi.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

DECIMALS: Final = 8
MOST_DIGITS: Final = 17
"""Of an amount in satoshi: the supply has 16."""
NO_AMOUNT: Final = msgspec.Raw(b"")


class Script(msgspec.Struct, gc=False):
    """An output script. Its address is not decoded: nothing reads it, and a block has ten thousand of them."""

    hex: str


class Prevout(msgspec.Struct, gc=False, rename={"script": "scriptPubKey"}):
    """The output that an input spends; `generated`: whether a coinbase made it.

    `generated` is None where the block came as bytes: no node before 32 states it there.
    """

    value: msgspec.Raw
    script: Script
    generated: bool | None = None


class Input(msgspec.Struct, gc=False):
    """One input: `coinbase` in the first transaction of a block, `prevout` in the others if the node has undo data."""

    coinbase: str | None = None
    prevout: Prevout | None = None


class Output(msgspec.Struct, gc=False, rename={"script": "scriptPubKey"}):
    """One output."""

    value: msgspec.Raw
    script: Script


class Transaction(msgspec.Struct, gc=False):
    """One transaction. `fee` is `NO_AMOUNT` for the coinbase and where undo data is missing.

    The garbage collector stops tracking tuples of untracked objects; with lists it would traverse the whole miner set
    every few blocks.
    """

    txid: str
    vin: tuple[Input, ...]
    vout: tuple[Output, ...]
    fee: msgspec.Raw = NO_AMOUNT


class BlockScripts(NamedTuple):
    """The output scripts that all transactions of a block but the coinbase spend and pay, in hexadecimal.

    One transaction after another, with the number of inputs and of outputs of each.
    """

    spent: list[str]
    inputs_counts: list[int]
    paid: list[str]
    outputs_counts: list[int]


class NodeBlock(msgspec.Struct, rename={"previous_hash": "previousblockhash"}):
    """One block. Times are Unix seconds; `previous_hash` is missing for the genesis block.

    A block that came as bytes has its `scripts` and `fees_sat` ready, and makes a transaction when it is read: nearly
    all of them touch no miner.
    """

    hash: str
    height: int
    time: int
    mediantime: int
    difficulty: float
    tx: Sequence[Transaction]
    previous_hash: str | None = None
    scripts: BlockScripts | None = None
    fees_sat: int | None = None


def satoshi(amount: bytes | memoryview | msgspec.Raw) -> int:
    """Satoshi of a JSON number of bitcoin, exactly.

    Raises `ValueError` for more than eight decimals, for more digits than any amount has, or for another text.
    """
    number = bytes(amount)
    if number[-DECIMALS - 1 : -DECIMALS] == b".":  # As every node writes it; the rest is for other writers.
        try:
            return int(number[: -DECIMALS - 1] + number[-DECIMALS:])
        except ValueError:
            pass
    text = number.decode("ascii")
    if "e" in text or "E" in text:
        return _from_exponent(text)
    whole, _, part = text.partition(".")
    if len(part) > DECIMALS:
        raise ValueError(f"{text} has more than {DECIMALS} decimals")
    return int(whole + part.ljust(DECIMALS, "0"))


def amount_of(sat: int) -> msgspec.Raw:
    """The JSON number of bitcoin that a node writes for satoshi."""
    return msgspec.Raw(b"%d.%08d" % divmod(sat, 10**DECIMALS))


def _from_exponent(text: str) -> int:
    """Some nodes write small amounts as 1e-08."""
    try:
        scaled = Decimal(text).scaleb(DECIMALS)
    except ArithmeticError as error:
        raise ValueError(f"{text} is not a number") from error
    if scaled and not 0 <= scaled.adjusted() < MOST_DIGITS:
        raise ValueError(f"{text} is not an amount in whole satoshi")
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{text} has more than {DECIMALS} decimals")
    return int(scaled)
