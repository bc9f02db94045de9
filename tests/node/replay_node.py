"""A node on loopback that responds from a recorded regtest chain in both JSON-RPC dialects and over REST, with faults.

It is a real HTTP server: keep-alive, Basic authentication with a cookie that changes at each start, batches. Status,
error code and shape of each response are those of Bitcoin Core 31.0, which `test_replay_node.py` holds it to. It knows
only the methods and paths that our code requests; others do not exist, as on a node that is too old for them.
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
PRUNED = (-1, "Block not available (pruned data)")
NO_METHOD = (-32601, "Method not found")
WARMING_UP = (-28, "Loading block index…")
PARAMETERS = {
    "getblockchaininfo": (),
    "getnetworkinfo": (),
    "getchaintips": (),
    "getblockhash": (("height", "number"),),
    "getblockheader": (("blockhash", "string"), ("verbose", "bool")),
    "getblock": (("blockhash", "string"), ("verbosity|verbose", None)),
    "getblockstats": (("hash_or_height", None), ("stats", "array")),
}
"""Of each method: its parameters with their types; None where several are accepted."""
OPTIONAL_FROM = {"getblockheader": 1, "getblock": 1, "getblockstats": 1}
KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object", type(None): "null"}
LARGEST_HEIGHT = 2**31 - 1
HASH_CHARACTERS = 64
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

    def reorganise(self, height: int, *, empty_count: int = 0) -> None:
        """Replace every block from `height` on by one of another branch: the same transactions, other hashes.

        The first `empty_count` blocks of the branch have their coinbase only, and no fees.
        """
        with self._lock:
            self._replace_from(height, empty_count=empty_count)

    def reorganise_when(self, method: str, count: int, height: int) -> None:
        """Reorganise from `height` on at the `count`-th request of `method`."""
        self._reorganise = (method, count, height)

    def _replace_from(self, height: int, *, empty_count: int = 0) -> None:
        branch = self.chain[:height]
        for each in self.chain[height:]:
            block, stats = dict(each["getblock3"]), dict(each["getblockstats"])
            block["previousblockhash"] = branch[-1]["getblock3"]["hash"]
            block["nonce"] += 1
            if each["height"] < height + empty_count:
                coinbase = json.loads(json.dumps(block["tx"][0]))
                claimed = max(coinbase["vout"], key=lambda output: float(output["value"]))
                claimed["value"] = round(claimed["value"] - stats["totalfee"] / SAT_PER_BTC, 8)
                block["tx"], stats["totalfee"] = [coinbase], 0
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
        """The result of one call, or an error as a pair."""
        if method not in PARAMETERS:
            return NO_METHOD
        if wrong := _wrong_params(method, params):
            return wrong
        if method == "getblockchaininfo":
            tip = self.chain[-1]["getblock3"]
            return {
                "chain": "regtest",
                "blocks": tip["height"],
                "headers": tip["height"],
                "bestblockhash": tip["hash"],
                "bits": tip["bits"],
                "difficulty": tip["difficulty"],
                "time": tip["time"],
                "mediantime": tip["mediantime"],
                "initialblockdownload": False,
                "chainwork": tip["chainwork"],
                "size_on_disk": 1_000_000,
                "pruned": False,
                "warnings": [],
                **self.facts,
            }
        if method == "getchaintips":
            tip = self.chain[-1]["getblock3"]
            return [{"height": tip["height"], "hash": tip["hash"], "branchlen": 0, "status": "active"}]
        if method == "getnetworkinfo":
            return {"version": 281000, "subversion": "/Satoshi:28.1.0(inquisition)/", "warnings": [], **self.network}
        if method == "getblockhash":
            (height,) = params
            if not isinstance(height, int):
                return (-1, "JSON integer out of range")
            return self.hash(height) if 0 <= height < len(self.chain) else OUT_OF_RANGE
        if method == "getblockstats" and isinstance(params[0], int):
            if not 0 <= params[0] < len(self.chain):
                return (-8, f"Target block height {params[0]} after current tip {len(self.chain) - 1}")
            params = [self.hash(params[0]), *params[1:]]
        name = "hash_or_height" if method == "getblockstats" else "hash" if method == "getblockheader" else "blockhash"
        if wrong := _wrong_hash(name, params[0]):
            return wrong
        block = self._block(params[0])
        if block is None:
            return NOT_FOUND
        if method == "getblockheader":
            return header_bytes(block).hex() if params[1:] == [False] else _header(block)
        if self._is_pruned(block):
            return PRUNED
        if method == "getblock":
            return _at_verbosity(block, _verbosity(params[1:]))
        # The genesis block was recorded on a node that has no statistics of it.
        stats = self._by_hash[params[0]]["getblockstats"] or _stats_of_genesis(block)
        wanted = (params[1] if len(params) > 1 else None) or stats
        for name in wanted:
            if name not in stats:
                return (-8, f"Invalid selected statistic '{name}'")
        return {name: stats[name] for name in sorted(wanted)}

    def _is_pruned(self, block: Json) -> bool:
        return bool(self.facts.get("pruned")) and block["height"] < self.facts["pruneheight"]

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

    def rest_response(self, path: str) -> tuple[int, bytes, str]:
        """Status, body and type of the response to a REST request."""
        parts = urlsplit(path)
        if parts.path == "/rest/chaininfo.json":
            return 200, _compact(self.result("getblockchaininfo", [])), "application/json"
        half, _, name = parts.path.removeprefix("/rest/").partition("/")
        halves = ("block", "spenttxouts", "blockpart") if self.parts else ("block", "spenttxouts")
        if half not in halves or not name:
            return 404, b"", HTML
        if not name.endswith(".bin"):
            text = f"Invalid hash: {name}" if "." in name else "output format not found (available: .bin, .hex, .json)"
            return _rejected(400 if "." in name else 404, text)
        name = name.removesuffix(".bin")
        start, size = 0, None
        if half == "blockpart":
            query = parse_qs(parts.query)
            for key in ("offset", "size"):
                if not query.get(key, [""])[0].isdecimal():
                    return _rejected(400, f"Block part {key} missing or invalid")
            start, size = int(query["offset"][0]), int(query["size"][0])
        if len(name) != HASH_CHARACTERS:
            return _rejected(400, f"Invalid hash: {name}")
        block = self._block(name)
        if block is None:
            return _rejected(404, f"{name} not found")
        if self._is_pruned(block) and (half != "spenttxouts" or block["height"]):
            return _rejected(404, f"{name} " + (UNDO_GONE if half == "spenttxouts" else "not available (pruned data)"))
        content = spent_bytes(block) if half == "spenttxouts" else block_bytes(block)
        if size is not None:
            if not 0 < size <= len(content) - start:
                return _rejected(400, f"Bad block part offset/size {start}/{size} for {name}")
            content = content[start : start + size]
        return 200, content, "application/octet-stream"


HTML = "text/html; charset=ISO-8859-1"
UNDO_GONE = "undo not available"


def _rejected(status: int, text: str) -> tuple[int, bytes, str]:
    return status, f"{text}\r\n".encode(), "text/plain"


def _compact(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _wrong_params(method: str, params: Any) -> tuple[int, str] | None:
    """The error of parameters that are too many, too few, or of another type."""
    known = PARAMETERS[method]
    if not OPTIONAL_FROM.get(method, len(known)) <= len(params) <= len(known):
        return (-1, f"{method} ...")
    wrong = [
        f'    "Position {number} ({name})": "{_mistyped(value, kind)}"'
        for number, (value, (name, kind)) in enumerate(zip(params, known, strict=False), start=1)
        if kind
        and not (value is None and number > OPTIONAL_FROM.get(method, len(known)))
        and KINDS[type(value)] != kind
    ]
    return (-3, "Wrong type passed:\n{\n" + ",\n".join(wrong) + "\n}") if wrong else None


def _mistyped(value: Any, kind: str) -> str:
    return f"JSON value of type {KINDS[type(value)]} is not of expected type {kind}"


def _wrong_hash(name: str, value: str) -> tuple[int, str] | None:
    if len(value) == HASH_CHARACTERS:
        return None
    return (-8, f"{name} must be of length {HASH_CHARACTERS} (not {len(value)}, for '{value}')")


def _verbosity(given: list[Any]) -> Any:
    """0 to 3, or an error."""
    (verbosity,) = given or [1]
    if verbosity is None:
        return 1
    if isinstance(verbosity, bool):
        return int(verbosity)
    if isinstance(verbosity, float):
        return (-1, "JSON integer out of range")
    if not isinstance(verbosity, int):
        return (-3, _mistyped(verbosity, "number"))
    return max(0, min(verbosity, 3))


def _stats_of_genesis(block: Json) -> Json:
    subsidy_sat = round(block["tx"][0]["vout"][0]["value"] * SAT_PER_BTC)
    return {"blockhash": block["hash"], "height": 0, "subsidy": subsidy_sat, "totalfee": 0}


_NOT_IN_A_HEADER = ("tx", "size", "strippedsize", "weight")


def _header(block: Json) -> Json:
    return {name: value for name, value in block.items() if name not in _NOT_IN_A_HEADER}


def _at_verbosity(block: Json, verbosity: Any) -> Any:
    if isinstance(verbosity, tuple):
        return verbosity
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


JSON = "application/json"


def _error(error: tuple[int, str] | None) -> Json | None:
    return error and {"code": error[0], "message": error[1]}


def _of_1x(result: Any, *, error: tuple[int, str] | None, id: Any = None) -> Json:
    return {"result": result, "error": _error(error), "id": id}


def _malformed(call: Any) -> Json | None:
    """The response to what is no request."""
    if not isinstance(call, dict):
        return _of_1x(None, error=(-32600, "Invalid Request object"))
    message = None
    if call.get("jsonrpc") not in (None, "1.0", "1.1", "2.0"):
        message, call = "JSON-RPC version not supported", {**call, "jsonrpc": None}
    elif "method" not in call:
        message = "Missing method"
    elif not isinstance(call["method"], str):
        message = "Method must be a string"
    elif not isinstance(call.get("params", []), (list, dict)):
        message = "Params must be an array or object"
    if message is None:
        return None
    given = {"id": call["id"]} if "id" in call else {}
    error = _error((-32600, message))
    if call.get("jsonrpc") == "2.0":
        return {"jsonrpc": "2.0", "error": error, **given}
    return {"result": None, "error": error, **given}


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
        if self.path == "/":
            self._send(405, b"JSONRPC server handles only POST requests", HTML)
            return
        half = self.path.removeprefix("/rest/").partition("/")[0]
        fault = self.node.fault(f"/rest/{half}")
        if fault and self._fails(fault):
            return
        if not self.node.rest or not self.path.startswith("/rest/"):
            self._send(404, b"", HTML)
            return
        status, content, kind = self.node.rest_response(self.path)
        self._send(status, content, kind, fault if status == 200 else None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/":
            self._send(404, b"", HTML)
            return
        if not self.node.authorised(self.headers.get("Authorization")):
            self._send(401, b"", HTML, None, {"WWW-Authenticate": 'Basic realm="jsonrpc"'})
            return
        self.node.entered(1)
        try:
            self._respond(body)
        finally:
            self.node.entered(-1)

    def _respond(self, body: bytes) -> None:
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            self._send(500, _compact(_of_1x(None, error=(-32700, "Parse error"))), JSON)
            return
        if not isinstance(request, (dict, list)):
            self._send(500, _compact(_of_1x(None, error=(-32700, "Top-level object parse error"))), JSON)
            return
        if isinstance(request, dict) and (malformed := _malformed(request)):
            self._send(400, _compact(malformed), JSON)
            return
        calls = request if isinstance(request, list) else [request]
        named = next((call["method"] for call in calls if isinstance(call, dict) and "method" in call), "nothing")
        fault = self.node.fault(f"batch {named}" if isinstance(request, list) else named)
        if fault and self._fails(fault):
            return
        responses, statuses = [], []
        for call in calls:
            if malformed := _malformed(call):
                responses.append(malformed)
                continue
            warming = fault and fault.kind == "warming"
            result = WARMING_UP if warming else self.node.result(call["method"], call.get("params", []))
            if call.get("jsonrpc") == "2.0" and "id" not in call:
                continue
            response, status = self._enveloped(call, result)
            responses.append(response)
            statuses.append(status)
        if calls and not responses:
            self.send_response(204)
            self.end_headers()
            return
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
        content = _compact(responses if isinstance(request, list) else responses[0])
        self._send(200 if isinstance(request, list) else statuses[0], content, JSON, fault)

    def _enveloped(self, call: Json, result: Any) -> tuple[Json, int]:
        error = result if isinstance(result, tuple) else None
        if self.node.strict and call.get("jsonrpc") == "2.0":
            outcome = {"error": _error(error)} if error else {"result": result}
            return {"jsonrpc": "2.0", **outcome, "id": call["id"]}, 200
        status = {None: 200, NO_METHOD: 404}.get(error, 500)
        return _of_1x(None if error else result, error=error, **{"id": call.get("id")}), status

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
            "forbidden": (403, b"", HTML),
            "not json": (200, b"<html>Welcome to nginx</html>", "text/html"),
            "empty": (200, b"", "application/json"),
            "not downloaded": (404, b"00 not available (not fully downloaded)\r\n", "text/plain"),
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
