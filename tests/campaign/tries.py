"""One try, what came of it, and the rules by which that is judged."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, Final

import duckdb

from tests.campaign.command import TIMED_OUT, Command, Finished
from tests.invocation import last_final_day

LAST_LINES: Final = ("error: ", "interrupted: ", "terminated: ")
"""How the one line begins with which a command ends."""
OWN_PORT: Final = re.compile(r"(?<=127\.0\.0\.1):\d+")
"""Of servers of the campaign, another one in each try."""


class Verdict(StrEnum):
    """What came of a try; the first three are survived."""

    UNCHANGED = "unchanged"
    """The same tables as without the fault."""
    REPORTED = "reported"
    """Other tables, and a warning, a notice or a missing source that the run without the fault does not have."""
    REFUSED = "refused"
    """An error in one line and an exit code; the last publication is as it was."""
    SILENT = "silent"
    """Other tables without a word."""
    BROKEN = "broken"
    """A traceback, no end, a publication that is not whole, or a next run that does not heal."""

    @property
    def is_survived(self) -> bool:
        """Whether nobody was harmed."""
        return self in (Verdict.UNCHANGED, Verdict.REPORTED, Verdict.REFUSED)


@dataclass(frozen=True)
class Outcome:
    """What came of a try: `fault` is what was done, `found` what shows the verdict."""

    verdict: Verdict
    fault: str
    found: str = ""


@dataclass(frozen=True)
class Publication:
    """A publication as its reader has it: digests of the files of its tables, and every line that reports something."""

    digests: Mapping[str, str]
    reports: frozenset[str] = frozenset()


class NotWholeError(Exception):
    """A publication differs from its manifest, or cannot be read."""


def whole(home: Path) -> Publication | None:
    """The publication of a home, None where there is none. Raises `NotWholeError`."""
    published = home / "published"
    if not (published / "current").is_symlink():
        return None
    try:
        manifest = json.loads((published / "manifest.json").read_text("utf-8"))
        digests = {}
        for file in manifest["files"]:
            content = (published / "current" / file["path"]).read_bytes()
            digests[file["path"]] = hashlib.sha256(content).hexdigest()
            if digests[file["path"]] != file["sha256"]:
                raise NotWholeError(f"{file['path']} differs from the manifest")
        with duckdb.connect(str(published / "hashpivot.duckdb"), read_only=True) as reader:
            for table, facts in manifest["tables"].items():
                (counted,) = reader.execute(f'select count(*) from "{table}"').fetchall()[0]
                if counted != facts["rows"]:
                    raise NotWholeError(f"{table}: {counted} rows, the manifest says {facts['rows']}")
    except (OSError, ValueError, KeyError, duckdb.Error) as error:
        raise NotWholeError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    return Publication({path: digest for path, digest in digests.items() if path.startswith("parquet/")})


def reports_of(finished: Finished) -> frozenset[str]:
    """Every warning, notice and missing source that a run stated."""
    result: dict[str, Any] = json.loads(finished.stdout)
    found = set(result["warnings"])
    for name, facts in result["sources"].items():
        found |= {f"{name}: {line}" for line in facts["notices"]}
        if facts["missing"]:
            found.add(f"{name} is missing: {facts['missing']}")
    return frozenset(OWN_PORT.sub("", line) for line in found)


def one_line(finished: Finished) -> str | None:
    """What is wrong with how a command failed: None where it is one line and an exit code."""
    lines = [line for line in finished.stderr.splitlines() if line.startswith(LAST_LINES)]
    if finished.code == TIMED_OUT:
        return "it did not end"
    if "Traceback" in finished.stderr:
        return f"a traceback: {finished.stderr.strip().splitlines()[-1][:200]}"
    if finished.code <= 0 or len(lines) != 1:
        return f"exit code {finished.code} with {len(lines)} lines of error: {finished.stderr[-200:]!r}"
    return None


@dataclass
class Workshop:
    """Where tries find what they start from. `folder`: for their files; a run without a fault is made once."""

    folder: Path
    data: Path
    _made: dict[str, tuple[Path, Publication]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def day(self) -> str:
        """The day that every run publishes: one that is over wherever the campaign starts."""
        return str(last_final_day())

    def daily(self, home: Path, *options: str, **environment: str) -> Command:
        """A plain run for the same day as all others."""
        return Command(
            arguments=["daily", "--plain", "--json", "--home", str(home), "--day", self.day, *options],
            folder=home.parent,
            environment=environment,
        )

    def command(self, home: Path, *arguments: str, **environment: str) -> Command:
        """Any other command about a home."""
        return Command(arguments=[*arguments, "--home", str(home)], folder=home.parent, environment=environment)

    def without_fault(self, name: str, run: Callable[[Path], Finished]) -> tuple[Path, Publication]:
        """The home and the publication of a `run` without a fault, which is made once a `name`."""
        with self._lock:
            if name not in self._made:
                home = self.folder / f"without-fault-{name}" / "home"
                home.parent.mkdir(exist_ok=True)
                finished = run(home)
                published = whole(home)
                if finished.code or published is None:
                    raise RuntimeError(f"the run without a fault, {name}: {finished.code} {finished.stderr}")
                self._made[name] = home, Publication(published.digests, reports_of(finished))
            return self._made[name]

    def place(self, name: str, start: Path | None = None) -> Path:
        """The path of a home in a folder of its own: empty, or a copy of `start`."""
        home = self.folder / name.replace("/", "-") / "home"
        home.parent.mkdir()
        if start is not None:
            shutil.copytree(start, home, symlinks=True)
        return home


def judged(finished: Finished, home: Path, normal: Publication, before: Publication | None, fault: str) -> Outcome:
    """The verdict on a run with a fault. `normal`: what it gives without; `before`: what the home had published."""
    try:
        now = whole(home)
    except NotWholeError as error:
        return Outcome(Verdict.BROKEN, fault, str(error))
    if finished.code == 0:
        if now is None:
            return Outcome(Verdict.BROKEN, fault, "exit code 0 and no publication")
        new = reports_of(finished) - normal.reports
        changed = sorted(path for path, digest in now.digests.items() if normal.digests.get(path) != digest)
        if not changed and now.digests.keys() == normal.digests.keys():
            return Outcome(Verdict.UNCHANGED, fault)
        names = ", ".join(Path(path).stem for path in changed)
        if new:
            return Outcome(Verdict.REPORTED, fault, f"{names}: {min(new, key=len)[:160]}")
        return Outcome(Verdict.SILENT, fault, f"changed {names}")
    if wrong := one_line(finished):
        return Outcome(Verdict.BROKEN, fault, wrong)
    if before is not None and (now is None or now.digests != before.digests):
        return Outcome(Verdict.BROKEN, fault, "the last publication is gone")
    error = next(line for line in finished.stderr.splitlines() if line.startswith(LAST_LINES))
    return Outcome(Verdict.REFUSED, fault, f"{finished.code}: {error[:160]}")


def healed(workshop: Workshop, run: Command, home: Path, normal: Publication, fault: str) -> Outcome | None:
    """What is wrong with the next run, None where it publishes what there is without a fault."""
    finished = run.run()
    if finished.code:
        return Outcome(Verdict.BROKEN, fault, f"the next run: {finished.code} {finished.stderr[-200:]!r}")
    try:
        now = whole(home)
    except NotWholeError as error:
        return Outcome(Verdict.BROKEN, fault, f"after the next run: {error}")
    if now is None or now.digests != normal.digests:
        return Outcome(Verdict.BROKEN, fault, "the next run publishes other tables")
    return None


Area = Callable[[Workshop, str, Random], Outcome]
"""One try of an area: its name is unique, and the same random numbers give the same try."""
