"""The command in a process of its own that has its modules imported already, so that a try costs what it computes."""

import multiprocessing
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.invocation import clean_environment

PRELOADED: Final = [
    "tests.campaign.no_prompt",
    "flows.command.cli",
    "flows.command.doctor",
    "flows.reports.summary",
    "flows.reports.tables",
    "flows.run.pipeline",
    "flows.run.publish",
    "flows.sources.choose",
    "flows.sources.files.folder",
    "flows.sources.node.source",
    "flows.sources.simulated.chain",
    "tests.campaign.command",
]
LONGEST_SECONDS: Final = 300.0
TIMED_OUT: Final = -1000


@dataclass(frozen=True)
class Finished:
    """How a command ended. `code`: its exit code, negative for a signal, `TIMED_OUT` where it did not end."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """The command with its arguments. `file_bytes`: no file may grow beyond it."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    file_bytes: int | None = None

    def limited(self, file_bytes: int) -> "Command":
        """The same on a disk where no file may grow beyond `file_bytes`."""
        return replace(self, file_bytes=file_bytes)

    def start(self) -> "Running":
        """Start it; the caller waits for it."""
        return Running(self)

    def run(self) -> Finished:
        """Start it and wait."""
        return self.start().wait()


_FORKING: Final = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Start the process that later ones are forked from; it imports the command once and computes nothing."""
    _FORKING.set_forkserver_preload(PRELOADED)
    in_process(abs, 1)


class Running:
    """A command on its way."""

    def __init__(self, command: Command) -> None:
        self._output = tempfile.TemporaryDirectory(prefix="campaign-output-")
        self._paths = [Path(self._output.name, name) for name in ("stdout", "stderr")]
        self.process = _FORKING.Process(target=_command, args=(command, *map(str, self._paths)))
        self.process.start()

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = LONGEST_SECONDS) -> Finished:
        """Wait until it ends; what does not end in time is killed."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            code = TIMED_OUT
            self.process.kill()
            self.process.join()
        out, err = (path.read_text("utf-8", "replace") if path.exists() else "" for path in self._paths)
        self._output.cleanup()
        return Finished(code, out, err)


def in_process(work: Callable[..., Any], *arguments: Any) -> None:
    """Call `work` in a process of its own, so that it may change user. Raises `RuntimeError` where it fails."""
    process = _FORKING.Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}")


def _command(command: Command, stdout: str, stderr: str) -> None:
    for descriptor, path in ((1, stdout), (2, stderr)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(opened, descriptor)
    os.environ.clear()
    os.environ.update(clean_environment(HOME=str(command.folder)) | dict(command.environment))
    os.chdir(command.folder)
    if command.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command.file_bytes, command.file_bytes))
    sys.argv = ["hashpivot", *command.arguments]
    code: Any = 0
    try:
        from flows.command.cli import main

        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    os._exit(code if isinstance(code, int) else int(code is not None))
