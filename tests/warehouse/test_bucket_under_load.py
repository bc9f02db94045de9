"""A hundred publications to a bucket under readers, and fifty that are killed: always one whole version."""

import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest

from tests.invocation import REPOSITORY, clean_environment, eventually
from tests.object_storage import ObjectStorage
from tests.warehouse.bucket_versions import TIME_SCALE, target, version
from warehouse.targets.finished import FinishedVersion

PUBLISH = """
import sys
from pathlib import Path
from warehouse.targets.bucket import BucketTarget
from warehouse.targets.finished import finished_version
target = BucketTarget(address=sys.argv[1], keep=2, time_scale=float(sys.argv[3]))
print("ready", flush=True)
target.publish(finished_version(Path(sys.argv[2])))
"""


def read_once(store: Any, whole: bool) -> str | None:
    """Read what `latest.json` leads to as the page states it; the version, or None where the folder was pruned."""
    latest = json.loads(bytes(obstore.get(store, "latest.json").bytes()))
    folder = latest["folder"]
    try:
        manifest = bytes(obstore.get(store, f"{folder}/manifest.json").bytes())
        assert hashlib.sha256(manifest).hexdigest() == latest["manifest_sha256"]
        stated = json.loads(manifest)
        assert stated["version"] == latest["version"]
        files = stated["files"] if whole else [each for each in stated["files"] if each["path"].endswith(".parquet")]
        for file in files:
            content = bytes(obstore.get(store, f"{folder}/{file['path']}").bytes())
            assert hashlib.sha256(content).hexdigest() == file["sha256"], file
            if file["path"].startswith("parquet/"):
                seen = set(pl.read_parquet(io.BytesIO(content)).get_column("version"))
                assert seen == {latest["version"]}, (file, seen)
    except FileNotFoundError:
        return None
    return str(latest["version"])


def publish_under_readers(storage: ObjectStorage, address: str, folder: Path, count: int) -> tuple[list[str], int]:
    """Publish `count` versions while three readers read; the versions that they saw, and how often they began anew."""
    target(address, keep=3).publish(version(folder, "v000"))
    seen: list[list[str]] = [[] for _ in range(3)]
    faults: list[BaseException] = []
    restarts: list[int] = []
    ended = threading.Event()

    def read(number: int) -> None:
        store = storage.store(address)
        try:
            while not ended.is_set():
                found = read_once(store, whole=number == 0)
                (restarts.append(number) if found is None else seen[number].append(found))
        except BaseException as error:
            faults.append(error)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, count + 1):
            assert target(address, keep=3).publish(version(folder, f"v{number:03d}")).is_new
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert all(versions == sorted(versions) for versions in seen)
    return [each for versions in seen for each in versions], len(restarts)


def test_readers_see_whole_versions_in_their_order(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    seen, _ = publish_under_readers(storage, address, tmp_path, 6)
    assert len(set(seen)) > 1


@pytest.mark.long
def test_readers_see_whole_versions_under_a_hundred_publications(
    storage: ObjectStorage,
    address: str,
    tmp_path: Path,
) -> None:
    seen, restart_count = publish_under_readers(storage, address, tmp_path, 100)
    assert len(set(seen)) > 30
    assert restart_count < len(seen)


def kill_after(
    storage: ObjectStorage,
    address: str,
    folder: Path,
    write_count: int,
) -> bool:
    """Publish what `folder` has, by a process that is killed after so many writes; whether it was."""
    environment = clean_environment(**storage.environment()) | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", PUBLISH, address, str(folder), str(TIME_SCALE)]
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        before = sum(each.method == "PUT" for each in list(storage.received))

        def is_time() -> bool:
            written = sum(each.method == "PUT" for each in list(storage.received)) - before
            return written >= write_count or process.poll() is not None

        eventually(is_time, "writes of the process")
        process.send_signal(signal.SIGKILL)
        code = process.wait(60)
    eventually(lambda: storage.responded_count == len(storage.received), "requests that do not end")
    return code == -signal.SIGKILL


def kill_campaign(storage: ObjectStorage, address: str, folder: Path, count: int) -> int:
    """Kill `count` publications after some of their writes; each leaves a whole version. How many were killed."""
    shown: FinishedVersion = version(folder, "v000")
    target(address).publish(shown)
    chosen = random.Random(count)
    killed = 0
    for number in range(1, count + 1):
        following = version(folder, f"v{number:03d}")
        with storage.with_faults(pause_seconds=0.002):
            killed += kill_after(storage, address, folder, chosen.randrange(1, len(following.files) + 4))
        found = read_once(storage.store(address), whole=True)
        assert found in (shown.version, following.version)
        if number % 5 == 0 or found == following.version:
            target(address).publish(following)
            shown = following
            assert read_once(storage.store(address), whole=True) == shown.version
    return killed


def test_publication_that_is_killed_leaves_a_whole_version(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    assert kill_campaign(storage, address, tmp_path, 2) > 0


@pytest.mark.long
def test_fifty_publications_that_are_killed_leave_whole_versions(
    storage: ObjectStorage,
    address: str,
    tmp_path: Path,
) -> None:
    assert kill_campaign(storage, address, tmp_path, 50) > 40
