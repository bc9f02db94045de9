"""Which server a command of a home finds: the note that `serve` leaves, and what becomes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.scheduled.server import ADDRESS_NAME, is_up, kept_address, prepare, write_address

NOBODY = "http://127.0.0.1:1/api"


def gone() -> int:
    """A process that has been."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_note_counts_as_long_as_its_process_lives_and_its_server_responds(tmp_path: Path) -> None:
    assert kept_address(tmp_path) is None
    note = write_address(tmp_path, NOBODY)
    assert [entry.name for entry in tmp_path.iterdir()] == [note.name]
    assert kept_address(tmp_path) == NOBODY
    assert not is_up(NOBODY)


@pytest.mark.parametrize("note", ["", "http://127.0.0.1:1/api", "http://127.0.0.1:1/api x", f"{NOBODY}\n{{gone}}\n"])
def test_note_of_a_loss_of_power_or_none_at_all_leads_nowhere(tmp_path: Path, note: str) -> None:
    (tmp_path / ADDRESS_NAME).write_text(note.format(gone=gone()), encoding="utf-8")
    assert kept_address(tmp_path) is None


def test_who_has_a_server_of_their_own_needs_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("PREFECT_LOGGING_EXTRA_LOGGERS", "flows")  # what is set here is put back afterwards
    monkeypatch.setenv("PREFECT_API_URL", NOBODY)
    assert not prepare(tmp_path / "prefect")
    assert not (tmp_path / "prefect").exists()
    # A proxy for other machines is not used for this one, whichever spelling is set.
    assert os.environ["no_proxy"] == "example.org,127.0.0.1,localhost"
    assert {"127.0.0.1", "localhost"} <= set(os.environ["NO_PROXY"].split(","))
