from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rules_by_hand import ByHand
from schemas.miner_set import MinerSet
from tests.attribution.recorded_chain import decoded_blocks, exchanges, recorded_blocks, run
from tests.invocation import made_once
from tests.node.bitcoind import Bitcoind, require
from tests.node.node_command import DAILY, hashpivot
from tests.node.replay_node import ReplayNode, recorded

StartNode = Callable[..., ReplayNode]
StartBitcoind = Callable[..., Bitcoind]


@pytest.fixture(scope="session")
def chain() -> list[dict[str, Any]]:
    """Every recorded block, from the genesis block on."""
    return recorded()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of one undisturbed run from the first block to the tip."""

    def publish(folder: Path) -> None:
        node = ReplayNode(folder / "cookie")
        node.start()
        done = hashpivot(node, folder / "home", *DAILY)
        node.stop()
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "clean", publish) / "home"


@pytest.fixture(scope="module")
def by_hand() -> ByHand:
    """The rules written down a second time, over the whole recorded chain."""
    labelled = exchanges()
    walked = ByHand(labelled, {block.height: block.pool for block in run(decoded_blocks(), MinerSet(), labelled)})
    for block in recorded_blocks():
        walked.walk(block)
    return walked


@pytest.fixture
def start_node(tmp_path: Path, chain: list[dict[str, Any]]) -> Iterator[StartNode]:
    """Start a replay node with these options; it ends with the test."""
    started: list[ReplayNode] = []

    def start(**options: Any) -> ReplayNode:
        node = ReplayNode(tmp_path / f"{len(started)}.cookie", chain=list(chain), **options)
        node.start()
        started.append(node)
        return node

    yield start
    for node in started:
        if node.running:
            node.stop()


@pytest.fixture
def start_bitcoind(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartBitcoind]:
    """Start a real Bitcoin Core on an empty regtest chain, with `-rest=1` or with other options; it ends with the test.

    Skips the test where there is none, and names it as not tested.
    """
    executable = require(request.node.name)
    started: list[Bitcoind] = []

    def start(*options: str, clock: int | None = None) -> Bitcoind:
        node = Bitcoind(executable, tmp_path / f"bitcoind_{len(started)}", options or ("-rest=1",), clock)
        started.append(node)
        node.start()
        return node

    yield start
    for node in started:
        if node.running:
            node.kill()
