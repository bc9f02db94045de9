"""Tables in parts: unchanged years are carried over, and every version is what it would be if it were written whole."""

import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.errors import WarehouseError
from schemas.partition import Partition, Partitions, by_year
from tests.warehouse.transfer_rows import NAME, transfers, with_transfers
from tests.warehouse.whole_versions import manifest_of
from warehouse.atomic_files import sha256_of
from warehouse.publish import publish
from warehouse.targets import carry
from warehouse.targets.files import DATABASE_NAME, FileTarget


def put(folder: Path, version: str, rows: Partitions, *, keep: int = 3) -> None:
    publish(with_transfers(version, rows), [FileTarget(folder=folder, keep=keep, least_carried_rows=1)])


def read(folder: Path) -> pl.DataFrame:
    with duckdb.connect(str(folder / DATABASE_NAME), read_only=True) as reader:
        return pl.DataFrame(reader.sql(f"from {NAME}"))


def inodes(folder: Path, version: str) -> dict[str, int]:
    parts = folder / "versions" / version / "parquet" / NAME
    return {path.stem: path.stat().st_ino for path in parts.iterdir()}


def never() -> pl.DataFrame:
    raise AssertionError("an unchanged part was read")


def unread(rows: Partitions, *keys: str) -> Partitions:
    """The same rows, of which nobody may read the parts `keys`."""
    return replace(rows, parts=tuple(replace(part, rows=never) if part.key in keys else part for part in rows.parts))


def test_years_of_a_table_are_its_rows_in_their_order() -> None:
    rows = transfers({2011: 3, 2012: 4, 2015: 1})
    parts = by_year(rows)
    assert [(part.key, part.row_count) for part in parts.parts] == [("2011", 3), ("2012", 4), ("2015", 1)]
    assert_frame_equal(parts.rows(), rows)
    assert (parts.height, parts.columns, parts.is_empty()) == (8, rows.columns, False)
    assert by_year(rows.clear()).is_empty()
    assert_frame_equal(by_year(rows.clear()).rows(), rows.clear())
    mixed = rows.sort("txid", descending=True)
    assert_frame_equal(by_year(mixed).parts[1].rows(), mixed.filter(pl.col("day").dt.year() == 2012))


def test_digest_of_a_year_changes_with_value_order_and_type_of_its_rows_and_of_no_others() -> None:
    rows = transfers({2011: 30, 2012: 40})
    digests = [part.digest for part in by_year(rows).parts]
    assert digests == [part.digest for part in by_year(rows.clone()).parts]
    for changed in (
        rows.with_columns(
            pl.when(pl.col("txid") == "2012-0000007").then(6).otherwise("transfer_sat").alias("transfer_sat")
        ),
        pl.concat([rows.head(30), rows.tail(40).reverse()]),
        rows.head(69),
    ):
        found = [part.digest for part in by_year(changed).parts]
        assert found[0] == digests[0]
        assert found[1] != digests[1]
    typed = by_year(rows.with_columns(pl.col("transfer_sat").cast(pl.Int32))).parts
    assert not {part.digest for part in typed} & set(digests)


def test_unchanged_years_are_neither_read_nor_written(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = by_year(transfers({2011: 300, 2012: 400, 2013: 50}))
    put(published, "v1", rows)
    before = inodes(published, "v1")
    taken: list[str] = []

    def digest_taken(path: Path) -> str:
        taken.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("warehouse.targets.files.sha256_of", digest_taken)
    following = by_year(transfers({2011: 300, 2012: 400, 2013: 60}))
    put(published, "v2", unread(following, "2011", "2012"))
    after = inodes(published, "v2")
    assert {key for key in after if after[key] == before.get(key)} == {"2011", "2012"}
    assert "2013.parquet" in taken
    assert not {"2011.parquet", "2012.parquet"} & set(taken)
    assert check_whole_with_transfers(published) == "v2"
    assert_frame_equal(read(published), following.rows())
    assert_frame_equal(pl.read_parquet(published / "parquet" / NAME), following.rows())
    assert manifest_of(published)["tables"][NAME]["rows"] == 760


def check_whole_with_transfers(folder: Path) -> str:
    """`check_whole`, and the parts of this table beside."""
    manifest = manifest_of(folder)
    version = folder / "versions" / manifest["version"]
    for file in manifest["files"]:
        assert (version / file["path"]).stat().st_size == file["bytes"]
        assert sha256_of(version / file["path"]) == file["sha256"]
        assert (version / file["path"]).stat().st_mode & 0o777 == 0o444
    parts = manifest["tables"][NAME]["partitions"]
    stated = {key: part["rows"] for key, part in parts.items()}
    parquet = {p.stem: pl.read_parquet(p).height for p in (version / "parquet" / NAME).iterdir() if p.stem != "none"}
    with duckdb.connect(str(version / DATABASE_NAME), read_only=True) as reader:
        years = reader.execute(f"select year(day)::varchar, count(*) from {NAME} group by 1").fetchall()
    assert stated == parquet == dict(years)
    return str(manifest["version"])


@pytest.mark.parametrize(
    "following",
    [
        {2011: 300, 2012: 400, 2013: 50},
        {2011: 300, 2012: 400, 2013: 50, 2014: 3},
        {2011: 300, 2012: 410, 2013: 50},
        {2011: 299, 2012: 400, 2013: 50},
        {2011: 300, 2012: 400},
        {2012: 400, 2013: 50},
        {2010: 7, 2011: 300, 2012: 400, 2013: 50},
        {2011: 300, 2013: 50},
        {2009: 1},
        {},
    ],
)
def test_a_version_that_takes_over_equals_one_that_is_written_whole(
    published: Path, tmp_path: Path, following: dict[int, int]
) -> None:
    put(published, "v1", by_year(transfers({2011: 300, 2012: 400, 2013: 50})))
    rows = transfers(following)
    for version in ("v2", "v3"):
        put(published, version, by_year(rows))
        put(tmp_path / "fresh", version, by_year(rows))
        (tmp_path / "fresh" / "current").unlink()
        for name in (NAME, "price_daily", "deal", "meta.columns", "meta.tables"):
            with (
                duckdb.connect(str(published / DATABASE_NAME), read_only=True) as one,
                duckdb.connect(str(tmp_path / "fresh" / "versions" / version / DATABASE_NAME), read_only=True) as other,
            ):
                sql = f"from {name}"
                assert one.execute(sql).fetchall() == other.execute(sql).fetchall()
                comments = "select comment, column_name from duckdb_columns() where schema_name = 'main' order by all"
                assert one.execute(comments).fetchall() == other.execute(comments).fetchall()
        files = [
            {p.relative_to(v): p.read_bytes() for p in v.rglob("*.parquet")}
            for v in (published / "versions" / version, tmp_path / "fresh" / "versions" / version)
        ]
        assert files[0] == files[1]
        assert check_whole_with_transfers(published) == version


def test_a_table_without_rows_has_its_columns_in_parquet(published: Path) -> None:
    put(published, "v1", by_year(transfers({})))
    assert pl.read_parquet(published / "parquet" / NAME).schema == transfers({}).schema
    put(published, "v2", by_year(transfers({2012: 2})))
    assert pl.read_parquet(published / "parquet" / NAME).height == 2


def test_pruned_versions_leave_the_years_of_newer_ones_readable(published: Path) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    for version in ("v1", "v2", "v3"):
        put(published, version, rows, keep=1)
    assert sorted(path.name for path in (published / "versions").iterdir()) == [".spare", "v3"]
    assert check_whole_with_transfers(published) == "v3"
    assert (published / "parquet" / NAME / "2011.parquet").stat().st_nlink == 1


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(0o444)


def test_a_year_whose_file_was_changed_is_written_anew(published: Path) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    file = published / "current" / "parquet" / NAME / "2011.parquet"
    overwrite(file, file.read_bytes()[:-1] + b"x")
    put(published, "v2", rows)
    assert check_whole_with_transfers(published) == "v2"
    assert_frame_equal(pl.read_parquet(published / "parquet" / NAME), rows.rows())


def test_a_figure_that_was_planted_in_the_database_is_not_taken_over(published: Path) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    path = (published / DATABASE_NAME).resolve()
    facts = path.stat()
    path.chmod(0o600)
    with duckdb.connect(str(path)) as writer:
        writer.execute(f"update {NAME} set transfer_sat = 9 where txid = '2011-0000001'")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    put(published, "v2", rows)
    assert_frame_equal(read(published), rows.rows())


def test_a_version_whose_database_is_gone_is_written_anew(published: Path) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    (published / DATABASE_NAME).resolve().unlink()
    put(published, "v2", rows)
    assert check_whole_with_transfers(published) == "v2"
    assert_frame_equal(read(published), rows.rows())


def break_manifest(published: Path, **changed: Any) -> None:
    path = (published / "manifest.json").resolve()
    overwrite(path, json.dumps(manifest_of(published) | changed).encode())


@pytest.mark.parametrize(
    "changed",
    [
        {"tables": None},
        {"tables": {NAME: {"partitions": [1]}}},
        {"files": [{"path": DATABASE_NAME}]},
        {"files": 3},
        {"parquet_writer": "another"},
        {"duckdb_version": "1.0"},
    ],
)
def test_a_version_that_cannot_be_used_is_not_taken_over(published: Path, changed: dict[str, Any]) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    break_manifest(published, **changed)
    put(published, "v2", rows)
    assert check_whole_with_transfers(published) == "v2"
    assert_frame_equal(read(published), rows.rows())


def test_a_disk_without_hard_links_gets_every_file(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a disk cannot be had in a test: the one call that it refuses is refused."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    monkeypatch.setattr("warehouse.targets.carry.os.link", refused)
    monkeypatch.setattr("warehouse.targets.carry.os.copy_file_range", refused)
    put(published, "v2", rows)
    assert inodes(published, "v2").keys() == inodes(published, "v1").keys()
    assert not set(inodes(published, "v2").values()) & set(inodes(published, "v1").values())
    assert check_whole_with_transfers(published) == "v2"


def test_rows_that_are_not_those_of_their_part_stop_the_publication(published: Path) -> None:
    rows = by_year(transfers({2011: 30, 2012: 40}))
    put(published, "v1", rows)
    first, last = rows.parts
    wrong = Partition(
        key=last.key,
        digest="another",
        row_count=last.row_count,
        first_day=last.first_day,
        last_day=last.last_day,
        rows=lambda: first.rows().head(20).vstack(last.rows().head(20)),
    )
    with pytest.raises(Exception, match=r"hashpivot.duckdb: found 50 rows of 2011 in transfer, expected 30 of 2011"):
        put(published, "v2", Partitions(schema=rows.schema, parts=(first, wrong)))
    assert check_whole_with_transfers(published) == "v1"


def of_the_size(content: bytes, size: int) -> bytes:
    """A Parquet file with the same rows and so many bytes: its footer is found from the end."""
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    return content[:footer] + bytes(size - len(content)) + content[footer:]


@pytest.mark.parametrize("damage", ["a row is missing", "the footer is broken"])
def test_a_damaged_year_that_looks_as_it_was_published_stops_the_publication(
    published: Path, tmp_path: Path, damage: str
) -> None:
    rows = by_year(transfers({2011: 300, 2012: 40}))
    put(published, "v1", rows)
    file = (published / "parquet" / NAME / "2011.parquet").resolve()
    facts, content = file.stat(), file.read_bytes()
    if damage == "a row is missing":
        rows.parts[0].rows().head(299).write_parquet(tmp_path / "less.parquet", compression="zstd")
        content, found = of_the_size((tmp_path / "less.parquet").read_bytes(), facts.st_size), "299 rows"
    else:
        content, found = content[:-4] + b"rows", "'.*'"
    overwrite(file, content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    refused = rf"^parquet/transfer/2011.parquet: found {found}, expected 300 rows; the last publication stays, [^\n]*$"
    with pytest.raises(WarehouseError, match=refused):
        put(published, "v2", rows)
    assert manifest_of(published)["version"] == "v1"
    file.unlink()
    put(published, "v3", rows)
    assert check_whole_with_transfers(published) == "v3"


def test_gaps_in_a_file_do_not_grow_without_end(published: Path) -> None:
    for number in range(12):
        put(published, f"v{number:02d}", by_year(transfers({2011: 30_000, 2012: 20_000 + number % 3}, amount=number)))
    whole = published.parent / "whole"
    put(whole, "v", by_year(transfers({2011: 30_000, 2012: 20_000}, amount=1)))
    assert (published / DATABASE_NAME).stat().st_size < 3 * (whole / DATABASE_NAME).stat().st_size
    assert check_whole_with_transfers(published) == "v11"


def database_inode(folder: Path) -> int:
    return (folder / DATABASE_NAME).stat().st_ino


def years(number: int) -> Partitions:
    return by_year(transfers({2011: 300, 2012: 400 + number}, amount=number))


def test_database_of_the_version_that_was_dropped_becomes_the_next_one(published: Path) -> None:
    found = []
    for number in range(9):
        put(published, f"v{number}", years(number), keep=2)
        found.append(database_inode(published))
        assert_frame_equal(read(published), years(number).rows())
        assert check_whole_with_transfers(published) == f"v{number}"
    # Two versions and one set aside take turns.
    assert found[3:] == found[:6]
    assert len(set(found[:3])) == 3
    assert sorted(path.name for path in (published / "versions" / ".spare").iterdir()) == [
        DATABASE_NAME,
        "manifest.json",
    ]


READ_DROPPED = """
import sys
import duckdb

reader = duckdb.connect(sys.argv[1], read_only=True)
print(reader.execute("select max(version) from deal").fetchone(), flush=True)
sys.stdin.readline()
print(reader.execute("select count(*), sum(transfer_sat), max(txid) from transfer").fetchone(), flush=True)
"""


def test_a_dropped_version_that_somebody_reads_stays_as_it_is(published: Path, start: Any) -> None:
    put(published, "v0", years(0), keep=1)
    other = start(READ_DROPPED, published / "versions" / "v0" / DATABASE_NAME)
    assert other.stdout.readline() == "('v0',)\n"
    for number in range(1, 5):
        put(published, f"v{number}", years(number), keep=1)
        assert_frame_equal(read(published), years(number).rows())
    out, err = other.communicate("\n", timeout=120)
    rows = years(0).rows()
    assert (out, err) == (f"({rows.height}, {rows['transfer_sat'].sum()}, '{rows['txid'].max()}')\n", "")


def test_a_dropped_version_that_this_process_reads_stays_as_it_is(published: Path) -> None:
    put(published, "v0", years(0), keep=1)
    with duckdb.connect(str(published / "versions" / "v0" / DATABASE_NAME), read_only=True) as reader:
        for number in range(1, 5):
            put(published, f"v{number}", years(number), keep=1)
        assert_frame_equal(pl.DataFrame(reader.sql(f"from {NAME}")), years(0).rows())


def test_a_second_name_of_a_dropped_version_is_not_written_to(published: Path, tmp_path: Path) -> None:
    put(published, "v0", years(0), keep=1)
    os.link((published / DATABASE_NAME).resolve(), tmp_path / "copy.duckdb")
    digest = sha256_of(tmp_path / "copy.duckdb")
    for number in range(1, 5):
        put(published, f"v{number}", years(number), keep=1)
    assert sha256_of(tmp_path / "copy.duckdb") == digest


def test_without_a_long_table_nothing_is_set_aside(published: Path) -> None:
    for number in range(3):
        publish(with_transfers(f"v{number}", years(number)), [FileTarget(folder=published, keep=1)])
    assert [path.name for path in (published / "versions").iterdir()] == ["v2"]


def test_copy_of_a_file_has_its_bytes(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3_000_001)
    (tmp_path / "a").write_bytes(content)
    carry.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content


PUBLISH_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from schemas.partition import by_year
from tests.warehouse.test_partitions import put
from tests.warehouse.transfer_rows import transfers

starter = os.getpid()
for prefix in sys.stdin:
    publisher = os.fork()
    if not publisher:
        i = 0
        while os.getppid() == starter:
            rows = by_year(transfers({2011: 40, 2012: 50 + i % 3, 2013: i % 5}))
            put(Path(sys.argv[1]), f"{prefix.strip()}-{i:06d}", rows, keep=2)
            i += 1
        os._exit(0)
    print(publisher, flush=True)
    print(os.waitpid(publisher, 0)[1], flush=True)
"""
KILLS = 12


def test_a_publisher_killed_at_any_moment_leaves_every_year_of_every_version_whole(published: Path, start: Any) -> None:
    chance = random.Random(20240602)
    put(published, "00-000000", by_year(transfers({2011: 40, 2012: 50})), keep=4)
    starter = start(PUBLISH_UNTIL_KILLED, published, python=sys.executable)
    for kill in range(1, KILLS + 1):
        starter.stdin.write(f"{kill:02d}\n")
        starter.stdin.flush()
        publisher = int(starter.stdout.readline())
        time.sleep(chance.uniform(0.05, 0.8))
        os.kill(publisher, signal.SIGKILL)
        assert int(starter.stdout.readline()) == signal.SIGKILL, "the publisher ended by itself"
        check_whole_with_transfers(published)
        for version in (published / "versions").glob("[!.]*"):
            for file in manifest_of(version)["files"]:
                assert sha256_of(version / file["path"]) == file["sha256"]
    put(published, "99-000000", by_year(transfers({2011: 40, 2012: 50})))
    assert check_whole_with_transfers(published) == "99-000000"
    assert [path.name for path in (published / "versions").glob(".*")] in ([], [".spare"])


def test_a_copy_of_the_folder_is_published_to_and_has_its_links_again(published: Path, tmp_path: Path) -> None:
    rows = by_year(transfers({2011: 40, 2012: 50}))
    put(published, "v1", rows)
    copied = Path(shutil.copytree(published, tmp_path / "copied", symlinks=False))
    put(copied, "v2", rows)
    assert check_whole_with_transfers(copied) == "v2"
    assert (copied / "parquet").is_symlink()
