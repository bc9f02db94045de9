"""A backup brings everything back that cannot be fetched again, after all of it was deleted; or it brings nothing."""

import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from flows.reports.alert_state import AlertState, read_state, write_state
from flows.run import pipeline, plan
from flows.settings import Settings, read_profile
from schemas.errors import WarehouseError
from tests.invocation import REPOSITORY, Hashpivot
from warehouse.backup import Contents, read_backup, write_backup
from warehouse.integrity import changed_files
from warehouse.restore import DRAFT_NAME, READY_NAME, restore_backup
from warehouse.targets.files import current_version
from warehouse.working import known_migrations

DAY = date(2026, 11, 7)
LATER_DAY = date(2026, 11, 8)
MADE_AT = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)
SECRET = b"battery-horse-staple"


@pytest.fixture(scope="module")
def first_home(published_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after one run, with alerts sent, labels and a profile of its own, and with secrets beside them."""
    home = shutil.copytree(published_demo.parent, tmp_path_factory.mktemp("first") / "home", symlinks=True)
    settings = Settings(home=home)
    write_state(settings, "demo", AlertState(late=DAY))
    (home / "own").mkdir()
    (home / "own" / "labels.csv").write_text("address,entity\n", encoding="utf-8")
    (home / "own.toml").write_text("title = 'mine'\n", encoding="utf-8")
    for name in ("prefect/login", "prefect/prefect.db", "web/cached", "node.cookie", ".env", "login.json"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(SECRET)
    (home / "published" / "versions" / ".draft-killed").mkdir()
    (home / "published" / "versions" / ".draft-killed" / "part").write_bytes(b"half of")
    return home


@pytest.fixture
def home(first_home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(first_home, tmp_path / "home", symlinks=True)


def settings_of(home: Path) -> Settings:
    return Settings(home=home, labels_file=home / "own" / "labels.csv", profile=str(home / "own.toml"))


def back_up(home: Path, destination: Path) -> Path:
    settings = settings_of(home)
    path, _ = write_backup(
        home,
        settings.backed_up,
        destination,
        working=settings.working_database,
        made_at=MADE_AT,
        hashpivot_version="1.2.3",
    )
    return path


@pytest.fixture(scope="module")
def archive(first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return back_up(first_home, tmp_path_factory.mktemp("backup"))


def restore(archive: Path, home: Path) -> Contents:
    return restore_backup(archive, home, settings_of(home).backed_up)


def tree(home: Path) -> dict[str, tuple[str, bytes | str, int]]:
    """Every file with its content and time of change, and every link with its target, by path."""
    found: dict[str, tuple[str, bytes | str, int]] = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()), 0)
        elif path.is_file():
            found[name] = ("file", path.read_bytes(), path.stat().st_mtime_ns)
    return found


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as reader:
        return reader.execute(query).fetchall()


def runs(database: Path, table: str) -> list[tuple[Any, ...]]:
    return rows(database, f"select run_id, status from {table} order by started_at")


def test_everything_deleted_comes_back_and_the_next_run_goes_on_from_there(home: Path, tmp_path: Path) -> None:
    settings = settings_of(home)
    archive = back_up(home, empty(tmp_path / "backups"))
    before, first = tree(home), current_version(settings.published)
    shutil.rmtree(home)
    restored = restore(archive, empty(home))

    kept = {
        name
        for name in before
        if name.startswith(("warehouse/", "published/", "alerts.json", "own/", "own.toml")) and ".draft" not in name
    }
    assert tree(home) == {name: before[name] for name in kept}
    assert {*(file.path for file in restored.files), *restored.links} == kept
    assert read_state(settings, "demo").late == DAY
    assert changed_files(settings.published, all_of_them=True) == []
    observed = rows(settings.working_database, "select count(*) from raw.daily_value")

    pipeline.run_all(following := plan.plan(Settings(home=home), read_profile("demo"), day=LATER_DAY))
    expected = [(first, "published"), (following.run_id, "published")]
    assert runs(settings.working_database, "ops.run") == expected
    assert runs(settings.published / "hashpivot.duckdb", "meta.runs") == expected
    assert rows(settings.working_database, "select count(*) from raw.daily_value") > observed > [(0,)]
    assert rows(settings.working_database, "select max(day) from raw.daily_value") == [(LATER_DAY,)]


def test_backup_is_readable_by_its_owner_only_and_has_no_secret(archive: Path) -> None:
    assert archive.name == "hashpivot-20261120T030405Z.tar"
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert SECRET not in archive.read_bytes()
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_restored_files_and_folders_are_closed_to_others(archive: Path, tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        restore(archive, empty(tmp_path / "home"))
    finally:
        os.umask(old_mask)
    for path in (tmp_path / "home").rglob("*"):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == 0o700 if path.is_dir() else mode & 0o022 == 0, path
    assert stat.S_IMODE((tmp_path / "home/warehouse/working.duckdb").stat().st_mode) == 0o600


def test_every_file_of_a_home_is_backed_up_or_known_to_be_had_again(first_home: Path) -> None:
    parts = {path.relative_to(first_home).parts[0] for path in settings_of(first_home).backed_up}
    # A restored home may be on another machine, whose time since boot is another one.
    again = {"run.lock", "web", "prefect", "clock.json"}
    planted = {"node.cookie", ".env", "login.json"}
    assert {path.name for path in first_home.iterdir()} - parts == again | planted


def test_what_a_killed_run_left_beside_the_working_database_is_part_of_the_backup(home: Path, tmp_path: Path) -> None:
    database = settings_of(home).working_database
    killed = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute(\"insert into ops.notice values ('r', 's', 'o', 'kept')\"); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(database)], check=False).returncode == -signal.SIGKILL
    assert database.with_name("working.duckdb.wal").exists()
    restore(back_up(home, tmp_path), empty(tmp_path / "other"))
    restored = tmp_path / "other/warehouse/working.duckdb"
    assert rows(restored, "select message from ops.notice where run_id = 'r'") == [("kept",)]


def test_backup_of_an_older_schema_is_restored_as_it_is_and_migrated_by_the_next_run(tmp_path: Path) -> None:
    home = empty(tmp_path / "home")
    settings = Settings(home=home)
    settings.working_database.parent.mkdir()
    oldest = min(known_migrations())
    with duckdb.connect(str(settings.working_database)) as connection:
        connection.execute("create table migration (name varchar primary key, sha256 varchar not null)")
        connection.execute(known_migrations()[oldest])
        connection.execute("insert into migration values (?, sha256(?))", [oldest, known_migrations()[oldest]])
    archive = back_up(home, tmp_path)
    assert restore(archive, empty(tmp_path / "other")).migrations == (oldest,)
    with plan.recorded(plan.plan(Settings(home=tmp_path / "other"), read_profile("demo"), day=DAY)):
        pass
    migrated = tmp_path / "other/warehouse/working.duckdb"
    assert rows(migrated, "select count(*) from migration") == [(len(known_migrations()),)]


def cut(archive: Path, copy: Path, length: int) -> Path:
    copy.write_bytes(archive.read_bytes()[:length])
    return copy


def test_backup_that_is_cut_off_anywhere_restores_nothing(archive: Path, tmp_path: Path) -> None:
    size_bytes, target = archive.stat().st_size, empty(tmp_path / "home")
    chance = random.Random(20261120)
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + last.size
    for length in [0, 100, 512, 700, end - 1, end - last.size, *(chance.randrange(end) for _ in range(20))]:
        with pytest.raises(WarehouseError, match=r"cut\.tar") as caught:
            restore(cut(archive, tmp_path / "cut.tar", length), target)
        assert "\n" not in str(caught.value)
        assert list(target.iterdir()) == [], length
    assert size_bytes > end


def test_backup_with_a_changed_byte_restores_nothing_or_all_as_it_was(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    whole = tree_of(archive, tmp_path / "whole")
    chance = random.Random(20261121)
    listed, *files = members
    places = [
        at for file in chance.sample(files, 5) for at in (file.offset + 5, file.offset_data, file.offset_data + 9)
    ]
    places += [listed.offset_data + chance.randrange(listed.size) for _ in range(10)]
    places += [chance.randrange(len(content)) for _ in range(10)]
    refused = 0
    for at in places:
        damaged = bytearray(content)
        damaged[at] ^= 1 << chance.randrange(8)
        (tmp_path / "damaged.tar").write_bytes(damaged)
        target = empty(tmp_path / f"home-{at}")
        try:
            restore(tmp_path / "damaged.tar", target)
        except WarehouseError:
            refused += 1
            assert list(target.iterdir()) == [], at
        else:
            assert tree(target) == whole, at
        shutil.rmtree(target)
    assert refused > len(places) / 2


def tree_of(archive: Path, folder: Path) -> dict[str, tuple[str, bytes | str, int]]:
    restore(archive, empty(folder))
    return tree(folder)


def repacked(archive: Path, copy: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The backup with another list of contents and a fitting digest of it, as somebody else might make it."""
    with tarfile.open(archive) as old, tarfile.open(copy, "w") as new:
        first, *others = old.getmembers()
        source = old.extractfile(first)
        assert source
        listed = json.loads(source.read())
        change(listed)
        text = json.dumps(listed).encode()
        member = tarfile.TarInfo(f"backup-{hashlib.sha256(text).hexdigest()}.json")
        member.size = len(text)
        new.addfile(member, BytesIO(text))
        for other in others:
            new.addfile(other, old.extractfile(other))
    return copy


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda c: c.update(format_version=2), "format 2"),
        (lambda c: c["migrations"].append("9999_later.sql"), "9999_later.sql"),
        (lambda c: c["links"].update({"published/current": "/etc"}), "'/etc'"),
        (lambda c: c["links"].update({"../outside": "home"}), "'../outside'"),
        (lambda c: c["files"][0].update(path="warehouse/../../outside"), "'warehouse/../../outside'"),
        (lambda c: c["files"][0].update(path="/tmp/outside"), "'/tmp/outside'"),
        (lambda c: c.pop("files"), "files"),
    ],
)  # fmt: skip
def test_backup_of_a_newer_version_or_with_paths_out_of_the_home_is_refused(
    archive: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], found: str
) -> None:
    target = empty(tmp_path / "home")
    with pytest.raises(WarehouseError) as caught:
        restore(repacked(archive, tmp_path / "other.tar", change), target)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(target.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "other.tar"]


@pytest.mark.parametrize("part", ["warehouse/working.duckdb", "published/current", "alerts.json", "own/labels.csv"])
def test_home_with_data_is_refused_and_left_as_it_is(archive: Path, tmp_path: Path, part: str) -> None:
    path = tmp_path / "home" / part
    path.parent.mkdir(parents=True)
    path.write_text("of somebody", encoding="utf-8")
    before = tree(tmp_path / "home")
    with pytest.raises(WarehouseError, match="found data"):
        restore(archive, tmp_path / "home")
    assert tree(tmp_path / "home") == before


def test_folders_without_data_and_what_is_no_part_of_a_backup_do_not_stand_in_the_way(
    archive: Path, tmp_path: Path
) -> None:
    home = empty(tmp_path / "home")
    (home / "warehouse").mkdir()
    (home / "prefect").mkdir()
    (home / "prefect" / "prefect.db").write_bytes(b"runs")
    restore(archive, home)
    assert current_version(home / "published") is not None
    assert (home / "prefect" / "prefect.db").read_bytes() == b"runs"


LIMITED = """
import resource, sys
from pathlib import Path
from tests.run.test_backup import back_up, restore
from schemas.errors import WarehouseError

home, archive = Path(sys.argv[1]), Path(sys.argv[2])
for limit in map(int, sys.argv[4:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        restore(archive, home) if sys.argv[3] == "restore" else back_up(home, archive)
    except WarehouseError as error:
        print(error, file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_full_disk_is_one_line_of_error_and_nothing_half_written(
    command: str, home: Path, archive: Path, tmp_path: Path
) -> None:
    """The limit of the size of a file stands in for the disk; the sizes fall before, in and after the first file."""
    written, home = tmp_path / "written.tar", home if command == "backup" else empty(tmp_path / "empty")
    limits = (0, 5_000, 300_000)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, home, written if command == "backup" else archive, command, *map(str, limits)],
        capture_output=True, text=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert len(lines) == len(limits)
    assert all("File too large" in line for line in lines), lines
    assert not written.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"home", home.name})
    if command == "restore":
        assert list(home.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from tests.run.test_backup import restore

renamed = 0
def kill(event, arguments):
    global renamed
    if event == "os.rename":
        if renamed == int(sys.argv[3]):
            os.kill(os.getpid(), 9)
        renamed += 1

sys.addaudithook(kill)
restore(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("rename_count", [0, 2])
def test_killed_restore_has_restored_nothing_or_is_finished_by_the_next_run(
    archive: Path, tmp_path: Path, rename_count: int
) -> None:
    """Killed before all is made ready in one step, and while what is ready is moved to its place."""
    home, whole = empty(tmp_path / "home"), tree_of(archive, tmp_path / "whole")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, archive, home, str(rename_count)], check=False, cwd=REPOSITORY, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    if rename_count == 0:
        assert [path.name for path in home.iterdir()] == [DRAFT_NAME]
        restore(archive, home)
    else:
        assert (home / READY_NAME).is_dir()
        with plan.recorded(plan.plan(Settings(home=home), read_profile("demo"), day=DAY)):
            pass
        whole.pop("warehouse/working.duckdb")
    found = tree(home)
    assert {name: found[name] for name in whole} == whole
    assert not {DRAFT_NAME, READY_NAME} & {path.name for path in home.iterdir()}
    assert len(runs(home / "warehouse/working.duckdb", "ops.run")) == (1 if rename_count == 0 else 2)


def test_places_that_are_not_written_to(home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for destination, found in {
        tmp_path / "notes.txt": "found a file",
        home: "inside the home",
        home / "new.tar": "inside the home",
        tmp_path / "missing" / "new.tar": "No such file",
    }.items():
        with pytest.raises(WarehouseError, match=found):
            back_up(home, destination)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    with pytest.raises(WarehouseError, match="nothing to back up"):
        back_up(empty(tmp_path / "other"), tmp_path / "new.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "notes.txt", "other"]


def test_commands_print_what_a_backup_holds_and_refuse_what_they_cannot_do(
    home: Path, tmp_path: Path, hashpivot: Hashpivot
) -> None:
    version = current_version(home / "published")
    done = hashpivot("backup", "kept.tar", "--home", "home", "--json")
    assert done.returncode == 0, done.stderr
    stated = json.loads(done.stdout)
    assert (stated["publication"], stated["file"]) == (version, "kept.tar")
    assert [part["part"] for part in stated["parts"]] == ["warehouse", "published", "alerts.json"]
    with tarfile.open(tmp_path / "kept.tar") as tar:
        files = [member for member in tar if member.isfile() and "/" in member.name]
    published = [member.size for member in files if member.name.startswith("published/")]
    assert stated["parts"][1] == {"part": "published", "file_count": len(published), "bytes": sum(published)}
    read_backup(tmp_path / "kept.tar")
    done = hashpivot("restore", "kept.tar", "--home", "other")
    assert done.returncode == 0, done.stderr
    assert str(version) in done.stdout
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o700
    done = hashpivot("restore", "kept.tar", "--home", "other")
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith("error: other/")
    done = hashpivot("backup", "again.tar", "--home", "missing")
    assert done.returncode == 7
    assert not (tmp_path / "missing").exists()


def test_list_of_contents_is_plain_json(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        source = tar.extractfile(tar.getmembers()[0])
        assert source
        assert msgspec.convert(json.loads(source.read()), Contents).hashpivot_version == "1.2.3"
