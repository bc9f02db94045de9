"""The state of an own node at the size of the main network: first recompute and the next day's run, and how both grow.

Run as `python -m benchmarks.mainnet_state [--scale 1] [--quick] [--json] [--cache FOLDER]`. At each scale a working
database is copied from the cache, where it is made once; then each run is a process of its own. Before any figure is
printed, what the next day's run published must be what a home publishes that computes all of it at once.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.mainnet_state_facts import facts_of
from benchmarks.measure import PYTHON, ROOT, USER_PYTHON, FailedError, pin, run

MAIN_CHAIN_BLOCKS: Final = 977_000
"""Of November 2026. Each has its flows, and four million transfers are spread over them."""
QUICK_BLOCKS: Final = 3_000
SCALES: Final = (0.25, 0.5, 1.0, 2.0)
QUICK_SCALES: Final = (0.5, 1.0)
MODULE: Final = "benchmarks.mainnet_state_run"
FIXTURE: Final = "benchmarks.mainnet_state_fixture"
RUNS: Final = {"first": "first recompute", "next": "next day's run"}
WALL, PEAK, WRITTEN = "whole process, s", "peak memory, MiB", "written, MB"
TARGETS: Final = {("first", WALL): 60.0, ("first", PEAK): 3 * 1024.0, ("next", WALL): 5.0, ("next", PEAK): 1.5 * 1024.0}
"""At the scale of 1."""
STEEPEST: Final = 1.1
SHORTEST_S: Final = 0.1
"""A step that takes less at the largest scale is noise, and is not shown."""


def measure(scales: Sequence[float], cache: Path, *, quick: bool) -> dict[str, Any]:
    """All figures, by run and by scale; `FailedError` where a process fails or two publications differ."""
    blocks = QUICK_BLOCKS if quick else MAIN_CHAIN_BLOCKS
    python = USER_PYTHON if USER_PYTHON.exists() else PYTHON
    figures: dict[str, Any] = {"scales": list(scales), "load": round(os.getloadavg()[0], 1), "equal": True}
    figures |= {"facts": [], "runs": {which: [] for which in RUNS}, "steps": {which: [] for which in RUNS}}
    for scale in scales:
        fixture = made(cache, round(blocks * scale), "recent" if quick else "whole")
        facts = facts_of(fixture)
        progress(f"scale {scale:g}: {facts.block_count:,} blocks, {facts.transfer_count:,} transfers")
        figures["facts"].append({"block_count": facts.block_count, "transfer_count": facts.transfer_count})
        with TemporaryDirectory(prefix="hashpivot-state-", dir=cache) as folder:
            one, stepped, late = (Path(folder) / name for name in ("one", "stepped", "late"))
            for which in RUNS:
                figures["runs"][which].append(_figures(one, fixture, which, python))
                _settle(one, fixture, which, python)
            _figures(late, fixture, "late", python)
            progress(run("benchmarks.mainnet_state_equality", one, late).output)
            shutil.rmtree(late)
            for which in RUNS:
                figures["steps"][which].append(_steps(stepped, fixture, which, python))
                _settle(stepped, fixture, which, python)
    return figures


def made(cache: Path, block_count: int, chain: str) -> Path:
    """The fixture of these parameters, which the cache keeps as long as nothing that it is made by changes."""
    sources = [ROOT / f"{FIXTURE.replace('.', '/')}.py", *sorted((ROOT / "warehouse" / "migrations").glob("*.sql"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = cache / f"{chain}-{block_count}-{digest}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="making-", dir=cache) as draft:
            progress(f"making {folder} once")
            run(FIXTURE, draft, block_count, chain)
            # A run of the same moment in another process may have been faster.
            if not folder.exists():
                Path(draft).rename(folder)
                Path(draft).mkdir()
    return folder


def _figures(home: Path, fixture: Path, which: str, python: Path) -> dict[str, float]:
    _copy(home, fixture)
    finished = run(MODULE, home, fixture, which, python=python)
    # Warnings about the invented data come before the line of figures.
    found: dict[str, float] = json.loads(finished.output.splitlines()[-1])
    progress(f"  {RUNS.get(which, 'all at once')}: {finished.wall_s:.2f} s, {finished.peak_mib:,.0f} MiB")
    return {WALL: finished.wall_s, PEAK: finished.peak_mib} | found


def _settle(home: Path, fixture: Path, which: str, python: Path) -> None:
    """After the first recompute publish once more, so that the next day meets a home that has dropped a version."""
    if which == "first":
        run(MODULE, home, fixture, which, python=python)


def _steps(home: Path, fixture: Path, which: str, python: Path) -> dict[str, float]:
    _copy(home, fixture)
    steps: dict[str, float] = json.loads(
        run(MODULE, home, fixture, which, "--steps", python=python).output.splitlines()[-1]
    )
    return steps


def _copy(home: Path, fixture: Path) -> None:
    if not home.exists():
        shutil.copytree(fixture / "warehouse", home / "warehouse")


def exponent(scales: Sequence[float], values: Sequence[float]) -> float | None:
    """Slope of a straight line through the logarithms; None where there is none to be drawn."""
    points = [(math.log(scale), math.log(value)) for scale, value in zip(scales, values, strict=True) if value > 0]
    if len(points) < max(2, len(scales)):
        return None
    x_mean, y_mean = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)


def report(figures: Mapping[str, Any]) -> None:
    """The tables, then what misses its target."""
    scales: list[float] = figures["scales"]
    missed = []
    print(f"\n2 processors, load average {figures['load']}; at the largest scale {_of(figures['facts'][-1])}")
    for which, title in RUNS.items():
        print(f"\n{title:<64}" + "".join(f"{scale:>9g}" for scale in scales) + f"{'exponent':>10}{'target':>8}")
        for line in figures["runs"][which][0]:
            values = [each[line] for each in figures["runs"][which]]
            target = TARGETS.get((which, line))
            print(_row(line, values, scales) + (f"{target:>8,.0f}" if target else ""))
            if target and 1.0 in scales and values[scales.index(1.0)] > target:
                missed.append(f"{title}, {line}: {values[scales.index(1.0)]:,.1f}, target {target:,.0f}")
        print("  steps, s (measured in a process of their own)")
        for step, values in _shown(figures["steps"][which]):
            *above, name = step
            print(_row("    " + "  " * len(above) + name, values, scales))
            slope = exponent(scales, values)
            if slope is not None and slope > STEEPEST:
                missed.append(f"{title}, {name}: exponent {slope:.2f}, target {STEEPEST}")
    written = [each[WRITTEN] for each in figures["runs"]["next"]]
    slope = exponent(scales, written)
    print(f"\nbytes written by the next day's run grow with an exponent of {'?' if slope is None else f'{slope:.2f}'}")
    print("missed: " + ("; ".join(missed) or "nothing"))


def _of(facts: Mapping[str, int]) -> str:
    return f"{facts['block_count']:,} blocks and {facts['transfer_count']:,} transfers"


def _row(name: str, values: Sequence[float], scales: Sequence[float]) -> str:
    slope = exponent(scales, values)
    return (
        f"{name:<64}"
        + "".join(f"{value:>9,.2f}" for value in values)
        + f"{'' if slope is None else f'{slope:.2f}':>10}"
    )


def _shown(steps: Sequence[Mapping[str, float]]) -> list[tuple[tuple[str, ...], list[float]]]:
    """Steps that take long enough at the largest scale, each below the one that it is a part of."""
    kept = [name for name, seconds in steps[-1].items() if seconds >= SHORTEST_S]
    return [(tuple(name.split(" > ")), [each.get(name, 0.0) for each in steps]) for name in sorted(kept)]


def progress(line: str) -> None:
    """Print to standard error, so that --json stays JSON."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report; exits with 1 where two publications that must be equal are not, or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mainnet_state", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few thousand blocks: whether it runs and is equal")
    parser.add_argument(
        "--scale", type=float, action="append", help="only this part or multiple of the size; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hashpivot" / "benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="where the databases to start from are kept")
    given = parser.parse_args()
    pin()
    try:
        scales = sorted(given.scale or (QUICK_SCALES if given.quick else SCALES))
        figures = measure(scales, given.cache, quick=given.quick)
    except FailedError as error:
        progress(str(error))
        return 1
    if given.json:
        print(json.dumps(figures, indent=2))
    else:
        report(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
