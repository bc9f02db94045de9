"""A real Bitcoin Core on regtest: started, mined on, reorganised, restarted with other options, stopped.

The program is `bitcoind-31.0.xz` in the folder `shared/regtest/bin` beside the repository, or what
`HASHPIVOT_TEST_BITCOIND` names: such a folder, or an executable. The archive is unpacked once into the user's cache.
"""

import http.client
import json
import lzma
import os
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from struct import pack
from tempfile import NamedTemporaryFile
from typing import Any, Final

import pytest

from flows.sources.node.serialised import HEADER_BYTES, raw_block

PROGRAM_SETTING: Final = "HASHPIVOT_TEST_BITCOIND"
ARCHIVE: Final = "bitcoind-31.0.xz"
ANYBODY: Final = "raw(51)#8lvh9jxk"
"""The script that everybody can spend, as a descriptor."""
START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
LAST_TRY: Final = 3
OPTIONS: Final = (
    *("-regtest", "-server", "-listen=0", "-connect=0", "-dnsseed=0", "-printtoconsole=0", "-fallbackfee=0.0001"),
    # A chain whose newest block is old is no initial download here.
    "-maxtipage=4000000000",
)
Json = Any


class RefusedError(Exception):
    """A call that the node rejected."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {code} {message}")
        self.code, self.message = code, message


@dataclass(frozen=True)
class Response:
    """One HTTP response."""

    status: int
    kind: str
    body: bytes


@cache
def program() -> Path | None:
    """The executable, unpacked if need be; None where there is none."""
    named = os.environ.get(PROGRAM_SETTING)
    place = Path(named) if named else Path(__file__).parents[3] / "shared" / "regtest" / "bin"
    archive = place / ARCHIVE
    if not archive.is_file():
        return place if named and place.is_file() else None
    packed = archive.read_bytes()
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hashpivot-tests"
    unpacked = cached / f"bitcoind-{sha256(packed).hexdigest()[:16]}"
    if not unpacked.exists():
        cached.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=cached, delete=False) as draft:
            draft.write(lzma.decompress(packed))
        Path(draft.name).chmod(0o755)
        Path(draft.name).replace(unpacked)
    return unpacked


def require(what: str) -> Path:
    """The executable; skips the test with what is then not tested where there is none, or where it does not start."""
    found = program()
    if found is None:
        pytest.skip(f"NOT TESTED on a real Bitcoin Core: {what}; no {ARCHIVE}, set {PROGRAM_SETTING}")
    checked = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    if checked.returncode:
        pytest.skip(f"NOT TESTED on a real Bitcoin Core: {what}; {found}: {checked.stderr.strip()}")
    return found


@dataclass
class Bitcoind:
    """One node with a data folder of its own; `options` are those of the command line, beside `OPTIONS`.

    `clock`: what the node takes for now, in Unix seconds; None for the real time.
    """

    executable: Path
    folder: Path
    options: tuple[str, ...] = ("-rest=1",)
    clock: int | None = None
    port: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _wallets: dict[str, "Wallet"] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Address of its RPC port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie_file(self) -> Path:
        """Made anew at each start."""
        return self.folder / "regtest" / ".cookie"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start, with other `options` if any are given, and wait until it responds."""
        if options:
            self.options = options
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cookie_file.unlink(missing_ok=True)
        for number in range(1, LAST_TRY + 1):
            self.port = self.port or _free_port()
            clock = () if self.clock is None else (f"-mocktime={self.clock}",)
            arguments = (*OPTIONS, *self.options, *clock, f"-datadir={self.folder}", f"-rpcport={self.port}")
            with (self.folder / "output").open("wb") as output:
                self._process = subprocess.Popen(
                    [self.executable, *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL
                )
            try:
                self._await_response()
            except AssertionError:
                self.kill()
                # Another process may have taken the port in between.
                if number == LAST_TRY:
                    raise
                self.port = 0
            else:
                break
        for name in self._wallets:
            with suppress(RefusedError):
                self.call("loadwallet", name)

    def stop(self) -> None:
        """Let it end, which writes all it knows to the disk."""
        assert self._process is not None
        if self.running:
            self.call("stop")
        self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self, *options: str) -> None:
        """Stop and start, with other `options` if any are given, on the same port and data."""
        self.stop()
        self.start(*options)

    def post(self, body: bytes, *, password: str | None = None, path: str = "/") -> Response:
        """The response to `body`, sent with the cookie or with another `password`."""
        user, _, cookie = self.cookie_file.read_text().strip().partition(":")
        token = b64encode(f"{user}:{cookie if password is None else password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        return self._exchange("POST", path, body, headers)

    def get(self, path: str) -> Response:
        """The response to a REST request."""
        return self._exchange("GET", path, None, {})

    def call(self, method: str, *params: Any, wallet: str | None = None) -> Json:
        """The result of one call. Raises `RefusedError`."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = self.post(json.dumps(request).encode(), path=f"/wallet/{wallet}" if wallet else "/")
        content = json.loads(response.body)
        if content.get("error"):
            raise RefusedError(method, content["error"]["code"], content["error"]["message"])
        return content["result"]

    @property
    def height(self) -> int:
        """Of the tip."""
        return int(self.call("getblockcount"))

    def hash(self, height: int) -> str:
        """Of the block of the active chain."""
        return str(self.call("getblockhash", height))

    def set_clock(self, seconds: int) -> None:
        """What the node takes for now, after a restart too."""
        self.clock = seconds
        self.call("setmocktime", seconds)

    def mine(self, count: int, address: str | None = None, *, minutes_apart: float | None = None) -> list[str]:
        """Mine blocks and return their hashes: all at once, or each with a time so long after the block before it.

        To `address`, or to the script that everybody can spend. The first takes what is in the memory pool. With
        `minutes_apart` the clock is set, and no block is of a time before it.
        """
        if minutes_apart is None:
            return self._generate(count, address)
        hashes = []
        for _ in range(count):
            newest = self.call("getblockheader", self.call("getbestblockhash"))["time"]
            self.set_clock(max(round(newest + 60 * minutes_apart), self.clock or 0))
            hashes += self._generate(1, address)
        return hashes

    def mine_claiming(self, coinbase_sat: int, transactions: Sequence[str] = ()) -> str:
        """Mine a block of `transactions` in hexadecimal whose coinbase pays just that to everybody; return its hash."""
        made = bytes.fromhex(self.call("generateblock", ANYBODY, list(transactions), False)["hex"])
        block = with_coinbase_value(made, coinbase_sat)
        rejection = self.call("submitblock", block.hex())
        assert rejection is None, rejection
        return twice(block[:HEADER_BYTES])[::-1].hex()

    def invalidate(self, height: int) -> None:
        """Leave the branch that has the present block at `height`: the tip is then below it."""
        self.call("invalidateblock", self.hash(height))

    def wallet(self, name: str = "miner") -> "Wallet":
        """The wallet of that name, made at the first call, opened again at each start.

        It leaves out blocks of a time before it was made.
        """
        if name not in self._wallets:
            self.call("createwallet", name)
            self._wallets[name] = Wallet(self, name)
        return self._wallets[name]

    def _generate(self, count: int, address: str | None) -> list[str]:
        if address is None:
            return list(self.call("generatetodescriptor", count, ANYBODY))
        return list(self.call("generatetoaddress", count, address))

    def _await_response(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.running, (self.folder / "output").read_text()
            with suppress(OSError, http.client.HTTPException, RefusedError):
                # Calls are rejected with -28 until the chain is read.
                self.call("getblockcount")
                return
            assert time.monotonic() < deadline, f"no response within {START_SECONDS} s"
            time.sleep(0.02)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.headers.get("Content-Type", ""), response.read())
        finally:
            connection.close()


@dataclass
class Wallet:
    """A wallet of one node."""

    node: Bitcoind
    name: str

    def call(self, method: str, *params: Any) -> Json:
        """The result of a call about this wallet."""
        return self.node.call(method, *params, wallet=self.name)

    def address(self, kind: str = "bech32") -> str:
        """A new one: `legacy`, `p2sh-segwit`, `bech32` or `bech32m`."""
        return str(self.call("getnewaddress", "", kind))

    def mine(self, count: int, *, minutes_apart: float | None = None) -> list[str]:
        """Mine blocks to a new address of this wallet."""
        return self.node.mine(count, self.address(), minutes_apart=minutes_apart)

    def send(self, amounts_btc: dict[str, float | str]) -> str:
        """Pay several addresses in one transaction, which the next block takes; return its id."""
        return str(self.call("sendmany", "", amounts_btc))


@contextmanager
def running(
    folder: Path, *options: str, what: str = "what this test checks", clock: int | None = None
) -> Iterator[Bitcoind]:
    """A node on an empty regtest chain in `folder`, with `-rest=1` or with `options`; it ends with the block.

    `what` is named as not tested where there is no Bitcoin Core.
    """
    node = Bitcoind(require(what), folder, options or ("-rest=1",), clock)
    node.start()
    try:
        yield node
    finally:
        if node.running:
            node.kill()


def spending(txid: str, payments_sat: Sequence[tuple[str, int]], vout: int = 0) -> str:
    """A transaction in hexadecimal that spends an output of everybody: scripts in hexadecimal with what they are paid.

    What they leave is the fee. `generateblock` takes it; the memory pool rejects the script.
    """
    outputs = b"".join(
        pack("<q", sat) + bytes([len(script) // 2]) + bytes.fromhex(script) for script, sat in payments_sat
    )
    spent = b"\x01" + bytes.fromhex(txid)[::-1] + pack("<I", vout) + b"\x00\xff\xff\xff\xff"
    return (pack("<I", 2) + spent + bytes([len(payments_sat)]) + outputs + bytes(4)).hex()


def with_coinbase_value(block: bytes, sat: int) -> bytes:
    """`block`, fewer than 253 transactions, with another value of the first output of its coinbase, mined anew."""
    parsed = raw_block(block)
    # Behind header, count of transactions, version, witness mark, count of inputs, outpoint, script and sequence.
    script_at = HEADER_BYTES + 1 + 4 + 2 + 1 + 36
    value_at = script_at + 1 + block[script_at] + 4 + 1
    before = pack("<q", parsed.transaction(0).outputs[0][0])
    assert block[value_at : value_at + 8] == before
    block = block[:value_at] + pack("<q", sat) + block[value_at + 8 :]
    # The id leaves the witness out: the mark, and before the lock time a count, a length and 32 bytes.
    coinbase = block[HEADER_BYTES + 1 : (*parsed.starts[1:], len(block))[0]]
    others = [parsed.transaction(number).txid for number in range(1, len(parsed.starts))]
    row = [twice(coinbase[:4] + coinbase[6:-38] + coinbase[-4:]), *others]
    while len(row) > 1:
        row += row[-1:] * (len(row) % 2)
        row = [twice(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    for nonce in range(2**32):
        header = block[:36] + row[0] + block[68:76] + pack("<I", nonce)
        # The target of regtest: the first bit is zero.
        if twice(header)[-1] < 0x7F:
            return header + block[HEADER_BYTES:]
    raise AssertionError("no nonce")


def twice(content: bytes) -> bytes:
    """The double SHA-256."""
    return sha256(sha256(content).digest()).digest()


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
