"""Try to break runs at random and count what was survived: `python -m tests.campaign --tries 100 --seed 1`.

Prints one line for each try that was not survived, and a table area x tried, survived, failed. Exits with 1 where a
figure was wrong without a word, a publication was not whole, or a command did not end in one line. A try has a name,
`area/number`; with the same seed `--only area/number` repeats it and keeps its files.
"""

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from shutil import rmtree
from time import monotonic
from typing import Final

from tests import clock
from tests.campaign import clocks, command, disks, kills, mutants, readers, source_faults, users
from tests.campaign.tries import Area, Outcome, Verdict, Workshop
from tests.invocation import REPOSITORY
from tests.other_user import can_become_other_user

AREAS: Final[dict[str, tuple[Area, int]]] = {
    "kills": (kills.try_kill, 10),
    "hosted sources fail": (source_faults.try_hosted_fault, 8),
    "hosted figures change": (source_faults.try_changed_response, 8),
    "node fails": (source_faults.try_node_fault, 5),
    "exports change": (mutants.try_export, 15),
    "registry changes": (mutants.try_registry, 30),
    "other files change": (readers.try_reader, 25),
    "clock": (clocks.try_clock, 3),
    "full disk": (disks.try_full_disk, 4),
    "damaged home": (disks.try_damage, 6),
    "another user": (users.try_other_user, 25),
    "processes at once": (users.try_several_processes, 2),
}
"""By name, one try and the share of the tries that the area gets: more where a try takes a moment."""
QUICK_TRIES: Final = len(AREAS)
"""Each area gets one at least, so that a few more are made."""
NEED_DATA: Final = ("kills", "exports change", "other files change", "clock")
"""Areas that start from real data, which the project holds no copy of."""


def main() -> int:
    """Run the tries that the arguments choose; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--tries", type=int, default=1000, help="how many in all areas (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (%(default)s)")
    parser.add_argument("--area", action="append", choices=sorted(AREAS), help="only this area; repeat for more")
    parser.add_argument("--only", metavar="AREA/NUMBER", help="repeat one try, and keep its files")
    parser.add_argument("--quick", action="store_true", help="one try or a few an area")
    parser.add_argument("--jobs", type=int, default=2, help="tries at once (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print every try")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data", help="folder of real data")
    options = parser.parse_args()
    tries = QUICK_TRIES if options.quick else options.tries
    areas = _possible(options.area or list(AREAS), options.data)
    names = [options.only] if options.only else list(_names(areas, tries))

    command.prepare()
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        workshop = Workshop(folder, options.data)
        return _report(_outcomes(workshop, names, options.seed, options.jobs), verbose=options.verbose)
    finally:
        if options.only:
            print(f"files of the try: {folder}")
        else:
            rmtree(folder, ignore_errors=True)


def _possible(areas: list[str], data: Path) -> list[str]:
    """The areas that this machine allows; each of the others is named with the reason."""
    reasons = dict.fromkeys(NEED_DATA, f"no real data at {data}") if not data.is_dir() else {}
    if not clock.can_be_set():
        reasons["clock"] = "no C compiler"
    if not can_become_other_user():
        reasons["another user"] = "not root"
    for area in areas:
        if area in reasons:
            print(f"left out: {area}: {reasons[area]}", file=sys.stderr)
    return [area for area in areas if area not in reasons]


def _names(areas: list[str], tries: int) -> Iterator[str]:
    """Names of the tries, of all areas in turn so that a campaign that is ended early has tried a little of each."""
    chosen = {area: AREAS[area][1] for area in areas}
    left = {area: max(1, round(tries * share / sum(chosen.values()))) for area, share in chosen.items()}
    numbered: Counter[str] = Counter()
    while any(left.values()):
        area = max(left, key=lambda each: left[each] / chosen[each])
        left[area] -= 1
        numbered[area] += 1
        yield f"{area}/{numbered[area]}"


def _outcomes(workshop: Workshop, names: list[str], seed: int, jobs: int) -> Iterator[tuple[str, Outcome]]:
    def one(name: str) -> tuple[str, Outcome]:
        area = name.partition("/")[0]
        try:
            outcome = AREAS[area][0](workshop, name, Random(f"{seed}/{name}"))
        except Exception as error:
            outcome = Outcome(Verdict.BROKEN, "the try itself", f"{type(error).__name__}: {error}")
        if len(names) > 1:
            rmtree(workshop.folder / name.replace("/", "-"), ignore_errors=True)
        return name, outcome

    with ThreadPoolExecutor(jobs) as executor:
        yield from executor.map(one, names)


def _report(outcomes: Iterator[tuple[str, Outcome]], *, verbose: bool) -> int:
    """Print each try that was not survived, then the table; return the exit code."""
    counts: defaultdict[str, Counter[Verdict]] = defaultdict(Counter)
    started = monotonic()
    try:
        for name, outcome in outcomes:
            counts[name.partition("/")[0]][outcome.verdict] += 1
            if verbose or not outcome.verdict.is_survived:
                print(f"{outcome.verdict.upper()} {name}: {outcome.fault}: {outcome.found}", flush=True)
    except KeyboardInterrupt:
        print("ended early", file=sys.stderr)
    columns = ["area", "tried", "survived", "failed", *Verdict]
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for area, of_area in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        survived = sum(count for verdict, count in of_area.items() if verdict.is_survived)
        row = [area, of_area.total(), survived, of_area.total() - survived, *(of_area[verdict] for verdict in Verdict)]
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print(f"\n{monotonic() - started:,.0f} s")
    failed = any(not verdict.is_survived for of_area in counts.values() for verdict in of_area)
    return 1 if failed or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
