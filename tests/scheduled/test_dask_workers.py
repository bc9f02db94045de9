"""Shards that workers of Dask read: one is killed among them, one is unfit, and none is sent a secret."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from flows.run.plan import plan
from flows.settings import read_profile, read_settings
from flows.sources.protocol import Sharded
from tests.invocation import clean_environment, eventually
from tests.node.node_command import environment, published, tables
from tests.node.replay_node import Fault, ReplayNode
from tests.scheduled.dask_cluster import DASK, MISSING, Cluster

pytestmark = pytest.mark.skipif(not DASK.is_file(), reason=MISSING)

PASSWORD = "correct-horse-battery-staple"
LOGIN = "hashpivot:tr0ub4dor-and-3"
WEBHOOK = "https://hooks.example.org/T0P53CR3T"
SINCE = date(2026, 1, 6)
BATCH, HELD_SECONDS = "batch getblockheader", 10
"""A request of each shard, and how long the node holds two of them, so that both workers are in the middle of one."""
HELD_AFTER_COUNT = 19
"""The run itself makes 11 of them and each shard two, so that some shards are there by then."""
LEAST_SHARDS_COUNT = 6
LONG_SECONDS = 900
"""Far more than a busy machine needs for processes that import much."""

READ = """
import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from datetime import UTC, date, datetime
from flows.run.plan import plan
from flows.scheduled.dask_workers import dask_workers
from flows.settings import read_profile, read_settings

logging.basicConfig(level=logging.INFO)
run = plan(read_settings(), read_profile("node-only"), since=date(2026, 1, 6), now=datetime(2026, 1, 12, tzinfo=UTC))
with closing(run.sources):
    shards = run.sources["node"].shards(run.request())
    with dask_workers(run, "node", len(shards)) as workers, ThreadPoolExecutor(workers.readers_count) as threads:
        print("at once", workers.readers_count, flush=True)
        for done in as_completed([threads.submit(workers.read, shard) for shard in shards]):
            done.result()
    print("left", len(run.sources["node"].shards(run.request())))
"""
"""What the task runner does, without the tasks."""


def settings_of(node: ReplayNode, home: Path) -> dict[str, str]:
    secrets = {"NODE_USER": "rpc", "NODE_PASSWORD": PASSWORD, "ALERT_WEBHOOK_URL": WEBHOOK, "NODE_SHARD_BLOCKS": "100"}
    there = environment(node, home, **{f"HASHPIVOT_{name}": value for name, value in secrets.items()})
    del there["HASHPIVOT_NODE_COOKIE_FILE"]
    return {name: value for name, value in there.items() if name.startswith("HASHPIVOT_")}


def kept(home: Path) -> list[str]:
    """Names of the shards, which hold the digests of their content."""
    folder = home / "warehouse" / "coinbases"
    return sorted(path.name for path in folder.glob("*.parquet"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayNode]:
    node = ReplayNode(tmp_path_factory.mktemp("node") / "cookie", rest=True, user="rpc", password=PASSWORD)
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def by_one_thread(node: ReplayNode, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], int]:
    """The shards of a home that this process alone has read, and how many batches of headers that took."""
    home = tmp_path_factory.mktemp("alone") / "home"
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("HASHPIVOT_")]:
            patched.delenv(name)
        for name, value in settings_of(node, home).items():
            patched.setenv(name, value)
        run = plan(read_settings(), read_profile("node-only"), since=SINCE, now=datetime(2026, 1, 12, tzinfo=UTC))
        with closing(run.sources):
            source = run.sources["node"]
            assert isinstance(source, Sharded)
            before = node.seen[BATCH]
            shards = source.shards(run.request())
            for shard in shards:
                source.read(shard)
            assert source.shards(run.request()) == []
    return kept(home), node.seen[BATCH] - before


@dataclass(frozen=True)
class Reading:
    """What became of one run whose worker was killed."""

    shards: list[str]
    batches_count: int
    stdout: str
    stderr: str
    output: str
    sent: bytes


@pytest.fixture(scope="module")
def reading(
    node: ReplayNode, by_one_thread: tuple[list[str], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reading]:
    """Two workers read beside two that are unfit; one of the two is killed once some shards are there."""
    folder = tmp_path_factory.mktemp("cluster")
    home = folder / "home"
    (folder / "without" / "flows").mkdir(parents=True)
    (folder / "without" / "flows" / "__init__.py").touch()
    settings = settings_of(node, home)
    cluster = Cluster(folder)
    try:
        killed = cluster.add_worker(settings)
        cluster.add_worker(settings)
        cluster.add_worker({"PYTHONPATH": str(folder / "without")})
        cluster.add_worker(settings, profiler={})
        eventually(lambda: cluster.output().count("Registered to") >= len(cluster.workers), "the workers did not start")
        held = Fault("slow", BATCH, times=2, skip=HELD_AFTER_COUNT, seconds=HELD_SECONDS)
        node.faults.append(held)
        before = node.seen[BATCH]
        started = subprocess.Popen(
            [DASK, "-P", "-c", READ],
            cwd=folder,
            env=clean_environment(
                HOME=str(folder), PREFECT_API_AUTH_STRING=LOGIN, HASHPIVOT_DASK_ADDRESS=cluster.address, **settings
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: held.times == 0 or started.poll() is not None, "no shard was read", LONG_SECONDS)
        assert 0 < len(kept(home)) < len(by_one_thread[0]) - 1
        killed.send_signal(signal.SIGKILL)
        stdout, stderr = started.communicate(timeout=LONG_SECONDS)
        node.faults.clear()
        assert started.returncode == 0, stderr + cluster.output()
        yield Reading(kept(home), node.seen[BATCH] - before, stdout, stderr, cluster.output(), cluster.relay.seen)
    finally:
        cluster.stop()


def test_the_shards_of_a_killed_worker_are_read_by_another_with_the_same_result(
    reading: Reading, by_one_thread: tuple[list[str], int]
) -> None:
    shards, batches_count = by_one_thread
    assert len(shards) >= LEAST_SHARDS_COUNT
    assert reading.shards == shards
    workers_count = 2 if sys.version_info < (3, 12) else 3
    assert reading.stdout.splitlines() == [f"at once {workers_count}", "left 0"]
    # What the killed worker had read of its shard was read again, so that it was killed in the middle of one.
    assert batches_count < reading.batches_count < 2 * batches_count


def test_an_unfit_worker_gets_one_line_and_no_shard(reading: Reading) -> None:
    lines = sorted(line.partition("is not used: ")[2] for line in reading.stderr.splitlines() if "is not used" in line)
    assert len(lines) == (2 if sys.version_info < (3, 12) else 1)
    assert lines[-1].startswith("found no such hashpivot")
    assert "No module named 'flows.scheduled'" in lines[-1]
    assert all("Dask's profiler on" in line for line in lines[:-1])


def test_no_secret_is_sent_to_a_worker_or_logged(reading: Reading) -> None:
    assert b"flows.run.workers" in reading.sent, "or nothing was seen"
    assert "Registered to" in reading.output
    for secret in (PASSWORD, LOGIN, LOGIN.partition(":")[2], WEBHOOK):
        assert secret.encode() not in reading.sent
        assert secret not in reading.output + reading.stdout + reading.stderr


@pytest.mark.long
def test_a_backfill_with_a_local_cluster_publishes_what_threads_publish(node: ReplayNode, tmp_path: Path) -> None:
    """The whole command: its own scheduler of Prefect, its own two workers or more, of which one is killed."""
    homes = {runner: tmp_path / runner for runner in ("threads", "dask")}
    threads = backfill("threads", node, homes["threads"])
    output, _ = threads.communicate(timeout=LONG_SECONDS)
    assert threads.returncode == 0, output
    node.faults.append(Fault("slow", BATCH, times=10**6, seconds=1))
    workers = backfill("dask", node, homes["dask"])
    eventually(lambda: kept(homes["dask"]) or workers.poll() is not None, "no shard was read", LONG_SECONDS)
    os.kill(worker_of(workers.pid), signal.SIGKILL)
    output, _ = workers.communicate(timeout=LONG_SECONDS)
    node.faults.clear()
    assert workers.returncode == 0, output
    assert PASSWORD not in output
    assert kept(homes["dask"]) == kept(homes["threads"])
    assert tables(homes["dask"]) == tables(homes["threads"])
    assert published(homes["dask"], "select count(*) from miner_transfer") > [(0,)]


def backfill(runner: str, node: ReplayNode, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [DASK.parent / "hashpivot", "backfill", "--profile", "node-only", "--from", str(SINCE), "--runner", runner],
        cwd=home.parent,
        env=clean_environment(HOME=str(home.parent), **settings_of(node, home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def worker_of(pid: int) -> int:
    """A process that a nanny of Dask below process `pid` has started."""
    children = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in children.splitlines()[1:]]
    return next(int(own) for own, parent, args in rows if int(parent) == pid and "spawn_main" in args)
