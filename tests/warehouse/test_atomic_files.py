import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from warehouse.atomic_files import sha256_of, switch_link, whole_file, write_whole

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from warehouse.atomic_files import whole_file
with whole_file(Path(sys.argv[1])) as draft:
    draft.write_bytes(b"half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_has_its_new_content_and_no_draft_remains(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, b"old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as draft:
        assert 1 / (draft.write_bytes(b"half of") - len(b"half of"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_while_writing_leaves_the_old_content_and_the_next_attempt_passes(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_was_not_written_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, b"old")
    with pytest.raises(FileNotFoundError), whole_file(path):
        pass
    assert path.read_bytes() == b"old"


def test_the_new_file_keeps_the_permissions_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_whole(path, b"old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_writers_at_the_same_time_leave_the_whole_content_of_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    contents = [bytes([number]) * 200_000 for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_whole(path, content, shared=True), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_moves_in_one_step_and_over_what_a_kill_left(tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.write_text("a file in its place", encoding="utf-8")
    (tmp_path / ".current.next").symlink_to("older")
    switch_link(link, Path("first"))
    assert link.readlink() == Path("first")
    switch_link(link, Path("second"))
    assert link.readlink() == Path("second")
    assert list(tmp_path.iterdir()) == [link]


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"content")
    assert sha256_of(path) == hashlib.sha256(b"content").hexdigest()
