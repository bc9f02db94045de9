"""What could keep a run from working here: versions, settings, sources, disk, clock, locks, the publication."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from flows.run.clock import clock_check, reading
from flows.run.family import refuse_other_family
from flows.run.history import REMEDY, history_check, lost
from flows.run.sources import Sources
from flows.run.targets import target_of
from flows.scheduled.own_server import LOGIN_NAME, LOOPBACK, ORIGINS_NAME, is_loopback
from flows.scheduled.receivers import ALERTS, SET_RECEIVER, channels
from flows.scheduled.server import admits_pages_of_others, is_open, kept_address
from flows.settings import Profile, Settings, read_profile, read_settings
from flows.sources.kinds import kind_of, variable
from flows.sources.protocol import Advised, Probed, Request
from schemas.errors import HashpivotError, SettingsError, SourcePausedError, TransientError
from schemas.freshness import freshness_of
from warehouse.integrity import changed_files
from warehouse.journal import one_run_at_a_time
from warehouse.private import open_to_others
from warehouse.publication_queries import freshness, newest_run, used_sources
from warehouse.quarantine import held_count
from warehouse.reading import open_publication
from warehouse.targets.files import current_publication
from warehouse.working import open_working

LOST_REMEDY: Final = f"{REMEDY}; else run `hashpivot daily`"
LEAST_FREE_BYTES: Final = 2 * 1024**3
LATE: Final = timedelta(hours=36)
"""A publication made less than this before is on time for a daily schedule."""
PROBED_AT_ONCE_COUNT: Final = 4
WITHOUT_LOGIN: Final = "which others can reach without a login"
SET_LOGIN: Final = (
    f"let `hashpivot serve` start it, or set {LOGIN_NAME} where it runs and PREFECT_API_AUTH_STRING here; "
    "on another machine put TLS in front"
)
RESTRICT: Final = (
    "let `hashpivot serve` start it, or `uvicorn --factory flows.scheduled.server_program:create_app` "
    f"with {ORIGINS_NAME} set to its addresses"
)
MOST_NAMED_FILES: Final = 3
PUBLISH_AGAIN: Final = "run `hashpivot daily`, which publishes again"
EARLIEST_CLOCK: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked: whether it is well, what was found, and what to do where it is not.

    `is_choice`: an optional thing that nobody has set.
    """

    subject: str
    ok: bool
    found: str
    remedy: str = ""
    is_choice: bool = False

    @property
    def state(self) -> str:
        """`ok`, `PROBLEM` or `left out`."""
        return "left out" if self.is_choice else "ok" if self.ok else "PROBLEM"


def examine(given: dict[str, Any]) -> list[Finding]:
    """Check everything; a check that fails is a finding, never an exception."""
    findings = list(_versions())
    try:
        settings = read_settings(**given)
        profile = read_profile(settings.profile)
    except HashpivotError as error:
        return [*findings, Finding(subject="settings", ok=False, found=str(error), remedy="correct the setting")]
    findings += [
        _profile(profile, settings),
        *_of_home(settings),
    ]
    return findings + _sources(profile, settings) + _targets(profile, settings)


def _of_home(settings: Settings) -> list[Finding]:
    """What the folder of the settings holds, or why that cannot be known."""
    try:
        return [
            _disk(settings.home),
            _clock(settings.home),
            _lock(settings),
            _home(settings),
            _working(settings),
            *_quarantine(settings),
            *_publication(settings),
            _scheduler(settings.scheduler_home, os.environ),
            _alerts(settings),
        ]
    except OSError as error:
        remedy = "name another home, or grant access to this one"
        return [Finding(subject="home", ok=False, found=f"{error.filename}: {error.strerror}", remedy=remedy)]


def _versions() -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(subject="python", ok=supported, found=python, remedy="" if supported else "use Python 3.11 to 3.13")
    for package in ("hashpivot", "duckdb", "polars", "pandera", "prefect"):
        try:
            yield Finding(subject=package, ok=True, found=version(package))
        except PackageNotFoundError:
            yield Finding(subject=package, ok=False, found="not installed", remedy="run `make setup`")


def _profile(profile: Profile, settings: Settings) -> Finding:
    """Whether a run with this profile may publish in this home."""
    try:
        refuse_other_family(settings, profile)
    except SettingsError as error:
        return Finding(
            subject="profile", ok=False, found=str(error), remedy="name the home or the profile that is meant"
        )
    return Finding(subject="profile", ok=True, found=f"{profile.name}: {profile.title}")


def _disk(home: Path) -> Finding:
    there = next(folder for folder in (home, *home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    ok = free >= LEAST_FREE_BYTES
    return Finding(
        subject="disk", ok=ok, found=f"{free / 1024**3:.1f} GiB free at {home}", remedy="" if ok else "free space"
    )


def _clock(home: Path) -> Finding:
    """Whether the clock is of our time, and was not set since the last run."""
    now = datetime.now(UTC)
    found, remedy = f"{now:%Y-%m-%d %H:%M} UTC", "set the system clock"
    if now < EARLIEST_CLOCK:
        return Finding(subject="clock", ok=False, found=found, remedy=remedy)
    check = clock_check(home, reading("", now))
    return Finding(
        subject="clock",
        ok=check.passed,
        found=found if check.passed else f"{found}, {check.detail}",
        remedy="" if check.passed else f"{remedy} where it is wrong, then run `hashpivot daily`",
    )


def _lock(settings: Settings) -> Finding:
    if not settings.lock_file.exists():
        return Finding(subject="lock", ok=True, found="no run so far")
    try:
        with one_run_at_a_time(settings.lock_file):
            return Finding(subject="lock", ok=True, found="no run in progress")
    except HashpivotError as error:
        return Finding(subject="lock", ok=False, found=str(error), remedy="wait for the run, or end that process")


def _home(settings: Settings) -> Finding:
    """Whether other users can read or write what hashpivot keeps."""
    home = settings.home
    open_paths = open_to_others(home) if home.exists() else []
    if not open_paths:
        return Finding(subject="home", ok=True, found=f"{home}, closed to other users")
    more = f" and {len(open_paths) - 1} more" if len(open_paths) > 1 else ""
    return Finding(
        subject="home",
        ok=False,
        found=f"{open_paths[0]}{more}, open to other users",
        remedy=f"use a folder of its own as home, or `chmod -R go= {home}`",
    )


def _working(settings: Settings) -> Finding:
    path = settings.working_database
    current, subject = current_publication(settings.published), "working database"
    lost_history = Finding(subject=subject, ok=False, found=lost(current[0]), remedy=LOST_REMEDY) if current else None
    if not path.exists():
        return lost_history or Finding(subject=subject, ok=True, found="none yet, the first run creates it")
    try:
        with open_working(path) as connection:
            if lost_history and not history_check(settings.published, connection).passed:
                return lost_history
            size = path.stat().st_size / 1024**2
            return Finding(subject=subject, ok=True, found=f"{path}, {size:.1f} MiB")
    except HashpivotError as error:
        return Finding(subject=subject, ok=False, found=str(error), remedy="see the message")


def _quarantine(settings: Settings) -> Iterator[Finding]:
    """Whether rows of sources wait for a decision; nothing where that cannot be known, which `_working` reports."""
    if not settings.working_database.exists():
        return
    with suppress(HashpivotError), open_working(settings.working_database) as connection:
        held = held_count(connection)
        counts = ", ".join(f"{count:,} of {source}" for source, count in held.items())
        yield Finding(
            subject="quarantine",
            ok=not held,
            found=f"rows held: {counts}" if held else "no row held",
            remedy="`hashpivot quarantine list`, then accept or reject each, or have the source corrected"
            if held
            else "",
        )


def _publication(settings: Settings) -> Iterator[Finding]:
    """Whether there is a publication, made lately, of data that reaches the day of its run."""
    if not (settings.published / "current").exists():
        yield Finding(subject="publication", ok=True, found="none yet", remedy="run `hashpivot daily`")
        return
    try:
        with open_publication(settings.published) as publication:
            run = newest_run(publication)
            reached = freshness_of(freshness(publication), run["day"])
            sources = ", ".join(source["source"] for source in used_sources(publication))
    except HashpivotError as error:
        yield Finding(subject="publication", ok=False, found=str(error), remedy="run `hashpivot daily`")
        return
    if changed := changed_files(settings.published, all_of_them=True):
        found = f"{', '.join(changed[:MOST_NAMED_FILES])} changed after the publication of {run['run_id']}"
        yield Finding(subject="published files", ok=False, found=found, remedy=f"find out who did; {PUBLISH_AGAIN}")
    age = datetime.now(UTC) - run["ended_at"].replace(tzinfo=UTC)
    is_ahead = age < -timedelta(days=1)
    yield Finding(
        subject="publication",
        ok=age <= LATE and not is_ahead,
        found=f"{run['run_id']} of profile {run['profile']} from {sources}, with days up to {run['day']}, "
        f"made {run['ended_at']:%Y-%m-%d %H:%M} UTC" + (", which is in the future" if is_ahead else ""),
        remedy="run `hashpivot daily`, with the clock right"
        if is_ahead
        else "run `hashpivot daily`, or mend its schedule"
        if age > LATE
        else "",
    )
    if reached.described_until is None:
        found = "not stated by the version that made the publication"
        yield Finding(subject="freshness", ok=True, found=found, remedy="run `hashpivot daily`")
        return
    yield Finding(
        subject="freshness",
        ok=not reached.late,
        found=f"data up to {reached.reached()}" + (f"; late: {reached.listed()}" if reached.late else ""),
        remedy="get newer data from each that is late, or rank another first" if reached.late else "",
    )


def _scheduler(home: Path, environment: Mapping[str, str]) -> Finding:
    """Whether the scheduler's server, joined or of our own, is open to others without a login or in clear text."""
    joined = environment.get("PREFECT_API_URL")
    if address := joined or kept_address(home):
        by = "PREFECT_API_URL" if joined else "hashpivot serve"
        return _server(f"server of {by} at {urlsplit(address).netloc.rpartition('@')[2]}", address)
    host = environment.get("PREFECT_SERVER_API_HOST", LOOPBACK)
    found = f"no server to join; one of our own would listen on {host}"
    if is_loopback(host) or environment.get(LOGIN_NAME):
        return Finding(subject="scheduler", ok=True, found=found)
    return Finding(subject="scheduler", ok=False, found=f"{found}, {WITHOUT_LOGIN}", remedy=SET_LOGIN)


def _server(found: str, address: str) -> Finding:
    """How the server responds and who can reach it."""
    parts = urlsplit(address)
    open_to_all = is_open(address)
    if open_to_all is None:
        remedy = "start it, or unset PREFECT_API_URL"
        return Finding(subject="scheduler", ok=False, found=f"{found}, which does not respond", remedy=remedy)
    if open_to_all:
        return Finding(subject="scheduler", ok=False, found=f"{found}, {WITHOUT_LOGIN}", remedy=SET_LOGIN)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return Finding(
            subject="scheduler", ok=False, found=f"{found}, login sent in clear text", remedy="reach it by https"
        )
    if admits_pages_of_others(address):
        return Finding(
            subject="scheduler", ok=False, found=f"{found}, which responds to pages of others", remedy=RESTRICT
        )
    return Finding(subject="scheduler", ok=True, found=f"{found}, with a login")


def _alerts(settings: Settings) -> Finding:
    """Whether anybody receives alerts."""
    if by := channels(settings):
        return Finding(subject="alerts", ok=True, found=f"sent by {', '.join(by)}")
    return Finding(subject="alerts", ok=True, is_choice=True, found=f"no receiver yet: {ALERTS}", remedy=SET_RECEIVER)


def _sources(profile: Profile, settings: Settings) -> list[Finding]:
    """One finding a source; one that does not respond does not delay the others."""
    with ThreadPoolExecutor(PROBED_AT_ONCE_COUNT, thread_name_prefix="probe") as executor:
        return list(executor.map(lambda name: _source(name, profile, settings), profile.sources))


def _source(name: str, profile: Profile, settings: Settings) -> Finding:
    """Whether the source responds, at the price of one request."""
    subject = f"source {name}"
    try:
        found, remedy = _probed(name, settings)
        return Finding(subject=subject, ok=True, found=found, remedy=remedy)
    except SettingsError as error:
        is_choice = profile.can_miss(name) and error.value is None
        return Finding(subject=subject, ok=is_choice, found=str(error), remedy=error.remedy, is_choice=is_choice)
    except SourcePausedError as error:
        remedy = "wait until then; a daily run goes on without it"
        return Finding(subject=subject, ok=False, found=str(error), remedy=remedy)
    except TransientError as error:
        setting = variable(name, "url") if kind_of(name).hosted else "its address"
        remedy = f"try again; then check the network, the proxy and {setting}"
        return Finding(subject=subject, ok=False, found=str(error), remedy=remedy)
    except HashpivotError as error:
        return Finding(subject=subject, ok=False, found=str(error), remedy="see the message")


def _probed(name: str, settings: Settings) -> tuple[str, str]:
    """What the source responds to one cheap request, after its settings and whether it is paused, and its advice."""
    now = datetime.now(UTC)
    with closing(Sources(settings, (name,), retries=False)) as sources:
        source = sources[name]
        if sources.web is not None:
            sources.web.raise_if_paused()
        if isinstance(source, Probed):
            found = f"responds, {source.probe()}"
            return found, source.advice() if isinstance(source, Advised) else ""
        if sources.web is not None:
            return "set up; nothing is requested before a run", ""
        yesterday = now.date() - timedelta(days=1)
        first = next(iter(source.observe(Request(since=yesterday, through=yesterday, now=now))), None)
        return "responds" if first is None else f"responds, first with {first.origin}", ""


def _targets(profile: Profile, settings: Settings) -> list[Finding]:
    """One finding a target beside the home."""
    with ThreadPoolExecutor(PROBED_AT_ONCE_COUNT, thread_name_prefix="probe") as executor:
        return list(executor.map(lambda address: _target(address, settings), settings.targets_of(profile)))


def _target(address: str, settings: Settings) -> Finding:
    """Whether the target responds and shows the version that the home shows."""
    subject, here = f"target {address}", current_publication(settings.published)
    try:
        shown = target_of(settings, address).shown()
    except TransientError as error:
        remedy = "try again; then check the address, the network, and for a bucket the proxy and AWS_ENDPOINT_URL"
        return Finding(subject=subject, ok=False, found=str(error), remedy=remedy)
    except HashpivotError as error:
        return Finding(subject=subject, ok=False, found=str(error), remedy="see the message")
    has = f"responds, shows {shown.version} with days up to {shown.day}" if shown else "responds, shows no version yet"
    if here is None or (shown is not None and shown.version == here[0]):
        return Finding(subject=subject, ok=True, found=f"{has}, as the home" if here else has)
    return Finding(
        subject=subject,
        ok=False,
        found=f"{has}; behind the home, which shows {here[0]}",
        remedy="run `hashpivot publish-only`",
    )
