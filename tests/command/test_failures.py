"""Whatever goes wrong, the command ends with one line and an exit code, and the last publication stays."""

import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import pytest

from flows.command.cli import cli
from flows.command.failures import (
    LONGEST_STOP_SECONDS,
    STOP_AGAIN_SECONDS,
    STOP_WORDS,
    StoppableGroup,
    exit_code_of,
    verbose_everywhere,
)
from schemas.errors import TransientError
from tests.invocation import COMMAND, PYTHON, clean_environment, eventually
from warehouse.working import open_working

DAY = "2026-11-07"
PR_CAPBSET_DROP = 24
CAPABILITIES = {"CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_FOWNER": 3}
NOBODY = 65534


def bound_by_permissions() -> None:
    """Let permissions of files hold for root too, in the process that is about to start."""
    if os.geteuid() == 0:
        for number in CAPABILITIES.values():
            assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(HOME=str(folder), **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=bound_by_permissions,
    )


def ended(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and error output of the command."""
    process = start(folder, *arguments, **environment)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.fixture
def home(tmp_path: Path, published_demo: Path) -> Iterator[Path]:
    """A folder whose home holds the publication of the demo, and that can be removed whatever a test did to it."""
    shutil.copytree(published_demo.parent, tmp_path / "data", symlinks=True)
    yield tmp_path
    subprocess.run(["chmod", "-R", "u+rwX", str(tmp_path)], check=True)


def current(folder: Path) -> str:
    return str((folder / "data/published/current").readlink())


def assert_one_line(errors: str, message: str) -> None:
    assert errors.startswith("error: "), errors
    assert errors.count("\n") == 1, errors
    assert message in errors


def test_read_only_home_is_named_and_can_be_read(home: Path) -> None:
    before = current(home)
    for path in [home / "data", *(home / "data").rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    code, output, errors = ended(home, "daily", "--plain")
    assert (code, output) == (7, "")
    assert_one_line(errors, "data/run.lock: found 'Permission denied'")
    code, output, errors = ended(home, "show")
    assert (code, errors) == (0, "")
    assert "Capitulation score" in output
    assert current(home) == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("daily", "--plain"), 7, "data/run.lock: found 'Permission denied'"),
        (("daily",), 74, "data: found 'Permission denied'"),
        (("show",), 74, "data/published/manifest.json: found 'Permission denied'"),
    ],
)
def test_home_of_somebody_else_is_named(home: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    if os.geteuid() == 0:
        os.chown(home / "data", NOBODY, NOBODY)
    (home / "data").chmod(0o700 if os.geteuid() == 0 else 0)
    ended_with, output, errors = ended(home, *arguments)
    assert (ended_with, output) == (code, "")
    assert_one_line(errors, message)


def test_doctor_reports_a_home_that_it_may_not_read(home: Path) -> None:
    (home / "data").chmod(0)
    code, output, errors = ended(home, "doctor", "--json")
    assert (code, errors) == (1, "")
    found = {row["what"]: row["found"] for row in json.loads(output) if row["state"] == "PROBLEM"}
    assert found == {"home": "data/run.lock: Permission denied"}


def test_doctor_reports_a_publication_that_cannot_be_read(home: Path) -> None:
    database = (home / "data" / "published" / "hashpivot.duckdb").resolve()
    database.unlink()
    database.write_bytes(b"no database")
    code, output, errors = ended(home, "doctor", "--json")
    assert (code, errors) == (1, "")
    assert "publication" in {row["what"] for row in json.loads(output) if row["state"] == "PROBLEM"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("daily", "--plain", "--profile", "latin.toml"), 2, "latin.toml with byte 0xe9 at position 10"),
        (("daily", "--profile", "latin.toml"), 2, "expected text in UTF-8"),
        (("daily", "--plain", "--home", "what?"), 2, "what?'"),
        (("daily", "--plain", "--nonsense"), 2, "daily --help` shows what it takes"),
        (("daily", "--plain", "--day", "2026-02-30"), 2, "'2026-02-30' does not match the format"),
        (("nonsense",), 2, "No such command 'nonsense'"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (tmp_path / "latin.toml").write_bytes(b'title = "M\xe9"\n')
    ended_with, output, errors = ended(tmp_path, *arguments)
    assert (ended_with, output) == (code, "")
    assert_one_line(errors, message)
    assert not (tmp_path / "data").exists()


def test_home_of_any_other_characters_works(home: Path) -> None:
    folder = "w#%20'\"[x]* \u00fc{a}\\b"
    (home / "data").rename(home / folder)
    code, output, errors = ended(home, "daily", "--plain", "--home", folder, "--json", "--day", DAY)
    assert code == 0, errors
    assert (home / json.loads(output)["database"]).exists()
    shown = ended(home, "show", "capitulation_daily", "--home", folder, "--column", "day", "--limit", "1", "--json")
    assert json.loads(shown[1]) == [{"day": DAY}]


def test_output_of_ascii_alone_shows_everything_else(home: Path) -> None:
    code, output, errors = ended(home, "show", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (code, errors) == (0, "")
    assert output.isascii()
    assert "Capitulation score" in output


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        (">/dev/full", 74, "the output: found 'No space left on device'"),
    ],
)
def test_output_that_nobody_takes(home: Path, redirection: str, code: int, message: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$0" show {redirection}', COMMAND],
        cwd=home,
        env=clean_environment(HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if message:
        assert_one_line(done.stderr, message)
    else:
        assert done.stderr == ""


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.parametrize("moment", ["lock", "progress"])
def test_signal_ends_a_plain_run_with_a_word(home: Path, number: signal.Signals, word: str, moment: str) -> None:
    before = current(home)
    lock = home / "data/run.lock"
    lock.write_text("", encoding="utf-8")
    process = start(home, "daily", "--plain", "--day", DAY)
    eventually(lambda: f"process {process.pid}" in lock.read_text(encoding="utf-8"), "the lock")
    assert process.stderr is not None
    if moment == "progress":
        assert "simulated" in process.stderr.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert errors.splitlines()[-1] == f"{word}: nothing is half-written; run again to go on"
    assert "Traceback" not in errors
    assert current(home) == before
    assert list((home / "data/published/versions").glob(".*")) == []
    with open_working(home / "data/warehouse/working.duckdb") as working:
        ended_runs = working.execute("select status, error from ops.run order by started_at desc limit 1").fetchone()
    assert ended_runs in [("failed", "interrupted (KeyboardInterrupt)"), ("published", None)]


@pytest.mark.parametrize(
    ("files", "message"),
    [pytest.param("missing", "No such file or directory", marks=pytest.mark.long), ("empty", "empty with none")],
)
def test_folder_without_files_is_one_line_through_the_scheduler_too(tmp_path: Path, files: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    code, output, errors = ended(tmp_path, "daily", "--profile", "files", "--files-dir", files)
    assert (code, output) == (3, "")
    lines = errors.splitlines(keepends=True)
    # On a busy machine the scheduler's client may log, after the end, that it is still sending its events.
    log = [line for line in lines if "| INFO" in line or "| WARNING | EventsWorker" in line]
    assert_one_line("".join(line for line in lines if line not in log), message)
    assert not any("Failed" in line for line in log), errors


@pytest.fixture
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*STOP_WORDS, signal.SIGALRM)}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)  # it would end a process that a stop did not end
    for number, handler in before.items():
        signal.signal(number, handler)


class Finaliser:
    """Python reports what is raised while it finalises an object, and goes on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_that_was_dropped_where_it_came_stops_the_command_a_moment_later(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    group, after_seconds = StoppableGroup("hashpivot"), [0.0]

    @group.command()
    def wait() -> None:
        Finaliser()
        began = time.monotonic()
        try:
            time.sleep(60)
        finally:
            after_seconds.append(time.monotonic() - began)
            time.sleep(2 * STOP_AGAIN_SECONDS)  # is not stopped again while it tidies up
            after_seconds.append(time.monotonic() - began)

    monkeypatch.setattr(sys, "argv", ["hashpivot", "wait"])
    assert exit_code_of(group) == 143
    assert capsys.readouterr().err == "terminated: nothing is half-written; run again to go on\n"
    _, stopped, ended = after_seconds
    assert stopped < 30
    assert ended - stopped >= 2 * STOP_AGAIN_SECONDS
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= LONGEST_STOP_SECONDS


STOP_WHILE_IMPORTING = """
import os, signal, sys
from flows.command import entry

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stop())
entry.main()
"""


def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_traceback() -> None:
    done = subprocess.run([PYTHON, "-c", STOP_WHILE_IMPORTING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


STOP_IN_A_COMMAND = """
import atexit, os, signal, sys
from flows.command.failures import StoppableGroup, exit_code_of

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "half_imported":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Stop())
atexit.register(os.abort)  # as a native module may do that was not imported to its end
group = StoppableGroup("hashpivot")

@group.command()
def importing():
    import half_imported

@group.command()
def running():
    os.kill(os.getpid(), signal.SIGTERM)

sys.exit(exit_code_of(group))
"""


@pytest.mark.parametrize(("command", "code"), [("importing", 143), ("running", -signal.SIGABRT)])
def test_a_stop_while_a_module_is_imported_leaves_the_rest_of_the_interpreter_alone(command: str, code: int) -> None:
    done = subprocess.run(
        [PYTHON, "-c", STOP_IN_A_COMMAND, command], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[0] == "terminated: nothing is half-written; run again to go on"


STOP_THAT_HANGS = """
import os, signal, sys, threading
from flows.command import failures

failures.LONGEST_STOP_SECONDS = 1.0
group = failures.StoppableGroup("hashpivot")

@group.command()
def handling():
    lock = threading.Lock()
    with lock:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            lock.acquire()

@group.command()
def thread():
    threading.Thread(target=threading.Event().wait).start()
    os.kill(os.getpid(), signal.SIGTERM)

sys.exit(failures.exit_code_of(group))
"""


@pytest.mark.parametrize("command", ["handling", "thread"])
def test_a_stop_whose_handling_never_ends_ends_the_process_all_the_same(command: str) -> None:
    done = subprocess.run(
        [PYTHON, "-c", STOP_THAT_HANGS, command], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr == "terminated: nothing is half-written; run again to go on\n"


@pytest.mark.parametrize("verbose", [(), ("--verbose",)])
@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("two\nlines \x1b[2J"), 70, r"error: found a fault of the program, ValueError: two lines \x1b[2J; "),
        (duckdb.IOException("IO Error: bad block"), 70, "error: found a fault of the program, IOException: IO Error: "),
        (OSError(errno.ENOSPC, "No space left on device", "/a/file"), 74, "error: /a/file: found 'No space left on "),
        (TransientError("a: found b, expected c; d"), 75, "error: a: found b, expected c; d"),
        (click.Abort(), 130, "interrupted: nothing is half-written; run again to go on"),
        (KeyboardInterrupt(), 130, "interrupted: nothing is half-written; run again to go on"),
        (click.ClickException("stale"), 1, "error: stale"),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, BaseException) else "",
)
def test_any_error_is_one_line_and_its_traceback_is_shown_where_it_is_wanted(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    signals: None,
    error: BaseException,
    code: int,
    line: str,
    verbose: tuple[str, ...],
) -> None:
    group = StoppableGroup("hashpivot")

    @group.command()
    def fail() -> None:
        raise error

    verbose_everywhere(group)
    monkeypatch.setattr(sys, "argv", ["hashpivot", "fail", *verbose])
    assert exit_code_of(group) == code
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines()[-1].startswith(line)
    assert ("Traceback" in errors) == bool(verbose)
    assert verbose or errors.count("\n") == 1


def every_command(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from every_command(each)


def test_every_command_takes_the_option_once() -> None:
    for command in every_command(cli):
        assert [param.name for param in command.params].count("verbose") == 1, command.name
