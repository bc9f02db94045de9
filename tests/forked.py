"""The installed command in a process of its own that has its modules imported already: a start costs a tenth of it.

The process is forked from one that has done nothing but import (`tests.fork_server`). What concerns the start itself,
the interpreter or the scheduler is tested with `COMMAND`, which starts cold.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from tests.fork_server import LENGTH_BYTES

PROGRAM: Final = Path(__file__).parent / "fork_server.py"
READ_AT_START: Final = ("PYTHON", "LD_", "LC_", "LANG", "POLARS_", "MALLOC_", "OMP_")
"""Beginnings of the names of variables that libraries and the interpreter read once, when they start."""


class Running:
    """A command on its way; `pid` is its process. `stdout` and `stderr` are what it wrote, once it has ended."""

    def __init__(
        self,
        python: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        file_bytes: int | None = None,
    ) -> None:
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "file_bytes": file_bytes,
        }
        text = json.dumps(request).encode()
        self._outputs = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server(python, os.getpid()))
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            streams = [nothing.fileno(), *(output.fileno() for output in self._outputs)]
            socket.send_fds(self._connection, [len(text).to_bytes(LENGTH_BYTES)], streams)
            self._connection.sendall(text)
            self._responses = self._connection.makefile("r")
            self.pid = int(self._responses.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float) -> int:
        """The exit code, negative for a signal. Raises `TimeoutError` where it has not ended by then."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            self.returncode = int(self._responses.readline())
            self._responses.close()
            self._connection.close()
        return self.returncode

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def output(self) -> tuple[str, str]:
        """What it wrote on standard output and standard error; then forgotten."""
        texts = []
        for output in self._outputs:
            with output:
                output.seek(0)
                texts.append(output.read().decode("utf-8", "replace"))
        return texts[0], texts[1]


def is_possible(environment: Mapping[str, str]) -> bool:
    """Whether a forked process is what one would be that starts with `environment`."""
    names = (name for name in {*environment, *os.environ} if name.startswith(READ_AT_START))
    return all(environment.get(name) == os.environ.get(name) for name in names if name != "PYTHONFAULTHANDLER")


def run(
    python: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. Raises `subprocess.TimeoutExpired` where it does not end in `timeout` seconds."""
    running = Running(python, arguments, folder, environment)
    try:
        code = running.wait(timeout)
    except TimeoutError as error:
        running.signal(signal.SIGKILL)
        raise subprocess.TimeoutExpired([*arguments], timeout, *running.output()) from error
    return subprocess.CompletedProcess([*arguments], code, *running.output())


@cache
def _server(python: str, _process: int) -> str:
    """Path of the socket of the server of this process, which ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="forked-")
    path = str(Path(folder.name, "socket"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HASHPIVOT_", "PREFECT_"))}
        server = subprocess.Popen(
            [python, "-P", str(PROGRAM), str(listener.fileno())],
            cwd=PROGRAM.parents[1],
            env=kept | {"PYTHONFAULTHANDLER": "1"},
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    @atexit.register
    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()
        folder.cleanup()

    return path
