"""A publication of an earlier moment, from what had been observed and applied by then."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from flows.run.applied import changed_since
from flows.run.held_rows import quarantined
from flows.run.plan import Progress, Run, no_progress
from flows.run.publish import Outcome, counts_of, judged, meta_of, observed, publication_of, published_tables
from schemas.check import Check
from schemas.freshness import freshness_of
from schemas.partition import Partitions
from transforms.build import Built, build
from transforms.checks.label_sets import check_label_sets
from transforms.checks.quarantine import check_quarantine
from transforms.prepare import Inputs
from transforms.tables.miner_flow_daily import TABLE as FLOW_TABLE
from warehouse import applied_sets
from warehouse.applied_sets import applied_rows
from warehouse.past import Standing, known_by, open_past, standing
from warehouse.publish import publish
from warehouse.registry_rows import registry_of
from warehouse.targets.files import DATABASE_NAME, FileTarget
from warehouse.working import Connection

logger = logging.getLogger(__name__)

MOST_NAMED: Final = 8


def rebuild(run: Run, progress: Progress = no_progress) -> Outcome:
    """Publish anew, in a folder of its own, what readers had at `run.now`; the publication of today stays as it is.

    That is the newest publication whose run had begun by then, with the same last day, clock, observations and
    registry. Before the first one, and for a day that somebody chose, it is what was known at that moment. `plan_past`
    has fixed moment and folder. Differences that cannot be avoided, as of another definition, are warnings of the
    outcome. Raises as `publish_run`; of the working database nothing is changed.
    """
    moment = run.now
    found = None if run.day_is_chosen else standing(run.settings.working_database, moment, run.profile.name)
    if found is not None:
        run = replace(run, now=found.started_at, day=found.day, through=found.day)
    with open_past(run.settings.working_database, run.now) as connection:
        inputs, parts, differences = _as_applied(run, connection)
        built = build(inputs)
        in_quarantine = check_quarantine(quarantined(run, connection))
        checks = judged((*in_quarantine, *built.checks, *_label_checks(connection, built)), run.settings.accepted)
        built = replace(built, checks=checks)
        meta = meta_of(run, connection, built, built.checks)
        tables = published_tables(built, inputs, parts)
        target = FileTarget(folder=run.folder, keep=1)
        published = publish(
            publication_of(run, connection, built, inputs, tables, meta, created_at=datetime.now(UTC)), [target]
        )
    logger.info("rebuilt as_of=%s of=%s %s", moment.isoformat(), found and found.run_id, counts_of(published))
    progress(f"rebuilt {sum(published.rows.values()):,} rows {_of(found, moment)}")
    for line in differences:
        progress(line)
    warnings = tuple(check.message() for check in built.checks if not check.passed)
    return Outcome(
        run=run,
        published=published,
        database=target.folder / DATABASE_NAME,
        freshness=freshness_of(built.freshness.iter_rows(named=True), run.day),
        warnings=(*differences, *warnings),
        rebuilt_of=None if found is None else found.run_id,
        differences=differences,
    )


def _of(found: Standing | None, moment: datetime) -> str:
    if found is None:
        return f"as of {moment:%Y-%m-%d %H:%M} UTC: what was known then"
    return f"as of {moment:%Y-%m-%d %H:%M} UTC: what {found.run_id} published, up to {found.day}"


def _as_applied(run: Run, connection: Connection) -> tuple[Inputs, Mapping[str, Partitions], tuple[str, ...]]:
    """As `observed`, with the registry of then; last, what of the publication of then cannot be made again."""
    differences = tuple(_differences(connection))
    rows = applied_rows(connection, applied_sets.REGISTRY)
    if rows is not None:
        return *observed(run, connection, registry_of(rows)), differences
    inputs, parts = observed(run, connection)
    unrecorded = "the registry of then was not recorded: used are those rows of the present one that could be known"
    return replace(inputs, reference=known_by(inputs.reference, run.now.date())), parts, (unrecorded, *differences)


def _differences(connection: Connection) -> Iterator[str]:
    for which, names in changed_since(connection):
        named = ", ".join(names[:MOST_NAMED])
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"computed with present {which}, which differ from those of then: {named}{more}"


def _label_checks(connection: Connection, built: Built) -> Iterator[Check]:
    """Whether attributed flows have the labels that applied then, where these were recorded."""
    days = built.tables[FLOW_TABLE.name].select("day", "label_set")
    applied = [each.digest for each in applied_sets.applied_sets(connection) if each.name == applied_sets.LABELS]
    if applied and not days.is_empty():
        yield check_label_sets(days, applied[-1])
