"""When to run and what to retry. No arithmetic, no SQL: the work is that of `flows.run`."""

import logging
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, ParamSpec, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.context import FlowRunContext
from prefect.flow_engine import FlowRunTimeoutError
from prefect.futures import as_completed
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.states import Completed
from prefect.task_engine import TaskRunTimeoutError
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from flows.reports.alerts import newest_day
from flows.run import ingest as ingestion
from flows.run import plan as runs
from flows.run import publish as releases
from flows.scheduled.temporary_server import is_temporary
from flows.settings import MOST_MAX_REQUESTS, profile_names, read_profile, read_settings
from flows.sources.choose import SHARDED, SHARDS_AT_ONCE
from schemas.errors import HashpivotError, QualityError, TransientError, WarehouseBusyError
from transforms.calendar import FINALITY_DELAY
from warehouse import journal
from warehouse.reading import query

logger = logging.getLogger(__name__)

FLOW_TIMEOUT_SECONDS: Final = 24 * 3600.0
"""A first run of an own node may take most of a day."""
SOURCE_TIMEOUT_SECONDS: Final = 20 * 3600.0
PUBLISH_TIMEOUT_SECONDS: Final = 3600.0
PATIENCE_SECONDS: Final = 6 * 3600.0
"""How long a deployment's run waits for the run before it; a run that a person started by hand does not wait."""
PUBLISH_FLOW_TIMEOUT_SECONDS: Final = PATIENCE_SECONDS + PUBLISH_TIMEOUT_SECONDS
CATCH_UP_DAYS: Final = 7
"""Missed days that get a publication of their own; those before are in its tables anyway."""


def _known_profile(name: str | None) -> str | None:
    if name is not None and name not in profile_names():
        raise ValueError(f"one of {', '.join(profile_names())}")
    return name


# A field that may stay empty is told to forms as what it is when it is filled; `anyOf` with null makes them ask which.
BuiltInProfile = Annotated[
    str | None, AfterValidator(_known_profile), WithJsonSchema({"type": "string", "enum": profile_names()})
]
"""Forms offer the names as choices, and the server refuses any other before there is a run."""
ProfileFile = Annotated[
    str | None,
    Field(pattern=r"\.toml$", max_length=500),
    WithJsonSchema({"type": "string", "pattern": r"\.toml$", "maxLength": 500}),
]
DAY_SCHEMA: Final = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
Day = Annotated[date, WithJsonSchema(DAY_SCHEMA)]
MaybeDay = Annotated[date | None, WithJsonSchema(DAY_SCHEMA)]
MaybeRequests = Annotated[
    int | None,
    Field(ge=0, le=MOST_MAX_REQUESTS),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_MAX_REQUESTS}),
]


def _without_null_defaults(schema: dict[str, Any]) -> None:
    """Forms fill in defaults, and null is not among the values that a field takes."""
    for told in schema["properties"].values():
        if told.get("default", "") is None:
            del told["default"]


class RunParameters(BaseModel):
    """What a person may choose about any run. Where it writes and who may be asked are settings of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_without_null_defaults)

    profile: BuiltInProfile = Field(
        None,
        title="Profile",
        description="Which sources are asked, and whose word counts; the setting of the machine if empty",
    )
    profile_file: ProfileFile = Field(
        None,
        title="Profile of your own",
        description="Path of a TOML file on the machine that runs this, instead of a built-in profile",
    )

    max_requests: MaybeRequests = Field(
        None,
        title="Most requests",
        description="Most requests to hosted sources; the setting of the machine if empty",
    )

    def planned(self, *, day: date | None = None, since: date | None = None, now: datetime | None = None) -> runs.Run:
        """A run with these parameters. Raises `SettingsError` for what cannot be used."""
        settings = read_settings(profile=self.profile_file or self.profile, max_requests=self.max_requests)
        return runs.plan(settings, read_profile(settings.profile), day=day, since=since, now=now)


class DailyParameters(RunParameters):
    """What a person may choose about the daily run."""

    day: MaybeDay = Field(None, title="Day", description="Last UTC day to publish; the last finished one if empty")
    since: MaybeDay = Field(None, title="From", description="First UTC day asked of the sources; all if empty")
    catch_up: bool = Field(
        False,
        title="Catch up",
        description=f"Publish missed days first, in order, up to {CATCH_UP_DAYS}; used only if no day is given",
    )

    def plan(self) -> runs.Run:
        """The run these parameters ask for. Raises `SettingsError` for parameters that cannot be used."""
        return self.planned(day=self.day, since=self.since)


def run_name() -> str:
    """Name of the flow run: what is asked for, with the day."""
    given = flow_run.get_parameters().get("parameters") or {}
    parameters = given if isinstance(given, DailyParameters) else DailyParameters.model_validate(given)
    run = parameters.plan()
    return f"{run.profile.name} {f'{run.since} to ' if run.since else ''}{run.through}"


def only_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself, never what cannot."""
    try:
        state.result()
    except TransientError:
        return True
    except Exception:
        return False
    return False


P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_SECONDS: Final = [5.0, 30.0, 120.0, 600.0]


# Frames and settings never leave the process: nothing of a task is cached or persisted by the scheduler.
def patiently(work: Callable[P, R], name: str, run_name: str) -> Task[P, R]:
    """A task that is tried again where that may help, for a quarter of an hour."""
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


plan_shards = patiently(ingestion.shards_of, "plan", "plan {source_name}")
read_shard = patiently(ingestion.read_shard, "read shard", "{source_name} {shard}")
ingest = patiently(ingestion.ingest, "ingest", "ingest {source_name}")


def publishing(work: Callable[P, R]) -> Task[P, R]:
    """A task that publishes; a disk that is full for a moment may have room in the next."""
    return task(
        name="publish",
        task_run_name="publish",
        retries=2,
        retry_delay_seconds=[5, 30],
        retry_condition_fn=only_transient,
        timeout_seconds=PUBLISH_TIMEOUT_SECONDS,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(work)


release = publishing(releases.release)
rebuild = publishing(releases.rebuild)


def speak_up() -> None:
    """The scheduler shows and keeps what these loggers say, but leaves their level at the root's, which hides it."""
    for name in ("flows", "warehouse"):
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def in_turn(run: runs.Run) -> Iterator[None]:
    """Hold the lock and the record of `run` until the end; a failure is noted and goes on."""
    with alone(run), runs.on_its_way(run), _in_time():
        try:
            yield
        except QualityError as error:
            if has_standing_server():
                _tell_stopped(run, error)
            raise


@contextmanager
def _in_time() -> Iterator[None]:
    """Tell the limit of the flow from that of a task: the scheduler blames the task in hand for both."""
    try:
        yield
    except (TaskRunTimeoutError, CancelledError) as error:
        context = FlowRunContext.get()
        limit_seconds = context.flow.timeout_seconds if context and context.flow else None
        if context and limit_seconds and datetime.now(UTC) >= context.start_time + timedelta(seconds=limit_seconds):
            raise FlowRunTimeoutError(f"the run took longer than the {limit_seconds:,.0f} s that it may") from error
        raise


@contextmanager
def alone(run: runs.Run) -> Iterator[None]:
    """Hold the lock of the home. A run of a deployment waits for it: another deployment may write to the same home."""
    patience = PATIENCE_SECONDS if _this_run().deployment_id else 0.0
    deadline = time.monotonic() + patience
    with ExitStack() as held:
        is_told = False
        while True:
            try:
                held.enter_context(journal.one_run_at_a_time(run.settings.lock_file))
                break
            except WarehouseBusyError as busy:
                if time.monotonic() >= deadline:
                    raise
                if not is_told:
                    logger.info("waiting: %s", busy)
                is_told = True
                time.sleep(1)
        yield


def ask(run: runs.Run, source_name: str, moved: Callable[[str], None] = lambda _: None) -> ingestion.Ingested:
    """Ask one source for all of the run, telling `moved` about each part that is done."""
    shards = plan_shards(run, source_name) if source_name in SHARDED else []
    for number, done in enumerate(as_completed([read_shard.submit(run, source_name, shard) for shard in shards]), 1):
        done.result()
        moved(f"{number} of {len(shards)} shards of {source_name}")
    ingested = ingest(run, source_name)
    if missing := ingested.missing:
        logger.warning("goes on without source=%s: %s", source_name, missing.why)
    return ingested


def show(run: runs.Run, outcome: releases.Outcome) -> dict[str, Any]:
    """Describe and tell what was published, where somebody can look at it; return what a program may want to know."""
    if has_standing_server():
        from flows.scheduled import artifacts
        from flows.scheduled.alert_delivery import tell_publication

        artifacts.leave(run.settings.published)
        try:
            tell_publication(run.settings, _this_run().id)
        except Exception as error:
            logger.warning("alerts wait for the next run: %s: %s", type(error).__name__, error)
    return releases.about(outcome)


def _tell_stopped(run: runs.Run, stop: QualityError) -> None:
    from flows.scheduled.alert_delivery import tell_stopped

    try:
        tell_stopped(run.settings, stop, run.profile.name, run.through, _this_run().id)
    except Exception as error:
        logger.warning("the alert waits for the next run: %s: %s", type(error).__name__, error)


def has_standing_server() -> bool:
    """Whether the server outlives this run: what is left in a temporary one nobody will see."""
    address = get_current_settings().api.url
    return address is not None and not is_temporary(address)


def _this_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("called outside of a flow run")
    return context.flow_run


def task_threads() -> Any:
    """The runner of shards. Prefect's own runners do not fit its parameter, whose type is invariant."""
    return ThreadPoolTaskRunner[Any](max_workers=SHARDS_AT_ONCE)


@flow(
    name="daily",
    flow_run_name=run_name,
    timeout_seconds=FLOW_TIMEOUT_SECONDS,
    persist_result=False,
    task_runner=task_threads(),
)
def daily(parameters: DailyParameters) -> Any:
    """Ask every source of the profile, keep what is new, recompute all tables, check them and publish."""
    speak_up()
    if parameters.catch_up and (done := _published_since(parameters.plan())):
        return Completed(message=done)
    result: dict[str, Any] = {}
    for day in days_to_publish(parameters):
        run = parameters.planned(day=day, since=parameters.since)
        with in_turn(run):
            ingestion.foresee(run, logger.info)
            ingested = [ask(run, name) for name in run.profile.sources]
            result = show(run, release(run, ingested))
    return result


def days_to_publish(parameters: DailyParameters) -> list[date]:
    """The day that was asked for, after those that were missed if that was asked for too; the oldest first."""
    run = parameters.plan()
    if not parameters.catch_up or parameters.day:
        return [run.through]
    last = newest_day(run.settings, run.profile.name)
    if last is None or last >= run.through:
        return [run.through]
    missed = [last + timedelta(days=n) for n in range(1, (run.through - last).days + 1)]
    if len(missed) > 1:
        logger.info("catching up: days %s to %s were not published", missed[0], missed[-1])
    return missed[-CATCH_UP_DAYS:]


def _published_since(run: runs.Run) -> str | None:
    """Why a run that is late by its schedule has nothing left to do, or None where it has.

    After an outage the schedule's old runs all start; the first of them catches up for the others.
    """
    this = _this_run()
    if not this.auto_scheduled or this.expected_start_time is None:
        return None
    due = this.expected_start_time.astimezone(UTC)
    day = (due - FINALITY_DELAY).date() - timedelta(days=1)
    try:
        _, rows = query(
            run.settings.published,
            "select run_id from meta.runs "
            "where status = 'published' and profile = ? and day >= ? and started_at >= ? limit 1",
            [run.profile.name, day, due.replace(tzinfo=None)],
        )
    except HashpivotError:
        return None
    return f"nothing left to do: {day} was published by run {rows[0][0]}" if rows else None
