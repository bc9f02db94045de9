"""When to run and what to retry. No arithmetic, no SQL: the program is `flows.pipeline`."""

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import as_completed
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task
from pydantic import BaseModel, ConfigDict, Field

from flows import pipeline
from flows.settings import MOST_MAX_REQUESTS, read_profile, read_settings
from flows.sources.choose import SHARDED, SHARDS_AT_ONCE
from schemas.errors import TransientError

logger = logging.getLogger(__name__)


class DailyParameters(BaseModel):
    """What a person may choose about a run; everything else is a setting of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str | None = Field(
        None, title="Profile", description="Built-in profile or TOML file; the setting if empty"
    )
    day: date | None = Field(None, title="Day", description="Last UTC day to publish; the last finished one if empty")
    since: date | None = Field(None, title="From", description="First UTC day asked of the sources; all if empty")
    home: Path | None = Field(None, title="Home", description="Folder of everything a run writes; the setting if empty")
    files_dir: Path | None = Field(
        None, title="Files", description="Folder the files source reads; the setting if empty"
    )
    max_requests: int | None = Field(
        None,
        ge=0,
        le=MOST_MAX_REQUESTS,
        title="Most requests",
        description="Most requests to hosted sources; the setting if empty",
    )

    def plan(self) -> pipeline.Run:
        """The run these parameters ask for. Raises `SettingsError` for parameters that cannot be used."""
        settings = read_settings(
            profile=self.profile, home=self.home, files_dir=self.files_dir, max_requests=self.max_requests
        )
        return pipeline.plan(settings, read_profile(settings.profile), day=self.day, since=self.since)


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
        cache_policy=NO_CACHE,
        persist_result=False,
    )(work)


plan_shards = patiently(pipeline.shards_of, "plan", "plan {source_name}")
read_shard = patiently(pipeline.read_shard, "read shard", "{source_name} {shard}")
ingest = patiently(pipeline.ingest, "ingest", "ingest {source_name}")
release = task(
    name="publish",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=only_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)(pipeline.release)


@flow(
    name="daily",
    flow_run_name=run_name,
    persist_result=False,
    # Prefect's own runners do not fit its parameter, whose type is invariant.
    task_runner=ThreadPoolTaskRunner[Any](max_workers=SHARDS_AT_ONCE),  # type: ignore[arg-type]
)
def daily(parameters: DailyParameters) -> dict[str, Any]:
    """Ask every source of the profile, keep what is new, recompute all tables, check them and publish."""
    # The scheduler shows and keeps what these loggers say, but leaves their level at that of the root, which hides it.
    for name in ("flows", "warehouse"):
        logging.getLogger(name).setLevel(logging.INFO)
    run = parameters.plan()
    with pipeline.on_its_way(run):
        pipeline.foresee(run, logger.info)
        ingested = []
        for name in run.profile.sources:
            shards = plan_shards(run, name) if name in SHARDED else []
            for done in as_completed([read_shard.submit(run, name, shard) for shard in shards]):
                done.result()
            ingested.append(ingest(run, name))
            if missing := ingested[-1].missing:
                logger.warning("goes on without source=%s: %s", name, missing.why)
        return pipeline.about(release(run, ingested))
