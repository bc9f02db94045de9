"""What the scheduler costs: `python -m benchmarks.prefect_overhead [ROUNDS]`.

Three things, the demo profile and the same day each time, in a home that has had its first run:
the daily run under a warm server against `--plain`, in turns; from a click on Run to Completed under `serve`, process
start included; and the daily run that brings a temporary server of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.invocation import COMMAND, clean_environment
from tests.scheduled.serving import Serving

DAY: Final = "2026-11-20"
ROUNDS: Final = 5


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall clock that `work` takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def command(home: Path, *arguments: str, **environment: str) -> None:
    """One daily run as a process; its output is shown only if it fails."""
    subprocess.run(
        [COMMAND, "daily", "--day", DAY, "--home", str(home), "--json", *arguments],
        env=clean_environment(HOME=str(home.parent)) | environment,
        cwd=home.parent,
        check=True,
        capture_output=True,
    )


def printed(name: str, seconds: list[float]) -> float:
    """Print and return the median."""
    median = statistics.median(seconds)
    print(f"{name:<46} {median:6.2f} s  ({min(seconds):.2f}-{max(seconds):.2f}, {len(seconds)} runs)", flush=True)
    return median


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        serving = Serving(Path(name))
        print(f"serve is ready after {timed(serving.start):.1f} s; load {os.getloadavg()[0]:.1f}")
        try:
            home = Path(name) / "other" / "data"
            home.parent.mkdir()
            command(home, "--plain")
            server = serving.client
            plain, warm = [], []
            for _ in range(rounds):
                plain.append(timed(lambda: command(home, "--plain")))
                warm.append(timed(lambda: command(home, **server)))
            serving.finish("daily", profile="demo", day=DAY)
            clicks = [timed(lambda: serving.finish("daily", profile="demo", day=DAY)) for _ in range(rounds)]
        finally:
            serving.stop()
        cold = [timed(lambda: command(home)) for _ in range(rounds)]
        print(f"load {os.getloadavg()[0]:.1f}")
    medians = {
        "plain": printed("hashpivot daily --plain", plain),
        "warm": printed("hashpivot daily, warm server", warm),
        "click": printed("from click to Completed, warm server", clicks),
        "cold": printed("hashpivot daily, server of its own", cold),
    }
    print(f"{'overhead of the warm server':<46} {medians['warm'] - medians['plain']:6.2f} s")
    print(json.dumps({name: round(seconds, 2) for name, seconds in medians.items()}))


if __name__ == "__main__":
    main()
