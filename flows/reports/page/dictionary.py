"""The dictionary as pages: an index of tables and columns, and a page a table on which no sentence is repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flows.reports.page.given import Given
from schemas.notes import Notes
from schemas.table import NEVER
from schemas.units import Aggregation

INDEX: Final = "dictionary.html"
ADDED: Final = {
    Aggregation.SUM.value: "Adds up over any part of the key.",
    Aggregation.SUM_OF_DAY.value: "Adds up within a day, but not over days.",
}
"""By `aggregation` what is stated at a column."""


def page_of(table: str) -> str:
    """Name of the page of a table."""
    return f"dictionary-{table}.html"


def place_of(key: str) -> str:
    """Address of a column, `key` being `table.column`, or of a table, from another page of the report."""
    table, _, column = key.partition(".")
    return f"{page_of(table)}#{column}" if column else page_of(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A column on the page of its table; `error_notes` and `null_notes` are numbers of shared sentences."""

    row: Mapping[str, Any]
    error: str
    error_notes: Sequence[int]
    null_rule: str
    null_notes: Sequence[int]
    inputs: Sequence[tuple[str, bool]]
    """Columns that it is made from, and whether they are on the same page."""
    added: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """A table: its row of `meta.tables`, the columns to begin with, all columns by topic, the shared sentences."""

    facts: Mapping[str, Any]
    starters: Sequence[Entry]
    topics: Sequence[tuple[str, Sequence[Entry]]]
    notes: Sequence[str]
    column_count: int


def tables(given: Given) -> list[dict[str, Any]]:
    """Rows of `meta.tables` by name, each with the name of its page."""
    rows = given.meta["tables"].sort("table_name")
    return [row | {"page": page_of(row["table_name"])} for row in rows.iter_rows(named=True)]


def table_pages(given: Given) -> dict[str, TablePage]:
    """By name of a table what its page shows."""
    columns: dict[str, list[dict[str, Any]]] = {}
    for row in given.meta["columns"].iter_rows(named=True):
        columns.setdefault(row["table_name"], []).append(row)
    return {facts["table_name"]: _table_page(facts, columns.get(facts["table_name"], [])) for facts in tables(given)}


def places(given: Given) -> list[tuple[str, list[tuple[str, str]]]]:
    """Names of columns from A to Z, and by table where each stands."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column in given.meta["columns"].select("table_name", "column_name").iter_rows():
        found.setdefault(column, []).append((table, place_of(f"{table}.{column}")))
    return sorted(found.items())


def _table_page(facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> TablePage:
    notes = Notes.of(text for row in rows for text in (row["error"], row["null_rule"]) if text != NEVER)
    names = {row["column_name"] for row in rows}
    entries = [_entry(row, notes, names) for row in rows]
    starters = sorted((each for each in entries if each.row["starter_rank"]), key=lambda each: each.row["starter_rank"])
    topics: dict[str, list[Entry]] = {}
    for entry in entries:
        topics.setdefault(entry.row["column_group"], []).append(entry)
    return TablePage(
        facts=facts,
        starters=starters,
        topics=list(topics.items()),
        notes=notes.sentences,
        column_count=len(entries),
    )


def _entry(row: Mapping[str, Any], notes: Notes, names: set[str]) -> Entry:
    error, error_notes = notes.without(row["error"])
    null_rule, null_notes = notes.without(row["null_rule"])
    return Entry(
        row=row,
        error=error,
        error_notes=error_notes,
        null_rule="never" if null_rule == NEVER else null_rule,
        null_notes=null_notes,
        inputs=[(name, name in names) for name in row["inputs"].split(", ") if name],
        added=ADDED.get(row["aggregation"], ""),
    )
