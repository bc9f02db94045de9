"""Which suppliers stand behind each published column, followed from the metrics down to series and origins."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final

from schemas.series import SERIES
from schemas.table import Lineage, Origin, Table
from transforms.metrics import day

RAW_BLOCKS: Final = "raw.block."
"""Begins the name of an input that rests on the blocks themselves."""
MARKS: Final = (day.day.name, day.is_final.name, day.sources.name)
"""Columns that describe the row and come from nobody."""


def column_sources(
    tables: Iterable[Table], chosen: Mapping[str, str], origins: Mapping[Origin, str]
) -> dict[tuple[str, str], str]:
    """Suppliers behind each (table, column), comma-separated; '' where there is none.

    `chosen`: the supplier of each series; `origins`: that of each origin.
    """
    found = {}
    for table in tables:
        for column in table.columns:
            suppliers = {
                chosen[root] if isinstance(root, str) else origins[root]
                for root in roots(table, column.name)
                if root in chosen or root in origins
            }
            found[table.name, column.name] = ",".join(sorted(suppliers))
    return found


@cache
def roots(table: Table, name: str) -> tuple[str | Origin, ...]:
    """Series and origins that the column `name` rests on in the end; followed once, as a table never changes."""
    return tuple(_roots(table, name))


@cache
def columns_behind(table: Table, name: str) -> frozenset[tuple[str, str]]:
    """The column `name` and those columns of this table and of tables it reads that it is derived from, as pairs."""
    followed = [table, *_read(table)]
    pending, found, seen = [name], set(), set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for each in followed:
            if current in {m.name for m in each.metrics}:
                found.add((each.name, current))
                pending.extend(_inputs_of(each).get(current, ()))
            if each.lineage is not None:
                pending.extend(each.lineage.rests_on.get(current, ()))
    return frozenset(found)


def _read(table: Table) -> Iterator[Table]:
    for each in table.reads:
        yield each
        yield from _read(each)


def _roots(table: Table, name: str) -> Iterator[str | Origin]:
    if table.lineage is None:
        return
    if not table.lineage.by_column:
        yield table.lineage.origin
        return
    followed = list(_followed(table))
    pending, seen = [name], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current.startswith(RAW_BLOCKS):
            yield Origin.BLOCKS
        elif inputs := _inputs(followed, current):
            pending.extend(inputs)
        elif current in SERIES:
            yield current
        elif current not in MARKS:
            yield table.lineage.origin


def _followed(table: Table) -> Iterator[tuple[Table, Lineage]]:
    """The table, then those it reads whose columns are followed as well."""
    if table.lineage and table.lineage.by_column:
        yield table, table.lineage
        for read in table.reads:
            yield from _followed(read)


def _inputs(followed: Iterable[tuple[Table, Lineage]], name: str) -> tuple[str, ...]:
    """What the column rests on in the first table that derives it; nothing where all take it over."""
    for table, lineage in followed:
        if name in lineage.rests_on:
            return lineage.rests_on[name]
        if inputs := _inputs_of(table).get(name):
            return inputs
    return ()


@cache
def _inputs_of(table: Table) -> dict[str, tuple[str, ...]]:
    """By column what its metric reads."""
    return {m.name: m.inputs for m in table.metrics}
