"""A whole run in plain Python: ask the sources, keep what is new, compute, check, publish. No scheduler needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed

from flows.run.ingest import foresee, ingest, read_shard, shards_of
from flows.run.plan import Run, Say, on_its_way
from flows.run.publish import Outcome, release
from flows.sources.choose import SHARDS_AT_ONCE
from warehouse import journal


def run_all(run: Run, say: Say = lambda _: None) -> Outcome:
    """The whole run, one at a time on this machine."""
    if run.web is not None:
        run.web.listener = say
    with journal.one_run_at_a_time(run.settings.lock_file), on_its_way(run):
        foresee(run, say)
        ingested = []
        for name in run.profile.sources:
            _read_shards(run, name, say)
            ingested.append(ingest(run, name, say))
        return release(run, ingested, say)


def _read_shards(run: Run, source_name: str, say: Say) -> None:
    shards = shards_of(run, source_name)
    with ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shard") as executor:
        reading = [executor.submit(read_shard, run, source_name, shard) for shard in shards]
        try:
            for number, done in enumerate(as_completed(reading), 1):
                shard = done.result()
                say(f"{source_name}: read blocks {shard.first:,} to {shard.last:,}, {number} of {len(shards)} shards")
        except BaseException:
            run.over.set()
            executor.shutdown(cancel_futures=True)
            raise
