"""The deployments that people see in the scheduler: what each is for, when it runs, what it starts with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, cast

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.scheduled.flows import backfill, daily, publish_only, rebuild_as_of, registry_refresh
from flows.scheduled.forms import form
from flows.scheduled.parameters import (
    BackfillParameters,
    DailyParameters,
    PublishParameters,
    RebuildParameters,
    RefreshParameters,
    RunParameters,
)
from flows.settings import Settings

TAG: Final = "hashpivot"
WRITER: Final = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""One run at a time; the next one waits. Runs of different deployments wait for each other by the lock of the home."""

WAITS: Final = "A second run waits until the first has ended."
OLD_STAYS: Final = "Where a source or a check fails, the last good publication stays."


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One deployment. `readme` is Markdown that the scheduler shows beside the form."""

    flow: Flow[..., Any]
    parameters: type[RunParameters]
    readme: str
    tags: tuple[str, ...]
    cron: str | None = None
    """In UTC."""
    starts_with: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The deployment is called like its flow."""
        return self.flow.name


def served(settings: Settings) -> tuple[Served, ...]:
    """All of them, with the schedules of the settings."""
    return (
        Served(
            flow=daily,
            parameters=DailyParameters,
            cron=settings.daily_cron,
            tags=("daily", "writes"),
            starts_with={"catch_up": True},
            readme="**The daily run.** Fetches every source of the profile, stores what is new, recomputes all tables, "
            "checks them and publishes. By schedule "
            f"(`{settings.daily_cron}`, UTC) it publishes the last day that is over, and before that each "
            "day that was missed, in order.\n\nLeave the form empty to do the same by hand. "
            f"{WAITS} {OLD_STAYS}",
        ),
        Served(
            flow=backfill,
            parameters=BackfillParameters,
            tags=("by-hand", "writes"),
            readme="**Fetches a range of days again**, then publishes all that is known. What a source "
            "states differently now becomes a revision; nothing is overwritten.\n\n*Shards* cut a long range into "
            "parts, and the artifact `hashpivot-progress` shows how far it is. Stopped in the middle, it keeps what "
            f"it has; run it again. {WAITS}",
        ),
        Served(
            flow=registry_refresh,
            parameters=RefreshParameters,
            cron=settings.weekly_cron,
            tags=("weekly", "writes"),
            readme="**Registry and filings.** Checks the curated registry of AI leases, fetches new filings where "
            f"the profile has a source of them, and publishes. By schedule: `{settings.weekly_cron}`, UTC. {OLD_STAYS}",
        ),
        Served(
            flow=publish_only,
            parameters=PublishParameters,
            tags=("by-hand", "writes"),
            readme="**Publishes anew** from what is stored, after an upgrade for example. Nothing is fetched. "
            f"{WAITS} {OLD_STAYS}",
        ),
        Served(
            flow=rebuild_as_of,
            parameters=RebuildParameters,
            tags=("by-hand",),
            readme="**What was known at a moment in the past.** Uses only what had been received by then, and only "
            "rows of the registry that could be known by then. Writes a publication of its own under `rebuilt/` in the "
            "home; the publication of today stays as it is.",
        ),
    )


def deployments(settings: Settings) -> Iterator[RunnerDeployment]:
    """The same as objects of the scheduler, with forms that state the settings of this machine."""
    for one in served(settings):
        deployment = one.flow.to_deployment(
            name=one.name,
            schedule=None if one.cron is None else Cron(one.cron, timezone="UTC"),
            parameters=one.starts_with,
            description=one.readme,
            tags=[TAG, *one.tags],
            version=version("hashpivot"),
            concurrency_limit=WRITER,
            # Runs start from the installed package, wherever the command was started.
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        made = cast(RunnerDeployment, deployment)
        # Prefect has made one of the signature, without the settings of this machine.
        made._parameter_openapi_schema = form(one.parameters, settings)
        yield made
