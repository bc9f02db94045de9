"""One day of the block lake: bytes fetched against those that are needed, and peak memory, after a check of the flows.

Run as `python -m benchmarks.lake [--transactions N] [--layout NAME] [--files N] [--quick] [--json]`; exits with 1 where
a target is missed.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Final

from benchmarks.measure import PYTHON, ROOT, USER_PYTHON, FailedError, pin, run

LARGEST_RECORDED: Final = 409_911
"""Transactions of 2024-02-12, the largest file of that year."""
QUICK: Final = 3_000
MOST_BYTES_RATIO: Final = 1.05
MOST_MIB: Final = 400
EVERY_SECONDS: Final = 0.1


def measured(folder: Path, transactions_count: int, layout: str, files_count: int) -> dict[str, Any]:
    """All figures. Raises `FailedError` where a process fails or flows are not those of DuckDB."""
    lake, home = folder / "lake", folder / "home"
    # Beside pandas Pandera imports it, which takes memory that no user pays for.
    reader = USER_PYTHON if USER_PYTHON.exists() else PYTHON
    home.mkdir()
    facts = json.loads(run("benchmarks.lake_fixture", lake, transactions_count, layout, files_count).output)
    with subprocess.Popen(
        [PYTHON, "-m", "benchmarks.lake_day", "serve", lake],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        lines = iter(server.stdout or ())
        base = next(lines).strip()
        copied = run("benchmarks.lake_day", "copy", base, home, layout, python=reader)
        print(file=server.stdin, flush=True)
        sent_bytes = int(next(lines))
        with ThreadPoolExecutor(1) as watchers:
            is_over = Event()
            peak = watchers.submit(peak_bytes, home / "copies", is_over)
            try:
                attributed = run("benchmarks.lake_day", "attribute", base, home, layout, python=reader)
            finally:
                is_over.set()
        if server.stdin is not None:
            server.stdin.close()
    equal = json.loads(run("benchmarks.lake_day", "compare", lake, home, layout).output)
    used = json.loads(copied.output)
    return facts | {
        "equal": True,
        **{f"compared {name}": value for name, value in equal.items()},
        "requests": used["requests"],
        "received_bytes": used["received_bytes"],
        "sent_bytes_of_files": sent_bytes,
        "received to needed": round(used["received_bytes"] / facts["needed_bytes"], 4),
        "bytes of the copies": size_bytes(home / "copies"),
        "peak bytes beside them": peak.result(),
        "peak memory of a copy, MiB": round(copied.peak_mib),
        "peak memory of attribution, MiB": round(attributed.peak_mib),
        "environment": reader.relative_to(ROOT).parts[1] if reader == USER_PYTHON else "dev",
        "load": round(os.getloadavg()[0], 1),
    }


def peak_bytes(copies: Path, is_over: Event) -> int:
    """The most that the rows of a day took on the disk, beside the copies, until `is_over`."""
    peak = 0
    while not is_over.wait(EVERY_SECONDS):
        peak = max(peak, sum(size_bytes(parts) for parts in copies.glob("parts-*")))
    return peak


def size_bytes(folder: Path) -> int:
    """Of all files below `folder` that are still there."""
    found = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found += path.stat().st_size if path.is_file() else 0
    return found


def main() -> int:
    """Measure and report; exits with 1 where a target is missed or flows differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lake", description=__doc__)
    parser.add_argument("--transactions", type=int, default=LARGEST_RECORDED, help="of the day")
    parser.add_argument("--layout", choices=["aws", "bigquery"], default="aws", help="of the files")
    parser.add_argument("--files", type=int, default=8, help="of each table and day, in the layout bigquery")
    parser.add_argument("--quick", action="store_true", help="a small day: whether it runs and agrees")
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    given = parser.parse_args()
    pin()
    with TemporaryDirectory(prefix="hashpivot-bench-") as folder:
        try:
            count = QUICK if given.quick else given.transactions
            figures = measured(Path(folder), count, given.layout, given.files)
        except FailedError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(figures, indent=2) if given.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    peaks = (figures[f"peak memory of {part}, MiB"] for part in ("a copy", "attribution"))
    # Of a small day the end of the file, which is fetched for its footer, is more than all that is needed.
    is_lean = given.quick or figures["received to needed"] <= MOST_BYTES_RATIO
    return 0 if is_lean and max(peaks) < MOST_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
