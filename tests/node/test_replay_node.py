"""The replay node responds as Bitcoin Core does: the same questions to both, over the same chain."""

import http.client
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.node.bitcoind import Bitcoind, Response, running
from tests.node.replay_node import PARAMETERS, ReplayNode, block_bytes, recorded

UNKNOWN = "00" * 32
MIDDLE, TIP = 700, 1533
PRUNE_TO = 900
FREE_TEXT = {-1: "JSON integer out of range"}
"""Of an error whose message is the help of the method, only the code is compared; not so of these."""
OWN_FACTS = {
    "getblockchaininfo": ("chain", "blocks", "headers", "bestblockhash", "initialblockdownload", "pruned"),
    "getnetworkinfo": (),
}
"""What both nodes have in common of methods that are about the node; of the rest only the types are compared."""


class Nodes(NamedTuple):
    """A real node and a replayed one with the same chain."""

    real: Bitcoind
    replayed: ReplayNode

    def post(self, body: bytes, *, password: str | None = None, path: str = "/") -> tuple[Response, Response]:
        user, _, cookie = self.replayed.cookie_file.read_text().partition(":")
        token = b64encode(f"{user}:{password or cookie}".encode()).decode()
        return self.real.post(body, password=password, path=path), self._of_replayed(
            "POST", path, body, {"Authorization": f"Basic {token}"}
        )

    def get(self, path: str) -> tuple[Response, Response]:
        return self.real.get(path), self._of_replayed("GET", path, None, {})

    def _of_replayed(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.replayed.port, timeout=60)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        found = Response(response.status, response.headers.get("Content-Type", ""), response.read())
        connection.close()
        return found


def both(folder: Path, *options: str, **of_replayed: Any) -> Iterator[Nodes]:
    chain = recorded()
    what = "that the replayed node of the other tests responds as Bitcoin Core"
    with running(folder / "real", *options, what=what) as real:
        for each in chain[1:]:
            assert real.call("submitblock", block_bytes(each["getblock3"]).hex()) is None
        replayed = ReplayNode(folder / "cookie", chain=chain, **of_replayed)
        replayed.start()
        yield Nodes(real, replayed)
        replayed.stop()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    yield from both(tmp_path_factory.mktemp("nodes"), "-rest=1", rest=True, parts=True)


@pytest.fixture(scope="module")
def without_rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    yield from both(tmp_path_factory.mktemp("without"), "-rest=0")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    for each in both(tmp_path_factory.mktemp("pruned"), "-rest=1", "-fastprune", "-prune=1", rest=True, parts=True):
        each.real.call("pruneblockchain", PRUNE_TO)
        first = each.real.call("getblockchaininfo")["pruneheight"]
        assert 1 < first <= PRUNE_TO + 1
        each.replayed.facts = {"pruned": True, "pruneheight": first}
        yield each


def block_hash(height: int) -> str:
    return str(recorded()[height]["getblock3"]["hash"])


GENESIS, HASH, CHILD = block_hash(0), block_hash(MIDDLE), block_hash(MIDDLE + 1)
SIZE_BYTES = len(block_bytes(recorded()[MIDDLE]["getblock3"]))
CALLS: tuple[tuple[Any, ...], ...] = (
    ("getblockchaininfo",),
    ("getnetworkinfo",),
    ("getchaintips",),
    *(("getblockhash", each) for each in (0, 5, TIP, TIP + 1, 99_999, -1, 1.5, "5", None, True, [])),
    ("getblockhash",),
    ("getblockhash", 1, 2),
    *(("getblockheader", *each) for each in ((HASH,), (HASH, True), (HASH, False), (GENESIS, True), (HASH, "true"))),
    *(("getblockheader", each, True) for each in (UNKNOWN, "zz", 5)),
    ("getblockheader",),
    *(("getblock", HASH, each) for each in (0, 1, 2, 3, 4, -1, True, False, None, "3", 1.5)),
    *(("getblock", each, 3) for each in (GENESIS, UNKNOWN, "zz", 5)),
    ("getblock", HASH),
    ("getblock",),
    *(("getblockstats", HASH, each) for each in (["height", "totalfee"], [], ["nonsense"], "height", ["blockhash"])),
    *(("getblockstats", each, ["height", "subsidy"]) for each in (MIDDLE, TIP + 1, UNKNOWN, "zz", GENESIS)),
    ("getblockstats", HASH),
    ("getblockstats",),
    ("nothingofthekind",),
)
BATCHES: tuple[list[Any], ...] = (
    [],
    [1],
    [[]],
    [{}],
    [("getblockhash", 5), ("getblockhash", 99_999), ("nothingofthekind",), ("getblockheader", UNKNOWN, True)],
    [("getblockstats", HASH, ["totalfee"]), ("getblockstats", UNKNOWN, ["totalfee"])],
    [7, ("getblockheader", GENESIS, True)],
)
MALFORMED = (
    b"",
    b"{",
    b"1",
    b"{}",
    b'"text"',
    b"[" * 20_000 + b"]" * 20_000,
    b'{"jsonrpc":"2.0","id":1,"params":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":7,"params":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":"getblockhash","params":7}',
    b'{"jsonrpc":"3.0","id":1,"method":"getblockhash","params":[1]}',
    b'{"jsonrpc":"2.0","method":"getblockhash","params":[1]}',
    b'[{"jsonrpc":"2.0","method":"getblockhash","params":[1]}]',
)
HALVES = ("block", "spenttxouts", "blockpart")
PATHS = (
    *(f"/rest/{half}/{each}" for half in HALVES[:2] for each in (f"{HASH}.bin", f"{GENESIS}.bin", f"{UNKNOWN}.bin")),
    *(f"/rest/{half}/{each}" for half in HALVES[:2] for each in ("zz.bin", f"{HASH[:-2]}.bin", HASH, f"{HASH}.xyz")),
    *(
        f"/rest/blockpart/{name}.bin{query}"
        for name in (HASH, GENESIS, UNKNOWN, "zz")
        for query in (
            *("", "?offset=0", "?size=80", "?offset=-1&size=80", "?offset=x&size=80", "?offset=0&size=0"),
            *("?offset=0&size=80", f"?offset=0&size={SIZE_BYTES}", f"?offset=0&size={SIZE_BYTES + 1}"),
            *("?offset=0&size=16384", f"?offset={SIZE_BYTES}&size=1", f"?offset={SIZE_BYTES + 9}&size=1"),
            *("?offset=200&size=85", "?offset=200&size=86"),
        )
    ),
    "/rest/chaininfo.json",
    "/rest/nothing",
    "/rest/",
    "/nothing",
    "/",
)


def request(number: int, method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def compare(method: str, real: Any, replayed: Any) -> None:
    """One response in either dialect, decoded."""
    assert isinstance(real, dict) == isinstance(replayed, dict)
    assert real.keys() == replayed.keys()
    assert [real.get(name) for name in ("jsonrpc", "id")] == [replayed.get(name) for name in ("jsonrpc", "id")]
    error = real.get("error")
    if error:
        assert replayed["error"]["code"] == error["code"]
        if error["code"] != -1 or error["message"] in FREE_TEXT.values() or "pruned data" in error["message"]:
            assert replayed["error"]["message"] == error["message"]
    else:
        assert replayed.get("error") is None
        compare_result(method, real["result"], replayed["result"])


def compare_result(method: str, real: Any, replayed: Any) -> None:
    if not isinstance(real, dict):
        assert replayed == real
        return
    if method in OWN_FACTS:
        assert {name: type(real[name]) for name in replayed} == {name: type(replayed[name]) for name in replayed}
        assert [replayed[name] for name in OWN_FACTS[method]] == [real[name] for name in OWN_FACTS[method]]
        return
    # The recording is of an older node, which states less.
    assert replayed.keys() <= real.keys()
    for name, value in replayed.items():
        if name != "tx" or isinstance(value[0], str):
            assert value == real[name], name
            continue
        for ours, theirs in zip(value, real[name], strict=True):
            assert ours == theirs


def compare_responses(method: str, found: tuple[Response, Response]) -> None:
    real, replayed = found
    assert (replayed.status, replayed.kind) == (real.status, real.kind)
    if real.kind != "application/json":
        assert replayed.body == real.body
        return
    contents = json.loads(real.body), json.loads(replayed.body)
    assert replayed.body[-1:] == real.body[-1:]
    if isinstance(contents[0], list):
        for each in zip(*contents, strict=True):
            compare(method, *each)
    else:
        compare(method, *contents)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(str(each)[:12] for each in call))
@pytest.mark.parametrize("version", ["2.0", None])
def test_calls_get_the_same_status_code_and_shape(nodes: Nodes, call: tuple[Any, ...], version: str | None) -> None:
    content = request(7, *call) | {"jsonrpc": version}
    body = json.dumps({name: value for name, value in content.items() if value is not None}).encode()
    compare_responses(call[0], nodes.post(body))


def test_every_method_of_the_replayed_node_is_compared() -> None:
    assert {call[0] for call in CALLS} >= PARAMETERS.keys()


@pytest.mark.parametrize("calls", BATCHES, ids=str)
def test_batches_get_the_same(nodes: Nodes, calls: list[Any]) -> None:
    body = [request(number, *call) if isinstance(call, tuple) else call for number, call in enumerate(calls)]
    compare_responses("getblockheader", nodes.post(json.dumps(body).encode()))


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: body[:40].decode())
def test_what_is_no_request_gets_the_same(nodes: Nodes, body: bytes) -> None:
    compare_responses("", nodes.post(body))


def test_the_wrong_password_and_the_wrong_path_get_the_same(nodes: Nodes) -> None:
    body = json.dumps(request(1, "getblockhash", 1)).encode()
    compare_responses("", nodes.post(body, password="wrong"))
    compare_responses("", nodes.post(body, path="/nothing"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.replace(HASH, "HASH").replace(UNKNOWN, "UNKNOWN"))
def test_paths_get_the_same_bytes(nodes: Nodes, path: str) -> None:
    real, replayed = nodes.get(path)
    if path.endswith("chaininfo.json"):
        assert (replayed.status, replayed.kind) == (real.status, real.kind)
        compare_result("getblockchaininfo", json.loads(real.body), json.loads(replayed.body))
    else:
        assert replayed == real


@pytest.mark.parametrize("path", [*PATHS[:2], f"/rest/blockpart/{HASH}.bin?offset=0&size=80", "/rest/chaininfo.json"])
def test_without_rest_no_path_exists(without_rest: Nodes, path: str) -> None:
    real, replayed = without_rest.get(path)
    assert replayed == real
    assert real.status == 404


@pytest.mark.parametrize("height", [0, 1, PRUNE_TO // 2, PRUNE_TO + 300])
def test_a_pruned_block_gets_the_same(pruned: Nodes, height: int) -> None:
    name = block_hash(height)
    for call in (
        *(("getblock", name, verbosity) for verbosity in (0, 1, 3)),
        ("getblockheader", name, True),
        ("getblockstats", name, ["blockhash", "totalfee"]),
    ):
        compare_responses(str(call[0]), pruned.post(json.dumps(request(1, *call)).encode()))
    for path in (f"block/{name}.bin", f"spenttxouts/{name}.bin", f"blockpart/{name}.bin?offset=0&size=80"):
        real, replayed = pruned.get(f"/rest/{path}")
        assert replayed == real


def test_a_block_off_the_chain_gets_the_same(nodes: Nodes, tmp_path: Path) -> None:
    chain = recorded()
    for old in both(tmp_path, "-rest=1", rest=True):
        left = block_hash(TIP)
        old.real.invalidate(TIP)
        old.replayed.chain = chain[:TIP]
        for call in (("getblockheader", left, True), ("getblockhash", TIP), ("getblockstats", left, ["totalfee"])):
            compare_responses(str(call[0]), old.post(json.dumps(request(1, *call)).encode()))
        for path in (f"/rest/block/{left}.bin", f"/rest/spenttxouts/{left}.bin"):
            real, replayed = old.get(path)
            assert replayed == real
