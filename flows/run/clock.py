"""Whether the clock of this machine was set, forwards or back, since the run before.

A wall clock that moves by a month cannot be seen from itself: the next run after a month looks the same. The time since
the machine was started does not follow the wall clock, so that while it goes on, the difference of both separates one
from the other. Across a restart only a clock that went back can be seen.
"""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from schemas.check import Check
from warehouse.atomic_files import write_whole

LARGEST_STEP: Final = timedelta(days=1)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_FILE: Final = "clock.json"


class Reading(BaseModel):
    """One reading: of which run, what the clock showed, and when by that clock the machine was started."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    read_at: AwareDatetime
    boot_id: str | None
    booted_at: AwareDatetime | None


class _Readings(BaseModel):
    newest: Reading
    before: Reading | None = None


def reading(run_id: str, now: datetime) -> Reading:
    """The clock of the run at `now`, its present moment; where the system does not state it, without the start."""
    boot_id = None
    with suppress(OSError):
        boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
    booted_at = now - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME)) if boot_id else None
    return Reading(run_id=run_id, read_at=now, boot_id=boot_id, booted_at=booted_at)


def note_clock(home: Path, present: Reading) -> None:
    """Keep the reading of a run beside that of the run before it. A disk that does not take it keeps the old ones."""
    content = _Readings(newest=present, before=_before(home, present)).model_dump_json().encode()
    with suppress(OSError):
        write_whole(home / _FILE, content)


def clock_check(home: Path, present: Reading) -> Check:
    """A warning where the clock was set by more than a day since the run before the one of `present`."""
    before = _before(home, present)
    moved = timedelta(0) if before is None else step(before, present)
    days = moved / timedelta(days=1)
    found = "no run before" if before is None else f"run {before.run_id} of {before.read_at:%Y-%m-%d %H:%M} UTC"
    detail = f"compared with {found}"
    if abs(moved) > LARGEST_STEP:
        detail = (
            f"set {'ahead' if days > 0 else 'back'} by {abs(days):,.1f} days since {found}, to "
            f"{present.read_at:%Y-%m-%d %H:%M} UTC; set it right where that is wrong, and run again"
        )
    return Check(
        check_name="clock of this machine",
        severity="warning",
        passed=abs(moved) <= LARGEST_STEP,
        value=round(days, 3),
        expected=f"not set by more than {LARGEST_STEP.days} day since the run before",
        detail=detail,
    )


def step(before: Reading, present: Reading) -> timedelta:
    """By how much the clock was set between two readings, forwards above zero; none where nothing shows it."""
    if present.boot_id == before.boot_id and present.booted_at and before.booted_at:
        return present.booted_at - before.booted_at
    return min(present.read_at - before.read_at, timedelta(0))


def _before(home: Path, present: Reading) -> Reading | None:
    """The reading of the last run other than that of `present`; None without any that can be read."""
    with suppress(OSError, ValidationError):
        kept = _Readings.model_validate_json((home / _FILE).read_bytes())
        return kept.before if kept.newest.run_id == present.run_id else kept.newest
    return None
