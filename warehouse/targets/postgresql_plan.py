"""What a publication to PostgreSQL finds there, what it changes, and the two tables that state what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias

import polars as pl

from warehouse.targets.finished import FinishedVersion
from warehouse.targets.postgresql_tables import WHOLE, Part, TargetColumn, TargetTable

Id: TypeAlias = tuple[str, str, str]
"""Schema in the home, table and part."""

PUBLICATION: Final = (
    ("version", "text", "Name of the version."),
    ("day", "date", "Last day of its tables, UTC."),
    ("created_at", "timestamp with time zone", "When the home finished it."),
    ("profile", "text", "Profile of its run."),
    ("family", "text", "Simulated data, or the chain that they are of."),
    ("is_simulated", "boolean", "Whether the figures are invented."),
    ("manifest_sha256", "text", "SHA-256 of its manifest."),
    ("published_at", "timestamp with time zone", "When it was published here."),
)
CONTENTS: Final = (
    ("schema_name", "text", "Schema of the table in the home: main, meta or the one of its views."),
    ("table_name", "text", "Name of the table."),
    ("part", "text", "Year of a partition; empty: the table itself."),
    ("digest", "text", "Of what was loaded; where it stays the same, nothing is loaded."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is there when a publication begins."""

    version: str | None = None
    day: date | None = None
    family: str | None = None
    manifest_sha256: str | None = None
    contents: Mapping[Id, str] = field(default_factory=dict)
    readers: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """By schema and name of each table there, whoever may read it beside its owner, as SQL."""
    has_reader: bool = False
    """Whether there is a role for readers."""
    is_whole: bool = True
    """Whether all is there that was loaded: not where somebody has dropped a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a publication changes."""

    replaced: Sequence[TargetTable]
    """Loaded whole."""
    parts: Sequence[tuple[TargetTable, Part]]
    """Loaded into tables that stay."""
    dropped_parts: Sequence[tuple[TargetTable, str]]
    dropped: Sequence[tuple[str, str]]
    """Schema in the home and name of tables that the version has no more."""
    kept_count: int


def plan_of(tables: Sequence[TargetTable], before: Before) -> Plan:
    """What has to be loaded and dropped so that the place has the tables, and no others of ours."""
    replaced, parts, kept = [], [], 0
    wanted = {(table.schema, table.name): table for table in tables}
    stays = set()
    for table in tables:
        if table.digest != before.contents.get((table.schema, table.name, WHOLE)):
            replaced.append(table)
            continue
        stays.add((table.schema, table.name))
        changed = [
            part
            for part in table.parts
            if part.key and before.contents.get((table.schema, table.name, part.key)) != part.digest
        ]
        parts += [(table, part) for part in changed]
        kept += max(1, len(table.parts)) - len(changed)
    about = {("meta", name) for name in ("publication", "contents")}
    there = {(of_home, name) for of_home, name, part in before.contents if part == WHOLE}
    dropped_parts = [
        (wanted[of_home, name], key)
        for of_home, name, key in before.contents
        if key and (of_home, name) in stays and key not in {part.key for part in wanted[of_home, name].parts}
    ]
    return Plan(
        replaced=replaced,
        parts=parts,
        dropped_parts=dropped_parts,
        dropped=sorted(there - wanted.keys() - about),
        kept_count=kept,
    )


def publication_of(version: FinishedVersion) -> TargetTable:
    """The table of one row that states which version it is."""
    stated = version.stated
    row = (
        version.version,
        *(stated.get(name) for name in ("day", "created_at", "profile", "family", "simulated")),
        version.digest,
        datetime.now(UTC).isoformat(),
    )
    return _about("publication", "One row: the version that all tables beside it are of.", PUBLICATION, [row])


def contents_of(tables: Sequence[TargetTable]) -> TargetTable:
    """The table that states of every table and partition what was loaded."""
    rows = [(table.schema, table.name, WHOLE, table.digest) for table in tables]
    rows += [(table.schema, table.name, part.key, part.digest) for table in tables for part in table.parts if part.key]
    return _about("contents", "One row a table, and a partition: what hashpivot has loaded.", CONTENTS, rows)


def _about(
    name: str, comment: str, facts: Sequence[tuple[str, str, str]], rows: Sequence[tuple[Any, ...]]
) -> TargetTable:
    columns = tuple(TargetColumn(name=column, kind=kind, comment=stated) for column, kind, stated in facts)
    frame = pl.DataFrame(list(rows), schema=[column.name for column in columns], orient="row", infer_schema_length=None)
    part = Part(key=WHOLE, digest="", frames=lambda: iter([frame]))
    return TargetTable(schema="meta", name=name, comment=comment, columns=columns, parts=(part,))


def part_name(table: str, key: str) -> str:
    """Of the partition of a year."""
    return f"{table}_{key}"
