"""The same lake with its data files in a bucket, over real HTTP."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pytest

from schemas.errors import TransientError, WarehouseError
from tests.invocation import eventually
from tests.object_storage import KEYS, ObjectStorage
from tests.scheduled.test_postgresql import database
from tests.warehouse.conftest import Start
from tests.warehouse.lake_reader import catalog_in, lake_of
from tests.warehouse.test_ducklake import WRITER, assert_shows, failure, finished, steady, target, written
from tests.warehouse.warehouse_rows import publication
from warehouse.targets import ducklake
from warehouse.targets.ducklake import DuckLakeTarget
from warehouse.targets.finished import Copied, FinishedVersion

__all__ = ["database"]


def noisy(folder: Path, name: str, noise: int = 0) -> FinishedVersion:
    """A version with more new rows than a catalog takes."""
    rows = publication("x", rows=300, noise=noise).tables["price_daily"]
    return finished(folder, steady(name, price_daily=rows))


@pytest.fixture
def lake(address: str, tmp_path: Path) -> str:
    """Of a new lake with its data in a new bucket, where the environment leads."""
    (tmp_path / "lake").mkdir()
    return f"ducklake:sqlite:{tmp_path}/lake/catalog.sqlite?data={address}"


@pytest.fixture(params=["sqlite:catalog.sqlite", pytest.param("catalog.db", marks=pytest.mark.long), "postgres"])
def each(request: pytest.FixtureRequest, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a new lake with each kind of catalog."""
    if request.param == "postgres":
        return f"ducklake:postgres:{catalog_in(request.getfixturevalue('database'), monkeypatch)}?data={address}"
    (tmp_path / "lake").mkdir()
    kind, separator, name = request.param.rpartition(":")
    return f"ducklake:{kind}{separator}{tmp_path}/lake/{name}?data={address}"


@pytest.fixture(autouse=True)
def nothing_secret(tmp_path: Path) -> Iterator[None]:
    """No file of a lake holds what the environment holds."""
    yield
    for path in filter(Path.is_file, (tmp_path / "lake").rglob("*")):
        content = path.read_bytes()
        assert not any(KEYS[name].encode() in content for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))


def test_every_table_is_that_of_the_home_after_two_publications(
    each: str, storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    assert target(each).shown() is None
    first, second = noisy(tmp_path, "v1"), noisy(tmp_path, "v2", noise=1)
    assert target(each).publish(first).is_new
    before = storage.paths(address)
    assert any(path.startswith("main/price_daily/") for path in before)
    copied = target(each).publish(second)
    assert written(copied)[2] == ["price_daily"]
    assert set(before) < set(storage.paths(address))
    assert_shows(each, second)
    with lake_of(each) as lake:
        numbers = lake.execute("select snapshot_id from lake.snapshots() where author = 'hashpivot'").fetchall()
        metadata = lake.execute("from __ducklake_metadata_lake.ducklake_metadata").fetchall()
    assert_shows(each, first, f"at (version => {min(numbers)[0]})")
    assert not any(secret in str(metadata) for secret in (KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_ACCESS_KEY_ID"]))
    assert target(each).publish(second) == Copied(version="v2", is_new=False)
    assert str(target(each).shown()) == f"Shown(version='v2', day='{second.stated['day']}')"


def test_what_is_not_kept_goes_from_the_bucket_with_what_a_killed_attempt_left(
    lake: str, storage: ObjectStorage, address: str, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = noisy(tmp_path, "v0")
    target(lake).publish(first)
    noisy(tmp_path, "v1", noise=1)
    released = threading.Event()
    with storage.with_faults(held=".parquet", released=released):
        count = len(storage.received)
        writer = start(WRITER, lake, python=sys.executable)
        assert writer.stdin is not None
        writer.stdin.write(f"{tmp_path}\n")
        writer.stdin.flush()
        eventually(lambda: any(one.method == "PUT" for one in storage.received[count:]), "no write")
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(60)
        released.set()
    assert_shows(lake, first)

    obstore.put(storage.store(address), "main/price_daily/left.parquet", b"PAR1")
    stayed = set(storage.paths(address))
    # Files of readers and of writers that are still at work stay for a day; here there are none.
    monkeypatch.setattr(ducklake, "LEFT_HOURS", 0)
    for number in (2, 3):
        last = noisy(tmp_path, f"v{number}", noise=number)
        assert target(lake, keep=1).publish(last).pruned
    assert_shows(lake, last)
    with lake_of(lake) as reader:
        assert reader.execute("select count(*) from lake.snapshots()").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error, match="No snapshot found at version 1"):
            reader.execute("from deal at (version => 1)")
        named = "select path from __ducklake_metadata_lake.ducklake_data_file union all "
        named += "select path from __ducklake_metadata_lake.ducklake_delete_file"
        kept = {path for (path,) in reader.execute(named).fetchall()}
    found = storage.paths(address)
    assert {path.rpartition("/")[2] for path in found} == kept
    assert stayed - set(found)
    assert "main/price_daily/left.parquet" not in found


def test_of_two_writers_that_cross_one_publishes_and_the_other_is_one_line_of_the_bucket(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target(lake).publish(finished(tmp_path / "both", steady("v0")))
    slow, quick = noisy(tmp_path / "slow", "v1"), noisy(tmp_path / "quick", "v2", noise=2)
    write_control_row = ducklake._write_control_row

    def cross(*arguments: Any) -> None:
        """Publish the other version while this one is written, as its last step."""
        monkeypatch.setattr(ducklake, "_write_control_row", write_control_row)
        target(lake).publish(quick)
        write_control_row(*arguments)

    monkeypatch.setattr(ducklake, "_write_control_row", cross)
    assert "found version v2, which another writer has published meanwhile" in str(failure(lake, slow))
    assert_shows(lake, quick)


def line_of(lake: str, found: FinishedVersion, storage: ObjectStorage, kind: type) -> str:
    error = failure(lake, found)
    assert isinstance(error, kind)
    line = str(error)
    assert line.startswith(f"target {lake}: found ")
    secrets = (KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_ACCESS_KEY_ID"], storage.url.partition("//")[2])
    assert not any(secret in line for secret in secrets), line
    return line


def test_storage_that_fails_is_one_line_and_readers_keep_the_version_before(
    lake: str, storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = noisy(tmp_path, "v1")
    with storage.without_access():
        assert "found the key rejected (InvalidAccessKeyId 403)" in line_of(lake, first, storage, WarehouseError)
    assert not (tmp_path / "lake" / "catalog.sqlite").exists()
    target(lake).publish(first)
    second = noisy(tmp_path, "v2", noise=1)
    with storage.without_access():
        line_of(lake, second, storage, WarehouseError)
    with storage.with_faults(status="503 Slow Down"):
        assert "found 503, expected a response" in line_of(lake, second, storage, TransientError)
    with storage.with_faults(status="400 Bad Request"):
        line = line_of(lake, second, storage, WarehouseError)
        assert "found 400, expected the request to be accepted; look at AWS_REGION" in line
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    assert "found no response, expected a response" in line_of(lake, second, storage, TransientError)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio.example.org")
    assert "found no address in AWS_ENDPOINT_URL" in line_of(lake, second, storage, WarehouseError)
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.url)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "found no key, expected AWS_ACCESS_KEY_ID and" in line_of(lake, second, storage, WarehouseError)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["AWS_SECRET_ACCESS_KEY"])
    assert_shows(lake, first)


def test_server_that_goes_while_a_version_is_written_leaves_the_one_before(
    lake: str, storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = noisy(tmp_path / "1", "v1"), noisy(tmp_path / "2", "v2", noise=1)
    target(lake).publish(first)
    attach_home = DuckLakeTarget._attach_home

    def attach_and_go(*arguments: Any) -> None:
        attach_home(*arguments)
        storage.faults.status = "500 Internal Server Error"

    monkeypatch.setattr(DuckLakeTarget, "_attach_home", attach_and_go)
    with storage.with_faults():
        assert "found 500, expected a response" in line_of(lake, second, storage, TransientError)
    assert_shows(lake, first)
    monkeypatch.setattr(DuckLakeTarget, "_attach_home", attach_home)
    assert target(lake).publish(second).is_new


def test_storage_that_lets_nobody_remove_shows_the_new_version_and_logs_what_stays(
    lake: str, storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    target(lake).publish(noisy(tmp_path, "v1"))
    second, write_control_row = noisy(tmp_path, "v2", noise=1), ducklake._write_control_row

    def write_and_close(*arguments: Any) -> None:
        write_control_row(*arguments)
        storage.faults.status = "403 Forbidden"

    monkeypatch.setattr(ducklake, "_write_control_row", write_and_close)
    with storage.with_faults():
        assert target(lake, keep=1).publish(second).is_new
    (record,) = [record for record in caplog.records if "what is not kept stays" in record.getMessage()]
    assert "found the key rejected (403)" in record.getMessage()
    assert_shows(lake, second)


def test_server_without_a_response_is_given_up_in_time(
    lake: str, storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        line = line_of(lake, finished(tmp_path, steady("v1")), storage, TransientError)
    assert "found no response in time, expected a response" in line


def test_missing_bucket_is_named_and_no_catalog_made(
    lake: str, storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    other = lake.replace(address, "s3://no-such-bucket/lake")
    line = line_of(other, finished(tmp_path, steady("v1")), storage, WarehouseError)
    assert "found no bucket 'no-such-bucket', expected one; create it" in line
    assert not (tmp_path / "lake" / "catalog.sqlite").exists()


def test_other_files_and_a_catalog_of_other_data_are_refused(
    lake: str, storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    found = finished(tmp_path, steady("v1"))
    obstore.put(storage.store(address), "deep/notes.txt", b"not ours")
    assert f"found files in {address} without a catalog" in line_of(lake, found, storage, WarehouseError)
    obstore.delete(storage.store(address), "deep/notes.txt")
    target(lake).publish(found)
    line = line_of(f"{lake}-2", found, storage, WarehouseError)
    assert f"found a catalog whose data are in {address}, expected {address}-2; correct the address" in line
    line = line_of(lake.partition("?")[0], found, storage, WarehouseError)
    assert "found a catalog whose data are in a bucket, expected them in " in line
    local = DuckLakeTarget(address=f"ducklake:{tmp_path}/lake/local.db", keep=None)
    local.publish(found)
    other = f"{local.address}?data={address}-2"
    assert "found a catalog whose data are in /" in line_of(other, found, storage, WarehouseError)
    assert_shows(lake, found)
