"""Runs while the clock is wrong, and runs after it was set right."""

import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from tests import clock
from tests.campaign.command import LONGEST_SECONDS, TIMED_OUT, Finished
from tests.campaign.tries import NotWholeError, Outcome, Verdict, Workshop, healed, one_line, reports_of, whole
from tests.invocation import COMMAND, clean_environment

OFFSETS: Final = (
    timedelta(minutes=-90),
    timedelta(days=-1),
    timedelta(days=-40),
    timedelta(days=-400),
    timedelta(days=-7000),
    timedelta(minutes=90),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=40),
    timedelta(days=400),
    timedelta(days=5000),
)


_preloaded: Final = cache(clock.preloaded)


def _run(preload: str, *arguments: str, folder: Path) -> Finished:
    try:
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=folder,
            env=clean_environment(HOME=str(folder), LD_PRELOAD=preload),
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finished(TIMED_OUT, "", "")
    return Finished(done.returncode, done.stdout, done.stderr)


def try_clock(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Run with a wrong clock, in an empty home or after a right run; then the clock is set right and the next runs."""
    files = ("--profile", "files", "--files-dir", str(workshop.data))
    start, normal = workshop.without_fault("files", lambda home: workshop.daily(home, *files).run())
    offset = random.choice(OFFSETS) + timedelta(minutes=random.randrange(60))
    is_empty = random.random() < 0.5
    home = workshop.place(name, None if is_empty else start)
    fault = f"clock {offset / timedelta(days=1):+.1f} days, {'empty home' if is_empty else 'published home'}"
    preload = _preloaded(workshop.folder, offset)
    finished = _run(preload, "daily", "--plain", "--json", "--home", str(home), *files, folder=home.parent)
    try:
        published = whole(home)
    except NotWholeError as error:
        return Outcome(Verdict.BROKEN, fault, str(error))
    if finished.code and (wrong := one_line(finished)):
        return Outcome(Verdict.BROKEN, fault, wrong)
    if published is None and not is_empty:
        return Outcome(Verdict.BROKEN, fault, "the last publication is gone")
    now = datetime.now(UTC) + offset
    if finished.code == 0 and published is not None and published.digests != normal.digests:
        new = reports_of(finished) - normal.reports
        # In an empty home nothing is known that a clock could contradict.
        if not new and not is_empty and abs(offset) > timedelta(days=1, hours=1):
            return Outcome(Verdict.SILENT, fault, f"published at {now:%Y-%m-%d %H:%M} without a word")
    return healed(workshop, workshop.daily(home, *files), home, normal, fault) or Outcome(
        Verdict.REPORTED if finished.code == 0 else Verdict.REFUSED, fault, "the next run is right"
    )
