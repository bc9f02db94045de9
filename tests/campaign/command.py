"""The command as a try runs it: forked, so that a try costs what it computes."""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

from tests import forked
from tests.invocation import COMMAND, PYTHON, REPOSITORY, clean_environment

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
    """Start the process that commands are forked from; it imports the command once and computes nothing."""
    Command(arguments=["--version"], folder=REPOSITORY, environment={}).run()


class Running:
    """A command on its way."""

    def __init__(self, command: Command) -> None:
        environment = clean_environment(HOME=str(command.folder)) | dict(command.environment)
        arguments = [COMMAND, *command.arguments]
        self._running = forked.Running(PYTHON, arguments, command.folder, environment, command.file_bytes)

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._running.signal(number)

    def wait(self, seconds: float = LONGEST_SECONDS) -> Finished:
        """Wait until it ends; what does not end in time is killed."""
        try:
            code = self._running.wait(seconds)
        except TimeoutError:
            code = TIMED_OUT
            self.signal(SIGKILL)
        return Finished(code, *self._running.output())


def in_process(work: Callable[..., Any], *arguments: Any) -> None:
    """Call `work` in a process of its own, so that it may change user. Raises `RuntimeError` where it fails."""
    process = _FORKING.Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}")
