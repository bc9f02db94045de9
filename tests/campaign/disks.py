"""Disks that are full at a random size, and files of a home that are damaged, cut or gone."""

from pathlib import Path
from random import Random
from typing import Final

from tests.campaign.tries import NotWholeError, Outcome, Verdict, Workshop, healed, judged, one_line, whole

LARGEST_BYTES: Final = 13_000_000
"""A little more than the largest file of a demo home, so that some runs have room for all."""
DEMO: Final = "demo"


def try_full_disk(workshop: Workshop, name: str, random: Random) -> Outcome:
    """No file may grow beyond a random size; then there is room again."""
    start, normal = workshop.without_fault(DEMO, lambda home: workshop.daily(home).run())
    is_empty = random.random() < 0.5
    home = workshop.place(name, None if is_empty else start)
    limit = int(LARGEST_BYTES * random.random() ** 2)
    fault = f"no file beyond {limit:,} bytes, {'empty home' if is_empty else 'published home'}"
    run = workshop.daily(home)
    finished = run.limited(limit).run()
    outcome = judged(finished, home, normal, None if is_empty else normal, fault)
    return healed(workshop, run, home, normal, fault) or outcome


def try_damage(workshop: Workshop, name: str, random: Random) -> Outcome:
    """Damage one file of a home; readers and the next run say so or give what there was."""
    start, normal = workshop.without_fault(DEMO, lambda home: workshop.daily(home).run())
    home = workshop.place(name, start)
    path = random.choice(sorted(each for each in home.rglob("*") if each.is_file() and not each.is_symlink()))
    fault = f"{path.relative_to(home).as_posix().replace(_version(home), 'VERSION')}: {_damage(path, random)}"
    if "published" in path.parts and _is_changed(home) and (wrong := _unnoticed(workshop, home)):
        return Outcome(Verdict.SILENT, fault, wrong)
    finished = workshop.daily(home).run()
    if finished.code:
        if wrong := one_line(finished):
            return Outcome(Verdict.BROKEN, fault, wrong)
        return Outcome(Verdict.REFUSED, fault, finished.stderr.strip().splitlines()[-1][:160])
    return judged(finished, home, normal, None, fault)


def _version(home: Path) -> str:
    return (home / "published" / "current").readlink().name


def _damage(path: Path, random: Random) -> str:
    size = path.stat().st_size
    kind = random.choice(["cut", "emptied", "gone", "bytes changed", "zeros", "a folder", "longer"])
    path.chmod(0o600)
    content = path.read_bytes()
    at = random.randrange(size) if size else 0
    if kind == "gone":
        path.unlink()
    elif kind == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "cut": content[:at],
                "emptied": b"",
                "bytes changed": content[:at] + random.randbytes(min(64, size - at)) + content[at + 64 :],
                "zeros": content[:at] + bytes(min(4096, size - at)) + content[at + 4096 :],
                "longer": content + b"\x00" * 100,
            }[kind]
        )
    return f"{kind} at {at:,} of {size:,} bytes" if kind in ("cut", "bytes changed", "zeros") else kind


def _is_changed(home: Path) -> bool:
    try:
        return whole(home) is None
    except NotWholeError:
        return True


def _unnoticed(workshop: Workshop, home: Path) -> str | None:
    """`doctor` must call a publication that differs from its manifest a problem."""
    doctor = workshop.command(home, "doctor").run()
    if "Traceback" in doctor.stderr:
        return f"doctor: {doctor.stderr[-200:]!r}"
    return None if doctor.code == 1 else f"doctor ended with {doctor.code}"
