"""After any fault a walk ends as an undisturbed one does, or with an error that states what to do."""

import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from flows.settings import read_settings
from flows.sources.choose import source_context
from flows.sources.node.connection import Connection, RetryPolicy
from flows.sources.node.credentials import Password
from flows.sources.node.kind import chain_walk
from flows.sources.node.walk import ChainWalk
from schemas.errors import (
    BadInputError,
    ChainReorganisedError,
    HashpivotError,
    NodeRefusalError,
    RunOverError,
    SettingsError,
    TransientError,
)
from tests.invocation import eventually
from tests.node.chain_walks import FEW_RETRIES, content, walk_to
from tests.node.replay_node import Fault, ReplayNode

StartNode = Callable[..., ReplayNode]
LAST = 240
SECRET = "correct horse battery staple"


def hashes(walk: ChainWalk, last: int = LAST) -> list[str]:
    return [block.hash for block in walk.blocks(0, last)]


@pytest.mark.parametrize("strict", [True, False], ids=["2.0", "1.x"])
def test_clean_walk_gives_every_block_in_order(start_node: StartNode, strict: bool) -> None:
    node = start_node(strict=strict)
    blocks = list(walk_to(node).blocks(0, LAST))
    assert [block.hash for block in blocks] == [node.hash(height) for height in range(LAST + 1)]
    assert all(child.previous_hash == parent.hash for parent, child in pairwise(blocks))


@pytest.mark.parametrize("strict", [True, False], ids=["2.0", "1.x"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("busy", "*", times=5, skip=20),
        Fault("busy", "getblockchaininfo", times=3),
        Fault("old busy", "getblock", times=5, skip=20),
        Fault("warming", "*", times=6, skip=40),
        Fault("warming", "batch getblockhash", times=2),
        Fault("cut short", "getblock", times=4, skip=10),
        Fault("cut off", "getblock", times=4, skip=10),
        Fault("cut short", "batch getblockheader", times=2),
        Fault("empty", "getblock", times=2, skip=10),
        Fault("reset", "*", times=5, skip=30),
        Fault("slow", "getblock", times=2, skip=30, seconds=0.5),
        Fault("duplicated", "batch getblockhash", times=2),
        Fault("one too many", "batch getblockheader", times=2),
        Fault("shuffled", "batch getblockheader", times=9),
    ],
    ids=lambda fault: f"{fault.kind} {fault.method}",
)
def test_fault_that_passes_changes_nothing(start_node: StartNode, fault: Fault, strict: bool) -> None:
    node = start_node(strict=strict, faults=[Fault(**vars(fault))])
    assert hashes(walk_to(node)) == [node.hash(height) for height in range(LAST + 1)]
    assert node.faults[0].times == 0 or fault.kind == "shuffled"


def test_new_cookie_in_the_middle_of_a_walk_is_read(start_node: StartNode) -> None:
    node = start_node()
    walked = []
    for block in walk_to(node).blocks(0, LAST):
        walked.append(block.hash)
        if block.height in (50, 150):
            node.rotate_cookie()
    assert walked == [node.hash(height) for height in range(LAST + 1)]


def test_restart_in_the_middle_of_a_walk_is_waited_for(start_node: StartNode) -> None:
    node = start_node()
    walked, restarts = [], []
    for block in walk_to(node).blocks(0, LAST):
        walked.append(block.hash)
        if block.height == 100:
            node.stop()
            node.faults.append(Fault("warming", "*", times=5))
            restarts.append(threading.Timer(0.4, node.start))
            restarts[0].start()
    restarts[0].join()
    assert walked == [node.hash(height) for height in range(LAST + 1)]
    assert node.faults[0].times == 0


def test_node_that_stays_unreachable_is_a_transient_error(start_node: StartNode) -> None:
    node = start_node()
    node.stop()
    with pytest.raises(
        TransientError, match=r"no working connection \(.*\), expected a response; see that the node runs"
    ):
        hashes(walk_to(node, FEW_RETRIES))


def test_no_response_is_a_transient_error(start_node: StartNode) -> None:
    node = start_node(faults=[Fault("slow", "getblock", times=99, seconds=1)])
    with pytest.raises(TransientError, match=r"getblock: no complete response within 0\.3 s a part"):
        hashes(walk_to(node, FEW_RETRIES))


@pytest.mark.parametrize(
    ("kind", "method", "expected", "text"),
    [
        ("busy", "getblock", TransientError, "HTTP 503 'Work queue depth exceeded'"),
        ("warming", "getblock", TransientError, "Loading block index"),
        ("cut off", "getblock", TransientError, "bytes of JSON that end early"),
        ("cut short", "getblock", TransientError, "no working connection"),
        ("duplicated", "batch getblockhash", TransientError, "100 responses to 99 calls"),
        ("forbidden", "getblock", SettingsError, "rpcallowip and methods in its rpcwhitelist"),
        ("not json", "getblockchaininfo", BadInputError, "Welcome to nginx"),
        ("wrong shape", "getblockchaininfo", BadInputError, "a response as of Bitcoin Core"),
        ("without undo", "getblock", BadInputError, "without fee or without what they spend"),
    ],
)
def test_fault_that_stays_is_named(
    start_node: StartNode, kind: str, method: str, expected: type[HashpivotError], text: str
) -> None:
    # The first 20 blocks hold a coinbase only, so there is no undo data to miss.
    node = start_node(faults=[Fault(kind, method, times=10_000, skip=120 if method == "getblock" else 0)])
    with pytest.raises(expected, match=text.replace("(", r"\(")) as caught:
        hashes(walk_to(node, FEW_RETRIES))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected", "text"),
    [
        ({"facts": {"chain": "main"}}, SettingsError, "HASHPIVOT_NODE_CHAIN: found 'regtest', expected main"),
        ({"facts": {"initialblockdownload": True, "headers": 9999}}, TransientError, "block 1,533 of 9,999"),
        ({"facts": {"pruned": True, "pruneheight": 500}}, BadInputError, "first block is 500', expected blocks from 0"),
        (
            {"network": {"version": 220000, "subversion": "/Satoshi:22.0.0/"}},
            BadInputError,
            "Bitcoin Core 23.0 or later",
        ),
        ({"network": {"version": 240000, "subversion": "/btcwire:0.5.0/btcd:0.24.0/"}}, BadInputError, "/btcd:0.24.0/"),
    ],
)
def test_node_that_cannot_be_read_is_an_error_with_the_reason(
    start_node: StartNode, options: dict[str, object], expected: type[HashpivotError], text: str
) -> None:
    with pytest.raises(expected, match=text):
        hashes(walk_to(start_node(**options)))


@pytest.mark.parametrize(
    ("version", "rest", "text"),
    [
        (281_000, True, "upgrade the node to Bitcoin Core 31.0 and set rest=1"),
        (300_000, False, "set rest=1 in bitcoin.conf"),
        (300_000, True, "upgrade the node to 31.0, whose parts"),
        (310_000, False, "set rest=1 in bitcoin.conf"),
        (310_000, True, None),
    ],
)
def test_advice_is_what_makes_a_node_faster_to_read(
    start_node: StartNode, version: int, rest: bool, text: str | None
) -> None:
    advice = walk_to(start_node(rest=rest, network={"version": version})).advice()
    assert advice == "" if text is None else text in advice


def test_block_that_is_not_downloaded_yet_is_waited_for(start_node: StartNode) -> None:
    node = start_node(rest=True, faults=[Fault("not downloaded", "/rest/block", times=3, skip=5)])
    assert len(list(walk_to(node).blocks(0, 20, coinbase_txids=frozenset()))) == 21
    assert node.faults[0].times == 0


def test_pruned_node_serves_the_blocks_it_kept(start_node: StartNode) -> None:
    node = start_node(facts={"pruned": True, "pruneheight": 500})
    assert [block.height for block in walk_to(node).blocks(500, 510)] == list(range(500, 511))


def test_block_above_the_tip_is_rejected(start_node: StartNode) -> None:
    with pytest.raises(BadInputError, match=r"a chain of 1,533 blocks', expected block 1,534"):
        list(walk_to(start_node()).blocks(1530, 1534))


def test_settings_lead_to_the_node(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start_node()
    monkeypatch.setenv("HASHPIVOT_NODE_URL", node.url)
    monkeypatch.setenv("HASHPIVOT_NODE_CHAIN", "regtest")
    with pytest.raises(
        SettingsError, match="HASHPIVOT_NODE_COOKIE_FILE: found None, expected a cookie file, or a user"
    ):
        chain_walk(source_context("node", read_settings()))
    monkeypatch.setenv("HASHPIVOT_NODE_USER", "__cookie__")
    monkeypatch.setenv("HASHPIVOT_NODE_PASSWORD", node.password or "")
    assert hashes(chain_walk(source_context("node", read_settings())), 3) == [node.hash(height) for height in range(4)]
    assert node.password
    assert node.password not in repr(read_settings())
    monkeypatch.setenv("HASHPIVOT_NODE_COOKIE_FILE", str(node.cookie_file))
    assert hashes(chain_walk(source_context("node", read_settings())), 3) == [node.hash(height) for height in range(4)]


def test_stale_cookie_is_rejected_in_one_line_without_its_content(start_node: StartNode) -> None:
    node = start_node()
    node.password = SECRET
    with pytest.raises(SettingsError, match="HASHPIVOT_NODE_COOKIE_FILE") as caught:
        hashes(walk_to(node))
    assert node.cookie_file.read_text().partition(":")[2] not in str(caught.value)


def test_missing_cookie_is_named(start_node: StartNode) -> None:
    node = start_node()
    node.cookie_file.unlink()
    with pytest.raises(SettingsError, match=r"No such file or directory', expected a readable file; start the node"):
        hashes(walk_to(node))


def test_user_and_password_are_accepted_and_never_shown(
    start_node: StartNode, caplog: pytest.LogCaptureFixture
) -> None:
    node = start_node(user="reader", password=SECRET)
    url = node.url.replace("//", "//reader:correct%20horse%20battery%20staple@")
    within = ChainWalk(Connection(url, None, retry_policy=FEW_RETRIES), "regtest")
    beside = ChainWalk(Connection(node.url, Password("reader", SECRET), retry_policy=FEW_RETRIES), "regtest")
    caplog.set_level("DEBUG")
    assert hashes(within, 5) == hashes(beside, 5) == [node.hash(height) for height in range(6)]
    assert within.origin == node.url
    node.password = "another"
    found = []
    for walk in (within, beside):
        with pytest.raises(SettingsError) as refused:
            hashes(walk)
        found.append(str(refused.value))
    node.stop()
    with pytest.raises(TransientError) as away:
        hashes(within)
    found += [str(away.value), caplog.text, repr(within), repr(vars(within.connection))]
    assert not any("horse" in each for each in found)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8332", "ftp://127.0.0.1", "http://", "http://u:horse@h:x", "http://u:horse@127.0.0.1:8332/a?b"]
)
def test_address_that_cannot_be_used_is_rejected_without_its_secrets(url: str) -> None:
    with pytest.raises(SettingsError, match="expected an address such as") as caught:
        Connection(url, Password("u", "p"))
    assert "horse" not in str(caught.value)


def test_response_larger_than_any_block_is_not_read(start_node: StartNode) -> None:
    with pytest.raises(BadInputError, match=r"expected at most 4,000"):
        hashes(walk_to(start_node(), largest_response_bytes=4000))


def test_unknown_request_is_an_error_with_its_code(start_node: StartNode) -> None:
    walk = walk_to(start_node())
    with pytest.raises(NodeRefusalError) as caught:
        walk._rpc.call("getblock", ("00" * 32, 3), str)
    assert caught.value.code == -5
    with pytest.raises(NodeRefusalError) as caught:
        walk._rpc.call("getmempoolinfo", (), str)
    assert caught.value.code == -32601


def test_no_more_connections_than_allowed(start_node: StartNode) -> None:
    node = start_node(faults=[Fault("slow", "getblock", times=100, seconds=0.02)])
    assert len(hashes(walk_to(node, connections_count=50))) == LAST + 1
    assert 2 < node.most_at_once <= 8


@pytest.mark.parametrize(
    ("method", "count", "height"),
    [("getblock", 60, 40), ("getblock", 225, 239), ("batch getblockheader", 2, 90), ("batch getblockhash", 3, 150)],
)
def test_reorganisation_is_an_error_and_walking_back_gives_the_new_chain(
    start_node: StartNode, method: str, count: int, height: int
) -> None:
    node = start_node()
    node.reorganise_when(method, count, height)
    walk = walk_to(node)
    stored: dict[int, str] = {}

    def store(from_height: int) -> None:
        for block in walk.blocks(from_height, LAST, previous_hash=stored.get(from_height - 1)):
            stored[block.height] = block.hash

    with pytest.raises(ChainReorganisedError) as signal:
        store(0)
    assert height - 1 <= signal.value.height <= LAST
    fork = walk.fork_height(stored.get, max(stored))
    assert fork is not None
    assert fork < height
    stored = {below: stored[below] for below in range(fork + 1)}
    store(fork + 1)
    assert stored == {each: node.hash(each) for each in range(LAST + 1)}


def test_reorganisation_ahead_of_the_walk_changes_nothing(start_node: StartNode) -> None:
    node = start_node()
    node.reorganise_when("getblock", 60, 230)
    assert hashes(walk_to(node)) == [node.hash(height) for height in range(LAST + 1)]


def test_reorganisation_below_what_is_stored_shows_at_the_first_block(start_node: StartNode) -> None:
    node = start_node()
    walk = walk_to(node)
    stored = {block.height: block.hash for block in walk.blocks(700, 800)}
    node.reorganise(760)
    with pytest.raises(ChainReorganisedError) as caught:
        list(walk.blocks(801, 810, previous_hash=stored[800]))
    assert caught.value.height == 800
    assert walk.fork_height(stored.get, 800) == 759
    node.reorganise(690)
    assert walk.fork_height(stored.get, 800) is None


def test_walk_that_is_left_early_ends_its_threads(start_node: StartNode) -> None:
    walk = walk_to(start_node())
    for block in walk.blocks(0, LAST):
        if block.height == 30:
            break
    del block
    eventually(
        lambda: not any(thread.name.startswith("node") for thread in threading.enumerate()), "the end of the threads"
    )


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("bit flipped", "/rest/block", times=3, skip=20), None),
        (Fault("cut short", "/rest/spenttxouts", times=3, skip=20), None),
        (Fault("cut off", "/rest/spenttxouts", times=3, skip=20), None),
        (Fault("busy", "/rest/block", times=3, skip=20), None),
        (Fault("bit flipped", "/rest/block", times=999, skip=20), "Merkle root"),
        (Fault("pruned", "/rest/block", times=999, skip=20), "pruned"),
    ],
    ids=lambda each: f"{each.kind} {each.method}" if isinstance(each, Fault) else "",
)
def test_blocks_as_bytes_are_checked_against_their_hashes(
    start_node: StartNode, fault: Fault, text: str | None
) -> None:
    node = start_node(rest=True, faults=[Fault(**vars(fault))])
    walk = walk_to(node)
    if text is None:
        blocks = [content(block) for block in walk.blocks(100, 160, coinbase_txids=frozenset())]
        assert blocks == [content(block) for block in walk_to(node).blocks(100, 160)]
    else:
        with pytest.raises(HashpivotError, match=text):
            list(walk_to(node, FEW_RETRIES).blocks(100, 160, coinbase_txids=frozenset()))


class StoppedError(BaseException):
    """What a time limit or a signal raises in the thread of the run."""


def stop(*_: object) -> None:
    raise StoppedError


def test_stop_in_the_middle_waits_for_one_try_and_not_for_all(start_node: StartNode) -> None:
    node = start_node(faults=[Fault("slow", "getblock", times=1_000, skip=20, seconds=3)])
    many = RetryPolicy(attempts_count=100, first_pause_seconds=0.01, longest_pause_seconds=0.01, response_seconds=0.5)
    walk = walk_to(node, many)
    before = signal.signal(signal.SIGALRM, stop)
    began = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.raises(StoppedError):
            hashes(walk)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 20, "a hundred tries would take most of a minute"
    with pytest.raises(RunOverError):
        walk.facts()
