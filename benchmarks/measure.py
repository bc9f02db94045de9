"""Processes that are measured from outside: wall time, peak memory, and contenders that stay and run again.

Trap: a child inherits the peak memory of whoever starts it until it has loaded its own program, and the kernel keeps
the larger figure. So the process that measures imports nothing large.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

THREADS: Final = 2
ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = Path(sys.executable)
USER_PYTHON: Final = ROOT / ".venv" / "user" / "bin" / "python"
"""What a user installs and nothing else: beside pandas and Hypothesis Pandera imports both, for half a second."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of a few measurements."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended well."""

    wall_s: float
    peak_mib: float
    output: str


class FailedError(Exception):
    """A process that has not; the message is its output."""


def pin() -> None:
    """Give this process and all that it starts two processors, the same ones."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)


def run(module: str, *arguments: object, python: Path = PYTHON) -> Finished:
    """Run `python -m module` to its end. Raises `FailedError` with its output where it ends badly."""
    started = perf_counter()
    process = _start(module, *arguments, python=python)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(output.strip())
    return Finished(wall_s=wall_s, peak_mib=usage.ru_maxrss / 1024, output=output.strip())


class Standing:
    """A contender that has started and warmed up, and runs again on request."""

    def __init__(self, module: str, *arguments: object, python: Path = PYTHON) -> None:
        self._process = _start(module, *arguments, "--serve", python=python)

    def again(self) -> float:
        """Seconds that one more run took."""
        print(file=self._process.stdin, flush=True)
        lines = iter(self._process.stdout or ())
        line = next(lines, "")
        try:
            return float(line)
        except ValueError as error:
            raise FailedError(line + "".join(lines)) from error

    def leave(self) -> None:
        """Let it end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def _start(module: str, *arguments: object, python: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [python, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
