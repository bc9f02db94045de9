"""Another user of the machine at the files of a home, and several processes of one user at once."""

import fcntl
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import duckdb

from tests.campaign.command import in_process
from tests.campaign.tries import NotWholeError, Outcome, Verdict, Workshop, healed, judged, one_line, whole
from tests.other_user import become_other_user

BUSY: Final = 75


def try_other_user(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Another user reads, changes, locks, removes or replaces a path of the home."""
    start, normal = workshop.without_fault("demo", lambda home: workshop.daily(home).run())
    home = workshop.place(name, start)
    for folder in (home.parent, *home.parents[1:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    finished = workshop.daily(home).run() if random.random() < 0.2 else None
    path = random.choice(sorted([home, *home.rglob("*")]))
    kind = random.choice(sorted(ATTEMPTS))
    fault = f"another user: {kind} {path.relative_to(home).as_posix()}"
    if finished is not None and finished.code:
        return Outcome(Verdict.BROKEN, fault, finished.stderr[-200:])
    report = home.parent / "report"
    report.touch()
    report.chmod(0o666)
    in_process(_attempt, kind, path, report)
    done = report.read_text("utf-8")
    if done:
        return Outcome(Verdict.BROKEN, fault, f"it could: {done}")
    try:
        now = whole(home)
    except NotWholeError as error:
        return Outcome(Verdict.BROKEN, fault, str(error))
    if now is None or now.digests != normal.digests:
        return Outcome(Verdict.BROKEN, fault, "the publication changed")
    return Outcome(Verdict.REFUSED, fault)


def try_several_processes(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Two to four runs and some readers at once: one run publishes, the others are busy, readers read."""
    start, normal = workshop.without_fault("demo", lambda home: workshop.daily(home).run())
    home = workshop.place(name, start)
    runs = [workshop.daily(home) for _ in range(random.randint(2, 4))]
    readers = [
        workshop.command(
            home, *random.choice([["show"], ["sql", "from capitulation_daily limit 1"], ["show", "--json"]])
        )
        for _ in range(random.randint(1, 3))
    ]
    fault = f"{len(runs)} runs and {len(readers)} readers at once"
    running = [command.start() for command in [*runs, *readers]]
    ended = [each.wait() for each in running]
    for finished in ended[len(runs) :]:
        if finished.code:
            return Outcome(Verdict.BROKEN, fault, f"a reader: {finished.code} {finished.stderr[-200:]!r}")
    published = [finished for finished in ended[: len(runs)] if finished.code == 0]
    if not published:
        return Outcome(Verdict.BROKEN, fault, "no run published")
    for finished in ended[: len(runs)]:
        if finished.code not in (0, BUSY) or (finished.code and one_line(finished)):
            return Outcome(Verdict.BROKEN, fault, f"a run: {finished.code} {finished.stderr[-200:]!r}")
    outcome = judged(published[0], home, normal, normal, fault)
    return healed(workshop, runs[0], home, normal, fault) or outcome


def _read(path: Path) -> None:
    list(path.iterdir()) if path.is_dir() else path.read_bytes()


def _write(path: Path) -> None:
    (path / "planted").touch() if path.is_dir() else path.open("ab").close()


def _remove(path: Path) -> None:
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _replace(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _lock(path: Path) -> None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _query(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table planted as select 1")


def _permit(path: Path) -> None:
    path.chmod(0o777)


ATTEMPTS: Final[dict[str, Callable[[Path], None]]] = {
    "reads": _read,
    "writes to": _write,
    "removes": _remove,
    "moves": _replace,
    "locks": _lock,
    "queries": _query,
    "permits itself": _permit,
}


def _attempt(kind: str, path: Path, report: Path) -> None:
    become_other_user()
    try:
        ATTEMPTS[kind](path)
    except (OSError, duckdb.Error):
        return
    report.write_text(f"{kind} {path.name}", "utf-8")
