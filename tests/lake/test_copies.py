"""Copies of the needed columns: what is fetched for them, what they hold, and what they survive."""

from collections.abc import Iterator, Sequence
from datetime import date
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from stat import S_IMODE
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.lake.aws import COLUMNS
from flows.sources.lake.bucket import SITE, FolderBucket, WebBucket
from flows.sources.lake.copies import END_OF_FILE_BYTES, Copies
from flows.sources.lake.footer import (
    LARGEST_RANGE_BYTES,
    WORTH_A_REQUEST_BYTES,
    Chunk,
    columns_of,
    footer_bytes,
    pruned,
    ranges,
)
from flows.sources.lake.layout import TRANSACTIONS
from flows.sources.web.access import Access
from flows.sources.web.session import WebSession
from flows.sources.web.usage import OwnBudget, Usage
from schemas.errors import (
    BadInputError,
    FileChangedError,
    OwnBudgetError,
    RequestRejectedError,
    TransientError,
    WarehouseError,
)
from tests.attribution.recorded_chain import recorded_blocks
from tests.lake.lake_files import day_files, day_of, parquet
from tests.replay import Fault, ReplayRequest, ReplayServer
from tests.replay.sites.lake import PAGE_KEYS, LakeReplay

DAY = date(2026, 1, 3)
SCALE = 0.02
WANTED = ("txid", "block_hash", "block_number", "index", "is_coinbase")
ALWAYS = 10**9


@pytest.fixture(scope="module")
def blocks() -> list[dict[str, Any]]:
    return [block for block in recorded_blocks() if day_of(block) == DAY]


@pytest.fixture(scope="module")
def files(blocks: list[dict[str, Any]]) -> dict[str, bytes]:
    return day_files(DAY, blocks, rows_a_group=100, ballast_bytes=1000)


@pytest.fixture
def site(files: dict[str, bytes]) -> LakeReplay:
    return LakeReplay(files)


@pytest.fixture
def server(site: LakeReplay) -> Iterator[ReplayServer]:
    with ReplayServer([site], time_scale=SCALE) as server:
        yield server
        server.check()


def copies_of(server: ReplayServer, home: Path, usage: Usage | None = None, **options: Any) -> Copies:
    """In ranges, however small the files are."""
    session = WebSession(home / "web", usage, time_scale=SCALE)
    client = session.client(SITE, Access(url=server.base("lake")))
    return Copies(WebBucket(client, "v1.0/btc"), home / "copies", **({"whole_file_bytes": 0} | options))


def key_of(files: dict[str, bytes], table: str = TRANSACTIONS) -> str:
    (key,) = (key for key in files if key.startswith(table))
    return key


def leaves(table: pa.Table, side: str, leaf: str) -> list[Any]:
    return [each and [coin[leaf] for coin in each] for each in table[side].to_pylist()]


def test_copy_has_the_wanted_columns_as_two_other_readers_see_them(
    tmp_path: Path, server: ReplayServer, files: dict[str, bytes]
) -> None:
    copies = copies_of(server, tmp_path)
    found = copies.fetch(DAY)
    original = pq.read_table(BytesIO(files[key_of(files)]))
    path = copies.find(found.transactions[0])
    assert S_IMODE(path.parent.stat().st_mode) == 0o700
    copy, by_polars = pq.read_table(path), pl.read_parquet(path)
    assert set(copy.column_names) == {*WANTED, "inputs", "outputs"}
    stated = pq.ParquetFile(path).metadata
    assert stated.num_row_groups > 2
    for group in map(stated.row_group, range(stated.num_row_groups)):
        sizes = [group.column(n).total_uncompressed_size for n in range(group.num_columns)]
        assert group.total_byte_size == sum(sizes)
        assert any(group.column(n).total_compressed_size != size for n, size in enumerate(sizes))
    for name in WANTED:
        assert copy[name].to_pylist() == original[name].to_pylist() == by_polars[name].to_list()
    for side in ("inputs", "outputs"):
        for leaf in ("address", "value"):
            assert leaves(copy, side, leaf) == leaves(original, side, leaf)
        assert [field.name for field in copy.schema.field(side).type.value_type] == ["address", "value"]
        assert by_polars[side].to_list() == copy[side].to_pylist()


def test_temporary_folder_is_for_its_owner_alone(tmp_path: Path, server: ReplayServer) -> None:
    with copies_of(server, tmp_path).temporary_folder() as made:
        assert [S_IMODE(path.stat().st_mode) for path in (Path(made), Path(made).parent)] == [0o700, 0o700]


def test_every_range_is_of_one_version_and_none_is_more_than_the_plan(
    tmp_path: Path, server: ReplayServer, site: LakeReplay, files: dict[str, bytes]
) -> None:
    copies = copies_of(server, tmp_path)
    ready, _ = copies.days(DAY, DAY)
    cost = copies.cost(ready.values())
    before = site.sent_bytes
    copies.fetch(DAY)
    assert site.sent_bytes - before == cost.received_bytes
    parts = [sent for sent in server.log if sent.path.endswith(".parquet")]
    assert all(sent.headers["if-match"] and sent.headers["range"] for sent in parts)
    assert all(sent.headers["accept-encoding"] == "identity" for sent in parts)
    requests_count = len(server.log)
    copies.fetch(DAY)
    copies_of(server, tmp_path).fetch(DAY)
    assert [sent.path for sent in server.log[requests_count:]] == ["/", "/"], "what is copied is listed and not read"


@pytest.mark.parametrize("kind", ["503 text", "html as json", "wrong type", "truncated", "cut json", "other range"])
def test_fault_of_one_range_is_mended(tmp_path: Path, server: ReplayServer, files: dict[str, bytes], kind: str) -> None:
    plain = copies_of(server, tmp_path / "plain")
    expected = plain.find(plain.fetch(DAY).transactions[0]).read_bytes()
    server.faults.append(Fault(kind, "lake", len(server.log) + 6))
    copies = copies_of(server, tmp_path)
    assert copies.find(copies.fetch(DAY).transactions[0]).read_bytes() == expected


@pytest.mark.parametrize(
    ("kind", "error"),
    [("closed bucket", RequestRejectedError), ("other range", TransientError)],
)
def test_lasting_fault_ends_with_its_reason_and_no_copy(
    tmp_path: Path, server: ReplayServer, kind: str, error: type[Exception]
) -> None:
    server.faults.append(Fault(kind, "lake", 6, ALWAYS))
    copies = copies_of(server, tmp_path)
    with pytest.raises(error):
        copies.fetch(DAY)
    assert not list((tmp_path / "copies" / TRANSACTIONS).glob("*.parquet"))


def test_file_that_is_rewritten_while_it_is_read_is_read_again_from_its_beginning(
    tmp_path: Path, server: ReplayServer, site: LakeReplay, files: dict[str, bytes], blocks: list[dict[str, Any]]
) -> None:
    key, requested = key_of(files), []
    (again,) = (content for name, content in day_files(DAY, blocks, seed=2).items() if name.startswith(TRANSACTIONS))

    def rewrite(each: str) -> None:
        requested.append(each)
        if requested.count(key) == 2:
            site.files[key] = again

    site.before = rewrite
    copies = copies_of(server, tmp_path)
    found = copies.fetch(DAY)
    assert pq.read_table(copies.find(found.transactions[0]))["txid"].equals(pq.read_table(BytesIO(again))["txid"])
    assert len(list((tmp_path / "copies" / TRANSACTIONS).iterdir())) == 1, "nothing of the version before is left"


def test_file_that_is_rewritten_again_and_again_is_left_for_later(
    tmp_path: Path, server: ReplayServer, site: LakeReplay
) -> None:
    def rewrite(key: str) -> None:
        site.files[key] = site.files[key][:-1] + bytes([len(server.log) % 256])

    site.before = rewrite
    with pytest.raises(FileChangedError, match=r"found HTTP 412.*list it again"):
        copies_of(server, tmp_path).fetch(DAY)


def test_killed_copy_goes_on_where_it_was(tmp_path: Path, server: ReplayServer, files: dict[str, bytes]) -> None:
    def ranges_of(log: Sequence[ReplayRequest]) -> list[str]:
        return [sent.headers["range"] for sent in log if sent.path.endswith(key_of(files))]

    plain = copies_of(server, tmp_path / "plain")
    expected = plain.find(plain.fetch(DAY).transactions[0]).read_bytes()
    _, *parts = ranges_of(server.log)
    first = len(server.log)
    # Two listings, footer and range of the blocks, footer of the transactions and two ranges.
    server.faults.append(Fault("reset", "lake", first + 8, ALWAYS))
    with pytest.raises(TransientError):
        copies_of(server, tmp_path).fetch(DAY)
    server.faults.clear()
    second = len(server.log)
    copies = copies_of(server, tmp_path)
    assert copies.find(copies.fetch(DAY).transactions[0]).read_bytes() == expected
    assert ranges_of(server.log[first + 5 : first + 7]) == parts[:2]
    assert ranges_of(server.log[second:])[1:] == parts[2:]


def test_what_is_no_parquet_is_named(tmp_path: Path, server: ReplayServer, site: LakeReplay) -> None:
    site.files[key_of(site.files)] = b"<html>accept our terms</html>" * 100
    with pytest.raises(BadInputError, match=r"transactions/date=2026-01-03/.*an end of b'tml>'.*HASHPIVOT_LAKE_URL"):
        copies_of(server, tmp_path).fetch(DAY)


def test_copy_that_cannot_be_read_is_fetched_again(tmp_path: Path, server: ReplayServer) -> None:
    copies = copies_of(server, tmp_path)
    found = copies.fetch(DAY)
    path = copies.find(found.transactions[0])
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(5000) + content[6000:])
    with pytest.raises(BadInputError, match="other bytes than were written"):
        copies.read(copies.of(found).transactions, lambda _: pl.DataFrame())
    assert not path.exists()
    copies.fetch(DAY)
    assert path.read_bytes() == content


def test_own_budget_ends_it_and_leaves_that_of_the_run(tmp_path: Path, server: ReplayServer) -> None:
    usage = Usage(2)
    copies = copies_of(server, tmp_path, usage)
    copies.bucket.allow(OwnBudget(requests_count=100, received_bytes=30_000, setting="HASHPIVOT_LAKE_MAX_BYTES"))
    with pytest.raises(OwnBudgetError, match=r"bytes received.*HASHPIVOT_LAKE_MAX_BYTES"):
        copies.fetch(DAY)
    usage.spend("another", "place")
    usage.spend("another", "place")


def test_disk_that_takes_nothing_is_our_own_fault(tmp_path: Path, server: ReplayServer) -> None:
    (tmp_path / "copies").write_text("a file where the folder should be")
    with pytest.raises(WarehouseError, match="expected room"):
        copies_of(server, tmp_path).fetch(DAY)


def test_a_folder_is_read_as_a_bucket_is(tmp_path: Path, server: ReplayServer, files: dict[str, bytes]) -> None:
    for key, content in files.items():
        path = tmp_path / "lake" / key
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    of_folder = Copies(FolderBucket(tmp_path / "lake"), tmp_path / "of_folder", whole_file_bytes=0)
    of_bucket = copies_of(server, tmp_path)
    paths = [copies.find(copies.fetch(DAY).transactions[0]) for copies in (of_folder, of_bucket)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    (file,) = of_folder.days(DAY, DAY)[0][DAY].transactions
    (tmp_path / "lake" / file.key).write_bytes(b"x" * file.size_bytes)
    with pytest.raises(FileChangedError):
        of_folder.bucket.part(file, 0, 10)
    with pytest.raises(BadInputError, match="HASHPIVOT_LAKE_FOLDER"):
        FolderBucket(tmp_path / "nowhere").files("blocks/date=2026-")


SINGLE = "870123.snappy.parquet"


@pytest.mark.parametrize(
    ("names", "why"),
    [
        pytest.param(["part-00000-a-c000.snappy.parquet"], None, id="one of the day"),
        pytest.param(["part-00000-a-c000.snappy.parquet", SINGLE], None, id="a late block beside it"),
        pytest.param(["part-0-a.snappy.parquet", "_SUCCESS", "x.crc"], None, id="other files"),
        pytest.param([SINGLE], "0 files of the whole day", id="the day goes on"),
        pytest.param(["part-0-a.parquet", "part-0-b.parquet"], "2 files of the whole day", id="two of the day"),
        pytest.param(
            ["part-0-a.parquet", *(f"{height}.snappy.parquet" for height in range(140))],
            "140 files of single blocks",
            id="blocks are being replaced",
        ),
    ],
)
def test_which_files_of_a_day_are_ready(tmp_path: Path, names: list[str], why: str | None) -> None:
    tables = ("blocks", "transactions")
    files = {f"{table}/date={DAY}/{name}": f"{table} {name}".encode() for table in tables for name in names}
    with ReplayServer([LakeReplay(files)], time_scale=SCALE) as server:
        ready, reasons = copies_of(server, tmp_path).days(date(2026, 1, 1), date(2026, 1, 31))
    assert (DAY in ready) == (why is None)
    assert why is None or why in reasons[DAY]


def test_pages_of_a_listing_are_put_together(tmp_path: Path) -> None:
    days = [date(2026, 1, day) for day in range(1, 31)]
    tables = ("blocks", "transactions")
    files = {f"{table}/date={day}/part-0-{day}.parquet": str(day).encode() for table in tables for day in days}
    with ReplayServer([LakeReplay(files)], time_scale=SCALE) as server:
        ready, _ = copies_of(server, tmp_path).days(days[0], days[-1])
        assert list(ready) == days
        assert len(server.log) == 2 * -(-len(days) // PAGE_KEYS)


CHUNKS = st.lists(
    st.tuples(st.integers(0, 3 * WORTH_A_REQUEST_BYTES), st.integers(1, 2 * LARGEST_RANGE_BYTES)), max_size=12
)


@given(CHUNKS)
def test_ranges_hold_each_needed_byte_once_and_no_large_gap(gaps_and_sizes: list[tuple[int, int]]) -> None:
    chunks, at = [], 4
    for gap, size in gaps_and_sizes:
        chunks.append(Chunk(at + gap, size))
        at += gap + size
    kept = [(span.first + start, span.first + start + size) for span in ranges(chunks) for start, size in span.kept]
    assert sum(end - first for first, end in kept) == sum(chunk.size_bytes for chunk in chunks)
    assert all(before[1] <= after[0] for before, after in pairwise(kept))
    assert all(any(c.first <= first and end <= c.first + c.size_bytes for c in chunks) for first, end in kept)
    for span in ranges(chunks):
        assert span.size_bytes <= LARGEST_RANGE_BYTES
        unused = span.size_bytes - sum(size for _, size in span.kept)
        assert unused <= WORTH_A_REQUEST_BYTES * (len(span.kept) - 1)


RECORDED_GROUPS = 5
RECORDED_BYTES = {
    **{"txid": 20_660_529, "hash": 20_711_333, "block_hash": 347_416, "block_number": 316_302, "rest": 2_000_000},
    **{"is_coinbase": 2_430, "output_value": 2_294_193, "outputs.address": 34_049_728, "outputs.script": 74_424_459},
    **{"outputs.type": 433_552, "outputs.value": 6_478_864, "block_timestamp": 318_540, "fee": 708_521},
    **{"input_value": 2_374_899, "inputs.address": 29_746_995, "inputs.script": 67_541_426},
    **{
        "inputs.spent": 65_392_446,
        "inputs.txinwitness": 189_858_007,
        "inputs.type": 302_755,
        "inputs.value": 6_364_294,
    },
}
"""Of 2024-12-31, in the order of its columns, as its footer was recorded."""
RECORDED_NEEDED = {
    *("txid", "block_hash", "block_number", "is_coinbase"),
    *(f"{side}.{leaf}" for side in ("inputs", "outputs") for leaf in ("address", "value")),
}


def test_day_of_the_recorded_sizes_takes_little_more_than_it_needs() -> None:
    chunks, at = [], 4
    for _ in range(RECORDED_GROUPS):
        for column, size in RECORDED_BYTES.items():
            chunk = Chunk(at, size // RECORDED_GROUPS)
            at += chunk.size_bytes
            if column in RECORDED_NEEDED:
                chunks.append(chunk)
    spans = list(ranges(chunks))
    needed = sum(chunk.size_bytes for chunk in chunks)
    fetched = sum(span.size_bytes for span in spans) + END_OF_FILE_BYTES
    assert 97e6 < needed < fetched <= 1.05 * needed
    assert len(spans) <= 40


def footer_of(content: bytes) -> bytes:
    size = footer_bytes(content)
    return content[-8 - size : -8]


SMALL = parquet(
    [{"txid": "aa", "block_number": 1}] * 3, pa.schema([("txid", pa.string()), ("block_number", pa.int64())]), (), 2
)


@given(st.data())
def test_damaged_footer_is_a_value_error(data: st.DataObject) -> None:
    content = bytearray(footer_of(SMALL))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    for footer in (bytes(content), cut):
        try:
            columns_of(footer)
            copy = pruned(footer, len(SMALL), COLUMNS[TRANSACTIONS])
        except ValueError:
            continue
        assert all(4 <= chunk.first < chunk.first + chunk.size_bytes <= len(SMALL) for chunk in copy.chunks)


def test_footer_of_a_file_without_a_wanted_column_is_that_of_an_empty_copy() -> None:
    copy = pruned(footer_of(SMALL), len(SMALL), {("nothing", "nothing")})
    assert (copy.chunks, copy.columns, copy.rows_count) == ((), frozenset(), 3)
