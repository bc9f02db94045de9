"""A node on loopback that responds from a recorded regtest chain in both JSON-RPC dialects and over REST, with faults.

It is a real HTTP server: keep-alive, Basic authentication with a cookie that changes at each start, batches. Whatever
was not recorded gets status 599 and the text of the request, which no client accepts as a response.
"""

import base64
import gzip
import json
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

RECORDED = Path(__file__).parent / "recorded" / "blocks.ndjson.gz"
BUSY = (503, b"Work queue depth exceeded", "text/html")
OLD_BUSY = (500, b"Work queue depth exceeded", "text/html")
NOT_FOUND = (-5, "Block not found")
OUT_OF_RANGE = (-8, "Block height out of range")
WARMING_UP = (-28, "Loading block index…")
SAT_PER_BTC = 10**8
Json = dict[str, Any]


def recorded() -> list[Json]:
    """Every recorded block: its JSON at verbosity 3 and its statistics, from the genesis block on."""
    with gzip.open(RECORDED) as lines:
        return [json.loads(line) for line in lines]


def twice(content: bytes) -> bytes:
    return sha256(sha256(content).digest()).digest()


def header_bytes(block: Json) -> bytes:
    return (
        struct.pack("<i", block["version"])
        + bytes.fromhex(block.get("previousblockhash", "00" * 32))[::-1]
        + bytes.fromhex(block["merkleroot"])[::-1]
        + struct.pack("<I", block["time"])
        + bytes.fromhex(block["bits"])[::-1]
        + struct.pack("<I", block["nonce"])
    )


def compact(count: int) -> bytes:
    return bytes([count]) if count < 0xFD else b"\xfd" + struct.pack("<H", count)


def block_bytes(block: Json) -> bytes:
    """The serialised block, made from what was recorded."""
    return header_bytes(block) + compact(len(block["tx"])) + b"".join(bytes.fromhex(tx["hex"]) for tx in block["tx"])


def spent_bytes(block: Json) -> bytes:
    """What the block spends, in the layout of `SerializeBlockUndo`."""
    content = compact(len(block["tx"])) + compact(0)
    for tx in block["tx"][1:]:
        content += compact(len(tx["vin"]))
        for spent in tx["vin"]:
            script = bytes.fromhex(spent["prevout"]["scriptPubKey"]["hex"])
            content += struct.pack("<q", round(spent["prevout"]["value"] * SAT_PER_BTC)) + compact(len(script)) + script
    return content


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of `method` (or of a REST path), after `skip` good ones."""

    kind: str
    method: str
    times: int = 1
    skip: int = 0
    seconds: float = 0


@dataclass
class ReplayNode:
    """One node. `strict` responds to 2.0 requests as 28.0 and later do; without, it uses the dialect of 1.x only.

    `rest` gives blocks and what they spend as bytes, as 30.0 does; `parts` gives ranges of bytes too, as 31.0 does.
    """

    cookie_file: Path
    strict: bool = True
    rest: bool = False
    parts: bool = False
    user: str = "__cookie__"
    password: str | None = None
    facts: Json = field(default_factory=dict)
    network: Json = field(default_factory=dict)
    chain: list[Json] = field(default_factory=recorded)
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._at_once = 0
        self._by_hash = {each["getblock3"]["hash"]: each for each in self.chain}
        self._reorganise: tuple[str, int, int] | None = None
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._server is not None

    def hash(self, height: int) -> str:
        return str(self.chain[height]["getblock3"]["hash"])

    def start(self) -> None:
        self.rotate_cookie()
        self._sockets: set[socket.socket] = set()
        node = self

        class Handler(_Handler):
            pass

        Handler.node = node
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """End as a node ends: no new connection, and the open ones are cut."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for each in list(self._sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._server = None

    def rotate_cookie(self) -> None:
        if self.password is None or self.user == "__cookie__":
            with self._lock:
                self.password = secrets.token_hex(32)
                draft = self.cookie_file.with_suffix(".tmp")
                draft.write_text(f"{self.user}:{self.password}")
                draft.replace(self.cookie_file)

    def reorganise(self, height: int) -> None:
        """Replace every block from `height` on by one of another branch: the same transactions, other hashes."""
        with self._lock:
            self._replace_from(height)

    def reorganise_when(self, method: str, count: int, height: int) -> None:
        """Reorganise from `height` on at the `count`-th request of `method`."""
        self._reorganise = (method, count, height)

    def _replace_from(self, height: int) -> None:
        branch = self.chain[:height]
        for each in self.chain[height:]:
            block, stats = dict(each["getblock3"]), dict(each["getblockstats"])
            block["previousblockhash"] = branch[-1]["getblock3"]["hash"]
            block["nonce"] += 1
            block["hash"] = twice(header_bytes(block))[::-1].hex()
            stats["blockhash"] = block["hash"]
            branch.append({"height": each["height"], "getblock3": block, "getblockstats": stats})
            self._by_hash[block["hash"]] = branch[-1]
        self.chain = branch

    def fault(self, method: str) -> Fault | None:
        """The fault that this request meets, if any; also counts it and springs the reorganisation."""
        with self._lock:
            self.seen[method] += 1
            if self._reorganise and self._reorganise[:2] == (method, self.seen[method]):
                self._replace_from(self._reorganise[2])
            for fault in self.faults:
                if fault.method not in (method, "*"):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times:
                    fault.times -= 1
                    return fault
            return None

    def entered(self, change: int) -> None:
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def authorised(self, header: str | None) -> bool:
        with self._lock:
            expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return header == f"Basic {expected}"

    def result(self, method: str, params: list[Any]) -> Any:
        """The result of one call, an error as a pair, or None for what was not recorded."""
        if method == "getblockchaininfo":
            tip = self.chain[-1]["getblock3"]
            return {
                "chain": "regtest",
                "blocks": tip["height"],
                "headers": tip["height"],
                "bestblockhash": tip["hash"],
                "initialblockdownload": False,
                "pruned": False,
                "warnings": [],
                **self.facts,
            }
        if method == "getnetworkinfo":
            return {"version": 281000, "subversion": "/Satoshi:28.1.0(inquisition)/", "warnings": [], **self.network}
        if method == "getblockhash":
            (height,) = params
            return self.hash(height) if 0 <= height < len(self.chain) else OUT_OF_RANGE
        if method == "getblockheader" and params[1:] in ([], [True]):
            block = self._block(params[0])
            return _header(block) if block else NOT_FOUND
        if method == "getblock" and len(params) == 2 and params[1] in (0, 1, 2, 3):
            block = self._block(params[0])
            return _at_verbosity(block, params[1]) if block else NOT_FOUND
        if method == "getblockstats" and isinstance(params[0], str):
            if params[0] not in self._by_hash:
                return NOT_FOUND
            stats = self._by_hash[params[0]]["getblockstats"]
            wanted = params[1] if len(params) > 1 else stats
            return stats and {name: stats[name] for name in sorted(wanted)}
        return None

    def _block(self, block_hash: str) -> Json | None:
        each = self._by_hash.get(block_hash)
        if each is None:
            return None
        block = dict(each["getblock3"])
        height = block["height"]
        active = height < len(self.chain) and self.hash(height) == block_hash
        block["confirmations"] = len(self.chain) - height if active else -1
        block.pop("nextblockhash", None)
        if active and height + 1 < len(self.chain):
            block["nextblockhash"] = self.hash(height + 1)
        return block

    def rest_bytes(self, path: str) -> bytes | None:
        _, _, half, name = urlsplit(path).path.split("/")
        block = self._block(name.removesuffix(".bin"))
        if block is None or not name.endswith(".bin"):
            return None
        if half == "blockpart":
            request = parse_qs(urlsplit(path).query)
            start, size = int(request["offset"][0]), int(request["size"][0])
            content = block_bytes(block)
            return content[start : start + size] if 0 < size <= len(content) - start else None
        return {"block": block_bytes, "spenttxouts": spent_bytes}[half](block)


_NOT_IN_A_HEADER = ("tx", "size", "strippedsize", "weight")


def _header(block: Json) -> Json:
    return {name: value for name, value in block.items() if name not in _NOT_IN_A_HEADER}


def _at_verbosity(block: Json, verbosity: int) -> Any:
    if verbosity == 3:
        return block
    if verbosity == 0:
        return block_bytes(block).hex()
    if verbosity == 1:
        return {**block, "tx": [tx["txid"] for tx in block["tx"]]}
    without = [
        {**tx, "vin": [{name: value for name, value in spent.items() if name != "prevout"} for spent in tx["vin"]]}
        for tx in block["tx"]
    ]
    return {**block, "tx": without}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Cut connections are expected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    node: ReplayNode

    def setup(self) -> None:
        super().setup()
        self.node._sockets.add(self.connection)

    def finish(self) -> None:
        self.node._sockets.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""

    def do_GET(self) -> None:
        half = self.path.removeprefix("/rest/").partition("/")[0]
        fault = self.node.fault(f"/rest/{half}")
        if fault and self._fails(fault):
            return
        known = ("block", "spenttxouts", "blockpart") if self.node.parts else ("block", "spenttxouts")
        if not self.node.rest or half not in known:
            self._send(404, b"", "text/html")
            return
        content = self.node.rest_bytes(self.path)
        if content is None:
            self._send(404, b"not found\r\n", "text/plain")
        else:
            self._send(200, content, "application/octet-stream", fault)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.node.authorised(self.headers.get("Authorization")):
            self._send(401, b"", "text/html", None, {"WWW-Authenticate": 'Basic realm="jsonrpc"'})
            return
        self.node.entered(1)
        try:
            self._respond(body)
        finally:
            self.node.entered(-1)

    def _respond(self, body: bytes) -> None:
        request = json.loads(body)
        calls = request if isinstance(request, list) else [request]
        method = calls[0]["method"] if not isinstance(request, list) else f"batch {calls[0]['method']}"
        fault = self.node.fault(method)
        if fault and self._fails(fault):
            return
        responses, statuses = [], []
        for call in calls:
            result = (
                WARMING_UP if fault and fault.kind == "warming" else self.node.result(call["method"], call["params"])
            )
            if result is None:
                self._send(599, body, "text/plain")
                return
            response, status = self._enveloped(call, result)
            responses.append(response)
            statuses.append(status)
        if fault and fault.kind == "duplicated":
            responses[-1] = responses[0]
        if fault and fault.kind == "one too many":
            responses.append(responses[0])
        if fault and fault.kind == "shuffled":
            responses.reverse()
        if fault and fault.kind == "wrong shape":
            responses = [{**response, "result": {"nothing": "of the kind"}} for response in responses]
        if fault and fault.kind == "without undo":
            coinbase, *others = responses[0]["result"]["tx"]
            bare = [{name: value for name, value in tx.items() if name != "fee"} for tx in others]
            responses[0]["result"] = {**responses[0]["result"], "tx": [coinbase, *bare]}
        content = json.dumps(responses if isinstance(request, list) else responses[0]).encode()
        self._send(200 if isinstance(request, list) else statuses[0], content, "application/json", fault)

    def _enveloped(self, call: Json, result: Any) -> tuple[Json, int]:
        failed = isinstance(result, tuple)
        error = {"code": result[0], "message": result[1]} if failed else None
        if self.node.strict and call.get("jsonrpc") == "2.0":
            outcome = {"error": error} if failed else {"result": result}
            return {"jsonrpc": "2.0", **outcome, "id": call["id"]}, 200
        return {"result": None if failed else result, "error": error, "id": call["id"]}, 500 if failed else 200

    def _fails(self, fault: Fault) -> bool:
        """Whether the fault is the whole response."""
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return False
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return True
        whole = {
            "busy": BUSY,
            "old busy": OLD_BUSY,
            "forbidden": (403, b"", "text/html"),
            "not json": (200, b"<html>Welcome to nginx</html>", "text/html"),
            "empty": (200, b"", "application/json"),
            "pruned": (404, b"00 not available (pruned data)\r\n", "text/plain"),
        }.get(fault.kind)
        if whole is None:
            return False
        self._send(*whole)
        return True

    def _send(
        self, status: int, content: bytes, kind: str, fault: Fault | None = None, headers: dict[str, str] | None = None
    ) -> None:
        sent = content
        if fault and fault.kind in ("cut short", "cut off"):
            sent = content[: len(content) // 2]
        if fault and fault.kind == "bit flipped":
            sent = content[:100] + bytes([content[100] ^ 1]) + content[101:]
        # Cut short: the length shows it. Cut off: the length agrees, only the JSON breaks off.
        size_bytes = len(content) if fault and fault.kind == "cut short" else len(sent)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size_bytes))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)
        if size_bytes != len(sent):
            self.close_connection = True
