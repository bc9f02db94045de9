"""Where our own time goes, by the public functions only: a difference of two of them is a phase.

Run as `python -m benchmarks.phases HOME ROUNDS`; prints one JSON object of lists of seconds.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.facts import facts_of
from benchmarks.fixture import run_at
from flows.run import plan, publish
from schemas.enforce import enforce
from transforms.build import build
from transforms.catalog import TABLES


def phases(home: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of a whole release and of its parts, `rounds` times after one that warms up."""
    run = run_at(home, datetime.fromisoformat(facts_of(home).now))
    plan.record_start(run)
    seconds: dict[str, list[float]] = defaultdict(list)
    for warm in [False] + [True] * rounds:
        release_s, _ = _timed(lambda: publish.publish_run(run_at(home, run.now)))
        compute_s, (built, inputs) = _timed(lambda: publish.compute(run))
        build_s, _ = _timed(lambda inputs=inputs: build(inputs))
        schemas_s, _ = _timed(lambda built=built: [enforce(t, TABLES[name].schema) for name, t in built.tables.items()])
        if warm:
            seconds["read and parse"].append(compute_s - build_s)
            seconds["build, without the schemas"].append(build_s - schemas_s)
            seconds["schemas of finished tables"].append(schemas_s)
            seconds["publish"].append(release_s - compute_s)
            seconds["all"].append(release_s)
            seconds["all, without the schemas of finished tables"].append(release_s - schemas_s)
    return seconds


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = perf_counter()
    result = work()
    return perf_counter() - started, result


if __name__ == "__main__":
    print(json.dumps(phases(Path(sys.argv[1]), int(sys.argv[2]))))
