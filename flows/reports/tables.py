"""Rows on a terminal, as wide as it is, with what was left out below them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from flows.reports import layout
from flows.reports.formats import as_objects

if TYPE_CHECKING:
    from flows.reports.selections import Picked

PIPE_WIDTH: Final = 4_000
MOST_ROWS_DOWNWARD: Final = 3
"""So few rows of a query are laid out downwards where their columns do not fit; of more, leading columns are shown."""


def print_picked(found: "Picked", *, is_whole: bool, more_rows: str) -> None:
    """Print rows as a table that fits the terminal, or 80 columns where there is none, then what was left out.

    `is_whole`: show every column, downwards where they do not fit. `more_rows`: how to get the rows that are missing.
    """
    width = Console().width
    is_short = found.total is None and len(found.rows) <= MOST_ROWS_DOWNWARD
    if is_whole or is_short or layout.fits(found.names, found.rows, width):
        layout.on_console(layout.whole(found.names, found.rows, width), width)
        shown_count = len(found.names)
    else:
        table, shown_count = layout.leading(found.names, found.rows, width)
        layout.on_console(table, width)
    notices = missing_rows(len(found.rows), found.total, more_rows) if found.is_cut else []
    if shown_count < len(found.names):
        notices.append(f"{shown_count:,} of {len(found.names):,} columns: --all shows all, --columns A,B these")
    if notices:
        click.echo("\n" + "\n".join(notices))


def missing_rows(count: int, total: int | None, more_rows: str) -> list[str]:
    """The line about rows that are not shown: `count` are, of `total`."""
    of_all = f" of {total:,} rows" if total is not None else " rows, and there are more"
    return [f"{count:,}{of_all}: {more_rows}"]


def print_rows(names: Sequence[str], rows: Sequence[tuple[Any, ...]], *, as_json: bool) -> None:
    """Print rows as a table, downwards where they are wide, or as a JSON list of objects."""
    if as_json:
        click.echo(as_objects(names, rows))
        return
    width = _width()
    layout.on_console(layout.whole(names, rows, width), width)


def _width() -> int:
    """As wide as the terminal, or, where a file or a pipe reads, wide enough to keep a row in one line."""
    return Console().width if sys.stdout.isatty() else PIPE_WIDTH
