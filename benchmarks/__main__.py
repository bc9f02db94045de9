"""Recompute all history from one working database three ways: first whether they agree, then how long each takes.

Run as `python -m benchmarks [--quick] [--flows] [--json]`.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.facts import facts_of
from benchmarks.measure import PYTHON, USER_PYTHON, FailedError, Finished, Spread, Standing, pin, run

CONTENDERS: Final = {"ours": "hashpivot", "pandas": "pandas", "sql": "DuckDB SQL"}
TARGETS: Final = {"in process, s": 1.0, "whole process, s": 3.0, "peak memory, MiB": 1024.0}


def measure(home: Path, blocks: int, chain: str, rounds: int, *, flows: bool) -> dict[str, Any]:
    """Make the fixture, compare, then measure; contenders take turns so that a busy moment hits them all."""
    run("benchmarks.fixture", home, blocks, chain, "flows" if flows else "days")
    facts = facts_of(home)
    progress(
        f"fixture: {facts.block_count:,} blocks, {facts.value_count:,} daily values, {facts.flow_count:,} flows "
        f"up to {facts.through}, {facts.megabytes:.1f} MB"
    )
    contender = "benchmarks.contender"
    pythons = dict.fromkeys(CONTENDERS, PYTHON)
    if USER_PYTHON.exists():
        pythons["ours"] = USER_PYTHON
    else:
        progress("in the environment of developers, where our imports take longer; `make bench` makes that of users")
    arguments = {name: (name, home, home / "peers" / name) for name in CONTENDERS}
    for name in CONTENDERS:
        run(contender, *arguments[name], python=pythons[name])
    for peer in ("pandas", "sql"):
        tables = (home / "published" / "hashpivot.duckdb", home / "peers" / peer / "tables.duckdb")
        progress(run("benchmarks.equality", *tables, peer).output)

    standing = {name: Standing(contender, *arguments[name], python=pythons[name]) for name in CONTENDERS}
    for each in standing.values():
        each.again()
    warm: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, each in standing.items():
            warm[name].append(each.again())
    for each in standing.values():
        each.leave()
    cold: dict[str, list[Finished]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            cold[name].append(run(contender, *arguments[name], python=pythons[name]))
    spent = json.loads(run("benchmarks.phases", home, rounds, python=pythons["ours"]).output)
    return {
        "fixture": asdict(facts),
        "equal": True,
        "rounds": rounds,
        "load": round(os.getloadavg()[0], 1),
        "contenders": {
            name: {
                "in process, s": asdict(Spread.of(warm[name])),
                "whole process, s": asdict(Spread.of([each.wall_s for each in cold[name]])),
                "peak memory, MiB": asdict(Spread.of([each.peak_mib for each in cold[name]])),
            }
            for name in CONTENDERS
        },
        "phases": {name: asdict(Spread.of(seconds)) for name, seconds in spent.items()},
    }


def report(measured: dict[str, Any]) -> None:
    """The tables, then what was lost, as sentences."""
    contenders, digits = measured["contenders"], {"peak memory, MiB": 0}
    print(f"\nmedian (least-greatest) of {measured['rounds']} rounds that alternate, load average {measured['load']}\n")
    print(
        f"{'':<18}"
        + "".join(f"{title:>26}" for title in CONTENDERS.values())
        + f"{'/pandas':>10}{'/SQL':>8}{'target':>9}"
    )
    lost = []
    for line, target in TARGETS.items():
        medians = {name: contenders[name][line]["median"] for name in CONTENDERS}
        cells = "".join(f"{_spread(contenders[name][line], digits.get(line, 2)):>26}" for name in CONTENDERS)
        ratios = [medians["ours"] / medians[peer] for peer in ("pandas", "sql")]
        print(f"{line:<18}{cells}{ratios[0]:>9.2f}x{ratios[1]:>7.2f}x{target:>9,.0f}")
        lost += [
            f"{line.split(',')[0]}: {r:.2f} times {p}" for r, p in zip(ratios, ("pandas", "SQL"), strict=True) if r > 1
        ]
        if medians["ours"] > target:
            lost.append(f"{line.split(',')[0]}: {medians['ours']:,.2f} is over the target of {target:,.0f}")
    print("\nwhere our own time goes, ms")
    for name, seconds in measured["phases"].items():
        print(f"  {name:<42}{1_000 * seconds['median']:>8,.0f}")
    print("\nwe lose: " + ("; ".join(lost) or "nothing"))


def _spread(spread: dict[str, float], digits: int) -> str:
    return f"{spread['median']:,.{digits}f} ({spread['least']:,.{digits}f}-{spread['greatest']:,.{digits}f})"


def progress(line: str) -> None:
    """Print to standard error, so that --json stays JSON."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report; exits with 1 where a peer disagrees or fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small chain and one round: whether it runs and agrees")
    parser.add_argument("--flows", action="store_true", help="with the flows from each pool to each exchange as well")
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    given = parser.parse_args()
    pin()
    with TemporaryDirectory(prefix="hashpivot-bench-") as folder:
        try:
            size = (100_000, "recent", 1) if given.quick else (930_000, "whole", 5)
            measured = measure(Path(folder), *size, flows=given.flows)
        except FailedError as error:
            progress(str(error))
            return 1
    if given.json:
        print(json.dumps(measured, indent=2))
    else:
        report(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
