"""When to run and what to retry. No arithmetic, no SQL: the program is `flows.pipeline`."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.tasks import Task
from pydantic import BaseModel, ConfigDict, Field

from flows import pipeline
from flows.settings import read_profile, read_settings
from schemas.errors import TransientError
from warehouse import journal


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

    def plan(self) -> pipeline.Run:
        """The run these parameters ask for. Raises `SettingsError` for parameters that cannot be used."""
        settings = read_settings(profile=self.profile, home=self.home, files_dir=self.files_dir)
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


# Frames and settings never leave the process: nothing of a task is cached or persisted by the scheduler.
ingest = task(
    name="ingest",
    task_run_name="ingest {source_name}",
    retries=4,
    retry_delay_seconds=[5, 30, 120, 600],
    retry_jitter_factor=0.3,
    retry_condition_fn=only_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)(pipeline.ingest)
release = task(
    name="publish",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=only_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)(pipeline.release)


@flow(name="daily", flow_run_name=run_name, persist_result=False)
def daily(parameters: DailyParameters) -> dict[str, Any]:
    """Ask every source of the profile, keep what is new, recompute all tables, check them and publish."""
    # The scheduler shows and keeps what these loggers say, but leaves their level at that of the root, which hides it.
    for name in ("flows", "warehouse"):
        logging.getLogger(name).setLevel(logging.INFO)
    run = parameters.plan()
    with journal.one_run_at_a_time(run.settings.lock_file):
        pipeline.begin(run)
        try:
            for name in run.profile.sources:
                ingest(run, name)
            return pipeline.about(release(run))
        except BaseException as error:
            pipeline.fail(run, error)
            raise
