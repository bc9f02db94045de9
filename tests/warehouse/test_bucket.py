"""A bucket shows a version of the home whole or not at all, and takes over what did not change; over real HTTP."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import obstore
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.errors import HashpivotError, TransientError, WarehouseError
from tests.invocation import eventually
from tests.object_storage import KEYS, ObjectStorage
from tests.scheduled.serving import browser_page
from tests.warehouse.bucket_versions import target, version
from warehouse.targets.finished import Copied, FinishedVersion, finished_version
from warehouse.targets.object_storage import FOR_EVER, PART_BYTES, REVALIDATED


def large(found: FinishedVersion) -> FinishedVersion:
    """The version with a database of more than two parts, as its manifest states it."""
    path = found.folder / "large.bin"
    content = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the rest"
    path.write_bytes(content)
    stated = dict(found.stated)
    facts = {"path": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    stated["files"] = [*stated["files"], facts]
    manifest = found.folder / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_text(json.dumps(stated))
    return finished_version(found.folder.parents[1])


def latest(storage: ObjectStorage, address: str) -> dict[str, Any]:
    return dict(json.loads(storage.read(address, "latest.json")))


def is_whole(storage: ObjectStorage, address: str, found: FinishedVersion) -> bool:
    """Whether what `latest.json` leads to has every byte of the version."""
    folder = latest(storage, address)["folder"]
    manifest = storage.read(address, f"{folder}/manifest.json")
    return manifest == found.manifest and all(
        storage.read(address, f"{folder}/{file.path}") == (found.folder / file.path).read_bytes()
        for file in found.files
    )


def folders(storage: ObjectStorage, address: str) -> set[str]:
    return {path.split("/")[1] for path in storage.paths(address) if path.startswith("versions/")}


def test_readers_find_the_publication_of_the_home(
    storage: ObjectStorage, address: str, published_demo: Path, tmp_path: Path
) -> None:
    found = finished_version(published_demo)
    copied = target(address).publish(found)
    assert copied.uploaded_count == len(found.files) + 1
    assert is_whole(storage, address, found)
    folder = latest(storage, address)["folder"]
    assert folder == f"versions/{hashlib.sha256(found.manifest).hexdigest()}"

    # DuckDB has its reader of S3 in an extension that is fetched from its site; it reads the file that was downloaded.
    (tmp_path / "copy.duckdb").write_bytes(storage.read(address, f"{folder}/hashpivot.duckdb"))
    query = "select * from capitulation_daily order by day"
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as there:
        in_bucket = there.execute(query).pl()
    with duckdb.connect(str(published_demo / "hashpivot.duckdb"), read_only=True) as here:
        assert_frame_equal(in_bucket, here.execute(query).pl())

    # Polars reads the bucket itself, with a client of S3 that is not ours.
    options = {name.lower(): value for name, value in storage.environment().items() if name.startswith("AWS_")}
    in_bucket = pl.read_parquet(
        f"{address}/{folder}/parquet/capitulation_daily.parquet", storage_options=options | {"aws_allow_http": "true"}
    )
    assert_frame_equal(in_bucket, pl.read_parquet(published_demo / "parquet" / "capitulation_daily.parquet"))
    assert b"latest.json" in storage.read(address, "index.html")
    page = obstore.head(storage.store(address), f"{folder}/report/index.html")
    assert page["size"] == (published_demo / "report" / "index.html").stat().st_size


def test_address_of_the_prefix_leads_a_browser_to_the_report(
    storage: ObjectStorage, address: str, published_demo: Path
) -> None:
    found = finished_version(published_demo)
    target(address).publish(found)
    storage.make_public(address)
    site = f"{storage.url}/{address.removeprefix('s3://')}"
    with browser_page() as page:
        page.goto(f"{site}/index.html")
        page.wait_for_url(f"{site}/versions/{found.digest}/report/index.html")
        page.wait_for_selector("html[data-ready]")


def test_next_version_uploads_what_changed_and_copies_the_rest(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    first = large(version(tmp_path, "v1"))
    target(address).publish(first)
    second = large(version(tmp_path, "v2"))
    with storage.recorded() as received:
        copied = target(address).publish(second)
    before = {(file.sha256, file.size_bytes) for file in first.files}
    changed = [file for file in second.files if (file.sha256, file.size_bytes) not in before]
    assert 0 < len(changed) < len(second.files)
    assert copied.reused_count == len(second.files) - len(changed)
    assert copied.uploaded_bytes == sum(file.size_bytes for file in changed) + len(second.manifest)
    assert sum(each.is_copy for each in received) == copied.reused_count
    sent = sum(each.body_bytes for each in received if each.method in ("PUT", "POST") and not each.is_copy)
    # Beside it the two writes that the storage has to refuse, and the object that leads readers.
    assert sent == copied.uploaded_bytes + 2 * len(second.manifest) + len(storage.read(address, "latest.json"))
    assert sent < PART_BYTES < first.files[-1].size_bytes
    assert is_whole(storage, address, second)


def test_large_file_is_uploaded_in_parts(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    found = large(version(tmp_path, "v1"))
    with storage.recorded() as received:
        target(address).publish(found)
    parts = [each.body_bytes for each in received if "partNumber" in each.query]
    assert sorted(parts) == [8, PART_BYTES, PART_BYTES]
    assert max(each.body_bytes for each in received) == PART_BYTES
    assert is_whole(storage, address, found)


def test_version_that_is_shown_costs_one_request(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    found = version(tmp_path, "v1")
    assert target(address).publish(found).is_new
    with storage.recorded() as received:
        again = target(address).publish(found)
    assert again == Copied(version="v1", is_new=False)
    assert [each.method for each in received] == ["GET"]
    assert target(address).shown() is not None


@pytest.mark.parametrize("has_one_before", [False, True], ids=["If-None-Match", "If-Match"])
def test_of_two_writers_at_once_one_publishes_and_the_other_is_one_line(
    storage: ObjectStorage, address: str, tmp_path: Path, has_one_before: bool
) -> None:
    if has_one_before:
        target(address, keep=1).publish(version(tmp_path / "earlier", "v0"))
    homes = [version(tmp_path / "one", "v1"), version(tmp_path / "other", "v2")]

    def attempt(found: FinishedVersion) -> Copied | HashpivotError:
        try:
            return target(address, keep=1).publish(found)
        except HashpivotError as error:
            return error

    with storage.with_faults(gate=threading.Barrier(2)), ThreadPoolExecutor(2) as writers:
        results = list(writers.map(attempt, homes))
    (loser,) = [result for result in results if isinstance(result, WarehouseError)]
    (winner,) = [result for result in results if isinstance(result, Copied)]
    assert f"found version {winner.version}, which another writer has published meanwhile" in str(loser)
    assert "\n" not in str(loser)
    assert latest(storage, address)["version"] == winner.version
    assert is_whole(storage, address, homes[int(winner.version == "v2")])


def test_loser_whose_files_are_gone_before_it_would_switch_names_the_other_writer(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    slow, quick = version(tmp_path / "slow", "v1"), version(tmp_path / "quick", "v2")
    manifest, released = f"{slow.digest}/manifest.json", threading.Event()
    with storage.with_faults(held=manifest, released=released), ThreadPoolExecutor(1) as writer:
        losing = writer.submit(target(address, keep=1).publish, slow)
        eventually(lambda: any(each.path.endswith(manifest) for each in list(storage.received)), "no manifest came")
        assert target(address, keep=1).publish(quick).is_new
        released.set()
        error = losing.exception(60)
    assert isinstance(error, WarehouseError)
    assert "found version v2, which another writer has published meanwhile" in str(error)
    assert is_whole(storage, address, quick)
    assert folders(storage, address) == {quick.digest, slow.digest}
    third = version(tmp_path / "quick", "v3")
    assert target(address, keep=1).publish(third).is_new
    assert folders(storage, address) == {third.digest}


def test_latest_that_somebody_removes_meanwhile_is_named_and_published_by_the_next_try(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    target(address).publish(version(tmp_path, "v1"))
    second, released, first_count = version(tmp_path, "v2"), threading.Event(), len(storage.received)
    with storage.with_faults(held="/latest.json", released=released), ThreadPoolExecutor(1) as writer:
        writing = writer.submit(target(address).publish, second)
        arrived = ("PUT", "/latest.json")
        eventually(
            lambda: any((each.method, each.path[-12:]) == arrived for each in storage.received[first_count:]),
            "no write",
        )
        obstore.delete(storage.store(address), "latest.json")
        released.set()
        error = writing.exception(60)
    assert isinstance(error, WarehouseError)
    assert "found a write of latest.json rejected and none there" in str(error)
    assert target(address).publish(second).is_new
    assert is_whole(storage, address, second)


def test_response_that_was_lost_is_no_other_writer(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    with storage.with_faults(lost_response="/latest.json"), storage.recorded() as received:
        found = version(tmp_path, "v1")
        assert target(address).publish(found).is_new
    assert [each.method for each in received if each.path.endswith("latest.json")] == ["GET", "PUT", "PUT", "GET"]
    assert is_whole(storage, address, found)


def test_newest_versions_stay_and_nothing_of_others_is_removed(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    for path in ("versions/notes.txt", "versions/2024/table.csv", "other.json"):
        obstore.put(storage.store(address), path, b"not ours")
    pruned = []
    for number in range(4):
        found = version(tmp_path, f"v{number}")
        pruned.append(target(address, keep=2).publish(found).pruned)
    assert pruned == [(), (), ("v0",), ("v1",)]
    kept = latest(storage, address)["kept"]
    assert [each["version"] for each in kept] == ["v3", "v2"]
    assert folders(storage, address) == {"notes.txt", "2024", *(each["folder"].split("/")[1] for each in kept)}
    assert {"other.json", "versions/notes.txt"} <= set(storage.paths(address))
    assert is_whole(storage, address, found)


def test_one_version_that_is_kept_is_the_one_that_is_shown(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    for number in range(2):
        found = version(tmp_path, f"v{number}")
        target(address, keep=1).publish(found)
    assert folders(storage, address) == {found.digest}
    assert is_whole(storage, address, found)


def test_what_was_stored_otherwise_than_sent_is_found_and_not_shown(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    first = version(tmp_path, "v1")
    target(address).publish(first)
    second = version(tmp_path, "v2")
    with storage.with_faults(damaged="hashpivot.duckdb"), pytest.raises(WarehouseError) as caught:
        target(address).publish(second)
    assert "found other bytes in hashpivot.duckdb than were uploaded" in str(caught.value)
    assert is_whole(storage, address, first)
    assert target(address).publish(second).is_new
    assert is_whole(storage, address, second)


def test_file_that_was_changed_after_the_publication_is_not_published(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    for size, found in (("small", version(tmp_path / "1", "v1")), ("large", large(version(tmp_path / "2", "v2")))):
        path = found.folder / ("datapackage.json" if size == "small" else "large.bin")
        path.chmod(0o600)
        path.write_bytes(b"?" + path.read_bytes()[1:])
        with pytest.raises(WarehouseError, match="found other bytes than its manifest states"):
            target(address).publish(found)
        assert not any(each.endswith(path.name) for each in storage.paths(address))
        path.unlink()
        with pytest.raises(WarehouseError, match=f"{path.name}: found 'No such file or directory', expected files to"):
            target(address).publish(found)
    assert target(address).shown() is None


def test_files_of_a_version_may_be_cached_for_ever_and_what_leads_to_it_may_not(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    target(address).publish(large(version(tmp_path, "v1")))
    store = storage.store(address)
    kept = {path: obstore.get(store, path).attributes["Cache-Control"] for path in storage.paths(address)}
    assert {path for path, control in kept.items() if control == REVALIDATED} == {"latest.json", "index.html"}
    assert {control for path, control in kept.items() if path.startswith("versions/")} == {FOR_EVER}
    assert any(path.endswith("/large.bin") for path in kept)


def failure(storage: ObjectStorage, address: str, found: FinishedVersion) -> HashpivotError:
    with pytest.raises(HashpivotError) as caught:
        target(address).publish(found)
    line = str(caught.value)
    assert line.startswith(f"target {address}: found ")
    assert ", expected " in line
    assert "\n" not in line
    assert not any(secret in line for secret in (*KEYS.values(), storage.url)), line
    return caught.value


@pytest.mark.parametrize(
    ("faults", "kind", "line"),
    [
        ({"status": "503 Slow Down"}, TransientError, "found 503, expected a response"),
        ({"status": "400 Bad Request"}, WarehouseError, "found 400, expected the request to be accepted"),
        ({"status": "501 Not Implemented"}, WarehouseError, "found 501, expected conditional writes"),
        ({"ignored_headers": ("HTTP_IF_MATCH",)}, WarehouseError, "found If-Match ignored, expected conditional"),
        ({"ignored_headers": ("HTTP_IF_NONE_MATCH",)}, WarehouseError, "found If-None-Match ignored, expected"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_storage_that_fails_is_one_line_and_shows_what_it_did(
    storage: ObjectStorage, address: str, tmp_path: Path, faults: dict[str, Any], kind: type, line: str
) -> None:
    first = version(tmp_path, "v1")
    target(address).publish(first)
    second = version(tmp_path, "v2")
    with storage.with_faults(**faults):
        error = failure(storage, address, second)
    assert isinstance(error, kind)
    assert line in str(error)
    assert is_whole(storage, address, first)
    assert target(address).publish(second).is_new


def test_missing_bucket_is_named(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    error = failure(storage, "s3://no-such-bucket/tables", version(tmp_path, "v1"))
    assert isinstance(error, WarehouseError)
    assert "found no bucket 'no-such-bucket', expected one; create it" in str(error)


def test_wrong_key_is_named_and_not_shown(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    with storage.without_access():
        error = failure(storage, address, version(tmp_path, "v1"))
    assert isinstance(error, WarehouseError)
    assert "found the key rejected (InvalidAccessKeyId 403)" in str(error)


def test_server_that_is_gone_may_come_back(
    storage: ObjectStorage, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    error = failure(storage, address, version(tmp_path, "v1"))
    assert isinstance(error, TransientError)
    assert "found no response, expected a response" in str(error)


def test_storage_of_which_conditions_were_turned_off_is_refused(
    storage: ObjectStorage, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    error = failure(storage, address, version(tmp_path, "v1"))
    assert "found none, expected conditional writes" in str(error)
    assert target(address).shown() is None


def test_key_that_nobody_has_set_is_named(
    storage: ObjectStorage, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the library requests one for the role of the machine, here from an address where nobody listens."""
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    for name in KEYS:
        monkeypatch.delenv(name)
    error = failure(storage, address, version(tmp_path, "v1"))
    assert "found no key, expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role" in str(error)


def test_data_of_another_family_keeps_its_place(storage: ObjectStorage, address: str, tmp_path: Path) -> None:
    real = version(tmp_path / "real", "v1", family="main")
    target(address).publish(real)
    error = failure(storage, address, version(tmp_path / "demo", "v2"))
    assert "found data of 'main' there, expected 'simulated'" in str(error)
    assert is_whole(storage, address, real)


@pytest.mark.parametrize("content", [b"not JSON", b"[]", b'{"version": 1}'])
def test_latest_of_something_else_keeps_its_place(
    storage: ObjectStorage, address: str, tmp_path: Path, content: bytes
) -> None:
    obstore.put(storage.store(address), "latest.json", content)
    error = failure(storage, address, version(tmp_path, "v1"))
    assert "found a latest.json that is not of hashpivot" in str(error)
    assert storage.paths(address) == ["latest.json"]
