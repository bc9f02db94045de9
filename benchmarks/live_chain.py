"""A regtest chain of full blocks on a real Bitcoin Core, made once and kept in the user's cache folder.

Blocks are made here, down to the bytes: thousands of transactions with two or three inputs and outputs each, whose
witnesses are as large as those of signatures, but which everybody can spend. The outputs of one block are spent two or
three blocks later, in a random order, so that what a block spends is spread over the transactions before it. About one
transaction in twenty touches a miner's script.
"""

import hmac
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from struct import pack
from typing import Final

from tests.node.bitcoind import Bitcoind, program
from transforms.chain import BLOCKS_PER_HALVING, subsidy_sat

VERSION: Final = 1
"""Of what the chain holds; another gets a folder of its own."""
REGTEST_BLOCKS_PER_HALVING: Final = 150
RPC_USER, RPC_PASSWORD, RPC_SALT = "user", "pass", "salt"
RPC_AUTH: Final = f"{RPC_USER}:{RPC_SALT}${hmac.digest(RPC_SALT.encode(), RPC_PASSWORD.encode(), 'sha256').hex()}"
OPTIONS: Final = ("-rest=1", "-txindex=1", f"-rpcauth={RPC_AUTH}", "-dbcache=300")
"""bitcoin-etl requests single transactions, which takes an index; ours does not use it."""
COINBASE_MATURITY: Final = 100
FIRST_TIME: Final = 1_767_225_600
SPACING_S: Final = 600
BITS: Final = 0x207FFFFF
FAN_OUT: Final = 450
MIXING: Final = 3
POOLS, EXCHANGE_SCRIPTS = 12, 20
POOL_SHARE, EXCHANGE_SHARE = 0.005, 0.02
"""Of outputs: whoever is paid by a miner is watched too, so that the share of transactions is larger."""
FEE_SAT: Final = 1_000
NULL_OUTPOINT: Final = bytes(32) + b"\xff" * 4
SEQUENCE: Final = b"\xff\xff\xff\xff"
TAG: Final = b"/Foundry USA Pool/"
SIGNATURE_BYTES, KEY_BYTES, NONCE_BYTES = 72, 33, 20
OP_DROP, OP_2DROP, OP_TRUE, OP_RETURN = b"\x75", b"\x6d", b"\x51", b"\x6a"
LARGEST_OP: Final = 16
COMMITMENT: Final = b"\xaa\x21\xa9\xed"


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that can be spent: where it is, what it is worth, and the script that its witness shows."""

    outpoint: bytes
    sat: int
    script: bytes


@dataclass(frozen=True, slots=True)
class LiveChain:
    """A running node and the heights of its full blocks."""

    node: Bitcoind
    heights: range


def opened(blocks_count: int, transactions: tuple[int, int]) -> LiveChain:
    """Start the node on a chain with `blocks_count` full blocks, which is made first where it is not there yet.

    Raises `FileNotFoundError` where there is no Bitcoin Core.
    """
    executable = program()
    if executable is None:
        raise FileNotFoundError("no Bitcoin Core; tests/node/bitcoind.py says where it is expected")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hashpivot-benchmarks"
    folder = cache / f"regtest-{VERSION}-{blocks_count}-{transactions[0]}-{transactions[1]}"
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make(executable, folder, blocks_count, transactions)
        done.touch()
    node = Bitcoind(executable, folder, OPTIONS)
    node.start()
    tip = node.height
    return LiveChain(node, range(tip - blocks_count + 1, tip + 1))


def _make(executable: Path, folder: Path, blocks_count: int, transactions: tuple[int, int]) -> None:
    print(f"making {blocks_count} full blocks in {folder}, once", file=sys.stderr)
    node = Bitcoind(executable, folder, OPTIONS)
    node.start()
    try:
        _Maker(node, Random(14)).make(blocks_count, transactions)
        # A node writes what it knows when it stops.
    finally:
        node.stop()


class _Maker:
    def __init__(self, node: Bitcoind, random: Random) -> None:
        self._node, self._random = node, random
        self._pools = [self._script() for _ in range(POOLS)]
        self._exchanges = _exchange_scripts()
        self._height, self._previous, self._time = 0, bytes.fromhex(node.hash(0))[::-1], FIRST_TIME
        self._coinbases: list[Coin] = []
        self._coins: list[Coin] = []
        self._new: list[Coin] = []
        self._fees_sat = 0

    def make(self, blocks_count: int, transactions: tuple[int, int]) -> None:
        """Coinbases, blocks that divide them, blocks that mix what came of that, and the full blocks."""
        needed = 4 * transactions[1]
        fan_outs_count = needed // FAN_OUT + 1
        for _ in range(COINBASE_MATURITY + fan_outs_count):
            self._mine([])
        mature, self._coinbases = self._coinbases[:fan_outs_count], self._coinbases[fan_outs_count:]
        for start in range(0, fan_outs_count, 40):
            self._mine([self._spend([coin], FAN_OUT) for coin in mature[start : start + 40]])
        # The first ones spend from the large transactions that divided the coinbases.
        for _ in range(MIXING + blocks_count):
            count = self._random.randint(*transactions) - 1
            made = []
            for _ in range(count):
                inputs_count = self._random.choice((1, 2, 2, 3, 4))
                spent = [self._coins.pop() for _ in range(inputs_count)]
                made.append((spent, self._random.choice((1, 2, 2, 3, 4))))
            self._mine([self._spend(spent, outputs_count) for spent, outputs_count in made])

    def _script(self) -> bytes:
        return _script(self._random.randbytes(NONCE_BYTES))

    def _payee(self) -> bytes:
        drawn = self._random.random()
        if drawn < POOL_SHARE:
            return self._random.choice(self._pools)
        return self._random.choice(self._exchanges) if drawn < POOL_SHARE + EXCHANGE_SHARE else self._script()

    def _spend(self, coins: Sequence[Coin], outputs_count: int) -> tuple[bytes, bytes]:
        """A transaction and its id; its outputs can be spent from the next block on."""
        random = self._random
        scripts = [self._payee() for _ in range(outputs_count)]
        sat = (sum(coin.sat for coin in coins) - FEE_SAT) // outputs_count
        inputs = _compact(len(coins)) + b"".join(coin.outpoint + b"\x00" + SEQUENCE for coin in coins)
        outputs = _compact(outputs_count) + b"".join(pack("<q", sat) + _output_script(script) for script in scripts)
        witness = b"".join(
            b"\x03"
            + bytes([SIGNATURE_BYTES])
            + random.randbytes(SIGNATURE_BYTES)
            + bytes([KEY_BYTES])
            + random.randbytes(KEY_BYTES)
            + bytes([len(coin.script)])
            + coin.script
            for coin in coins
        )
        txid = _twice(pack("<i", 2) + inputs + outputs + bytes(4))
        self._new += [Coin(txid + pack("<I", number), sat, script) for number, script in enumerate(scripts)]
        self._fees_sat += sum(coin.sat for coin in coins) - sat * outputs_count
        return pack("<i", 2) + b"\x00\x01" + inputs + outputs + witness + bytes(4), txid

    def _mine(self, transactions: Sequence[tuple[bytes, bytes]]) -> None:
        height, self._height, self._time = self._height + 1, self._height + 1, self._time + SPACING_S
        allowed_sat = subsidy_sat(height * BLOCKS_PER_HALVING // REGTEST_BLOCKS_PER_HALVING)
        pool = self._pools[height % POOLS]
        root = _root([bytes(32), *(_twice(content) for content, _ in transactions)])
        commitment = OP_RETURN + b"\x24" + COMMITMENT + _twice(root + bytes(32))
        text = _number(height) + bytes([len(TAG)]) + TAG
        inputs = b"\x01" + NULL_OUTPOINT + bytes([len(text)]) + text + SEQUENCE
        paid_sat = allowed_sat + self._fees_sat
        outputs = (
            b"\x02" + pack("<q", paid_sat) + _output_script(pool) + bytes(8) + bytes([len(commitment)]) + commitment
        )
        txid = _twice(pack("<i", 2) + inputs + outputs + bytes(4))
        coinbase = pack("<i", 2) + b"\x00\x01" + inputs + outputs + b"\x01\x20" + bytes(32) + bytes(4)
        merkle = _root([txid, *(each for _, each in transactions)])
        head = pack("<i", 0x20000000) + self._previous + merkle + pack("<II", self._time, BITS)
        nonce = next(each for each in range(2**32) if _twice(head + pack("<I", each))[-1] < 0x7F)
        header = head + pack("<I", nonce)
        block = header + _compact(1 + len(transactions)) + coinbase + b"".join(content for content, _ in transactions)
        rejection = self._node.call("submitblock", block.hex())
        if rejection is not None:
            raise ValueError(f"block {height}: {rejection}")
        self._previous = _twice(header)
        self._coinbases.append(Coin(txid + bytes(4), paid_sat, pool))
        self._random.shuffle(self._new)
        # The oldest are taken from the end.
        self._coins = self._new + self._coins
        self._new, self._fees_sat = [], 0


def exchanges() -> dict[str, str]:
    """The output scripts of the exchange, in hexadecimal, with its name."""
    return {_output_script(script)[1:].hex(): "kraken" for script in _exchange_scripts()}


def _exchange_scripts() -> list[bytes]:
    return [_script(sha256(b"exchange %d" % number).digest()[:NONCE_BYTES]) for number in range(EXCHANGE_SCRIPTS)]


def _script(nonce: bytes) -> bytes:
    """One that a signature and a key of any content spend."""
    return bytes([NONCE_BYTES]) + nonce + OP_DROP + OP_2DROP + OP_TRUE


def _output_script(script: bytes) -> bytes:
    return b"\x22\x00\x20" + sha256(script).digest()


def _number(height: int) -> bytes:
    """A height as a script begins with it, in the shortest form."""
    if height <= LARGEST_OP:
        return bytes([OP_TRUE[0] + height - 1])
    size_bytes = height.bit_length() // 8 + 1
    return bytes([size_bytes]) + height.to_bytes(size_bytes, "little")


def _compact(count: int) -> bytes:
    return bytes([count]) if count < 0xFD else b"\xfd" + pack("<H", count)


def _twice(content: bytes) -> bytes:
    return sha256(sha256(content).digest()).digest()


def _root(row: list[bytes]) -> bytes:
    while len(row) > 1:
        row = [*row, *row[-1:] * (len(row) % 2)]
        row = [_twice(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]
