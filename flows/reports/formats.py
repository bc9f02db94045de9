"""Rows in the forms that other programs read: CSV, JSON, Parquet, and a sheet of a workbook."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from schemas.text import cell
from warehouse.atomic_files import whole_file, write_whole

if TYPE_CHECKING:
    from flows.reports.selections import Selection

_SUSPECT: Final = r"^[=+\-@]|[\p{C}\p{Zl}\p{Zp}]"
"""What `schemas.text.cell` changes; columns without any of it are left alone."""


class Form(StrEnum):
    """How rows are written; also the ending of such a file."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    XLSX = "xlsx"


FILES: Final = tuple(form for form in Form if form is not Form.TABLE)
"""Forms that a file may have."""
IN_FILES_ONLY: Final = frozenset({Form.PARQUET, Form.XLSX})
"""Forms that are no text."""


def as_objects(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """A JSON list with one object a row."""
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, default=_plain)


def as_csv(rows: pl.DataFrame) -> str:
    """CSV with a header; text that a spreadsheet would take for a formula has a quote before it."""
    return plain_cells(rows).write_csv()


def write_file(selection: "Selection", form: Form, path: Path, limit: int | None) -> tuple[int, int]:
    """Write at most `limit` rows, all by default, to `path`, whole or not at all; return how many, and columns."""
    if form is Form.JSON:
        found = selection.rows(limit)
        write_whole(path, f"{as_objects(found.names, found.rows)}\n".encode())
        return len(found.rows), len(found.names)
    rows, _ = selection.frame(limit)
    if form is Form.XLSX:
        from flows.reports.workbook import Sheet, write_workbook

        write_workbook(path, [Sheet(name=selection.name, rows=rows, units=selection.units())])
    elif form is Form.CSV:
        write_whole(path, as_csv(rows).encode())
    else:
        with whole_file(path) as draft, draft.open("wb") as file:
            rows.write_parquet(file, compression="zstd")
    return rows.shape


def plain_cells(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with numbers, days and text alone, none of it a formula; what is nested becomes text."""
    nested = [name for name, dtype in rows.schema.items() if dtype.is_nested() or dtype == pl.Binary]
    rows = rows.with_columns(
        pl.Series(name, [None if value is None else str(value) for value in rows[name].to_list()], dtype=pl.String)
        for name in nested
    )
    text = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    suspect = [name for name in text if rows[name].str.contains(_SUSPECT).any()]
    return rows.with_columns(
        pl.Series(name, [None if value is None else cell(value) for value in rows[name]], dtype=pl.String)
        for name in suspect
    ).rename({name: cell(name) for name in rows.columns})


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
