"""The working database: migrated once, refused when it is not ours, opened by one process at a time."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.errors import WarehouseBusyError, WarehouseError
from warehouse.working import is_let_go, known_migrations, migrate, open_working

MIGRATIONS = sorted(f.name for f in files("warehouse").joinpath("migrations").iterdir() if f.name.endswith(".sql"))

HOLD = """
import sys
from pathlib import Path
from warehouse.working import open_working

with open_working(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.readline()
"""


def refusal(path: Path) -> str:
    """The one line with which the database is refused."""
    with pytest.raises(WarehouseError) as caught, open_working(path):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def catalogue(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    return connection.execute(
        "select schema_name, table_name, sql from duckdb_tables() union all "
        "select schema_name, view_name, null from duckdb_views() where not internal order by all"
    ).fetchall()


def test_a_fresh_database_gets_every_migration_in_order(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "working.duckdb")) as connection:
        assert migrate(connection) == MIGRATIONS
        applied = connection.execute("select name from migration order by rowid").fetchall()
        assert [name for (name,) in applied] == MIGRATIONS
        assert len(MIGRATIONS) >= 2
        named = {name for _, name, _ in catalogue(connection)}
        assert {"batch", "block", "daily_value", "exchange_flow", "run", "notice", "latest_block"} <= named


def test_migrating_again_changes_nothing(working: Path) -> None:
    with open_working(working) as connection:
        connection.execute("insert into ops.notice values ('r', 's', 'o', 'm')")
        before = catalogue(connection)
    with open_working(working) as connection:
        assert migrate(connection) == []
        assert catalogue(connection) == before
        assert connection.execute("select count(*) from ops.notice").fetchone() == (1,)


def test_an_older_database_gets_only_what_it_lacks_and_keeps_its_rows(working: Path) -> None:
    first = known_migrations()[MIGRATIONS[0]]
    working.parent.mkdir()
    with duckdb.connect(str(working)) as connection:
        connection.execute(first)
        connection.execute("create table migration (name varchar primary key, sha256 varchar not null)")
        digest = hashlib.sha256(first.encode()).hexdigest()
        connection.execute("insert into migration values (?, ?)", [MIGRATIONS[0], digest])
        connection.execute("insert into raw.daily_value values ('simulated', 'price_usd', '2024-06-01', 1.0, 0, 1)")
    with duckdb.connect(str(working)) as connection:
        assert migrate(connection) == MIGRATIONS[1:]
        assert connection.execute("select value from raw.latest_daily_value").fetchall() == [(1.0,)]


@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_that_changed_after_it_was_applied_is_refused_by_name(working: Path, name: str) -> None:
    with open_working(working) as connection:
        connection.execute("update migration set sha256 = 'of another text' where name = ?", [name])
    assert name in refusal(working)


def test_a_database_of_a_newer_version_is_refused_by_the_name_of_the_migration(working: Path) -> None:
    with open_working(working) as connection:
        connection.execute("insert into migration values ('9999_of_tomorrow.sql', 'unknown')")
    message = refusal(working)
    assert "9999_of_tomorrow.sql" in message
    assert "upgrade" in message


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(
    tmp_path: Path, working: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_good.sql").write_text("create table first (id integer);")
    monkeypatch.setattr("warehouse.working.files", lambda _: tmp_path)
    with open_working(working):
        pass
    (tmp_path / "migrations" / "0002_bad.sql").write_text("create schema extra; insert into first values ('x');")
    for _ in range(2):
        assert "Could not convert string 'x'" in refusal(working)
    with duckdb.connect(str(working)) as connection:
        assert connection.execute("select name from migration").fetchall() == [("0001_good.sql",)]
        assert [name for _, name, _ in catalogue(connection)] == ["first", "migration"]
        assert connection.execute("select count(*) from duckdb_schemas() where schema_name = 'extra'").fetchone() == (
            0,
        )


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"not a database, though long enough for a header\n" * 500],
    ids=["empty", "word", "text"],
)
def test_a_file_that_is_no_database_is_refused_by_path_and_left_alone(working: Path, content: bytes) -> None:
    working.parent.mkdir()
    working.write_bytes(content)
    assert str(working) in refusal(working)
    assert working.read_bytes() == content


def test_a_database_that_was_cut_short_is_refused(working: Path) -> None:
    with open_working(working):
        pass
    os.truncate(working, 9_000)
    assert str(working) in refusal(working)


@pytest.mark.parametrize(
    "table", ["customer (id integer)", "migration (id integer)"], ids=["other tables", "table of the same name"]
)
def test_a_database_that_somebody_else_made_is_refused_and_left_alone(working: Path, table: str) -> None:
    working.parent.mkdir()
    with duckdb.connect(str(working)) as connection:
        connection.execute(f"create table {table}")
        before = catalogue(connection)
    refusal(working)
    with duckdb.connect(str(working)) as connection:
        assert catalogue(connection) == before


def test_a_folder_in_place_of_the_database_is_refused(working: Path) -> None:
    working.mkdir(parents=True)
    assert str(working) in refusal(working)


def test_a_file_in_place_of_the_home_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert str(tmp_path / "home") in refusal(tmp_path / "home" / "working.duckdb")


def test_a_second_process_is_rejected_with_the_process_that_has_the_database_open(working: Path, start: Any) -> None:
    holder = start(HOLD, working)
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(WarehouseBusyError, match=f"process {holder.pid}") as caught, open_working(working):
        pass
    assert "\n" not in str(caught.value)
    assert str(working) in str(caught.value)
    holder.communicate("close\n", timeout=120)
    with open_working(working) as connection:
        assert connection.execute("select count(*) from raw.batch").fetchone() == (0,)


def test_a_killed_process_does_not_keep_the_database_locked(working: Path, start: Any) -> None:
    holder = start(HOLD, working)
    assert holder.stdout.readline() == "open\n"
    holder.kill()
    holder.wait()
    with open_working(working) as connection:
        assert connection.execute("select count(*) from migration").fetchone() == (len(MIGRATIONS),)


def test_a_broken_file_in_a_folder_named_lock_is_not_taken_for_a_busy_one(tmp_path: Path) -> None:
    path = tmp_path / "lock of blocks" / "working.duckdb"
    path.parent.mkdir()
    path.write_text("garbage")
    with pytest.raises(WarehouseError), open_working(path):
        pass


def test_only_the_owner_can_read_the_database_and_its_folder(working: Path) -> None:
    before = os.umask(0o022)
    try:
        with open_working(working):
            assert stat.S_IMODE(working.stat().st_mode) == 0o600
            assert stat.S_IMODE(working.parent.stat().st_mode) == 0o700
        working.chmod(0o644)
        with open_working(working):
            assert stat.S_IMODE(working.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_an_error_of_the_database_leaves_as_one_line_of_ours(working: Path) -> None:
    with pytest.raises(WarehouseError, match=r"nowhere\.at_all") as caught, open_working(working) as connection:
        connection.execute("select *\nfrom nowhere.at_all\n")
    assert "\n" not in str(caught.value)


def test_an_error_of_the_caller_passes_through_and_closes_the_database(working: Path, start: Any) -> None:
    with pytest.raises(ZeroDivisionError), open_working(working):
        _ = 1 / 0
    holder = start(HOLD, working)
    assert holder.stdout.readline() == "open\n"


@pytest.mark.parametrize("folder", ["it's here", 'the "quoted" one', "two  spaces", "päper [x] *"])
def test_the_path_of_the_database_may_hold_quotes_and_spaces(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "working.duckdb"
    for _ in range(2):
        with open_working(path) as connection:
            connection.execute("insert into ops.notice values ('r', 's', 'o', 'm')")
    with open_working(path) as connection:
        assert connection.execute("select count(*) from ops.notice").fetchone() == (2,)
    assert [entry.name for entry in path.parent.iterdir()] == ["working.duckdb"]


class StoppedError(BaseException):
    """What a limit of time, or a person, raises in the thread that has the run in hand."""


def stop(*_: object) -> None:
    raise StoppedError


def test_stop_in_the_middle_of_a_statement_is_not_taken_for_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "working.duckdb"

    def work() -> None:
        with open_working(path) as connection:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            # Long enough to be cut, and over in seconds where DuckDB looks for signals only at its end.
            connection.execute("select sum(a.range * b.range % 7) from range(10_000_000) a, range(60) b").fetchall()

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(StoppedError):
            work()
    finally:
        signal.signal(signal.SIGALRM, before)
    with open_working(path) as connection:
        assert connection.execute("select count(*) from ops.run").fetchall() == [(0,)]


NO_ROOM = """
import resource, sys
from pathlib import Path
from warehouse.working import open_working

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
with open_working(Path(sys.argv[1])):
    pass
"""


@pytest.mark.parametrize("limit_bytes", [0, 3_000, 12_000])
def test_a_disk_that_is_full_at_the_first_opening_leaves_nothing_in_the_way(working: Path, limit_bytes: int) -> None:
    run = subprocess.run([sys.executable, "-c", NO_ROOM, working, str(limit_bytes)], capture_output=True, check=False)
    assert b"WarehouseError" in run.stderr
    assert not working.exists()
    with open_working(working) as connection:
        assert connection.execute("select count(*) from migration").fetchall() == [(len(MIGRATIONS),)]


def test_a_database_is_let_go_when_no_part_of_this_process_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "working.duckdb"
    assert not is_let_go(path), "there is none"
    with open_working(path):
        assert not is_let_go(path)
        with subprocess.Popen(
            [sys.executable, "-c", "import sys; file = open(sys.argv[1]); print(); sys.stdin.readline()", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert not is_let_go(path)
            other.communicate("\n")
    assert is_let_go(path)
