"""What a run will do, fixed before it starts, and the record of its start and its end."""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Final

from flows.run.clock import clock_check, note_clock, reading
from flows.run.family import family_of, held, refuse_other_family
from flows.run.history import history_check
from flows.run.sources import Sources
from flows.settings import Profile, Settings
from flows.sources.protocol import Known, Request
from schemas.errors import HashpivotError, SettingsError, chain
from schemas.text import cell
from transforms.calendar import FINALITY_DELAY
from warehouse import journal
from warehouse.publication_queries import newest_day
from warehouse.restore import finish_restore
from warehouse.targets.files import current_publication, published_day
from warehouse.working import Connection, is_let_go, open_working

logger = logging.getLogger(__name__)

CATCH_UP_DAYS: Final = 7
"""Missed days that get a publication of their own; those before are in its tables anyway."""

Progress = Callable[[str], None]
"""Takes one line about each thing that was done, for people who wait."""


def no_progress(_line: str) -> None:
    """For callers that show none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, fixed before it starts: nothing below reads the clock or the environment."""

    run_id: str
    settings: Settings
    profile: Profile
    since: date | None
    through: date
    """Last day to fetch."""
    day: date
    """Last day to publish."""
    day_is_chosen: bool = False
    """Whether somebody named `day`: then it goes beside a current publication with a later one, unless `replaces`."""
    replaces: bool = False
    folder: Path
    """Where it publishes."""
    switches_profile: bool = False
    """Whether it may publish where the home holds data of another family, see `flows.run.family`."""
    now: datetime
    """The one clock reading, UTC."""
    sources: Sources

    @property
    def is_current(self) -> bool:
        """Whether readers will find what it publishes, or go on finding what is beside it."""
        return self.folder == self.settings.published

    def request(self, known: Known | None = None) -> Request:
        """The days of the run as a request to a source."""
        return Request(since=self.since, through=self.through, now=self.now, known=known or Known())

    def parts(self, count: int) -> list[Run]:
        """The days of the run in at most `count` parts of nearly equal length, the oldest first, with the same sources.

        Without a first day there is nothing to divide.
        """
        if count == 1 or self.since is None:
            return [self]
        days = (self.through - self.since).days + 1
        count = min(count, days)
        edges = [self.since + timedelta(days=days * n // count) for n in range(count + 1)]
        return [replace(self, since=first, through=after - timedelta(days=1)) for first, after in pairwise(edges)]


def last_finished_day(now: datetime) -> date:
    """The last UTC day that was over, by the delay after which its blocks are final, at `now`."""
    return (now - FINALITY_DELAY).date() - timedelta(days=1)


def plan(
    settings: Settings,
    profile: Profile,
    *,
    day: date | None = None,
    since: date | None = None,
    through: date | None = None,
    replaces: bool = False,
    switches_profile: bool = False,
    now: datetime | None = None,
) -> Run:
    """Fix what a run will do.

    `day` is the last one to publish, by default the last that is over by two hours; `since` and `through` are the days
    to fetch, by default all up to `day`. A day that was named `replaces` the current publication even if that has a
    later one; a run that `switches_profile` publishes also where the home holds data of another family.
    Raises `SettingsError` for a day that is not over, or a range that ends before it begins.
    """
    now = now or datetime.now(UTC)
    last = last_finished_day(now)
    for name, given in (("day", day), ("to", through)):
        if given is not None and given >= now.date():
            raise SettingsError(name, str(given), f"a UTC day that is over, up to {last}", "name an earlier day")
    published = day or max(last, through or last)
    through = through or published
    if since is not None and since > through:
        raise SettingsError("from", str(since), f"a day up to {through}", "swap or correct the range")
    return Run(
        run_id=f"{now:%Y%m%dT%H%M%S%f}Z-{uuid.uuid4().hex[:6]}",
        settings=settings,
        profile=profile,
        since=since,
        through=through,
        day=published,
        day_is_chosen=day is not None,
        replaces=replaces,
        folder=settings.published,
        switches_profile=switches_profile,
        now=now,
        sources=Sources(settings, profile.sources),
    )


def plan_past(settings: Settings, profile: Profile, moment: datetime, *, day: date | None = None) -> Run:
    """Fix what `rebuild` will do: publish what was known at `moment`, up to `day` or the last that was over by then.

    Raises `SettingsError` for a moment that has not come, and for a day that was not over.
    """
    if moment > datetime.now(UTC):
        raise SettingsError("as of", moment.isoformat(), "a moment in the past", "name an earlier one")
    run = plan(settings, profile, day=day, now=moment)
    return replace(run, folder=settings.rebuilt / f"{moment:%Y%m%dT%H%M%SZ}")


def plan_catch_up(
    settings: Settings, profile: Profile, *, since: date | None = None, switches_profile: bool = False
) -> Iterator[Run]:
    """Runs for the days that were missed, up to `CATCH_UP_DAYS`, the oldest first; the last finished day at least.

    Each is planned when it is taken, which is after the one before has ended. Raises as `plan`.
    """
    planned = partial(plan, settings, profile, since=since, switches_profile=switches_profile)
    run = planned()
    newest = newest_day(settings.published, profile.name, run.now)
    missed_count = 1 if newest is None else max(1, (run.through - newest).days)
    if missed_count > 1:
        first = run.through - timedelta(days=missed_count - 1)
        logger.info("catching up: days %s to %s were not published", first, run.through)
        for back in reversed(range(1, min(missed_count, CATCH_UP_DAYS))):
            yield planned(day=run.through - timedelta(days=back))
        run = planned(day=run.through)
    yield run


def placed(run: Run) -> Run:
    """The run with the day and the folder that it publishes. The lock is the caller's.

    A current publication with a later day stays: a day that somebody chose goes beside it, unless it replaces, and a
    run without such a day publishes up to that later one. A day that is not over counts for nothing: only a clock that
    was ahead can have left it. Data of another family makes room. Raises `SettingsError` where the run may not do that.
    """
    if not run.switches_profile:
        refuse_other_family(run.settings, run.profile)
    elif (there := held(run.settings)) is not None and there.family != family_of(run.settings, run.profile):
        return run
    current = published_day(run.settings.published)
    if run.replaces or current is None or not run.day < current < run.now.date():
        return run
    if run.day_is_chosen:
        return replace(run, folder=run.settings.rebuilt / run.day.isoformat())
    return replace(run, day=current)


@contextmanager
def recorded(run: Run) -> Iterator[Run]:
    """Record the start of a run and its failure, and close its sources; gives the run as `placed`.

    The lock is the caller's.
    """
    with closing(run.sources):
        try:
            finish_restore(run.settings.home)
            run = placed(run)
            record_start(run)
            yield run
        except BaseException as error:
            _record_failure(run, error)
            raise


def record_start(run: Run) -> None:
    """Record the run in the working database, after what became of the runs before."""
    present = reading(run.run_id, run.now)
    note_clock(run.settings.home, present)
    if not (clock := clock_check(run.settings.home, present)).passed:
        logger.warning("%s: %s", clock.name, clock.detail)
    with open_working(run.settings.working_database) as connection:
        _note_current(run, connection)
        journal.start(
            connection,
            journal.RunStart(
                run_id=run.run_id,
                profile=run.profile.name,
                day=run.day,
                fetched_until=run.through,
                version=version("hashpivot"),
                started_at=run.now,
                is_current=run.is_current,
            ),
        )
        if not (history := history_check(run.settings.published, connection)).passed:
            logger.warning("working database: %s", history.detail)


def _note_current(run: Run, connection: Connection) -> None:
    """Record the publications that readers see as published, which a run that died right after it could not."""
    for folder in (run.settings.published, *sorted(run.settings.rebuilt.glob("*"))):
        if current := current_publication(folder):
            journal.note_current(connection, *current)


def _record_failure(run: Run, error: BaseException) -> None:
    if isinstance(error, HashpivotError):
        message = str(error)
    elif isinstance(error, Exception):
        message = cell(f"{type(error).__name__}: {error}")
    else:
        message = f"interrupted ({type(error).__name__})"
    # DuckDB waits without an end for a database that this process still holds: through results in the frames of the
    # error, and now and then after a statement that a signal ended. The next run then records that this one ended.
    for each in chain(error):
        traceback.clear_frames(each.__traceback__)
    if not is_let_go(run.settings.working_database):
        return
    # Where the database itself is what failed, the first error is the one to report.
    with suppress(HashpivotError), open_working(run.settings.working_database) as connection:
        journal.end(connection, run.run_id, status="failed", ended_at=datetime.now(UTC), error=message)
        _note_current(run, connection)
