"""Runs that are killed, terminated or interrupted at a random moment."""

import signal
import time
from random import Random
from typing import Final

from tests.campaign.tries import NotWholeError, Outcome, Verdict, Workshop, healed, one_line, whole

CODES: Final = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
LONGEST_SECONDS: Final = 6.0
"""A little more than a run takes; a kill that comes after its end finds it published."""
PROFILES: Final = {"demo": (), "files": ("--profile", "files", "--files-dir", "{data}")}


def try_kill(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Kill a run in an empty home, or in one with a publication, and look; then run again."""
    profile = random.choice(sorted(PROFILES))
    options = [option.format(data=workshop.data) for option in PROFILES[profile]]
    start, normal = workshop.without_fault(profile, lambda home: workshop.daily(home, *options).run())
    number = random.choices(list(CODES), weights=[4, 1, 1])[0]
    is_empty = random.random() < 0.5
    seconds = random.uniform(0.05, LONGEST_SECONDS)
    home = workshop.place(name, None if is_empty else start)
    fault = f"{number.name} after {seconds:.2f} s, {profile}, {'empty home' if is_empty else 'published home'}"

    run = workshop.daily(home, *options)
    running = run.start()
    time.sleep(seconds)
    running.signal(number)
    finished = running.wait()
    try:
        published = whole(home)
    except NotWholeError as error:
        return Outcome(Verdict.BROKEN, fault, str(error))
    if published is None and not is_empty:
        return Outcome(Verdict.BROKEN, fault, "the last publication is gone")
    if published is not None and published.digests != normal.digests:
        return Outcome(Verdict.BROKEN, fault, "a publication with other tables")
    if finished.code not in (0, CODES[number]):
        return Outcome(Verdict.BROKEN, fault, f"ended with {finished.code}: {finished.stderr[-200:]!r}")
    if finished.code == 0:
        return Outcome(Verdict.UNCHANGED, fault, "it had ended")
    if number != signal.SIGKILL and (wrong := one_line(finished)):
        return Outcome(Verdict.BROKEN, fault, wrong)
    return healed(workshop, run, home, normal, fault) or Outcome(Verdict.UNCHANGED, fault, "the next run heals")
