"""Rows on a terminal, or as JSON for a program."""

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from flows.reports.terminal import shown
from schemas.errors import TerminalError
from warehouse import publication_queries
from warehouse.reading import Rows, open_publication

PIPE_WIDTH = 4_000
NARROW_COLUMNS = 8
"""More columns than this do not fit a terminal as a table, so each row is laid out downwards."""


def show_tables(published: Path) -> Rows:
    """Name, size and days of every published table."""
    with open_publication(published) as publication:
        return publication_queries.table_list(publication)


def show_table(published: Path, table: str, columns: Sequence[str], limit: int) -> Rows:
    """The newest rows of one table; raises `TerminalError` naming the table or column that does not exist."""
    with open_publication(published) as publication:
        names = publication_queries.columns_of(publication, table)
        if not names:
            tables = ", ".join(row[0] for row in publication_queries.table_list(publication)[1])
            raise TerminalError(f"table: found {table!r}, expected one of {tables}; correct the name")
        for column in columns:
            if column not in names:
                raise TerminalError(
                    f"column of {table}: found {column!r}, expected one of {', '.join(names)}; correct the name"
                )
        return publication_queries.newest_rows(publication, table, columns or names, limit)


def print_rows(names: Sequence[str], rows: Sequence[tuple[Any, ...]], *, as_json: bool) -> None:
    """Print rows as a table, downwards where they are wide, or as a JSON list of objects."""
    if as_json:
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, default=_plain))
        return
    console = _console()
    if len(names) > NARROW_COLUMNS:
        for row in rows:
            table = Table.grid(padding=(0, 2))
            for name, value in zip(names, row, strict=True):
                table.add_row(shown(name), shown(_cell(value)))
            console.print(table)
            console.print()
        return
    table = Table(*(Column(shown(name)) for name in names), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(shown(_cell(value)) for value in row))
    console.print(table)


def _console() -> Console:
    """A console as wide as the terminal, or, where a file or a pipe reads, wide enough to cut nothing."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 1_000 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
