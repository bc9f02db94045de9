"""The project itself: from the working database to a publication, without Prefect and without its sources."""

from datetime import datetime
from pathlib import Path
from time import perf_counter

from flows.startup import importing

with importing():  # as the command does
    from benchmarks.facts import facts_of
    from benchmarks.fixture import run_at
    from flows.run import plan, publish


def recompute(home: Path, folder: Path) -> float:
    """Compute, check and publish; return the seconds of that. `folder` is not used: a publication has its place."""
    run = run_at(home, datetime.fromisoformat(facts_of(home).now))
    plan.record_start(run)
    started = perf_counter()
    publish.publish_run(run)
    return perf_counter() - started
