"""What a publication itself states of one of its figures: value, definition, checks, revisions, and why it is NULL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from schemas.errors import TerminalError
from schemas.table import Table
from transforms.catalog import PUBLISHED
from transforms.lineage import roots
from warehouse import publication_queries
from warehouse.publication_queries import Row
from warehouse.reading import OpenPublication, open_publication

BY_NAME: Final[Mapping[str, Table]] = {table.name: table for table in PUBLISHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureFacts:
    """One published value with everything that is stated about it.

    `row`: the whole row that it stands in. `column`: its row of `meta.columns`. `checks`: rows of `meta.quality` of the
    table that failed or that name the column; `revisions`: rows of `meta.revisions` of the value itself,
    and on the day of series that the column rests on; `nulls`: reasons of `meta.nulls` that hold for the row.
    """

    table: Table
    key: Mapping[str, Any]
    value: Any
    row: Row
    column: Row
    checks: Sequence[Row]
    revisions: Sequence[Row]
    nulls: Sequence[str]


def figure_facts(published: Path, table: str, column: str, given: Sequence[str]) -> FigureFacts:
    """What is stated of `column` in one row of `table`; `given` has the values of its key, each as text.

    A day may stand anywhere, the other parts in the order of the key, or each as NAME=VALUE. Raises `TerminalError` for
    a table, column or row that is not there.
    """
    known = BY_NAME.get(table)
    if known is None:
        raise TerminalError(
            f"table: found {table!r}, expected {_near(table, BY_NAME)}; `hashpivot show` lists all tables"
        )
    with open_publication(published) as publication:
        facts = {row["column_name"]: row for row in publication_queries.column_facts(publication, table)}
        if column not in facts:
            raise TerminalError(
                f"column: found {column!r}, expected {_near(column, facts)}; "
                f"`hashpivot show {table} --all` lists all columns"
            )
        key = _key(known, given, {name: str(facts[name]["data_type"]) for name in known.key})
        rows = publication_queries.table_rows(publication, table, key)
        if len(rows) != 1:
            found = f"{len(rows)} rows with {_listed(key)}" if key else f"{len(rows)} rows"
            raise TerminalError(f"{table}: found {found}, expected one; give {' and '.join(known.key)} of a row of it")
        day = key.get("day")
        return FigureFacts(
            table=known,
            key=key,
            value=rows[0][column],
            row=rows[0],
            column=facts[column],
            checks=publication_queries.checks_on(publication, table, column),
            revisions=_revisions(publication, known, column, key),
            nulls=publication_queries.null_reasons(publication, table, column, day) if rows[0][column] is None else (),
        )


def _revisions(publication: OpenPublication, table: Table, column: str, key: Mapping[str, Any]) -> Sequence[Row]:
    series = [root for root in roots(table, column) if isinstance(root, str)]
    day = key.get("day") if isinstance(key.get("day"), date) else None
    rest = ", ".join(f"{name}={'' if value is None else value}" for name, value in key.items() if name != "day")
    return [
        *(publication_queries.revisions_of(publication, series, day) if day is not None else ()),
        *publication_queries.revisions_of_value(publication, table.name, column, day, rest),
    ]


def _key(table: Table, given: Sequence[str], types: Mapping[str, str]) -> dict[str, Any]:
    """The key as values. Raises `TerminalError` for a part that is missing, doubled or of another type."""
    named = {name: text for name, is_named, text in (each.partition("=") for each in given) if is_named}
    free = [each for each in given if "=" not in each]
    if unknown := set(named) - set(table.key):
        raise TerminalError(f"key: found {', '.join(sorted(unknown))}, expected {_parts(table)}; correct the name")
    for text in free:
        place = next((name for name in table.key if name not in named and _fits(types[name], text)), None)
        if place is None:
            raise TerminalError(f"key: found {text!r}, expected {_parts(table)}; correct it")
        named[place] = text
    if missing := [name for name in table.key if name not in named]:
        raise TerminalError(f"key: found none for {' and '.join(missing)}, expected {_parts(table)}; add it")
    return {name: _value(name, types[name], named[name]) for name in table.key}


def _parts(table: Table) -> str:
    return " and ".join(table.key) if table.key else "none, as the table has one row"


def _fits(kind: str, text: str) -> bool:
    try:
        _value("", kind, text)
    except TerminalError:
        return False
    return kind == "Date" or not _is_day(text)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _value(name: str, kind: str, text: str) -> Any:
    try:
        return date.fromisoformat(text) if kind == "Date" else int(text) if kind.startswith("Int") else text
    except ValueError as error:
        expected = "a day such as 2026-03-22" if kind == "Date" else "a whole number"
        raise TerminalError(f"{name}: found {text!r}, expected {expected}; correct it") from error


def _near(name: str, known: Iterable[str]) -> str:
    """The names that are most alike, of which one may have been meant; the first ones where none is."""
    names = list(known)
    return " or ".join(get_close_matches(name, names, cutoff=0.5) or names[:3])


def _listed(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in key.items())
