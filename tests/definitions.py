"""Record the definitions of published columns: `python -m tests.definitions` writes tests/house/definitions.json.

A definition is known by its worked examples, which every derived column has. Where one changes or goes, the column has
another meaning: that is refused until its metric states it (`changes`) and warehouse/CHANGELOG.md names the column.
Further examples are no change.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from schemas.metric import Example, Metric
from tests.docs.pages import REPOSITORY
from transforms.catalog import TABLES

RECORDED: Final = REPOSITORY / "tests" / "house" / "definitions.json"
CHANGELOG: Final = REPOSITORY / "warehouse" / "CHANGELOG.md"


class Definition(NamedTuple):
    """A version of a formula, and the digests of its worked examples, with their unit."""

    version: int
    examples: frozenset[str]


def current() -> dict[str, Definition]:
    """By `table.column` the definition of each column with worked examples."""
    return {
        f"{table.name}.{m.name}": Definition(
            column.definition_version, frozenset(_digest(m, each) for each in m.examples)
        )
        for table in TABLES.values()
        for m, column in zip(table.metrics, table.columns, strict=table.reference is None)
        if m.examples
    }


def recorded() -> dict[str, Definition]:
    """Those of the file."""
    return {
        name: Definition(version, frozenset(examples))
        for name, (version, examples) in json.loads(RECORDED.read_text("utf-8")).items()
    }


def problems(before: Mapping[str, Definition], now: Mapping[str, Definition], unreleased: str) -> Iterator[str]:
    """A line for each change that is not stated; `unreleased`: what the changelog states of the next release."""
    for name, was in before.items():
        column = name.partition(".")[2]
        is_named = f"`{column}`" in unreleased
        if name not in now:
            if not is_named:
                yield f"{name}: is gone, and warehouse/CHANGELOG.md does not name `{column}`; say so there"
            continue
        found = now[name]
        if found.version < was.version:
            yield f"{name}: found version {found.version}, expected {was.version} or more; keep the earlier changes"
        elif found.version == was.version and was.examples - found.examples:
            yield f"{name}: a worked example is gone, its version is the same; state the change in `changes`"
        elif found.version > was.version and not is_named:
            yield f"{name}: version {found.version} is new, and warehouse/CHANGELOG.md does not name `{column}`"


def unreleased() -> str:
    """What warehouse/CHANGELOG.md states of the next release."""
    return CHANGELOG.read_text("utf-8").partition("## Unreleased")[2].partition("\n## ")[0]


def as_text(definitions: Mapping[str, Definition]) -> str:
    """The content of the file."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps([each.version, sorted(each.examples)])}"
        for name, each in sorted(definitions.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _digest(m: Metric, example: Example) -> str:
    stated = m.unit.label, sorted(example.given.items()), example.gives, example.within
    return hashlib.sha256(repr(stated).encode()).hexdigest()[:12]


def main() -> int:
    """Write the file where every change is stated; return the exit code."""
    now = current()
    found = list(problems(recorded() if RECORDED.exists() else {}, now, unreleased()))
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        RECORDED.write_text(as_text(now), "utf-8")
        print(f"wrote {RECORDED}: {len(now)} definitions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
