"""A published file that was changed is reported, by size and time alone where that is enough."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.invocation import Hashpivot
from warehouse.atomic_files import sha256_of
from warehouse.integrity import changed_files

PARQUET = "parquet/capitulation_daily.parquet"


@pytest.fixture
def published(published_demo: Path, tmp_path: Path) -> Path:
    """A publication of our own in the folder that the command takes for its home."""
    return Path(shutil.copytree(published_demo, tmp_path / "data" / "published", symlinks=True))


def plant(published: Path) -> None:
    """A figure that nobody computed, as a reader leaves it who opens the file to write."""
    path = (published / "hashpivot.duckdb").resolve()
    path.chmod(0o600)
    facts = path.stat()
    with duckdb.connect(str(path)) as writer:
        writer.execute("update capitulation_daily set capitulation_score = 99.0")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def flip_last_byte(published: Path) -> None:
    path = published / "current" / PARQUET
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def add_log(published: Path) -> None:
    (published / "current" / "hashpivot.duckdb.wal").write_bytes(b"")


def replace_link(published: Path) -> None:
    link = published / "hashpivot.duckdb"
    content = link.read_bytes()
    link.unlink()
    link.write_bytes(content + b"\0")


def break_manifest(published: Path) -> None:
    path = (published / "manifest.json").resolve()
    path.chmod(0o600)
    path.write_text("{}")


def remove_manifest(published: Path) -> None:
    (published / "manifest.json").resolve().unlink()


def test_publication_that_nobody_touched_is_unchanged(published: Path, tmp_path: Path) -> None:
    assert changed_files(published) == []
    assert changed_files(published, all_of_them=True) == []
    assert changed_files(tmp_path / "nothing") == []


def test_digest_is_taken_only_where_size_or_time_differ(published: Path) -> None:
    """With another digest in the manifest, whoever takes one finds a change."""
    manifest, database = (published / "manifest.json").resolve(), published / "current" / "hashpivot.duckdb"
    manifest.chmod(0o600)
    manifest.write_text(manifest.read_text().replace(sha256_of(database), "0" * 64))
    assert changed_files(published) == []
    assert changed_files(published, all_of_them=True) == ["hashpivot.duckdb"]
    database.chmod(0o600)
    assert changed_files(published) == ["hashpivot.duckdb"]


@pytest.mark.parametrize(
    ("change", "cheaply", "thoroughly"),
    [
        (plant, ["hashpivot.duckdb"], ["hashpivot.duckdb"]),
        (replace_link, ["hashpivot.duckdb"], ["hashpivot.duckdb"]),
        (add_log, ["hashpivot.duckdb.wal"], ["hashpivot.duckdb.wal"]),
        (flip_last_byte, [], [PARQUET]),
        (break_manifest, ["manifest.json"], ["manifest.json"]),
        (remove_manifest, ["manifest.json"], ["manifest.json"]),
    ],
)
def test_change_after_the_publication_is_found(
    published: Path, change: Callable[[Path], None], cheaply: list[str], thoroughly: list[str]
) -> None:
    change(published)
    assert changed_files(published) == cheaply
    assert changed_files(published, all_of_them=True) == thoroughly


def test_show_sql_and_doctor_report_a_planted_figure(published: Path, hashpivot: Hashpivot) -> None:
    def findings(done: subprocess.CompletedProcess[str]) -> list[str]:
        return [line for line in done.stderr.splitlines() if line.startswith("warning: ") and "changed after" in line]

    query = ("sql", "select max(capitulation_score) as score from capitulation_daily")
    assert findings(hashpivot(*query)) == []
    plant(published)
    for command in (query, ("show", "capitulation_daily", "--limit", "1")):
        done = hashpivot(*command)
        assert "99" in done.stdout
        assert len(findings(done)) == 1
        assert "hashpivot.duckdb" in findings(done)[0]
    done = hashpivot("doctor", "--json")
    assert done.returncode == 1
    assert "hashpivot.duckdb changed after the publication" in done.stdout
