"""Tables as an Excel workbook: one sheet a table, names and units above the rows, which stay in sight.

Text stays text: a cell that begins like a formula is written as a string with a quote before it, as in CSV.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from flows.reports.formats import plain_cells
from schemas.errors import TerminalError
from warehouse.atomic_files import whole_file

MOST_ROWS: Final = 1_048_574
"""Of a sheet, below names and units."""
LONGEST_TEXT: Final = 32_767
LONGEST_NAME: Final = 31
WIDEST_CHARACTERS: Final = 40
LEAST_CHARACTERS: Final = 10
JUDGED_ROWS: Final = 100
"""Rows that the width of a column is made for."""
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "nan_inf_to_errors": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table: its rows, by column the units where they are known, and how many columns of a key stay in sight."""

    name: str
    rows: pl.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    key_count: int = 0


def write_workbook(path: Path, sheets: Iterable[Sheet], *, made_at: datetime | None = None) -> None:
    """Write the sheets to `path`, whole or not at all. Raises `TerminalError` for what no sheet can hold.

    `made_at`: the time that the file states, so that the same rows give the same file.
    """
    with whole_file(path) as draft:
        book = Workbook(str(draft), _OPTIONS)
        if made_at:
            book.set_properties({"created": made_at.replace(tzinfo=None)})
        bold = book.add_format({"bold": True, "text_wrap": True, "valign": "bottom"})
        grey = book.add_format({"italic": True, "font_color": "#595959"})
        shapes = {
            pl.Date: book.add_format({"num_format": "yyyy-mm-dd"}),
            pl.Datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        for sheet in sheets:
            _write(book.add_worksheet(sheet.name[:LONGEST_NAME]), sheet, bold, grey, shapes)
        book.close()


def _write(page: Worksheet, sheet: Sheet, bold: Format, grey: Format, shapes: Mapping[Any, Format]) -> None:
    if sheet.rows.height > MOST_ROWS:
        raise TerminalError(
            f"{sheet.name}: found {sheet.rows.height:,} rows, expected at most {MOST_ROWS:,} in a sheet; "
            "write it as CSV or Parquet, or fewer of its rows"
        )
    rows = plain_cells(sheet.rows)
    names = [sheet.units.get(name, "") for name in sheet.rows.columns]
    first = 2 if sheet.units else 1
    page.freeze_panes(first, sheet.key_count)
    for place, (name, unit) in enumerate(zip(rows.columns, names, strict=True)):
        longest = max((len(str(value)) for value in rows[name].head(JUDGED_ROWS)), default=0)
        width = max(LEAST_CHARACTERS, len(unit), min(longest, WIDEST_CHARACTERS))
        page.set_column(place, place, width + 1)
        page.write_string(0, place, name, bold)
    if sheet.units:
        for place, unit in enumerate(names):
            page.write_string(1, place, unit, grey)
    writers = [_writer(page, name, dtype, shapes) for name, dtype in rows.schema.items()]
    for number, row in enumerate(rows.iter_rows(), start=first):
        for place, (value, write) in enumerate(zip(row, writers, strict=True)):
            if value is not None:
                write(number, place, value)


def _writer(page: Worksheet, name: str, dtype: pl.DataType, shapes: Mapping[Any, Format]) -> Callable[..., Any]:
    if dtype.is_numeric() or dtype == pl.Boolean:
        plain: Callable[..., Any] = page.write_boolean if dtype == pl.Boolean else page.write_number
        return plain
    shape = next((shape for kind, shape in shapes.items() if dtype == kind), None)
    if shape is not None:
        return lambda row, place, value: page.write_datetime(row, place, value, shape)

    def text(row: int, place: int, value: Any) -> None:
        shown = str(value)
        if len(shown) > LONGEST_TEXT:
            raise TerminalError(
                f"column {name}: found text of {len(shown):,} characters, expected at most {LONGEST_TEXT:,} in a cell "
                "of a sheet; write it as CSV or Parquet"
            )
        page.write_string(row, place, shown)

    return text
