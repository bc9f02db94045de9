"""The steps of a run as tasks with retries and limits of time, and the lock that a run of a deployment waits for."""

import logging
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.context import FlowRunContext
from prefect.flow_engine import FlowRunTimeoutError
from prefect.futures import as_completed
from prefect.settings import get_current_settings
from prefect.task_engine import TaskRunTimeoutError
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task

from flows.run import ingest as ingest_module
from flows.run import publish as publish_module
from flows.run import rebuild as rebuild_module
from flows.run import targets as targets_module
from flows.run.ingest import Ingested
from flows.run.pipeline import Steps
from flows.run.plan import Progress, Run, recorded
from flows.run.publish import Outcome
from flows.scheduled.temporary_server import is_temporary
from flows.sources.kinds import kind_of
from flows.sources.protocol import SHARDS_AT_ONCE, Shard
from schemas.errors import QualityError, TransientError, WarehouseBusyError
from warehouse import journal

logger = logging.getLogger(__name__)

SOURCE_TIMEOUT_SECONDS: Final = 20 * 3600.0
PUBLISH_TIMEOUT_SECONDS: Final = 3600.0
LOCK_TIMEOUT_SECONDS: Final = 6 * 3600.0
"""How long a deployment's run waits for the run before it; a run that a person started by hand does not wait."""
RETRY_DELAYS_SECONDS: Final = [5.0, 30.0, 120.0, 600.0]
SHARD_NAME: Final = "{source_name} {shard.title}"
"""Of the task that reads a shard: the source and the range, such as 'node blocks 2,000 to 2,999'."""

P = ParamSpec("P")
R = TypeVar("R")


def only_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself, never what cannot."""
    try:
        state.result()
    except TransientError:
        return True
    except Exception:
        return False
    return False


# Frames and settings never leave the process: nothing of a task is cached or persisted by the scheduler.
def _source_task(work: Callable[P, R], name: str, run_name: str) -> Task[P, R]:
    """A task that is retried for a quarter of an hour."""
    return task(
        name=name,
        task_run_name=run_name,
        retries=len(RETRY_DELAYS_SECONDS),
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        retry_jitter_factor=0.3,
        retry_condition_fn=only_transient,
        timeout_seconds=SOURCE_TIMEOUT_SECONDS,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(work)


def _publish_task(work: Callable[P, R], name: str = "publish", run_name: str = "publish") -> Task[P, R]:
    """A task that publishes; a disk that is full for a moment may have room in the next."""
    return task(
        name=name,
        task_run_name=run_name,
        retries=2,
        retry_delay_seconds=[5, 30],
        retry_condition_fn=only_transient,
        timeout_seconds=PUBLISH_TIMEOUT_SECONDS,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(work)


shards_of = _source_task(ingest_module.shards_of, "plan", "plan {source_name}")
read_shard = _source_task(ingest_module.read_shard, "read shard", SHARD_NAME)
ingest = _source_task(ingest_module.ingest, "ingest", "ingest {source_name}")
publish = _publish_task(publish_module.publish_run)
rebuild = _publish_task(rebuild_module.rebuild)
publish_to = _publish_task(targets_module.publish_to, "publish to target", "publish to {address}")


def steps() -> Steps:
    """The tasks above, for `flows.run.pipeline`. What they do is logged where they do it."""

    def read_shards(run: Run, source_name: str, shards: Sequence[Shard]) -> Iterator[Shard]:
        if run.settings.runner == "dask" and kind_of(source_name).most_readers_count and shards:
            yield from _read_by_workers(run, source_name, shards)
            return
        for done in as_completed([read_shard.submit(run, source_name, shard) for shard in shards]):
            yield done.result()

    def ingest_source(run: Run, source_name: str, _progress: Progress) -> Ingested:
        ingested = ingest(run, source_name)
        if missing := ingested.missing:
            logger.warning("goes on without source=%s: %s", source_name, missing.why)
        return ingested

    def publish_tables(run: Run, ingested: Sequence[Ingested], _progress: Progress) -> Outcome:
        return publish(run, ingested)

    return Steps(
        shards_of=shards_of,
        read_shards=read_shards,
        ingest=ingest_source,
        publish=publish_tables,
        publish_to=publish_to,
    )


def _read_by_workers(run: Run, source_name: str, shards: Sequence[Shard]) -> Iterator[Shard]:
    """The task of each shard waits here for a worker, so that as many are on their way as there are threads."""
    from flows.scheduled.dask_workers import dask_workers

    with (
        dask_workers(run, source_name, len(shards)) as workers,
        ThreadPoolTaskRunner[Any](max_workers=workers.readers_count) as threads,
    ):

        def read(source_name: str, shard: Shard) -> Shard:
            return ingest_module.read_shard(run, source_name, shard, workers.read)

        reading = _source_task(read, "read shard", SHARD_NAME)
        try:
            for done in as_completed(
                [threads.submit(reading, {"source_name": source_name, "shard": shard}) for shard in shards]
            ):
                yield done.result()
        except BaseException:
            workers.stop()
            raise


def task_threads() -> Any:
    """The runner of shards. Prefect's own runners do not fit its parameter, whose type is invariant."""
    return ThreadPoolTaskRunner[Any](max_workers=SHARDS_AT_ONCE)


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold the lock of the home. A run of a deployment waits for it: another deployment may write to the same home."""
    timeout_seconds = LOCK_TIMEOUT_SECONDS if this_flow_run().deployment_id else 0.0
    deadline = time.monotonic() + timeout_seconds
    with ExitStack() as held:
        is_logged = False
        while True:
            try:
                held.enter_context(journal.one_run_at_a_time(run.settings.lock_file))
                break
            except WarehouseBusyError as busy:
                if time.monotonic() >= deadline:
                    raise
                if not is_logged:
                    logger.info("waiting: %s", busy)
                is_logged = True
                time.sleep(1)
        yield


@contextmanager
def locked_and_recorded(run: Run) -> Iterator[Run]:
    """Hold the lock until the end, record the run, and alert people to checks that stop its publication.

    Gives the run as `recorded` does.
    """
    with locked(run), recorded(run) as placed, _flow_limit_named():
        try:
            yield placed
        except QualityError as error:
            if has_standing_server():
                _alert_stopped(placed, error)
            raise


@contextmanager
def _flow_limit_named() -> Iterator[None]:
    """Separate the time limit of the flow from that of a task: the scheduler blames the task in hand for both."""
    try:
        yield
    except (TaskRunTimeoutError, CancelledError) as error:
        context = FlowRunContext.get()
        limit_seconds = context.flow.timeout_seconds if context and context.flow else None
        if context and limit_seconds and datetime.now(UTC) >= context.start_time + timedelta(seconds=limit_seconds):
            raise FlowRunTimeoutError(f"the run took longer than its limit of {limit_seconds:,.0f} s") from error
        raise


def _alert_stopped(run: Run, error: QualityError) -> None:
    from flows.scheduled.alert_delivery import deliver_stopped

    try:
        deliver_stopped(run.settings, error, run.profile.name, run.day, this_flow_run().id)
    except Exception as failure:
        logger.warning("the alert waits for the next run: %s: %s", type(failure).__name__, failure)


def has_standing_server() -> bool:
    """Whether the server outlives this run: what is left in a temporary one nobody will see."""
    address = get_current_settings().api.url
    return address is not None and not is_temporary(address)


def this_flow_run() -> FlowRun:
    """The flow run that this code is part of."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("called outside of a flow run")
    return context.flow_run
