"""Workers in other processes: what they must have in common with a run, what they are sent, what they may use."""

import inspect
import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.run.plan import Run, plan
from flows.run.workers import PACKAGES, ShardWork, Terms, problem_of, read_for_run, software, terms_of
from flows.settings import read_profile, read_settings
from flows.sources.protocol import Shard, Sharded
from flows.sources.share import SharedBudget
from schemas import errors
from tests.invocation import PYTHON, REPOSITORY
from tests.node.node_command import environment
from tests.node.replay_node import ReplayNode, recorded

PASSWORD = "correct-horse-battery-staple"
WEBHOOK = "https://hooks.example.org/T0P53CR3T"
SINCE, NOW = date(2026, 1, 6), datetime(2026, 1, 12, tzinfo=UTC)
READERS_COUNT = 4


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayNode]:
    cookie = tmp_path_factory.mktemp("node") / "cookie"
    node = ReplayNode(cookie, chain=recorded(), rest=True, user="rpc", password=PASSWORD)
    node.start()
    yield node
    node.stop()


@pytest.fixture
def home(node: ReplayNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in the environment of this process, with secrets, as a worker has it too."""
    secrets = {"NODE_USER": "rpc", "NODE_PASSWORD": PASSWORD, "ALERT_WEBHOOK_URL": WEBHOOK, "NODE_SHARD_BLOCKS": "100"}
    there = environment(node, tmp_path / "home", **{f"HASHPIVOT_{name}": value for name, value in secrets.items()})
    del there["HASHPIVOT_NODE_COOKIE_FILE"]
    for name in [name for name in os.environ if name.startswith("HASHPIVOT_")]:
        monkeypatch.delenv(name)
    for name in [name for name in there if name.startswith("HASHPIVOT_")]:
        monkeypatch.setenv(name, there[name])
    return tmp_path / "home"


@contextmanager
def planned() -> Iterator[tuple[Run, Terms]]:
    run = plan(read_settings(), read_profile("node-only"), since=SINCE, now=NOW)
    with closing(run.sources), terms_of(run, "node") as terms:
        yield run, terms


def works(run: Run, terms: Terms) -> list[ShardWork]:
    source = run.sources["node"]
    assert isinstance(source, Sharded)
    shards = source.shards(run.request())
    return [work(terms, shard) for shard in shards]


def work(terms: Terms, shard: Shard) -> ShardWork:
    return ShardWork(terms=terms, shard=shard, readers_count=READERS_COUNT, most_requests_count=None)


def kept(home: Path) -> list[str]:
    """Names of the shards, which hold their digests."""
    return sorted(path.name for path in (home / "warehouse" / "coinbases").iterdir())


def test_shards_that_workers_read_are_those_of_one_thread(
    home: Path, node: ReplayNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with planned() as (run, terms):
        to_read = works(run, terms)
        assert len(to_read) > READERS_COUNT
        node.most_at_once = 0
        with ThreadPoolExecutor(READERS_COUNT) as readers:
            assert set(readers.map(read_for_run, to_read)) == {None}
        assert works(run, terms) == []
        assert 1 < node.most_at_once <= 8
    assert list((home / "web" / "workers").iterdir()) == []
    monkeypatch.setenv("HASHPIVOT_HOME", str(home / "alone"))
    with planned() as (run, terms):
        source = run.sources["node"]
        assert isinstance(source, Sharded)
        for each in to_read:
            source.read(each.shard)
    assert kept(home / "alone") == kept(home)


def test_what_a_worker_is_sent_holds_no_secret(home: Path) -> None:
    with planned() as (_, terms):
        sent = pickle.dumps(work(terms, Shard(0, 99)))
    assert b"regtest" in sent
    for secret in (PASSWORD, WEBHOOK, "rpc", "127.0.0.1"):
        assert secret.encode() not in sent


def test_a_worker_without_the_folder_of_the_run_is_refused_in_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with planned() as (_, terms):
        assert problem_of(terms) == ""
        monkeypatch.setenv("HASHPIVOT_HOME", str(tmp_path / "elsewhere"))
        problem = problem_of(terms)
        with pytest.raises(errors.SettingsError, match="HASHPIVOT_HOME of the worker"):
            read_for_run(work(terms, Shard(0, 99)))
    assert str(tmp_path / "elsewhere") in problem
    assert f"expected the folder {home} of the run" in problem
    assert "\n" not in problem


def test_a_worker_for_another_chain_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with planned() as (_, terms):
        monkeypatch.setenv("HASHPIVOT_NODE_CHAIN", "signet")
        assert problem_of(terms).startswith("family of node at the worker: found 'signet', expected regtest")


def test_a_worker_whose_run_is_over_is_refused(home: Path) -> None:
    with planned() as (_, terms):
        pass
    assert "No such file" in problem_of(terms)


def test_a_worker_with_other_code_is_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package, tmp_path / "other" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    with (tmp_path / "other" / "transforms" / "calendar.py").open("a", encoding="utf-8") as module:
        module.write("# another version\n")
    with planned() as (_, terms):
        (tmp_path / "terms").write_bytes(pickle.dumps(terms))
        code = (
            "import pickle, sys\nsys.path.insert(0, sys.argv[1])\nfrom flows.run.workers import problem_of\n"
            "print(problem_of(pickle.load(open(sys.argv[2], 'rb'))))"
        )
        done = subprocess.run(
            [PYTHON, "-P", "-c", code, tmp_path / "other", tmp_path / "terms"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    (line,) = done.stdout.splitlines()
    assert line.startswith("software of the worker: found 'hashpivot "), done.stderr
    assert line.endswith(f", expected {software()}, as the run has; install the same")


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HashpivotError)]
FACTS: dict[object, object] = {
    str: "block 7",
    str | None: None,
    int: 7,
    object: None,
    datetime: NOW,
    Sequence[str]: ("supply", "holes"),
}
"""A value for each type that an error is made from."""


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_goes_from_process_to_process_with_its_facts(kind: type[errors.HashpivotError]) -> None:
    parameters = inspect.signature(kind).parameters.values()
    error = kind(*(FACTS[parameter.annotation] for parameter in parameters))  # type: ignore[arg-type]
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived), vars(arrived)) == (type(error), str(error), vars(error))
    assert str(error)


@given(
    whole=st.integers(0, 5_000),
    spent=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=40),
)
def test_readers_never_spend_more_than_the_shared_budget(
    tmp_path_factory: pytest.TempPathFactory, whole: int, spent: list[tuple[int, bool]]
) -> None:
    """Each reader takes until it has enough; some are killed and give nothing back."""
    budget = SharedBudget.divided(tmp_path_factory.mktemp("budget") / "requests", whole)
    assert budget.left() == whole
    used = lost = 0
    for wanted, is_killed in spent:
        taken = 0
        while taken < wanted and (more := budget.take()):
            taken += more
        used += min(taken, wanted)
        if is_killed:
            lost += taken - min(taken, wanted)
        else:
            budget.give_back(taken - min(taken, wanted))
    assert used + lost + budget.left() == whole
