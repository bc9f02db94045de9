"""A DuckLake shows each publication of the home as one snapshot, whole, and keeps what was shown before."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.errors import HashpivotError, TransientError, WarehouseError
from schemas.partition import by_year
from tests.docs.pages import blocks
from tests.other_user import as_other_user
from tests.warehouse.conftest import Start
from tests.warehouse.lake_reader import files_of, lake_of, rows_of, tables_of
from tests.warehouse.warehouse_rows import DAY, publication
from warehouse import extensions
from warehouse.publish import publish
from warehouse.targets.ducklake import CopiedRows, DuckLakeTarget
from warehouse.targets.files import FileTarget
from warehouse.targets.finished import Copied, FinishedVersion, finished_version
from warehouse.targets.protocol import Publication


@pytest.fixture(params=["sqlite", "duckdb"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new lake with each kind of catalog that is a file."""
    folder = tmp_path / "lake"
    folder.mkdir()
    return f"ducklake:sqlite:{folder}/catalog.sqlite" if request.param == "sqlite" else f"ducklake:{folder}/catalog.db"


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """Of a new lake with the catalog that is recommended."""
    (tmp_path / "lake").mkdir()
    return f"ducklake:sqlite:{tmp_path}/lake/catalog.sqlite"


def target(address: str, keep: int | None = None) -> DuckLakeTarget:
    return DuckLakeTarget(address=address, keep=keep, time_scale=0.02)


def given(name: str, **about: Any) -> Publication:
    """A publication whose rows are stamped with its version."""
    small = publication(name)
    return replace(small, about={**small.about, "day": "2024-06-30", "family": "simulated"} | about)


def steady(name: str, days: int = 30, **changed: Any) -> Publication:
    """A publication of so many days, whose rows are those of any other but for the days, and what is `changed`."""
    rows = publication("same", rows=days).tables
    day = str(DAY + timedelta(days=days - 1))
    return replace(given(name, day=day), tables=dict(rows) | changed)


def finished(folder: Path, published: Publication) -> FinishedVersion:
    """The version that the file target makes of a publication."""
    publish(published, [FileTarget(folder=folder, keep=9)])
    return finished_version(folder)


def written(copied: Copied) -> tuple[int, int, list[str]]:
    """Rows written and removed, and the tables that this happened in."""
    assert isinstance(copied, CopiedRows)
    return copied.changes.written_count, copied.changes.removed_count, sorted(copied.changes.tables)


def assert_shows(address: str, found: FinishedVersion, at: str = "") -> None:
    """Compare every table of the lake, its types, values and NULLs, with the database of the version."""
    with lake_of(address) as lake, duckdb.connect(str(found.folder / "hashpivot.duckdb"), read_only=True) as home:
        assert tables_of(lake, "lake") == tables_of(home, "hashpivot")
        for schema, table in tables_of(home, "hashpivot"):
            name = f"{schema}.{table}"
            there, here = (each.sql(f"from {name} {where}") for each, where in ((lake, at), (home, "")))
            assert (there.columns, there.types) == (here.columns, here.types), name
            assert_frame_equal(rows_of(lake, name, at), rows_of(home, name), check_exact=True)


def test_every_table_is_that_of_the_database_and_of_the_parquet_files(sqlite: str, published_demo: Path) -> None:
    assert target(sqlite).publish(finished_version(published_demo)).is_new
    with lake_of(sqlite) as lake, duckdb.connect(str(published_demo / "hashpivot.duckdb"), read_only=True) as home:
        keys = dict(home.execute("select table_name, key_columns from meta.tables").fetchall())
        assert len(keys) > 40
        for table, key in keys.items():
            file = published_demo / "parquet" / f"{table}.parquet"
            files = str(file) if file.exists() else str(file.with_suffix("") / "*.parquet")
            order = f"order by {key}" if key else ""
            there, here, parquet = (
                connection.sql(f"from {rows} {order}")
                for connection, rows in ((lake, table), (home, table), (home, f"read_parquet('{files}')"))
            )
            assert there.types == here.types == parquet.types, table
            rows = there.pl()
            assert_frame_equal(rows, here.pl(), check_exact=True)
            assert_frame_equal(rows, parquet.pl(), check_exact=True)
        for schema, table in tables_of(home, "hashpivot"):
            if schema == "meta":
                assert_frame_equal(rows_of(lake, f"meta.{table}"), rows_of(home, f"meta.{table}"), check_exact=True)
        for query in (
            "select schema_name, table_name, comment from duckdb_tables() where schema_name in ('main', 'meta')",
            "select schema_name, view_name, comment from duckdb_views() where schema_name = 'answers'",
            "select c.schema_name, c.table_name, column_name, c.comment from duckdb_columns() as c "
            "join duckdb_tables() using (database_name, schema_name, table_name) where schema_name in ('main', 'meta')",
        ):
            kept, stated = (
                each.execute(f"{query} and database_name = current_database() order by all").fetchall()
                for each in (lake, home)
            )
            assert kept == stated
            assert any(row[-1] for row in stated)
        (view,) = home.execute("select count(*) from answers.findings").fetchall()
        assert lake.execute("select count(*) from answers.findings").fetchall() == [view]


def test_one_publication_is_one_snapshot_with_author_and_message(sqlite: str, tmp_path: Path) -> None:
    first = finished(tmp_path, steady("v1"))
    target(sqlite).publish(first)
    target(sqlite).publish(finished(tmp_path, steady("v2", 31)))
    with lake_of(sqlite) as lake:
        rows = lake.execute(
            "select author, commit_message, commit_extra_info from lake.snapshots() where snapshot_id > 0 order by all"
        ).fetchall()
        shown = lake.execute("select version, day from hashpivot.publication").fetchall()
    assert [author for author, _, _ in rows] == ["hashpivot", "hashpivot"]
    assert rows[0][1].startswith("v1: first publication here, with days up to 2024-06-30 of profile demo; 76 rows")
    assert rows[1][1].startswith("v2: days after 2024-06-30 up to 2024-07-01 of profile demo; ")
    assert json.loads(rows[0][2])["manifest_sha256"] == first.digest
    assert shown == [("v2", "2024-07-01")]
    assert str(target(sqlite).shown()) == "Shown(version='v2', day='2024-07-01')"


def test_a_number_and_a_time_show_what_was_published_then(sqlite: str, tmp_path: Path) -> None:
    versions = [finished(tmp_path, steady(f"v{number}", 30 + number)) for number in range(3)]
    for found in versions:
        target(sqlite).publish(found)
    with lake_of(sqlite) as lake:
        snapshots = lake.execute(
            "select commit_message.split(':')[1], snapshot_id, snapshot_time::varchar from lake.snapshots() "
            "where author = 'hashpivot' order by snapshot_id"
        ).fetchall()
    assert [version for version, _, _ in snapshots] == ["v0", "v1", "v2"]
    for found, (_, number, moment) in zip(versions, snapshots, strict=True):
        assert_shows(sqlite, found, f"at (version => {number})")
        assert_shows(sqlite, found, f"at (timestamp => timestamptz '{moment}')")


def test_only_rows_that_are_not_as_before_are_written(address: str, tmp_path: Path) -> None:
    target(address).publish(finished(tmp_path, steady("v1", 2000)))
    before = files_of(address)
    second = finished(tmp_path, steady("v2", 2001))
    # A new day, the one before it, which was not final, and a deal.
    assert written(target(address).publish(second)) == (3, 1, ["deal", "price_daily"])
    # Into the catalog, or as small files beside those that are there.
    assert before.items() <= files_of(address).items()
    assert sum(files_of(address).values()) - sum(before.values()) < 8_000
    assert_shows(address, second)
    with lake_of(address) as lake:
        (changes,) = lake.execute("select changes from lake.snapshots() order by snapshot_id desc limit 1").fetchall()
    assert not {kind for kind in changes[0] if kind.startswith(("tables_created", "tables_altered", "views"))}


def test_statements_of_the_page_read_the_lake(sqlite: str, published_demo: Path) -> None:
    """Those for a machine with Internet, but for the first line, which fetches what the tests have from packages."""
    target(sqlite).publish(finished_version(published_demo))
    (block,) = [
        each for each in blocks("text") if each.page == "docs/target_ducklake.md" and "install ducklake" in each.text
    ]
    fetched, *lines = block.text.replace("ducklake:sqlite:/srv/lake/catalog.sqlite", sqlite).splitlines()
    assert fetched == "install ducklake; install sqlite;"
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in ("ducklake", "sqlite_scanner"):
            extensions.load(connection, name)
        rows = [
            connection.execute(line.replace("snapshot_time,", "snapshot_time::varchar,")).fetchall() for line in lines
        ]
    assert [len(found) for found in rows] == [0, 0, 1, 5, 1]


def test_version_that_is_shown_is_not_published_again(address: str, tmp_path: Path) -> None:
    found = finished(tmp_path, given("v1"))
    target(address).publish(found)
    assert target(address).publish(found) == Copied(version="v1", is_new=False)
    with lake_of(address) as lake:
        assert lake.execute("select count(*) from lake.snapshots()").fetchall() == [(2,)]


def test_columns_comments_and_tables_that_changed_are_followed_and_the_past_keeps_its_own(
    address: str, tmp_path: Path
) -> None:
    first = finished(tmp_path, steady("v1"))
    target(address).publish(first)
    price, deal = steady("v1").facts
    fewer = tuple(each for each in price.metrics if each.name != "is_final")
    other = replace(price, description="One row a day: another text.", metrics=fewer)
    rows = steady("v2").tables["price_daily"]
    assert isinstance(rows, pl.DataFrame)
    retyped = rows.select("day", pl.col("price_usd").cast(pl.Int64), "version")
    second = finished(tmp_path, replace(steady("v2", price_daily=retyped), facts=(other, deal)))
    assert "price_daily" in written(target(address).publish(second))[2]
    third_tables = {"price_daily": steady("v3").tables["price_daily"]}
    third = finished(tmp_path, replace(steady("v3"), tables=third_tables, facts=(price,)))
    assert written(target(address).publish(third))[2] == ["deal", "price_daily"]
    for number, found in enumerate((first, second), start=1):
        with lake_of(address) as lake, duckdb.connect(str(found.folder / "hashpivot.duckdb"), read_only=True) as home:
            for table in ("price_daily", "deal", "meta.tables"):
                at = f"at (version => {number})"
                assert lake.sql(f"from {table} {at}").types == home.sql(f"from {table}").types
                assert_frame_equal(rows_of(lake, table, at), rows_of(home, table), check_exact=True)
    assert_shows(address, third)


@pytest.mark.parametrize("changed_year", [2023, 2024])
def test_of_a_table_in_parts_only_years_that_changed_are_compared(
    sqlite: str, tmp_path: Path, changed_year: int
) -> None:
    def in_parts(name: str, changed: int) -> Publication:
        years = {year: publication("same").tables["price_daily"] for year in (2022, 2023, 2024)}
        parts = []
        for year, rows in years.items():
            assert isinstance(rows, pl.DataFrame)
            made = rows.with_columns(day=pl.lit(date(year, 1, 1)) + pl.duration(days=pl.int_range(pl.len())))
            made = (
                made.with_columns(price_usd=pl.int_range(pl.len()) + float(changed)) if year == changed_year else made
            )
            parts.append(made)
        return replace(steady(name), tables=dict(steady(name).tables) | {"price_daily": by_year(pl.concat(parts))})

    target(sqlite).publish(finished(tmp_path, in_parts("v1", 0)))
    second = finished(tmp_path, in_parts("v2", 1))
    copied = target(sqlite).publish(second)
    assert written(copied)[:2] == (30, 30)
    assert_shows(sqlite, second)


def test_rows_that_are_there_twice_stay_so(sqlite: str, tmp_path: Path) -> None:
    twice = pl.DataFrame({"deal_id": ["a", "a", "a", "b"], "power_mw": [1.0, 1.0, 1.0, None], "version": ["v"] * 4})
    for number, deal in enumerate((twice, twice[1:], pl.concat([twice, twice]), twice[3:]), start=1):
        found = finished(tmp_path, steady(f"v{number}", deal=deal))
        target(sqlite).publish(found)
        assert_shows(sqlite, found)


def test_changes_by_somebody_else_are_put_right_by_the_next_publication(sqlite: str, tmp_path: Path) -> None:
    found = finished(tmp_path, steady("v1"))
    target(sqlite).publish(found)
    path = sqlite.removeprefix("ducklake:")
    with lake_of(sqlite) as lake:
        lake.execute("use memory; detach lake")
        lake.execute(f"attach 'ducklake:{path}' as lake")
        lake.execute("update lake.deal set power_mw = 7 where deal_id = 'd-00003'; create table lake.other as select 1")
    copied = target(sqlite).publish(found)
    assert written(copied) == (1, 1, ["deal", "other"])
    assert_shows(sqlite, found)


def test_lake_that_lost_sight_of_the_version_before_compares_all(sqlite: str, tmp_path: Path) -> None:
    target(sqlite).publish(finished(tmp_path / "one", steady("v1")))
    found = finished(tmp_path / "restored", steady("v2", 29))
    assert written(target(sqlite).publish(found))[1] > 0
    assert_shows(sqlite, found)


def test_newest_publications_stay_and_older_ones_go_with_their_files(sqlite: str, tmp_path: Path) -> None:
    versions = []
    for number in range(5):
        noisy = publication("x", rows=300, noise=number).tables["price_daily"]
        versions.append(finished(tmp_path, steady(f"v{number}", price_daily=noisy)))
        pruned = target(sqlite, keep=2).publish(versions[-1]).pruned
        assert pruned == ((f"v{number - 2}",) if number >= 2 else ())
    with lake_of(sqlite) as lake:
        numbers = [
            number for (number,) in lake.execute("select snapshot_id from lake.snapshots() order by 1").fetchall()
        ]
        assert len(numbers) == 2
        with pytest.raises(duckdb.Error, match="No snapshot found at version 3"):
            lake.execute("from deal at (version => 3)")
    assert_shows(sqlite, versions[3], f"at (version => {numbers[0]})")
    assert_shows(sqlite, versions[4])
    # Files stay for a day, for readers that still have them.
    assert len([path for path in files_of(sqlite) if "price_daily" in path and "delete" not in path]) == 5


def failure(address: str, found: FinishedVersion) -> HashpivotError:
    with pytest.raises(HashpivotError) as caught:
        target(address).publish(found)
    line = str(caught.value)
    assert ": found " in line
    assert ", expected " in line
    assert "\n" not in line
    return caught.value


def test_what_cannot_be_published_is_one_line_and_changes_nothing(sqlite: str, tmp_path: Path) -> None:
    found = finished(tmp_path / "home", steady("v2"))
    lake = tmp_path / "lake"
    missing = failure(f"ducklake:sqlite:{tmp_path}/nowhere/catalog.sqlite", found)
    assert f"found no folder {tmp_path}/nowhere" in str(missing)

    (lake / "catalog.sqlite.files").mkdir()
    (lake / "catalog.sqlite.files" / "old.parquet").write_bytes(b"PAR1")
    assert "found files in" in str(failure(sqlite, found))
    (lake / "catalog.sqlite.files" / "old.parquet").unlink()

    with sqlite3.connect(lake / "other.sqlite") as other:
        other.execute("create table notes (text)")
    other.close()
    strange = failure(f"ducklake:sqlite:{lake}/other.sqlite", found)
    assert "found 1 tables of something else there" in str(strange)
    (lake / "text.sqlite").write_text("This is not a database, but long enough to look at. " * 99)
    assert "found " in str(failure(f"ducklake:sqlite:{lake}/text.sqlite", found))

    target(sqlite).publish(found)
    older = finished(tmp_path / "older", steady("v1"))
    assert "found version v2 there, expected none after v1" in str(failure(sqlite, older))
    real = finished(tmp_path / "real", replace(given("v3"), about={**given("v3").about, "family": "main"}))
    assert "found data of 'simulated' there, expected 'main' as in this home" in str(failure(sqlite, real))
    changed = finished(tmp_path / "changed", steady("v4"))
    (changed.folder / "hashpivot.duckdb").chmod(0o600)
    (changed.folder / "hashpivot.duckdb").write_bytes(b"?" * 4096)
    assert "found other bytes than its manifest states" in str(failure(sqlite, changed))
    assert_shows(sqlite, found)

    with sqlite3.connect(lake / "catalog.sqlite") as catalog:
        catalog.execute("update ducklake_metadata set value = '9.7' where key = 'version'")
    catalog.close()
    assert "found a catalog of DuckLake 9.7, expected 1.0" in str(failure(sqlite, found))


def test_lake_of_somebody_else_is_refused(sqlite: str, tmp_path: Path) -> None:
    with lake_of_new(sqlite, tmp_path) as lake:
        lake.execute("create table lake.theirs as select 1 as x")
    found = finished(tmp_path, steady("v1"))
    assert "found 1 tables that are not of hashpivot" in str(failure(sqlite, found))
    assert target(sqlite).shown() is None


def lake_of_new(address: str, tmp_path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in ("ducklake", "sqlite_scanner"):
        extensions.load(connection, name)
    connection.execute(f"attach '{address}' as lake (data_path '{tmp_path}/theirs')")
    return connection


def test_lake_that_nobody_has_made_shows_nothing_and_stays_unmade(address: str) -> None:
    assert target(address).shown() is None
    assert not Path(address.rpartition(":")[2]).exists()


def test_catalog_that_another_process_holds_is_worth_another_try(tmp_path: Path, start: Start) -> None:
    (tmp_path / "lake").mkdir()
    address = f"ducklake:{tmp_path}/lake/catalog.db"
    found = finished(tmp_path, steady("v1"))
    target(address).publish(found)
    holder = start(
        "import duckdb, sys\n"
        "with duckdb.connect(sys.argv[1], read_only=True): print('open', flush=True); sys.stdin.read()",
        f"{tmp_path}/lake/catalog.db",
        python=sys.executable,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    error = failure(address, finished(tmp_path, steady("v2")))
    assert isinstance(error, TransientError)
    assert "found the catalog locked by another process" in str(error)


def test_of_two_writers_that_cross_one_publishes_and_the_other_is_one_line(
    sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.targets import ducklake

    target(sqlite).publish(finished(tmp_path / "both", steady("v0")))
    slow, quick = finished(tmp_path / "slow", steady("v1", 31)), finished(tmp_path / "quick", steady("v2", 32))
    write_control_row = ducklake._write_control_row

    def cross(*arguments: Any) -> None:
        """Publish the other version while this one is written, as its last step."""
        monkeypatch.undo()
        target(sqlite).publish(quick)
        write_control_row(*arguments)

    monkeypatch.setattr(ducklake, "_write_control_row", cross)
    line = str(failure(sqlite, slow))
    assert "found version v2, which another writer has published meanwhile" in line
    assert_shows(sqlite, quick)


def test_others_may_read_what_their_folder_lets_them_read(sqlite: str, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_mode & 0o005 != 0o005 and path.is_relative_to("/tmp"):
            path.chmod(0o755)
    folder.chmod(0o777)
    found = finished(tmp_path / "home", steady("v1", 2000))
    target(sqlite).publish(found)
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes[".sqlite"] == modes[".parquet"] == 0o666

    def count() -> Any:
        with lake_of(sqlite) as lake:
            return lake.execute("select count(*) from price_daily").fetchall()

    assert as_other_user(count) == [(2000,)]


WRITER = """
import sys
from pathlib import Path
from warehouse.targets.ducklake import DuckLakeTarget
from warehouse.targets.finished import finished_version
print("ready", flush=True)
for line in sys.stdin:
    print(DuckLakeTarget(address=sys.argv[1], keep=None).publish(finished_version(Path(line.strip()))), flush=True)
"""
READER = """
import sys, time
sys.path.insert(0, "tests")
from pathlib import Path
from tests.warehouse.lake_reader import lake_of
print("ready", flush=True)
reads, versions = 0, set()
stop = Path(sys.argv[2])
while not stop.exists():
    with lake_of(sys.argv[1]) as lake:
        for _ in range(20):
            lake.begin()
            found = [
                lake.execute(f"select min(version), max(version), count(*) from {table}").fetchone()
                for table in ("price_daily", "deal")
            ]
            found += lake.execute("select version, version, 0 from hashpivot.publication").fetchall()
            lake.commit()
            assert len({v for row in found for v in row[:2]}) == 1, found
            assert found[1][2] == found[0][2] + 7, found
            reads += 1
            time.sleep(0.02)
            versions.add(found[2][0])
print(reads, len(versions), flush=True)
"""


def publish_under_readers(
    address: str, tmp_path: Path, start: Start, count: int, readers: int
) -> list[tuple[int, int]]:
    """Publish `count` versions while readers read; how often each did, and how many versions it met."""
    target(address).publish(finished(tmp_path, given("v0000")))
    stop = tmp_path / "stop"
    reading = [start(READER, address, stop, python=sys.executable) for _ in range(readers)]
    for process in reading:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for number in range(1, count + 1):
        small = replace(given(f"v{number:04d}"), tables=publication(f"v{number:04d}", rows=30 + number % 5).tables)
        target(address).publish(finished(tmp_path, small))
    stop.touch()
    found = []
    for process in reading:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err[-2000:]
        # DuckDB takes a program without a file for a person, and draws how far a slow query is.
        reads, met = map(int, out.split()[-2:])
        found.append((reads, met))
    return found


def test_readers_meet_no_error_and_no_mixture_while_versions_are_published(
    sqlite: str, tmp_path: Path, start: Start
) -> None:
    for reads, met in publish_under_readers(sqlite, tmp_path, start, count=8, readers=2):
        assert reads >= 20
        assert met >= 2


@pytest.mark.long
def test_hundred_publications_under_readers(sqlite: str, tmp_path: Path, start: Start) -> None:
    for reads, met in publish_under_readers(sqlite, tmp_path, start, count=100, readers=2):
        assert reads >= 200
        assert met >= 50
    with lake_of(sqlite) as lake:
        for number in range(1, 101):
            found = lake.execute(f"select distinct version from deal at (version => {number})").fetchall()
            assert found == [(f"v{number - 1:04d}",)]


def wait_for_work(child: int, seconds: float) -> None:
    """Wait until a process has had the processor for so long, however busy the machine is, or has ended.

    At most a minute: a process that was forked may wait for a lock that a thread of ours had.
    """
    ticks, deadline = os.sysconf("SC_CLK_TCK"), time.monotonic() + 60
    while time.monotonic() < deadline:
        state, *facts = Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        if state == "Z" or (int(facts[10]) + int(facts[11])) / ticks >= seconds:
            return
        time.sleep(0.003)


def renamed(found: FinishedVersion, name: str) -> FinishedVersion:
    """The same tables as a version of another name."""
    stated = {**found.stated, "version": name}
    return replace(found, version=name, stated=stated, manifest=json.dumps(stated).encode())


def assert_same_rows(reader: duckdb.DuckDBPyConnection, found: FinishedVersion) -> None:
    """Compare every table of `lake` with the version, by types and rows."""
    reader.execute(f"attach '{found.folder / 'hashpivot.duckdb'}' as home (read_only)")
    for table in (".".join(name) for name in tables_of(reader, "home")):
        assert reader.table(f"lake.{table}").types == reader.table(f"home.{table}").types
        for one, other in (("home", "lake"), ("lake", "home")):
            lacking = f"select count(*) from (from {one}.{table} except all from {other}.{table})"
            assert reader.execute(lacking).fetchall() == [(0,)], (one, table)
    reader.execute("detach home")


def kill_publications(address: str, tmp_path: Path, count: int) -> tuple[int, int]:
    """Kill `count` publications, each at another moment; how often the one before stayed, and how often it came."""
    contents = [
        finished(tmp_path / f"{number}", replace(given("v"), tables=publication("v", rows=400, noise=number).tables))
        for number in range(2)
    ]
    target(address).publish(renamed(contents[1], "u"))
    before = renamed(contents[0], "v0000")
    took = time.process_time()
    target(address).publish(before)
    took = time.process_time() - took
    stayed = came = 0
    with duckdb.connect(config={"threads": 1}) as reader:
        for name in ("ducklake", "sqlite_scanner"):
            extensions.load(reader, name)
        for number in range(1, count + 1):
            after = renamed(contents[1 if before.folder == contents[0].folder else 0], f"v{number:04d}")
            if (child := os.fork()) == 0:
                target(address).publish(after)
                os._exit(0)
            wait_for_work(child, 1.3 * took * number / count)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            reader.execute(f"attach '{address}' as lake (read_only)")
            [(shown,)] = reader.execute("select version from lake.hashpivot.publication").fetchall()
            assert shown in (before.version, after.version)
            before, stayed, came = (after, stayed, came + 1) if shown == after.version else (before, stayed + 1, came)
            assert_same_rows(reader, before)
            reader.execute("detach lake")
    last = renamed(before, "v9999")
    assert target(address).publish(last).is_new
    assert_shows(address, last)
    return stayed, came


def test_kill_at_any_moment_leaves_one_whole_version(sqlite: str, tmp_path: Path) -> None:
    stayed, _ = kill_publications(sqlite, tmp_path, count=4)
    assert stayed >= 1


@pytest.mark.long
def test_fifty_kills(address: str, tmp_path: Path) -> None:
    stayed, came = kill_publications(address, tmp_path, count=50)
    assert stayed >= 10
    assert came >= 5


def test_full_disk_keeps_the_version_before(sqlite: str, tmp_path: Path, start: Start) -> None:
    before = finished(tmp_path, steady("v1"))
    target(sqlite).publish(before)
    noisy = publication("x", rows=90_000, noise=1).tables["price_daily"]
    finished(tmp_path, steady("v2", price_daily=noisy))
    limited = start(
        WRITER,
        sqlite,
        before=("bash", "-c", 'ulimit -f 400; trap "" XFSZ; exec "$@"', "limited"),
        python=sys.executable,
    )
    assert limited.stdin is not None
    out, err = limited.communicate(f"{tmp_path}\n", timeout=60)
    assert limited.returncode != 0, out
    assert "WarehouseError: target ducklake:sqlite:" in err.splitlines()[-1], err
    assert_shows(sqlite, before)


def test_without_the_extension_one_line_names_its_package(sqlite: str, tmp_path: Path) -> None:
    """In an environment without it, which that of the users is."""
    from tests.invocation import PYTHON

    program = "import duckdb; from warehouse import extensions; extensions.load(duckdb.connect(), 'sqlite_scanner')"
    done = subprocess.run(
        [PYTHON, "-c", program], env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    line = done.stderr.splitlines()[-1]
    assert f"extension sqlite_scanner of DuckDB: found none for version {duckdb.__version__}, expected one" in line
    assert f"install the package duckdb-extension-sqlite-scanner=={duckdb.__version__}" in line


def test_error_class_of_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="found no folder"):
        target(f"ducklake:sqlite:{tmp_path}/nowhere/catalog.sqlite").shown()
