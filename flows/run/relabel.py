"""Attribute stored history anew with the present labels, and publish it; nothing is fetched."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flows.run.applied import record_labels
from flows.run.ingest import Ingested, Stored
from flows.run.plan import Progress, Run, last_finished_day, no_progress, plan, recorded
from flows.run.publish import Outcome, publish_run
from flows.run.targets import with_targets
from flows.sources.kinds import kind_of
from flows.sources.protocol import Labelled
from schemas.errors import SettingsError
from schemas.observations import Notice
from transforms.checks.last_publication import RESCALED
from warehouse import journal, vintages
from warehouse.targets.files import published_day
from warehouse.working import open_working

if TYPE_CHECKING:
    from datetime import datetime

    from flows.settings import Profile, Settings

logger = logging.getLogger(__name__)

REMEDY: Final = "name the profile of an own node or of the block lake"


def plan_relabel(settings: Settings, profile: Profile, *, now: datetime | None = None) -> Run:
    """Fix what a relabelling will do: publish the day that is published, as no later one is fetched.

    Flows may become many times what they were. Nothing else changes, so that the check of the scale only warns.
    """
    settings = settings.model_copy(update={"accept": f"{settings.accept};{RESCALED.name}"})
    run = plan(settings, profile, now=now)
    current = published_day(settings.published)
    return run if current is None else replace(run, day=min(current, last_finished_day(run.now)))


def relabel(run: Run, progress: Progress = no_progress) -> Outcome:
    """Relabel every source of the run that can be, all of it or nothing, then publish.

    Raises `SettingsError` where there is no such source, and as `Labelled.relabel` and `publish_run`.
    """
    with journal.one_run_at_a_time(run.settings.lock_file), recorded(run) as placed:
        names = [name for name in placed.profile.sources if kind_of(name).labelled]
        if not names:
            raise SettingsError("profile", run.profile.name, "one with a source whose flows depend on labels", REMEDY)
        outcome = publish_run(placed, [_relabelled(placed, name, progress) for name in names], progress)
        return with_targets(placed, outcome, progress=progress)


def _relabelled(run: Run, source_name: str, progress: Progress) -> Ingested:
    source = run.sources[source_name]
    if not isinstance(source, Labelled):
        raise TypeError(f"{source_name} has no labels")
    with open_working(run.settings.working_database) as connection, vintages.in_one_transaction(connection):
        stored = Stored(run, source_name, connection, progress)
        for item in source.relabel(run.now):
            if isinstance(item, Notice):
                stored.note(item)
                continue
            stored.count(item, vintages.append_within(connection, item, run.run_id))
        record_labels(run, connection, source_name)
        # Killed between this and the commit, the next blocks follow the new labels and those before the old ones,
        # which the check of label sets reports until this has run again.
        source.adopt()
    logger.info("relabelled source=%s %s", source_name, stored)
    return stored.ingested()
