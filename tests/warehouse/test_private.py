"""Who may read and write what in a home: its owner, a group that was let in, and another user of the machine."""

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.other_user import OTHER_USER, as_other_user
from warehouse.journal import one_run_at_a_time
from warehouse.private import OPENED_HOME_MODE, open_to_others

DATABASE = "published/hashpivot.duckdb"


@pytest.fixture
def home(published_demo: Path) -> Iterator[Path]:
    """A home as an earlier version with a usual umask has left it, in a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="hashpivot-private-"))
    folder.chmod(0o755)
    home = folder / "data"
    shutil.copytree(published_demo.parent, home, symlinks=True)
    for path in [home, *home.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    before = os.umask(0o022)
    yield home
    os.umask(before)
    shutil.rmtree(folder)


def taken(lock: Path) -> str:
    """What comes of an attempt to hold the lock."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "taken"
    except PermissionError:
        return "refused"


def attempt(work: Callable[[], object]) -> str:
    try:
        work()
    except (OSError, duckdb.IOException):
        return "refused"
    return "done"


def read(database: Path) -> None:
    with duckdb.connect(str(database), read_only=True) as reader:
        assert reader.execute("select count(*) > 0 from capitulation_daily").fetchone() == (True,)


def test_home_that_was_open_is_closed_by_the_next_run_and_its_lock_cannot_be_taken_by_another_user(home: Path) -> None:
    lock, secret = home / "run.lock", home / "prefect" / "login"
    secret.parent.mkdir()
    secret.write_text("desk:password")
    assert as_other_user(lambda: (taken(lock), attempt(secret.read_text))) == ("taken", "done")
    with one_run_at_a_time(lock):
        assert open_to_others(home) == []
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in [home, *home.rglob("*")] if not path.is_symlink()}
    assert modes == {0o700, 0o600, 0o444}
    published = {path for path in (home / "published").rglob("*") if path.is_file() and not path.is_symlink()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in published} == {0o444}
    tries = (taken, lambda _: attempt(secret.read_text), lambda _: attempt(lambda: list(home.iterdir())))
    assert as_other_user(lambda: [each(lock) for each in tries]) == ["refused"] * 3
    assert as_other_user(lambda: attempt(lambda: read(home / DATABASE))) == "refused"


def test_group_that_was_let_in_reads_publications_and_nothing_else_and_writes_nothing(home: Path) -> None:
    lock = home / "run.lock"
    if os.geteuid() == 0:
        os.chown(home, -1, pwd.getpwnam(OTHER_USER).pw_gid)
    home.chmod(OPENED_HOME_MODE)
    with one_run_at_a_time(lock):
        assert open_to_others(home) == []
    assert stat.S_IMODE(home.stat().st_mode) == OPENED_HOME_MODE
    database = home / DATABASE
    others = [
        lambda: read(database),
        lambda: duckdb.connect(str(database)),
        lambda: (home / "published/versions/new").mkdir(),
        lambda: list(home.iterdir()),
        lambda: list((home / "warehouse").iterdir()),
    ]
    assert as_other_user(lambda: [attempt(work) for work in others]) == ["done", *["refused"] * 4]
    assert as_other_user(lambda: taken(lock)) == "refused"


def test_folder_with_folders_of_others_stays_as_it_is_and_what_is_ours_in_it_is_closed(home: Path) -> None:
    (home / "profile.toml").write_text("")
    other = home / "notes"
    other.mkdir(mode=0o755)
    with one_run_at_a_time(home / "run.lock"):
        assert open_to_others(home) == [home]
    assert stat.S_IMODE(other.stat().st_mode) == 0o755
    other.rmdir()
    with one_run_at_a_time(home / "run.lock"):
        assert open_to_others(home) == []
    home.chmod(0o1777)
    with one_run_at_a_time(home / "run.lock"):
        assert open_to_others(home) == [home]
    assert as_other_user(lambda: taken(home / "run.lock")) == "refused"


def test_new_home_is_closed_whatever_the_umask_of_who_starts_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with one_run_at_a_time(tmp_path / "new" / "home" / "run.lock"):
            (tmp_path / "new" / "home" / "warehouse").mkdir()
            assert open_to_others(tmp_path / "new" / "home") == []
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    finally:
        os.umask(before)
