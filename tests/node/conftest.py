from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.replay_node import ReplayNode, recorded

StartNode = Callable[..., ReplayNode]


@pytest.fixture(scope="session")
def chain() -> list[dict[str, Any]]:
    """Every recorded block, from the genesis block on."""
    return recorded()


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
