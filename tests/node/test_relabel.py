"""`hashpivot relabel`: what is published after it is what a run that reads the chain with those labels publishes."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.miner_set import MinerSet
from tests.invocation import COMMAND, run_command
from tests.node.node_command import DAILY, LABELS, environment, hashpivot, published, tables
from tests.node.replay_node import ReplayNode
from warehouse.miner_set import load_miner_set

StartNode = Callable[..., ReplayNode]
RELABEL = ("relabel", "--profile", "node-only")
LENGTH = 600
"""Blocks of the recorded chain that are read: four whole days, with transfers on each."""
MIDDLE = 400
FORK = 550
RAW_TRANSFERS = "select * exclude (revision, batch_id) from raw.current_miner_transfer order by all"
RAW_FLOWS = "select * exclude (revision, batch_id) from raw.latest_miner_block_flow order by all"
CHECK = "select passed, detail from meta.quality where check_name = 'flows are attributed with the present labels'"


def raw(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What counts of the stored flows."""
    with duckdb.connect(home / "warehouse" / "working.duckdb", read_only=True) as connection:
        return {sql: connection.execute(sql).fetchall() for sql in (RAW_TRANSFERS, RAW_FLOWS)}


def layers(home: Path) -> dict[str, Any]:
    """The newest miner set of a home and its name; what is latent depends on the labels before."""
    newest = max((home / "warehouse" / "miner_set").glob("*.bin"))
    miners: MinerSet = load_miner_set(newest)
    layer = miners.one_hop
    return {
        "name": newest.name,
        "hash": miners.block_hash,
        "zero_hop": miners.zero_hop,
        "txids": miners.coinbase_txids,
        "one_hop": (layer.credits, {script: met for script, met in layer.partners.items() if met}, layer.hubs),
    }


def assert_same(home: Path, expected: Path) -> None:
    assert tables(home) == tables(expected)
    assert raw(home) == raw(expected)
    assert layers(home) == layers(expected)
    assert [passed for passed, _ in published(home, CHECK)] == [True]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second of the labels."""
    path = tmp_path_factory.mktemp("labels") / "half.csv"
    head, *rows = LABELS.read_text().splitlines()
    path.write_text("\n".join([head, *rows[::2]]) + "\n")
    return path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of one run over the whole chain with all labels."""
    return home_of_a_run(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, half: Path) -> Path:
    """The home of one run over the whole chain with half of the labels; tests work on copies."""
    return home_of_a_run(tmp_path_factory.mktemp("before"), HASHPIVOT_LABELS_FILE=str(half))


@pytest.fixture
def node(start_node: StartNode) -> ReplayNode:
    """A node with the blocks of `LENGTH`."""
    started = start_node()
    started.chain = started.chain[:LENGTH]
    return started


def home_of_a_run(folder: Path, **changed: str) -> Path:
    node = ReplayNode(folder / "cookie")
    node.chain = node.chain[:LENGTH]
    node.start()
    done = hashpivot(node, folder / "home", *DAILY, **changed)
    node.stop()
    assert done.returncode == 0, done.stderr
    return folder / "home"


@pytest.fixture
def home(tmp_path: Path, before: Path) -> Path:
    return Path(shutil.copytree(before, tmp_path / "home", symlinks=True))


def test_relabelled_history_is_what_a_run_with_those_labels_reads(
    home: Path, clean: Path, half: Path, before: Path, node: ReplayNode
) -> None:
    done = hashpivot(node, home, *RELABEL)
    assert done.returncode == 0, done.stderr
    assert not node.seen
    assert "miner_block_flow rows, 0 new, 600 revised" in done.stderr
    assert_same(home, clean)
    assert tables(home) != tables(before)
    assert published(home, "select distinct reason from meta.revisions") == [("labels",)]
    back = hashpivot(node, home, *RELABEL, HASHPIVOT_LABELS_FILE=str(half))
    assert back.returncode == 0, back.stderr
    assert_same(home, before)


@pytest.mark.long
def test_a_run_with_other_labels_warns_until_relabel_has_run(
    tmp_path: Path, clean: Path, half: Path, node: ReplayNode
) -> None:
    home = tmp_path / "home"
    whole, node.chain = node.chain, node.chain[:MIDDLE]
    assert hashpivot(node, home, *DAILY, HASHPIVOT_LABELS_FILE=str(half)).returncode == 0
    node.chain = whole
    mixed = hashpivot(node, home, *DAILY)
    assert mixed.returncode == 0, mixed.stderr
    ((passed, detail),) = published(home, CHECK)
    first = published(home, "select min(day) from miner_flow_daily")[0][0]
    assert (passed, f"label sets differ from {first} on" in detail) == (False, True)
    assert f"label sets differ from {first} on" in " ".join(mixed.stdout.split())
    assert "hashpivot relabel" in " ".join(mixed.stdout.split())
    done = hashpivot(node, home, *RELABEL)
    assert done.returncode == 0, done.stderr
    assert "label sets differ" not in done.stdout
    assert_same(home, clean)


@pytest.mark.long
def test_blocks_of_a_branch_that_died_are_not_relabelled(
    tmp_path: Path, clean: Path, half: Path, node: ReplayNode
) -> None:
    home = tmp_path / "home"
    labels = {"HASHPIVOT_LABELS_FILE": str(half)}
    whole = node.chain
    node.reorganise(FORK)
    assert hashpivot(node, home, *DAILY, **labels).returncode == 0
    node.chain = whole
    assert hashpivot(node, home, *DAILY, **labels).returncode == 0
    done = hashpivot(node, home, *RELABEL)
    assert done.returncode == 0, done.stderr
    assert_same(home, clean)


@pytest.mark.parametrize(
    "sign", ["miner_transfer rows", pytest.param("miner_block_flow rows", marks=pytest.mark.long), "published"]
)
def test_a_kill_leaves_the_old_figures_or_the_new(
    sign: str, home: Path, before: Path, clean: Path, node: ReplayNode
) -> None:
    killed = subprocess.Popen(
        [COMMAND, *RELABEL], env=environment(node, home), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert killed.stderr is not None
    assert any(sign in line for line in killed.stderr)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    if sign == "published":
        assert tables(home) == tables(clean)
    else:
        assert tables(home) == tables(before)
    again = hashpivot(node, home, *RELABEL)
    assert again.returncode == 0, again.stderr
    assert_same(home, clean)


@pytest.mark.long
def test_between_miner_sets_and_commit_a_run_reports_the_old_labels(home: Path, clean: Path, node: ReplayNode) -> None:
    """What a kill at the worst moment leaves: miner sets of the new labels, flows of the old ones."""
    for path in (home / "warehouse" / "miner_set").iterdir():
        path.unlink()
    shutil.copytree(clean / "warehouse" / "miner_set", home / "warehouse" / "miner_set", dirs_exist_ok=True)
    assert hashpivot(node, home, *DAILY).returncode == 0
    assert [passed for passed, _ in published(home, CHECK)] == [False]
    assert hashpivot(node, home, *RELABEL).returncode == 0
    assert_same(home, clean)


@pytest.mark.long
def test_a_home_from_before_is_relabelled_from_where_candidates_begin(
    tmp_path: Path, half: Path, node: ReplayNode, clean: Path
) -> None:
    home = tmp_path / "home"
    labels = {"HASHPIVOT_LABELS_FILE": str(half)}
    whole, node.chain = node.chain, node.chain[:MIDDLE]
    assert hashpivot(node, home, *DAILY, **labels).returncode == 0
    shutil.rmtree(home / "warehouse" / "candidates")
    none = hashpivot(node, home, *RELABEL)
    assert none.returncode != 0
    assert len(none.stderr.splitlines()) == 1
    assert "hashpivot daily" in none.stderr
    node.chain = whole
    assert hashpivot(node, home, *DAILY, **labels).returncode == 0
    done = hashpivot(node, home, *RELABEL)
    assert done.returncode == 0, done.stderr
    assert f"candidates are kept from block {MIDDLE} on" in " ".join(done.stdout.split())
    zero_hop = (
        f"select height, txid, exchange, transfer_sat from miner_transfer where height >= {MIDDLE} and hop_count = 0"
    )
    assert published(home, f"{zero_hop} order by all") == published(clean, f"{zero_hop} order by all")
    assert [passed for passed, _ in published(home, CHECK)] == [False]


def test_damaged_candidates_are_an_error_that_changes_nothing(home: Path, before: Path, node: ReplayNode) -> None:
    file = min((home / "warehouse" / "candidates").glob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] + b"\0" + content[len(content) // 2 + 1 :])
    done = hashpivot(node, home, *RELABEL)
    assert done.returncode != 0
    assert "expected the candidates of blocks 0 to" in done.stderr
    assert tables(home) == tables(before)
    assert layers(home) == layers(before)


def test_a_profile_without_labels_is_refused(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HASHPIVOT_")}
    done = run_command("relabel", "--home", str(tmp_path / "home"), folder=tmp_path, environment=kept)
    assert done.returncode == 2
    assert "expected one with a source whose flows depend on labels" in done.stderr


def test_json_states_what_was_published(home: Path, node: ReplayNode) -> None:
    done = hashpivot(node, home, *RELABEL, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sources"]["node"]["revised_count"] >= LENGTH
