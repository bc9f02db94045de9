"""A lake in an object storage that nobody here wrote: moto's, which lists, sends ranges and checks ETags as S3 does."""

from collections.abc import Iterator
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import obstore
import pyarrow.parquet as pq
import pytest
import requests

from flows.sources.lake.bucket import SITE, Bucket, FolderBucket, WebBucket
from flows.sources.lake.copies import Copies
from flows.sources.web.access import Access
from flows.sources.web.session import WebSession
from schemas.errors import FileChangedError
from tests.lake.lake_files import day_files
from tests.lake.test_lake_source import FIRST, LAST, ONE_DAY, World, blocks_of, days, files_of
from tests.object_storage import ObjectStorage, object_storage

PREFIX = "v1.0/btc"
SCALE = 0.02
LEAST_PART_BYTES = 5 * 1024 * 1024
"""Of an upload in parts, by S3."""


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorage]:
    with object_storage() as storage:
        yield storage


@pytest.fixture(scope="module")
def address(storage: ObjectStorage) -> str:
    """A bucket with all days of the recorded chain."""
    address = public_bucket(storage, "chain")
    store = storage.store(f"{address}/{PREFIX}")
    for day in days(FIRST, LAST):
        for key, content in files_of(day).items():
            obstore.put(store, key, content)
    return address


def public_bucket(storage: ObjectStorage, name: str) -> str:
    """The address of a new bucket that everybody may read, as those of public data are."""
    address = storage.make_bucket(name)
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    requests.put(f"{storage.url}/{name}?policy", json=policy, timeout=30).raise_for_status()
    return address


def bucket_at(storage: ObjectStorage, name: str, home: Path) -> WebBucket:
    session = WebSession(home / "web", time_scale=SCALE)
    return WebBucket(session.client(SITE, Access(url=f"{storage.url}/{name}")), PREFIX)


def observed(bucket: Bucket, folder: Path) -> dict[str, list[Any]]:
    rows, _ = World(folder).observe(since=FIRST + ONE_DAY, bucket=bucket, whole_file_bytes=0)
    return {table: frame.rows() for table, frame in rows.items()}


def test_transfers_out_of_the_storage_are_those_out_of_a_folder(
    storage: ObjectStorage, address: str, tmp_path: Path
) -> None:
    world = World(tmp_path / "world", *days(FIRST, LAST))
    by_folder = observed(FolderBucket(world.lake), tmp_path / "folder")
    with storage.recorded() as received:
        by_storage = observed(bucket_at(storage, "chain", tmp_path / "storage"), tmp_path / "storage")
    assert by_storage == by_folder
    assert len(by_storage["miner_transfer"]) > 500
    assert {request.method for request in received} == {"GET"}
    assert len([request for request in received if request.path.endswith(".parquet")]) > len(days(FIRST, LAST))


def test_file_that_was_uploaded_in_parts_is_read_in_ranges(storage: ObjectStorage, tmp_path: Path) -> None:
    """Its ETag is no digest of its content, and ends in the number of parts."""
    day = date(2026, 1, 3)
    files = day_files(day, blocks_of(day), rows_a_group=100, ballast_bytes=12_000)
    store = storage.store(f"{public_bucket(storage, 'parts')}/{PREFIX}")
    for key, content in files.items():
        obstore.put(store, key, BytesIO(content), use_multipart=True, chunk_size=LEAST_PART_BYTES)
    copies = Copies(bucket_at(storage, "parts", tmp_path), tmp_path / "copies", whole_file_bytes=0)
    copied = copies.fetch(day).transactions[0]
    (key,) = (key for key in files if key.startswith("transactions"))
    assert len(files[key]) > 2 * LEAST_PART_BYTES
    assert copied.etag.strip('"').partition("-")[2] not in ("", "1")
    original, copy = pq.read_table(BytesIO(files[key])), pq.read_table(copies.find(copied))
    assert copy["txid"].to_pylist() == original["txid"].to_pylist()
    values = [coin["value"] for coins in original["outputs"].to_pylist() for coin in coins]
    assert [coin["value"] for coins in copy["outputs"].to_pylist() for coin in coins] == values


def test_file_that_changed_after_it_was_listed_is_refused(storage: ObjectStorage, tmp_path: Path) -> None:
    store = storage.store(f"{public_bucket(storage, 'changed')}/{PREFIX}")
    key = f"transactions/date={FIRST}/part.parquet"
    obstore.put(store, key, b"before" * 100)
    bucket = bucket_at(storage, "changed", tmp_path)
    (listed,) = bucket.files("transactions/")
    assert (listed.key, listed.size_bytes) == (key, 600)
    assert bucket.part(listed, 6, 6) == b"before"
    obstore.put(store, key, b"after!" * 100)
    with pytest.raises(FileChangedError):
        bucket.part(listed, 6, 6)


def test_listing_of_more_files_than_a_page_has_is_whole(storage: ObjectStorage, tmp_path: Path) -> None:
    store = storage.store(f"{public_bucket(storage, 'pages')}/{PREFIX}")
    keys = [f"transactions/date={FIRST + timedelta(days=n)}/part.parquet" for n in range(1_003)]
    for key in keys:
        obstore.put(store, key, b"1")
    bucket = bucket_at(storage, "pages", tmp_path)
    with storage.recorded() as received:
        assert [file.key for file in bucket.files("transactions/")] == keys
    assert len(received) == 2
