"""A publication is whole or it is not there: under kills, full disks and open readers."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
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
from tests.warehouse.warehouse_rows import FACTS, publication
from tests.warehouse.whole_versions import TABLES, check_whole, manifest_of
from warehouse.publish import Published, publish
from warehouse.targets.files import (
    DATABASE_NAME,
    MANIFEST_NAME,
    STABLE_NAMES,
    FileTarget,
    current_version,
    version_before,
)
from warehouse.targets.protocol import Publication


def put(folder: Path, version: str, *, rows: int = 30, keep: int = 3) -> Published:
    return publish(publication(version, rows=rows), [FileTarget(folder=folder, keep=keep)])


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a new reader of the stable name gets."""
    with duckdb.connect(str(folder / DATABASE_NAME), read_only=True) as reader:
        return reader.execute(sql).fetchall()


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_stable_names_lead_to_the_version(published: Path) -> None:
    result = put(published, "v1")
    assert entries(published) == sorted(["current", "versions", *STABLE_NAMES])
    for name in STABLE_NAMES:
        assert (published / name).is_symlink()
        assert (published / name).resolve() == published.resolve() / "versions" / "v1" / name
    assert current_version(published) == "v1"
    assert result.rows == {"price_daily": 30, "deal": 37}
    assert check_whole(published) == "v1"


def test_a_published_folder_can_be_moved_with_its_links(published: Path, tmp_path: Path) -> None:
    put(published, "v1")
    published.rename(tmp_path / "elsewhere")
    assert check_whole(tmp_path / "elsewhere") == "v1"


def test_there_is_no_current_version_before_the_first_publication(published: Path) -> None:
    assert current_version(published) is None


def test_the_manifest_has_size_and_digest_of_every_file_and_who_published(published: Path) -> None:
    put(published, "v1")
    manifest = manifest_of(published)
    folder = published / "versions" / "v1"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST_NAME}
    assert {file["path"] for file in manifest["files"]} == found
    tables = {"parquet/price_daily.parquet", "parquet/deal.parquet"}
    others = {DATABASE_NAME, "datapackage.json", "report/index.html"}
    assert {file for file in found if not file.startswith("meta/")} == tables | others
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (manifest["version"], manifest["created_at"]) == ("v1", "2024-06-10T03:04:05.678901+00:00")
    assert (manifest["profile"], manifest["simulated"]) == ("demo", True)
    assert manifest["tables"] == {"price_daily": {"rows": 30}, "deal": {"rows": 37}}


def test_the_file_is_written_in_the_old_storage_version_it_claims(published: Path) -> None:
    put(published, "v1")
    [(tags,)] = query(published, "select tags from duckdb_databases() where database_name = 'hashpivot'")
    assert tags["storage_version"].startswith("v1.2.0")
    assert manifest_of(published)["storage_version"] == "v1.2.0"


def test_nothing_but_the_file_itself_is_needed_to_open_it(published: Path, tmp_path: Path) -> None:
    put(published, "v1")
    assert entries(published / "versions" / "v1") == sorted(STABLE_NAMES)
    copied = shutil.copy(published / DATABASE_NAME, tmp_path / "copied.duckdb")
    with duckdb.connect(copied, read_only=True) as reader:
        assert reader.execute("select count(*) from deal").fetchone() == (37,)


def test_every_column_and_table_has_its_comment_and_every_column_its_row_in_meta(published: Path) -> None:
    put(published, "v1")
    comments = (
        "select table_name, column_name, comment from duckdb_columns() where schema_name = 'main' and not internal"
    )
    assert sorted(query(published, comments)) == sorted((f.name, c.name, c.comment()) for f in FACTS for c in f.columns)
    tables = "select table_name, comment from duckdb_tables() where schema_name = 'main'"
    assert sorted(query(published, tables)) == sorted((f.name, f.description) for f in FACTS)
    found = query(published, "select table_name, column_name, position, unit, description, null_rule from meta.columns")
    assert found == [
        (f.name, c.name, position, c.unit, c.description, c.null_rule)
        for f in FACTS
        for position, c in enumerate(f.columns, start=1)
    ]
    columns = "select table_name, column_name from duckdb_columns() where schema_name = 'main' and not internal"
    assert query(published, f"from ({columns}) anti join meta.columns using (table_name, column_name)") == []


def test_columns_to_begin_with_are_numbered_and_every_column_has_its_topic_and_name_in_words(published: Path) -> None:
    put(published, "v1")
    found = query(published, "select column_name, starter_rank, column_group, verbose_name from meta.columns limit 4")
    assert found == [
        ("day", 1, "warehouse rows", "Day"),
        ("price_usd", 2, "warehouse rows", "Price (USD)"),
        ("is_final", None, "warehouse rows", "Is final"),
        ("version", None, "warehouse rows", "Version"),
    ]


def test_every_meta_table_is_described(published: Path) -> None:
    put(published, "v1")
    assert (
        query(published, "select table_name from duckdb_tables() where schema_name = 'meta' and comment is null") == []
    )


def test_the_parquet_files_the_tables_and_what_was_given_are_equal(published: Path) -> None:
    put(published, "v1", rows=500)
    given = publication("v1", rows=500).tables
    for name in TABLES:
        assert_frame_equal(pl.read_parquet(published / "parquet" / f"{name}.parquet"), given[name])
        with duckdb.connect(str(published / DATABASE_NAME), read_only=True) as reader:
            assert_frame_equal(pl.DataFrame(reader.sql(f"from {name}")), given[name])


def test_the_same_tables_published_twice_are_equal_to_the_byte_of_parquet(published: Path, tmp_path: Path) -> None:
    put(published, "v1", rows=500)
    put(tmp_path / "other", "v1", rows=500)
    for name in TABLES:
        one, other = (folder / "parquet" / f"{name}.parquet" for folder in (published, tmp_path / "other"))
        assert one.read_bytes() == other.read_bytes()
        assert query(published, f"from {name}") == query(tmp_path / "other", f"from {name}")


def test_the_next_publication_replaces_all_of_the_last_one(published: Path) -> None:
    put(published, "v1", rows=30)
    put(published, "v2", rows=10)
    assert check_whole(published) == "v2"
    assert query(published, "select count(*), min(version), max(version) from price_daily") == [(10, "v2", "v2")]
    assert pl.read_parquet(published / "parquet" / "deal.parquet").height == 17
    assert manifest_of(published)["version"] == current_version(published) == "v2"


READ_ACROSS = """
import sys
import duckdb

look = "select count(*), max(version) from price_daily"
reader = duckdb.connect(sys.argv[1], read_only=True)
print(reader.execute("select max(version) from deal").fetchone(), flush=True)
sys.stdin.readline()
print(reader.execute(look).fetchone(), duckdb.connect(sys.argv[1], read_only=True).execute(look).fetchone(), flush=True)
"""


def test_an_open_reader_keeps_the_old_data_and_a_new_one_gets_the_new_even_after_pruning(
    published: Path, start: Any
) -> None:
    put(published, "v1", rows=2_000)
    other = start(READ_ACROSS, published / DATABASE_NAME)
    assert other.stdout.readline() == "('v1',)\n"
    look = "select count(*), max(version) from price_daily"
    with duckdb.connect(str(published / DATABASE_NAME), read_only=True) as reader:
        assert reader.execute("select max(version) from deal").fetchone() == ("v1",)
        put(published, "v2", rows=50, keep=1)
        assert entries(published / "versions") == ["v2"]
        assert reader.execute(look).fetchone() == (2_000, "v1")
        assert query(published, look) == [(50, "v2")]
    out, err = other.communicate("\n", timeout=120)
    assert (out, err) == ("(2000, 'v1') (50, 'v2')\n", "")


@pytest.mark.parametrize(("keep", "left"), [(1, ["v5"]), (2, ["v4", "v5"]), (5, ["v1", "v2", "v3", "v4", "v5"])])
def test_the_newest_versions_are_kept_and_older_ones_pruned(published: Path, keep: int, left: list[str]) -> None:
    for i in range(1, 5):
        assert put(published, f"v{i}", rows=1, keep=9).pruned == {"files": ()}
    pruned = put(published, "v5", rows=1, keep=keep).pruned["files"]
    assert entries(published / "versions") == left
    assert sorted(pruned) == [f"v{i}" for i in range(1, 6) if f"v{i}" not in left]
    assert check_whole(published) == "v5"


def test_version_of_a_clock_that_was_ahead_is_the_first_to_go(published: Path) -> None:
    for version in ("v1", "v9", "v2"):
        put(published, version, rows=1)
    assert put(published, "v3", rows=1, keep=2).pruned["files"] == ("v1", "v9")


def test_the_current_version_is_never_pruned_though_others_sort_after_it(published: Path) -> None:
    put(published, "v8", rows=1, keep=9)
    put(published, "v9", rows=1, keep=9)
    put(published, "v1", rows=1, keep=1)
    assert entries(published / "versions") == ["v1"]
    assert check_whole(published) == "v1"


def test_leftovers_of_a_killed_run_are_swept_away(published: Path) -> None:
    put(published, "v1")
    draft = published / "versions" / ".draft-v0"
    (draft / "parquet").mkdir(parents=True)
    (draft / DATABASE_NAME).write_bytes(b"half")
    (published / "versions" / ".draft-v2").mkdir()
    (published / ".current.next").symlink_to("versions/v0")
    put(published, "v2")
    assert entries(published / "versions") == ["v1", "v2"]
    assert entries(published) == sorted(["current", "versions", *STABLE_NAMES])
    assert check_whole(published) == "v2"


def refusal(folder: Path, given: Publication) -> str:
    """The one line with which a publication is refused; whatever was current is untouched and nothing is left over."""
    before = (current_version(folder), entries(folder / "versions"))
    with pytest.raises(WarehouseError) as caught:
        publish(given, [FileTarget(folder=folder, keep=3)])
    assert (current_version(folder), entries(folder / "versions")) == before
    assert check_whole(folder) == before[0]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_column_that_nobody_described_stops_the_publication(published: Path) -> None:
    put(published, "v1")
    good = publication("v2")
    extra = good.tables["deal"].with_columns(pl.lit(1).alias("surprise"))
    assert "deal.surprise" in refusal(published, replace(good, tables={**good.tables, "deal": extra}))


def test_a_described_column_that_is_missing_stops_the_publication(published: Path) -> None:
    put(published, "v1")
    good = publication("v2")
    less = good.tables["deal"].drop("power_mw")
    assert "power_mw" in refusal(published, replace(good, tables={**good.tables, "deal": less}))


def test_a_table_that_nobody_described_stops_the_publication(published: Path) -> None:
    put(published, "v1")
    good = publication("v2")
    extra = pl.DataFrame({"x": [1]})
    assert "surprise" in refusal(published, replace(good, tables={**good.tables, "surprise": extra}))


def test_a_version_that_exists_is_not_overwritten(published: Path) -> None:
    put(published, "v1", rows=3)
    put(published, "v2", rows=5)
    for version in ("v1", "v2"):
        assert version in refusal(published, publication(version, rows=4))
    assert query(published, "select count(*) from price_daily") == [(5,)]


def test_a_file_in_place_of_the_folder_is_one_line_of_error(published: Path) -> None:
    published.write_text("a file")
    with pytest.raises(WarehouseError, match="v1") as caught:
        put(published, "v1")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_one_line_of_error(published: Path) -> None:
    put(published, "v1")
    (published / "versions").chmod(0o555)
    try:
        assert "Permission denied" in refusal(published, publication("v2"))
    finally:
        (published / "versions").chmod(0o755)


@pytest.mark.parametrize("name", ["it's here", 'the "quoted" one', "two  spaces", "päper [x] *", "a; drop table deal"])
def test_the_path_may_hold_quotes_spaces_and_signs(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "published"
    put(folder, "v1")
    put(folder, "v2", rows=3)
    assert check_whole(folder) == "v2"
    assert entries(tmp_path) == [name]


FULL = """
import json, resource, sys
from pathlib import Path
from tests.warehouse.warehouse_rows import publication
from schemas.errors import WarehouseError
from warehouse.publish import publish
from warehouse.targets.files import FileTarget, current_version

published, limits = Path(sys.argv[1]), json.loads(sys.argv[2])
large = publication("v2", rows=20_000, noise=1)
for limit in limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        publish(large, [FileTarget(folder=published, keep=3)])
    except WarehouseError as error:
        message = str(error)
    drafts = sorted(entry.name for entry in (published / "versions").iterdir())
    print(json.dumps([message, current_version(published), drafts]), flush=True)
"""


def test_a_disk_that_refuses_to_write_is_one_line_of_error_and_the_last_publication_stays(
    published: Path, start: Any
) -> None:
    put(published, "v1")
    limits = [0, 100, 5_000, 300_000, 600_000]
    out, err = start(FULL, published, json.dumps(limits)).communicate(timeout=120)
    assert err == ""
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == len(limits)
    for message, current, versions in found:
        assert "\n" not in message
        assert "File too large" in message
        assert (current, versions) == ("v1", ["v1"])
    assert check_whole(published) == "v1"


FILL = """
import json, os, sys
from pathlib import Path
from tests.warehouse.whole_versions import check_whole
from tests.warehouse.warehouse_rows import publication
from schemas.errors import WarehouseError
from warehouse.publish import publish
from warehouse.targets.files import FileTarget, current_version

published = Path(sys.argv[1]) / "published"
ballast = Path(sys.argv[1]) / "ballast"
publish(publication("v0", rows=5), [FileTarget(folder=published, keep=1)])
disk = os.statvfs(published)
free = disk.f_bavail * disk.f_frsize
large = publication("v1", rows=20_000, noise=1)
outcomes = []
for left in range(0, 3_000_000, 150_000):
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - left)
    before = current_version(published)
    try:
        publish(large, [FileTarget(folder=published, keep=3)])
        outcome = "published"
    except WarehouseError as error:
        outcome = str(error)
    ballast.unlink()
    assert check_whole(published) == ("v1" if outcome == "published" else before), outcome
    outcomes.append(outcome)
    left_over = sorted(entry.name for entry in (published / "versions").iterdir())
    assert left_over == ([before, "v1"] if outcome == "published" else [before]), (outcome, left_over)
    if outcome == "published":
        break
print(json.dumps(outcomes))
"""


def test_a_disk_that_is_full_at_any_point_leaves_the_last_publication_whole(tmp_path: Path, start: Any) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # A small disk of its own in a name space of its own: gone with the process.
    mount = (
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=8m disk "{disk}" && exec "$@"',
    )
    try:
        subprocess.run([*mount, "sh", sys.executable, "-c", ""], check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine does not let a test mount a small disk")
    out, err = start(FILL, disk, before=(*mount, "sh")).communicate(timeout=120)
    assert err == ""
    *refused, last = json.loads(out)
    assert last == "published"
    assert len(refused) >= 3
    assert all("No space left" in line and "\n" not in line for line in refused), refused


PUBLISH_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from tests.warehouse.warehouse_rows import publication
from warehouse.publish import publish
from warehouse.targets.files import FileTarget

starter = os.getpid()
for prefix in sys.stdin:  # imports are slow, so they happen once and each publisher is a fork
    publisher = os.fork()
    if not publisher:
        i = 0
        while os.getppid() == starter:
            given = publication(f"{prefix.strip()}-{i:06d}", rows=40 + i % 7 * 300)
            publish(given, [FileTarget(folder=Path(sys.argv[1]), keep=20)])
            i += 1
        os._exit(0)
    print(publisher, flush=True)
    print(os.waitpid(publisher, 0)[1], flush=True)
"""
KILLS = 20


def test_a_publisher_killed_at_any_moment_leaves_a_whole_publication_under_the_stable_name(
    published: Path, start: Any
) -> None:
    chance = random.Random(20240601)
    began = time.monotonic()
    put(published, "00-000000")
    usual = time.monotonic() - began
    seen = ["00-000000"]
    finished = half_written = 0
    starter = start(PUBLISH_UNTIL_KILLED, published)
    for kill in range(1, KILLS + 1):
        starter.stdin.write(f"{kill:02d}\n")
        starter.stdin.flush()
        publisher = int(starter.stdout.readline())
        began = time.monotonic()
        if chance.random() < 0.5:
            while seen[-1] < f"{kill:02d}":
                seen.append(check_whole(published))
                assert time.monotonic() < began + 120, "the publisher does not get on"
            finished += 1
            usual = time.monotonic() - began
        end = time.monotonic() + chance.uniform(0, usual)
        while time.monotonic() < end:
            seen.append(check_whole(published))
        os.kill(publisher, signal.SIGKILL)
        assert int(starter.stdout.readline()) == signal.SIGKILL, "the publisher ended by itself"
        half_written += any(name.startswith(".draft") for name in entries(published / "versions"))
        seen.append(check_whole(published))
    assert seen == sorted(seen)
    assert len(set(seen)) > finished > KILLS // 4
    assert half_written > KILLS // 4
    put(published, "99-000000")
    assert check_whole(published) == "99-000000"
    assert [name for name in entries(published / "versions") if name.startswith(".")] == []
    assert entries(published) == sorted(["current", "versions", *STABLE_NAMES])


def test_version_before_is_the_newest_that_is_older_than_the_current_one(published: Path) -> None:
    assert version_before(published) is None
    for version, before in (("v1", None), ("v2", "v1"), ("v3", "v2")):
        publish(publication(version), [FileTarget(folder=published, keep=3)])
        found = version_before(published)
        assert (found and found.name) == before
