"""One run on the database of `benchmarks.mainnet_state_fixture` as a process of its own; prints one JSON object.

Run as `python -m benchmarks.mainnet_state_run HOME FIXTURE {first,next,late} [--steps]`: the first recompute, the next
day (its batches, then a publication), or the first recompute of a home that had the next day's batches before.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from flows.startup import importing

with importing():  # as the command does
    from benchmarks.mainnet_state_facts import facts_of
    from benchmarks.mainnet_state_fixture import next_batches, run_at
    from benchmarks.steps import SEPARATOR, measured
    from flows.run import plan, publish
    from warehouse import journal, vintages
    from warehouse.targets.files import current_version
    from warehouse.working import open_working


def one_run(home: Path, fixture: Path, which: str) -> dict[str, Any]:
    """Seconds, bytes and what was published."""
    facts = facts_of(fixture)
    now = datetime.fromisoformat(facts.now if which == "first" else facts.next_now)
    if which == "late":  # not measured: as if a run before had stored it and ended there
        _append(home, fixture, now - timedelta(minutes=1))
    working = run_at(home, now).settings.working_database
    size_before, written_before = working.stat().st_size, _written()
    started = perf_counter()
    if which == "next":
        _append(home, fixture, now)
    appended = perf_counter()
    run = run_at(home, now)
    with journal.one_run_at_a_time(run.settings.lock_file), plan.recorded(run) as placed:
        outcome = publish.publish_run(placed)
    ended = perf_counter()
    version = run.settings.published / "versions" / str(current_version(run.settings.published))
    files = [path.stat() for path in version.rglob("*") if path.is_file()]
    return {
        "append, s": appended - started,
        "publish, s": ended - appended,
        "in process, s": ended - started,
        "processor, s": process_time(),
        "written, MB": (_written() - written_before) / 1e6,
        "new files, MB": sum(file.st_size for file in files if file.st_nlink == 1) / 1e6,
        "all files, MB": sum(file.st_size for file in files) / 1e6,
        "growth of the working database, MB": (working.stat().st_size - size_before) / 1e6,
        "rows": sum(outcome.published.rows.values()),
    }


def _append(home: Path, fixture: Path, now: datetime) -> None:
    run = run_at(home, now)
    with open_working(run.settings.working_database) as connection:
        for batch in next_batches(fixture, now):
            journal.count(connection, run.run_id, vintages.append(connection, batch, run.run_id))


def _written() -> int:
    """Bytes that this process has caused to be written, as the kernel counts them; 0 where it does not."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def main() -> None:
    """Run once and print."""
    home, fixture, which, *rest = sys.argv[1:]
    if rest != ["--steps"]:
        print(json.dumps(one_run(Path(home), Path(fixture), which)))
        return
    with measured() as seconds:
        one_run(Path(home), Path(fixture), which)
    print(json.dumps({SEPARATOR.join(step): spent for step, spent in seconds.items()}))


if __name__ == "__main__":
    main()
