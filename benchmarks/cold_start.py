"""What a first run costs a thousand blocks: coinbases alone, each way a node may give them, against whole blocks.

Run as `python -m benchmarks.cold_start [--quick] [--json]`. A process of its own serves full blocks, serialised as on
the main chain, with every response prepared: what is measured is what it costs us. What it costs a node to look up a
block is not in it, and the main chain's older blocks are smaller: the extrapolation is to a chain of full blocks.
"""

import argparse
import json
import random
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from flows.sources.node.cold_start import ColdStart
from flows.sources.node.connection import Connection
from flows.sources.node.credentials import Password
from flows.sources.node.walk import ChainWalk
from flows.sources.protocol import Shard
from schemas.miner_set import MinerSet
from transforms.attribution.blocks import attribute
from transforms.attribution.pool_names import PoolNames
from warehouse.coinbase_shards import CoinbaseShards
from warehouse.pool_list import read_pool_list

ROOT: Final = Path(__file__).resolve().parent.parent
MAIN_CHAIN_BLOCKS: Final = 977_000
"""Of November 2026."""
TRANSACTIONS: Final = 2_750
INPUTS, OUTPUTS = 2, 2
BLOCKS: Final = 1_000
WHOLE_BLOCKS: Final = 40
ROUNDS: Final = 3
POOL_SCRIPT: Final = bytes.fromhex("0014") + bytes(range(20))
FULL_SUBSIDY_SAT: Final = 312_500_000
WAYS: Final = ("parts", "rest", "rpc")


def main() -> None:
    """Measure and print; as `--serve WAY` be the node."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the blocks, one round")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    figures = measured(quick=chosen.quick)
    print(json.dumps(figures, indent=2) if chosen.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))


def measured(*, quick: bool) -> dict[str, str]:
    """Seconds a thousand blocks, of clock and of our processor, and days for the whole chain by the clock."""
    pools = PoolNames(read_pool_list())
    blocks, whole, rounds = (BLOCKS // 10, WHOLE_BLOCKS // 10, 1) if quick else (BLOCKS, WHOLE_BLOCKS, ROUNDS)
    figures = {}
    for way in WAYS:
        with _node(way) as walk, TemporaryDirectory() as folder:
            start = ColdStart(walk, CoinbaseShards(Path(folder), "main"), pools.pool)
            figures[f"coinbases alone, {way}"] = _timed(partial(_drained, walk, blocks), blocks, rounds)
            if way == "parts":
                shard = partial(start.read, Shard(1, blocks))
                figures["coinbases, statistics and file, parts"] = _timed(shard, blocks, rounds)
            if way == "rest":
                figures["whole blocks as bytes, attributed"] = _timed(
                    partial(_attributed, walk, whole, pools), whole, rounds
                )
    return figures


def _timed(work: Callable[[], object], blocks: int, rounds: int) -> str:
    clock, processor = [], []
    for _ in range(rounds):
        clock_start, processor_start = perf_counter(), process_time()
        work()
        clock.append((perf_counter() - clock_start) * 1000 / blocks)
        processor.append((process_time() - processor_start) * 1000 / blocks)
    hours = median(clock) * MAIN_CHAIN_BLOCKS / 1000 / 3600
    return f"{median(clock):.2f} s a 1,000 blocks ({median(processor):.2f} s of ours), {hours:.1f} h the whole chain"


def _drained(walk: ChainWalk, count: int) -> None:
    for _ in walk.coinbases(1, count):
        pass


def _attributed(walk: ChainWalk, count: int, pools: PoolNames) -> None:
    miners = MinerSet(height=0, block_hash=_chain(0)[0])
    for block in walk.blocks(1, count, previous_hash=miners.block_hash, coinbase_txids=miners.coinbase_txids):
        attribute(block, miners, {}, pools)


class _node:
    """The serving process, as long as the block lasts."""

    def __init__(self, way: str) -> None:
        self._way = way

    def __enter__(self) -> ChainWalk:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cold_start", "--serve", self._way],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        return ChainWalk(Connection(f"http://127.0.0.1:{port}", Password("user", "pass")))

    def __exit__(self, *_: object) -> None:
        self._process.communicate("")


def _twice(content: bytes) -> bytes:
    return sha256(sha256(content).digest()).digest()


def _body() -> tuple[bytes, bytes, bytes]:
    """Transactions of a full block, what they spend, and their Merkle root. Seeded, so that every process agrees."""
    noise = random.Random(7).randbytes
    coinbase = (
        struct.pack("<iBB", 2, 0, 1)
        + b"\x01"
        + bytes(32)
        + b"\xff" * 4
        + b"\x2a\x03\x01\x02\x03/Foundry USA Pool/"
        + noise(42 - 22)
        + b"\xff" * 4
        + b"\x01"
        + struct.pack("<q", FULL_SUBSIDY_SAT)
        + bytes([len(POOL_SCRIPT)])
        + POOL_SCRIPT
        + b"\x01\x20"
        + bytes(32)
        + bytes(4)
    )
    content, spent = [coinbase], [b"\x00"]
    txids = [_twice(coinbase[:4] + coinbase[6:-38] + coinbase[-4:])]
    for number in range(TRANSACTIONS - 1):
        inputs = bytes([INPUTS]) + b"".join(noise(36) + b"\x00" + b"\xff" * 4 for _ in range(INPUTS))
        # Every hundredth pays or is paid by the pool.
        payee = POOL_SCRIPT if number % 100 == 0 else b"\x00\x14" + noise(20)
        outputs = bytes([OUTPUTS]) + b"".join(
            struct.pack("<q", 10_000) + b"\x16" + script for script in (payee, b"\x00\x14" + noise(20))
        )
        witness = (b"\x02\x48" + noise(72) + b"\x21" + noise(33)) * INPUTS
        content.append(struct.pack("<iBB", 2, 0, 1) + inputs + outputs + witness + bytes(4))
        txids.append(_twice(struct.pack("<i", 2) + inputs + outputs + bytes(4)))
        payer = POOL_SCRIPT if number % 100 == 1 else b"\x00\x14" + noise(20)
        spent.append(bytes([INPUTS]) + (struct.pack("<q", 10_000) + b"\x16" + payer) * INPUTS)
    count = b"\xfd" + struct.pack("<H", TRANSACTIONS)
    while len(txids) > 1:
        txids += txids[-1:] * (len(txids) % 2)
        txids = [_twice(left + right) for left, right in zip(txids[::2], txids[1::2], strict=True)]
    return count + b"".join(content), count + b"".join(spent), txids[0]


def _headers() -> list[bytes]:
    root, previous, headers = _body()[2], bytes(32), []
    for height in range(BLOCKS + 1):
        headers.append(
            struct.pack("<i", 2) + previous + root + struct.pack("<III", 1_750_000_000 + 600 * height, 0, height)
        )
        previous = _twice(headers[-1])
    return headers


def _chain(height: int) -> list[str]:
    return [_twice(header)[::-1].hex() for header in _headers()[height : height + 1]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    way = "rpc"
    body = spent = b""
    by_hash: dict[str, tuple[int, bytes]]
    hashes: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        _, _, half, name = path.split("/")
        _, header = self.by_hash[name.removesuffix(".bin")]
        if self.way == "rpc" or (half == "blockpart" and self.way != "parts"):
            self._send(404, b"", "text/html")
        elif half == "spenttxouts":
            self._send(200, self.spent, "application/octet-stream")
        elif half == "blockpart":
            size = int(query.partition("size=")[2])
            self._send(200, (header + self.body[:size])[:size], "application/octet-stream")
        else:
            self._send(200, header + self.body, "application/octet-stream")

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        calls = request if isinstance(request, list) else [request]
        responses = [{"jsonrpc": "2.0", "id": c["id"], "result": self._result(c["method"], c["params"])} for c in calls]
        self._send(
            200, json.dumps(responses if isinstance(request, list) else responses[0]).encode(), "application/json"
        )

    def _result(self, method: str, params: list[Any]) -> Any:
        if method == "getblockhash":
            return self.hashes[params[0]]
        if method == "getblockchaininfo":
            tip = {"blocks": BLOCKS, "headers": BLOCKS, "bestblockhash": self.hashes[-1]}
            return {"chain": "main", "initialblockdownload": False, "pruned": False, **tip}
        if method == "getnetworkinfo":
            return {"version": 310_000, "subversion": "/Satoshi:31.0.0/"}
        height, header = self.by_hash[params[0]]
        if method == "getblock":
            return (header + self.body).hex()
        if method == "getblockstats":
            return {"blockhash": params[0], "height": height, "subsidy": FULL_SUBSIDY_SAT, "totalfee": 0}
        fields = {"hash": params[0], "height": height, "time": 1_750_000_000 + 600 * height, "difficulty": 1.0}
        fields |= {"mediantime": fields["time"], "confirmations": BLOCKS - height + 1}
        return fields | ({"previousblockhash": self.hashes[height - 1]} if height else {})

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(way: str) -> None:
    """Be the node until the standard input ends."""
    headers = _headers()
    _Handler.way = way
    _Handler.body, _Handler.spent, _ = _body()
    _Handler.hashes = [_twice(header)[::-1].hex() for header in headers]
    _Handler.by_hash = {name: (height, headers[height]) for height, name in enumerate(_Handler.hashes)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
