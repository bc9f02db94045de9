"""The runs besides the daily one: a backfill in parts, registry and filings, publishing anew, an earlier moment."""

import dataclasses
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.run import ingest as ingestion
from flows.run import plan as runs
from flows.run import publish as releases
from flows.scheduled import artifacts
from flows.scheduled.daily import (
    FLOW_TIMEOUT_SECONDS,
    PUBLISH_FLOW_TIMEOUT_SECONDS,
    Day,
    MaybeDay,
    RunParameters,
    alone,
    ask,
    in_turn,
    rebuild,
    release,
    show,
    speak_up,
    task_threads,
)
from flows.settings import read_profile, read_settings
from flows.sources.choose import SHARDED

logger = logging.getLogger(__name__)

FILING_SOURCES: Final = ("edgar",)
"""Sources of the registry: filings, which change by the week and not by the day."""
BACKFILL_TIMEOUT_SECONDS: Final = 7 * 24 * 3600.0
MOST_SHARDS: Final = 366


class BackfillParameters(RunParameters):
    """What a person may choose about a backfill."""

    since: Day = Field(title="From", description="First UTC day to ask the sources for")
    through: MaybeDay = Field(
        None, title="To", description="Last UTC day to ask for and to publish; the last finished one if empty"
    )
    shards: int = Field(
        1,
        ge=1,
        le=MOST_SHARDS,
        title="Shards",
        description="Parts the range is asked in, the oldest first; each is kept once it is there. "
        "An own node is read in shards of heights instead",
    )


class RefreshParameters(RunParameters):
    """What a person may choose about a refresh of the registry."""


class PublishParameters(RunParameters):
    """What a person may choose about publishing anew."""

    day: MaybeDay = Field(None, title="Day", description="Last UTC day to publish; the last finished one if empty")


class RebuildParameters(RunParameters):
    """What a person may choose about a rebuild."""

    as_of: datetime = Field(title="As of", description="Moment in the past: nothing heard later is used (UTC)")
    day: MaybeDay = Field(
        None, title="Day", description="Last UTC day to publish; the last that was finished at that moment if empty"
    )

    def plan(self) -> runs.Run:
        """The run these parameters ask for. Raises `SettingsError` for a day that was not over at the moment."""
        moment = self.as_of if self.as_of.tzinfo else self.as_of.replace(tzinfo=UTC)
        settings = read_settings(profile=self.profile_file or self.profile)
        return runs.plan_past(settings, read_profile(settings.profile), moment.astimezone(UTC), day=self.day)


def _given() -> dict[str, Any]:
    given = flow_run.get_parameters().get("parameters") or {}
    return given if isinstance(given, dict) else given.model_dump()


def _backfill_name() -> str:
    told = _given()
    return f"{_profile(told)} {told['since']} to {told.get('through') or 'now'}"


def _refresh_name() -> str:
    return f"{_profile(_given())} {datetime.now(UTC):%Y-%m-%d}"


def _rebuild_name() -> str:
    told = _given()
    return f"{_profile(told)} as of {told['as_of']}"


def _profile(told: dict[str, Any]) -> str:
    return told.get("profile_file") or told.get("profile") or read_settings().profile


@flow(
    name="backfill",
    flow_run_name=_backfill_name,
    timeout_seconds=BACKFILL_TIMEOUT_SECONDS,
    persist_result=False,
    task_runner=task_threads(),
)
def backfill(parameters: BackfillParameters) -> Any:
    """Ask the sources again for a range of days, part by part, then publish all that is known."""
    speak_up()
    run = parameters.planned(day=parameters.through, since=parameters.since)
    parts = [
        (name, part)
        for name in run.profile.sources
        for part in ([run] if name in SHARDED else list(split(run, parameters.shards)))
    ]
    with in_turn(run):
        ingestion.foresee(run, logger.info)
        ingested: list[ingestion.Ingested] = []
        move = artifacts.progress(len(parts) + 1)
        for number, (name, part) in enumerate(parts):
            told = f"{name} {part.since} to {part.through}"
            move(number, f"asking {told}")

            def moved(what: str, number: int = number) -> None:
                move(number, what)

            ingested.append(ask(part, name, moved))
        move(len(parts), "publishing")
        outcome = release(run, ingested)
        move(len(parts) + 1, f"published {outcome.published.version}")
        return show(run, outcome)


def split(run: runs.Run, count: int) -> Iterator[runs.Run]:
    """The days of `run` in at most `count` parts of nearly equal length, the oldest first."""
    first: date = run.since or run.through
    days = (run.through - first).days + 1
    count = min(count, days)
    edges = [first + timedelta(days=days * n // count) for n in range(count + 1)]
    for since, after in pairwise(edges):
        yield dataclasses.replace(run, since=since, through=after - timedelta(days=1))


@flow(
    name="registry-refresh",
    flow_run_name=_refresh_name,
    timeout_seconds=FLOW_TIMEOUT_SECONDS,
    persist_result=False,
    task_runner=task_threads(),
)
def registry_refresh(parameters: RefreshParameters) -> Any:
    """Check the registry, ask for new filings where the profile has a source of them, and publish."""
    speak_up()
    run = parameters.planned()
    with in_turn(run):
        for name in run.profile.sources:
            if name in FILING_SOURCES:
                ask(run, name)
        return show(run, release(run))


@flow(
    name="publish-only",
    flow_run_name=_refresh_name,
    timeout_seconds=PUBLISH_FLOW_TIMEOUT_SECONDS,
    persist_result=False,
)
def publish_only(parameters: PublishParameters) -> Any:
    """Recompute, check and publish from what is stored; no source is asked."""
    speak_up()
    run = parameters.planned(day=parameters.day)
    with in_turn(run):
        return show(run, release(run))


@flow(
    name="rebuild-as-of",
    flow_run_name=_rebuild_name,
    timeout_seconds=PUBLISH_FLOW_TIMEOUT_SECONDS,
    persist_result=False,
)
def rebuild_as_of(parameters: RebuildParameters) -> Any:
    """Publish, beside the publication of today, what could be known at a moment in the past."""
    speak_up()
    run = parameters.plan()
    with alone(run):
        outcome = rebuild(run)
        artifacts.leave_rebuilt(outcome.published.database, run.now)
        return releases.about(outcome)
