"""One run: what it is, fixed before it starts, and the record of its beginning and its end."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from flows.settings import Profile, Settings
from flows.sources.choose import HOSTED, web_session_of
from schemas.errors import HashpivotError, SettingsError
from transforms.calendar import FINALITY_DELAY
from warehouse import journal
from warehouse.working import open_working

if TYPE_CHECKING:
    from flows.sources.web.session import WebSession


Say = Callable[[str], None]
"""Told one line about each thing that was done, for people who wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, fixed before it starts: nothing below reads the clock or the environment."""

    run_id: str
    settings: Settings
    profile: Profile
    since: date | None
    through: date
    now: datetime
    web: WebSession | None
    """What its hosted sources share: count of requests, queues, kept answers. None where it has no such source."""
    over: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set at the end of the run, whatever ended it, so that readers in other threads do not outlive it."""


def plan(
    settings: Settings,
    profile: Profile,
    *,
    day: date | None = None,
    since: date | None = None,
    now: datetime | None = None,
) -> Run:
    """Fix what a run will do: `day` is the last one to publish, by default the last that is over by two hours.

    Raises `SettingsError` for a day that is not over, or a range that ends before it begins.
    """
    now = now or datetime.now(UTC)
    last = (now - FINALITY_DELAY).date() - timedelta(days=1)
    through = day or last
    if through >= now.date():
        raise SettingsError("day", str(through), f"a UTC day that is over, up to {last}", "ask for an earlier day")
    if since is not None and since > through:
        raise SettingsError("from", str(since), f"a day up to {through}", "swap or correct the range")
    run_id = f"{now:%Y%m%dT%H%M%S%f}Z-{uuid.uuid4().hex[:6]}"
    return Run(
        run_id=run_id,
        settings=settings,
        profile=profile,
        since=since,
        through=through,
        now=now,
        web=web_session_of(settings) if any(name in HOSTED for name in profile.sources) else None,
    )


def plan_past(settings: Settings, profile: Profile, moment: datetime, *, day: date | None = None) -> Run:
    """Fix what `rebuild` will do: publish what was known at `moment`, up to `day` or the last that was over by then.

    Raises `SettingsError` for a moment that has not come, and for a day that was not over.
    """
    if moment > datetime.now(UTC):
        raise SettingsError("as of", moment.isoformat(), "a moment in the past", "ask for an earlier one")
    return plan(settings, profile, day=day, now=moment)


def begin(run: Run) -> None:
    """Note the run in the working database."""
    with open_working(run.settings.working_database) as connection:
        journal.start(
            connection,
            journal.RunStart(
                run_id=run.run_id,
                profile=run.profile.name,
                day=run.through,
                version=version("hashpivot"),
                started_at=run.now,
            ),
        )


def fail(run: Run, error: BaseException) -> None:
    """Note in the working database how the run failed, so that the next publication can tell."""
    if isinstance(error, HashpivotError):
        told = str(error)
    elif isinstance(error, Exception):
        told = f"{type(error).__name__}: {error}"
    else:
        told = f"stopped from outside ({type(error).__name__})"
    # Where the database itself is what failed, the first error is the one to tell.
    with suppress(HashpivotError), open_working(run.settings.working_database) as connection:
        journal.end(connection, run.run_id, status="failed", ended_at=datetime.now(UTC), error=told)


@contextmanager
def on_its_way(run: Run) -> Iterator[None]:
    """Note the beginning of a run and its failure, and let go of all it held outside. The lock is the caller's."""
    try:
        begin(run)
        yield
    except BaseException as error:
        fail(run, error)
        raise
    finally:
        run.over.set()
        if run.web is not None:
            run.web.close()
