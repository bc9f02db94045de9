"""Blocks that a real node no longer has: retracted with a revision, reported, and counted again when they come back."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.run import pipeline, plan
from flows.run.publish import Outcome
from flows.settings import read_profile, read_settings
from schemas.errors import TransientError
from tests.node.bitcoind import Bitcoind
from tests.node.node_command import LABELS, published, tables
from warehouse.past import open_past

StartBitcoind = Callable[..., Bitcoind]
Run = Callable[[Bitcoind, Path], Outcome]
START = 1_767_225_600
"""2026-01-01 00:00 UTC."""
TOP = 490
COUNTED = "select count(*), max(height) from raw.latest_block"
FLOWS = "select count(*), max(height) from raw.latest_miner_block_flow"


@pytest.fixture
def node(start_bitcoind: StartBitcoind) -> Bitcoind:
    """A chain with 48 blocks on its first day, hundreds within minutes of the second, and 12 hours between others."""
    started = start_bitcoind(clock=START)
    started.mine(80, minutes_apart=30)
    started.mine(400)
    started.mine(10, minutes_apart=720)
    return started


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A whole run over a node."""

    def run_over(node: Bitcoind, home: Path) -> Outcome:
        settings = {"URL": node.url, "COOKIE_FILE": str(node.cookie_file), "CHAIN": "regtest"}
        for name, value in settings.items():
            monkeypatch.setenv(f"HASHPIVOT_NODE_{name}", value)
        monkeypatch.setenv("HASHPIVOT_LABELS_FILE", str(LABELS))
        return pipeline.run_all(plan.plan(read_settings(home=home), read_profile("node-only")))

    return run_over


def query(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "warehouse" / "working.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def noticed(outcome: Outcome) -> str:
    return "\n".join(outcome.ingested[0].notices)


@pytest.mark.long
def test_heights_above_a_lower_tip_are_retracted_and_come_back(node: Bitcoind, tmp_path: Path, run: Run) -> None:
    home, other, fork = tmp_path / "home", tmp_path / "other", TOP - 400
    run(node, home)
    assert query(home, COUNTED) == query(home, FLOWS) == [(TOP + 1, TOP)]
    (crowded,) = published(home, "select block_count from capitulation_daily where day = '2026-01-02'")
    assert crowded[0] > 400
    left_out = "select value from meta.quality where check_name = 'checks that only hold on the main network'"
    assert published(home, left_out)[0][0] > 0

    node.invalidate(fork + 1)
    node.mine(20, node.wallet().address(), minutes_apart=60)
    moment = datetime.now(UTC)
    shorter = run(node, home)
    assert query(home, COUNTED) == query(home, FLOWS) == [(fork + 21, fork + 20)]
    expected = "above block 90, 400 deep; 400 blocks stored before, 91 to 490 of 2026-01-02 to 2026-01-0"
    assert expected in noticed(shorter)
    assert expected in "".join(detail for (detail,) in published(home, "select detail from meta.quality"))
    revised = "select reason, value_before from meta.revisions where item = 'block_count' and day = '2026-01-02'"
    assert published(home, revised) == [("re-organisation", crowded[0])]
    assert published(home, "select distinct reason from meta.revisions") == [("re-organisation",)]
    run(node, other)
    assert tables(home) == tables(other)
    with open_past(home / "warehouse" / "working.duckdb", moment) as past:
        assert [past.execute(sql).fetchone() for sql in (COUNTED, FLOWS)] == [(TOP + 1, TOP)] * 2

    stored = query(home, "select count(*) from raw.block")
    assert "re-organised" not in noticed(run(node, home))
    assert query(home, "select count(*) from raw.block") == stored

    node.mine(400)
    longer = run(node, home)
    assert "re-organised" not in noticed(longer)
    assert query(home, COUNTED) == query(home, FLOWS) == [(TOP + 21, TOP + 20)]
    run(node, other)
    assert tables(home) == tables(other)
    revisions = "select revision, is_retracted from raw.block where height = 490 order by revision"
    assert query(home, revisions) == [(0, False), (1, True), (2, False)]


@pytest.mark.parametrize("known", [pytest.param(450, marks=pytest.mark.long), 5])
def test_a_node_that_is_catching_up_takes_nothing_back(
    node: Bitcoind, start_bitcoind: StartBitcoind, tmp_path: Path, run: Run, known: int
) -> None:
    home, behind = tmp_path / "home", start_bitcoind(clock=node.clock)
    run(node, home)
    blocks = [node.call("getblock", node.hash(height), 0) for height in range(1, TOP + 1)]
    for block in blocks[:known]:
        behind.call("submitblock", block)
    for block in blocks[known:]:
        behind.call("submitheader", block[:160])
    if known == 5:
        with pytest.raises(TransientError, match="wait until the node has caught up"):
            run(behind, home)
    else:
        assert f"the node has {known} of {TOP} blocks" in noticed(run(behind, home))
    assert query(home, COUNTED) == query(home, FLOWS) == [(TOP + 1, TOP)]
    for block in blocks[known:]:
        behind.call("submitblock", block)
    assert "nothing is read" not in noticed(run(behind, home))
    assert query(home, COUNTED) == [(TOP + 1, TOP)]
