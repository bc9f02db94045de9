"""Rows as a table of text that fits a width: numbers to the right, every value whole, names broken at underscores."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from flows.reports.cells import NULL, is_number, texts
from flows.reports.terminal import shown
from schemas.text import visible

GAP_CELLS: Final = 2
NARROW_CELLS: Final = 24
"""Least width of prose, which goes on in the next line; what is shorter is not broken."""
MOST_HEADER_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class TextColumn:
    """One column as text: its cells, and the width that it takes at least."""

    name: str
    cells: tuple[str, ...]
    is_number: bool
    width: int

    @property
    def whole_width(self) -> int:
        """Width at which neither the name nor a cell is broken."""
        return max([cell_len(visible(self.name)), *map(cell_len, self.cells)])


def leading(names: Sequence[str], rows: Sequence[tuple[Any, ...]], width: int) -> tuple[Table, int]:
    """A table of the first columns that fit `width` beside each other, and how many these are, at least one.

    Columns without any value are passed over.
    """
    columns = _columns(names, rows)
    known = [column for column in columns if any(cell != NULL for cell in column.cells)] or columns
    count = 1
    while count < len(known) and _width(known[: count + 1]) <= width:
        count += 1
    return _table(_spread(known[:count], width)), count


def whole(names: Sequence[str], rows: Sequence[tuple[Any, ...]], width: int) -> RenderableType:
    """All columns: beside each other where they fit `width`, else below each other, row by row."""
    columns = _columns(names, rows)
    return _table(_spread(columns, width)) if _width(columns) <= width else _downward(names, rows)


def fits(names: Sequence[str], rows: Sequence[tuple[Any, ...]], width: int) -> bool:
    """Whether all columns fit beside each other."""
    return _width(_columns(names, rows)) <= width


def on_console(table: RenderableType, width: int) -> None:
    """Print a table as wide as it was laid out for."""
    Console(width=width).print(table)


def lines_of(names: Sequence[str], rows: Sequence[tuple[Any, ...]], width: int) -> Iterator[str]:
    """The lines of `whole` without colours."""
    console = Console(width=width, file=StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(whole(names, rows, width))
    yield from (line.rstrip() for line in captured.get().splitlines())


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[TextColumn]:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return [_column(name, each) for name, each in zip(names, values, strict=True)]


def _column(name: str, values: Sequence[Any]) -> TextColumn:
    cells = tuple(texts(values))
    numeric = is_number(values)
    needed = max((_least(cell, is_whole=numeric) for cell in cells), default=1)
    width = max([needed, *map(cell_len, _parts(name))])
    while len(_lines(name, width)) > MOST_HEADER_LINES:
        width += 1
    return TextColumn(name, cells, numeric, width)


def _least(cell: str, *, is_whole: bool) -> int:
    """Width below which a cell would be broken where it has no blank."""
    if is_whole or cell_len(cell) <= NARROW_CELLS:
        return cell_len(cell)
    return max([NARROW_CELLS, *map(cell_len, cell.split())])


def _parts(name: str) -> list[str]:
    return re.findall(r"[^_]*_|[^_]+", visible(name)) or [""]


def _lines(name: str, width: int) -> list[str]:
    """A name in lines, broken behind underscores."""
    lines = [""]
    for part in _parts(name):
        if cell_len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return [line for line in lines if line] or [""]


def _width(columns: Sequence[TextColumn]) -> int:
    return sum(column.width for column in columns) + GAP_CELLS * (len(columns) - 1)


def _spread(columns: Sequence[TextColumn], width: int) -> list[TextColumn]:
    """The columns with what is left of `width` given to those that are broken, to the shortest first."""
    left = width - _width(columns)
    wider = list(columns)
    for place in sorted(range(len(columns)), key=lambda place: columns[place].whole_width):
        column = columns[place]
        more = max(min(column.whole_width - column.width, left), 0)
        wider[place] = replace(column, width=column.width + more)
        left -= more
    return wider


def _table(columns: Sequence[TextColumn]) -> Table:
    headers = [_lines(column.name, column.width) for column in columns]
    line_count = max(map(len, headers), default=0)
    table = Table(
        *(
            Column(
                Text("\n" * (line_count - len(header)) + "\n".join(header)),
                justify="right" if column.is_number else "left",
                vertical="top",
                width=column.width,
                overflow="fold",
            )
            for column, header in zip(columns, headers, strict=True)
        ),
        box=None,
        pad_edge=False,
        padding=(0, GAP_CELLS, 0, 0),
        header_style="bold",
    )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell, "dim" if cell == NULL else "") for cell in cells))
    return table


def _downward(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> RenderableType:
    parts: list[RenderableType] = []
    for row in rows:
        table = Table.grid(padding=(0, GAP_CELLS))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            (cell,) = texts([value])
            table.add_row(shown(name), Text(cell, "dim" if value is None else ""))
        parts += [table, Text()]
    return Group(*parts)
