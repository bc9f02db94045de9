"""A node on loopback, in a process of its own, with every response prepared: what is measured is the client.

Started as `python -m benchmarks.loopback_node BLOCKS LEAST MOST`. It invents as many blocks of LEAST to MOST
transactions, prepares the bytes of all that a client may request of them, and prints a line of JSON: port, heights,
sizes. Each line on its standard input makes it print another: processor seconds, requests and bytes since the line
before. It ends with its input.

It serves single calls and batches: getblockchaininfo, getnetworkinfo, getblockcount, getblockhash, getblockheader,
getblock at verbosity 2 and 3, getblockstats, and getrawtransaction for whatever the blocks spend.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import process_time
from typing import Any, Final

import msgspec

from benchmarks.invented_blocks import World

SAT_PER_BTC: Final = 10**8
SUBSIDY_SAT: Final = 312_500_000
SEED_OF_THE_SPENT: Final = 8
NOT_IN_A_HEADER: Final = ("tx", "size", "strippedsize", "weight")
Json = dict[str, Any]

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass
class Responses:
    """The bytes of each response: of blocks by hash, of transactions by txid."""

    hashes: dict[int, str] = field(default_factory=dict)
    headers: dict[str, bytes] = field(default_factory=dict)
    without_prevouts: dict[str, bytes] = field(default_factory=dict)
    with_prevouts: dict[str, bytes] = field(default_factory=dict)
    stats: dict[str, bytes] = field(default_factory=dict)
    transactions: dict[str, bytes] = field(default_factory=dict)

    def add(self, content: bytes, sender: World) -> None:
        """Prepare all that can be requested of a block; `sender` invents the transactions that it spends."""
        block = _decode(content)
        name = block["hash"]
        self.hashes[block["height"]] = name
        self.with_prevouts[name] = content
        self.headers[name] = _encode({key: cell for key, cell in block.items() if key not in NOT_IN_A_HEADER})
        fees = sum(tx["fee"] for tx in block["tx"][1:])
        self.stats[name] = _encode(
            {
                "blockhash": name,
                "height": block["height"],
                "subsidy": SUBSIDY_SAT,
                "totalfee": int(fees * SAT_PER_BTC),
            }
        )
        spent: dict[str, dict[int, tuple[str, int]]] = {}
        for tx in block["tx"][1:]:
            for each in tx["vin"]:
                coin = each.pop("prevout")
                paid = (coin["scriptPubKey"]["hex"], int(coin["value"] * SAT_PER_BTC))
                spent.setdefault(each["txid"], {})[each["vout"]] = paid
        self.without_prevouts[name] = _encode(block)
        for txid, paid_of in spent.items():
            self.transactions[txid] = sender.spent_transaction(txid, paid_of).encode()

    @property
    def methods(self) -> dict[str, Callable[..., bytes]]:
        """The response to each call."""
        tip = max(self.hashes)
        chain = {
            "chain": "main",
            "blocks": tip,
            "headers": tip,
            "bestblockhash": self.hashes[tip],
            "initialblockdownload": False,
            "pruned": False,
        }
        network = {"version": 300_000, "subversion": "/Satoshi:30.0.0/"}
        return {
            "getblockchaininfo": lambda: _encode(chain),
            "getnetworkinfo": lambda: _encode(network),
            "getblockcount": lambda: _encode(tip),
            "getblockhash": lambda height: _encode(self.hashes[height]),
            "getblockheader": lambda name, _=True: self.headers[name],
            "getblock": lambda name, verbosity: {2: self.without_prevouts, 3: self.with_prevouts}[verbosity][name],
            "getblockstats": lambda name, _=None: self.stats[name],
            "getrawtransaction": lambda txid, _=1: self.transactions[txid],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    methods: dict[str, Callable[..., bytes]]
    lock = threading.Lock()
    requests_count = 0
    sent_bytes = 0

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_POST(self) -> None:
        request = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        single = not isinstance(request, list)
        content = self._response(request) if single else b"[" + b",".join(map(self._response, request)) + b"]"
        with self.lock:
            _Handler.requests_count += 1
            _Handler.sent_bytes += len(content)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _response(self, call: Json) -> bytes:
        """A call that is not served raises, which closes the connection: a client must not live on errors."""
        result = self.methods[call["method"]](*call["params"])
        return b'{"jsonrpc":"2.0","result":' + result + b',"id":' + _encode(call["id"]) + b"}"


def main() -> None:
    """Prepare, serve, and print what it cost for every line of input."""
    world, sender, responses = World(), World(SEED_OF_THE_SPENT), Responses()
    count, least, most = map(int, sys.argv[1:])
    for block in world.blocks(count, (least, most)):
        responses.add(block, sender)
    _Handler.methods = responses.methods
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sizes = {
        name: round(sum(map(len, getattr(responses, name).values())) / 1e6, 1)
        for name in ("with_prevouts", "without_prevouts", "transactions")
    }
    _print(
        port=server.server_address[1],
        first_height=min(responses.hashes),
        last_height=max(responses.hashes),
        spent_transactions=len(responses.transactions),
        megabytes=sizes,
    )
    before_s = process_time()
    for _ in sys.stdin:
        now_s = process_time()
        _print(cpu_s=now_s - before_s, requested=(_Handler.requests_count, _Handler.sent_bytes / 1e6))
        with _Handler.lock:
            _Handler.requests_count = _Handler.sent_bytes = 0
        before_s = now_s


def _print(**facts: object) -> None:
    print(msgspec.json.encode(facts).decode(), flush=True)


if __name__ == "__main__":
    main()
