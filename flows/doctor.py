"""What could keep a run from working here: versions, settings, sources, disk, clock, locks, the publication."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from flows.settings import Settings, read_profile, read_settings
from flows.sources.choose import node_walk, source_named
from flows.sources.protocol import Request
from schemas.errors import HashpivotError
from schemas.suppliers import NODE
from warehouse.journal import one_run_at_a_time
from warehouse.reading import query
from warehouse.working import open_working

LEAST_FREE_BYTES: Final = 2 * 1024**3
LATE: Final = timedelta(hours=36)
"""A publication made less than this before is on time for a daily schedule."""
EARLIEST_CLOCK: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: whether it is well, what was found, and what to do where it is not."""

    subject: str
    ok: bool
    found: str
    remedy: str = ""


def examine(given: dict[str, Any]) -> list[Finding]:
    """Look at everything; a failure of one look is a finding, never an exception."""
    findings = list(_versions())
    try:
        settings = read_settings(**given)
        profile = read_profile(settings.profile)
    except HashpivotError as error:
        return [*findings, Finding(subject="settings", ok=False, found=str(error), remedy="correct the setting")]
    findings += [
        Finding(subject="profile", ok=True, found=f"{profile.name}: {profile.title}"),
        _disk(settings.home),
        _clock(),
        _lock(settings),
        _working(settings),
        _publication(settings),
    ]
    return findings + [_source(name, settings) for name in profile.sources]


def _versions() -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(subject="python", ok=supported, found=python, remedy="" if supported else "use Python 3.11 to 3.13")
    for package in ("hashpivot", "duckdb", "polars", "pandera", "prefect"):
        try:
            yield Finding(subject=package, ok=True, found=version(package))
        except PackageNotFoundError:
            yield Finding(subject=package, ok=False, found="not installed", remedy="run `make setup`")


def _disk(home: Path) -> Finding:
    there = next(folder for folder in (home, *home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    ok = free >= LEAST_FREE_BYTES
    return Finding(
        subject="disk", ok=ok, found=f"{free / 1024**3:.1f} GiB free at {home}", remedy="" if ok else "free space"
    )


def _clock() -> Finding:
    now = datetime.now(UTC)
    ok = now >= EARLIEST_CLOCK
    return Finding(
        subject="clock", ok=ok, found=f"{now:%Y-%m-%d %H:%M} UTC", remedy="" if ok else "set the system clock"
    )


def _lock(settings: Settings) -> Finding:
    if not settings.lock_file.exists():
        return Finding(subject="lock", ok=True, found="no run so far")
    try:
        with one_run_at_a_time(settings.lock_file):
            return Finding(subject="lock", ok=True, found="no run in progress")
    except HashpivotError as error:
        return Finding(subject="lock", ok=False, found=str(error), remedy="wait for the run, or end that process")


def _working(settings: Settings) -> Finding:
    path = settings.working_database
    if not path.exists():
        return Finding(subject="working database", ok=True, found="none yet, the first run creates it")
    try:
        with open_working(path):
            size = path.stat().st_size / 1024**2
            return Finding(subject="working database", ok=True, found=f"{path}, {size:.1f} MiB")
    except HashpivotError as error:
        return Finding(subject="working database", ok=False, found=str(error), remedy="see the message")


def _publication(settings: Settings) -> Finding:
    if not (settings.published / "current").exists():
        return Finding(subject="publication", ok=True, found="none yet", remedy="run `hashpivot daily`")
    try:
        _, rows = query(
            settings.published,
            "select run_id, day, ended_at from meta.runs where status = 'published' order by ended_at desc limit 1",
        )
    except HashpivotError as error:
        return Finding(subject="publication", ok=False, found=str(error), remedy="run `hashpivot daily`")
    run_id, day, ended_at = rows[0]
    late = datetime.now(UTC) - ended_at.replace(tzinfo=UTC) > LATE
    return Finding(
        subject="publication",
        ok=not late,
        found=f"{run_id} with days up to {day}, made {ended_at:%Y-%m-%d %H:%M} UTC",
        remedy="run `hashpivot daily`, or mend its schedule" if late else "",
    )


def _source(name: str, settings: Settings) -> Finding:
    """Ask the source for its last day and see whether it answers at all."""
    now = datetime.now(UTC)
    yesterday = now.date() - timedelta(days=1)
    try:
        if name == NODE.name:
            # Its next batch may be the whole chain away; how it stands is one call.
            return Finding(subject=f"source {name}", ok=True, found=f"answers, {node_walk(settings).standing()}")
        first = next(
            iter(source_named(name, settings).observe(Request(since=yesterday, through=yesterday, now=now))), None
        )
    except HashpivotError as error:
        return Finding(subject=f"source {name}", ok=False, found=str(error), remedy="see the message")
    found = "answers" if first is None else f"answers, first about {first.origin}"
    return Finding(subject=f"source {name}", ok=True, found=found)
