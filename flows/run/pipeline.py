"""A whole run in plain Python: fetch from the sources, store what is new, compute, check, publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

from flows.run.ingest import Ingested, estimate, ingest, read_shard, shards_of
from flows.run.plan import Progress, Run, no_progress, recorded
from flows.run.publish import Outcome, publish_run
from flows.run.targets import PublishTo, publish_to_with_retries, with_targets
from flows.sources.kinds import kind_of
from flows.sources.protocol import SHARDS_AT_ONCE, Shard
from warehouse import journal

PartProgress = Callable[[int, int, str], None]
"""Takes how many parts of how many are done, and what comes next."""
ReadShards = Callable[[Run, str, Sequence[Shard]], Iterator[Shard]]
"""Reads shards of one source, given by its name, and yields each as it ends, in any order. What it gave is then where
the source of the run finds it."""


def _read_in_threads(run: Run, source_name: str, shards: Sequence[Shard]) -> Iterator[Shard]:
    with ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shard") as executor:
        reading = [executor.submit(read_shard, run, source_name, shard) for shard in shards]
        try:
            for done in as_completed(reading):
                yield done.result()
        except BaseException:
            run.sources.close()
            executor.shutdown(cancel_futures=True)
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What a run is made of. By default plain functions; the scheduler passes the same as tasks with retries."""

    shards_of: Callable[[Run, str], Sequence[Shard]] = shards_of
    read_shards: ReadShards = _read_in_threads
    ingest: Callable[[Run, str, Progress], Ingested] = ingest
    publish: Callable[[Run, Sequence[Ingested], Progress], Outcome] = publish_run
    publish_to: PublishTo = publish_to_with_retries


def run_all(run: Run, *, part_count: int = 1, progress: Progress = no_progress) -> Outcome:
    """The whole run in this process, under the lock of the home. Parameters as in `fetch_and_publish`.

    Raises `WarehouseBusyError` while another run holds the lock.
    """
    with journal.one_run_at_a_time(run.settings.lock_file), recorded(run) as placed:

        def report(done: int, total: int, what: str) -> None:
            progress(f"{done} of {total} parts: {what}")

        return fetch_and_publish(
            placed, part_count=part_count, progress=progress, part_progress=report if part_count > 1 else None
        )


def fetch_and_publish(
    run: Run,
    *,
    part_count: int = 1,
    steps: Steps | None = None,
    progress: Progress = no_progress,
    part_progress: PartProgress | None = None,
) -> Outcome:
    """Fetch every source and publish. The lock and the record of the run are the caller's.

    `part_count`: how many ranges of days each source is fetched in, the oldest first; each is stored once it is there.
    A source with shards is fetched in one, as it has parts of its own.
    """
    steps = steps or Steps()
    if run.sources.web is not None:
        run.sources.web.listener = progress
    estimate(run, progress)
    parts = [
        (name, part)
        for name in run.profile.sources
        for part in ([run] if kind_of(name).sharded else run.parts(part_count))
    ]

    def report(done: int, what: str) -> None:
        if part_progress is not None:
            part_progress(done, len(parts) + 1, what)

    ingested = []
    for number, (name, part) in enumerate(parts):
        report(number, f"fetching {name} {part.since or ''} to {part.through}")
        ingested.append(fetch(part, name, steps, progress, partial(report, number)))
    report(len(parts), "publishing")
    outcome = with_targets(run, steps.publish(run, ingested, progress), steps.publish_to, progress)
    report(len(parts) + 1, f"published {outcome.published.version}")
    return outcome


def fetch(
    run: Run, source_name: str, steps: Steps, progress: Progress = no_progress, shard_progress: Progress = no_progress
) -> Ingested:
    """Read the shards of one source, if it has any, then ingest it for all days of the run."""
    if kind_of(source_name).sharded:
        shards = steps.shards_of(run, source_name)
        for number, shard in enumerate(steps.read_shards(run, source_name, shards), 1):
            count = f"{number} of {len(shards)} shards"
            progress(f"{source_name}: read {shard.title}, {count}")
            shard_progress(f"{count} of {source_name}")
    return steps.ingest(run, source_name, progress)
