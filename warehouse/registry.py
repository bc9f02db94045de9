"""The curated registry from its CSV files: typed by the schemas, every row checked, a bad cell named by its line."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Final

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from schemas.enforce import keeps
from schemas.errors import BadInputError
from schemas.registry import REGISTRY, row_rules
from warehouse.registry_links import Sheet, check_links, expected_of, references

REFERENCE: Final = files("warehouse").joinpath("reference")
"""The registry that comes with the package."""

_WRITTEN_AS: Final[Mapping[type[pl.DataType], str]] = {
    pl.Date: "a date like 2026-02-05",
    pl.Int64: "a whole number without separators",
    pl.Float64: "a plain number without separators",
}


def load_registry(folder: Traversable | Path = REFERENCE) -> dict[str, pl.DataFrame]:
    """Read and check every registry table of `folder`.

    Shape: one frame a table of `schemas.registry.REGISTRY`, in its columns and types, sorted by its key, so that the
    order of rows and columns in the files means nothing. An empty cell is NULL. Raises `BadInputError` for the first
    cell, column, row or link between tables that breaks its contract. Other files of the folder are not read.
    """
    return dict(_load(folder, registry_digest(folder)))  # type: ignore[arg-type]  # every folder of ours is hashable


@lru_cache(maxsize=4)
def _load(folder: Traversable | Path, _digest: str) -> dict[str, pl.DataFrame]:
    """The same, kept as long as the files hold the same bytes: a standing process checks them once, not every run."""
    sheets = {table: checked(read_sheet(folder, table)) for table in REGISTRY}
    check_links(sheets)
    return {table: sheet.rows.sort(REGISTRY[table].unique, nulls_last=True) for table, sheet in sheets.items()}


def check_past(folder: Traversable | Path, today: date) -> None:
    """Raise `BadInputError` for the topmost row of a table with a day after `today` that is no plan.

    The tables are those that `load_registry` takes: it has no clock, so that a past day is computed the same for ever.
    """
    for table, schema in REGISTRY.items():
        sheet = checked(read_sheet(folder, table))
        days = [n for n, c in schema.columns.items() if c.dtype.type == pl.Date and not (c.metadata or {})["planned"]]
        for name in days:
            later = (sheet.rows[name] > today).fill_null(False).arg_true()
            if later.len():
                raise sheet.refusal(later[0], (name,), f"a day up to today, {today}: only plans lie in the future")


def registry_digest(folder: Traversable | Path = REFERENCE) -> str:
    """SHA-256 over the bytes of the registry files, taken in the order of their names.

    Raises `BadInputError` when one cannot be read.
    """
    digest = hashlib.sha256()
    for file in sorted(f"{table}.csv" for table in REGISTRY):
        digest.update(_bytes(folder, file))
    return digest.hexdigest()


def _bytes(folder: Traversable | Path, file: str) -> bytes:
    try:
        return folder.joinpath(file).read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{folder}/{file}", error.strerror, "a readable registry file", "restore it from the package"
        ) from error


def read_sheet(folder: Traversable | Path, table: str) -> Sheet:
    """The cells of one file as text, in the columns of the table's schema."""
    file = f"{table}.csv"
    columns = list(REGISTRY[table].columns)
    try:
        text = _bytes(folder, file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} byte {error.start}", error.reason, "UTF-8", "save the file as UTF-8") from error
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = next(reader, [])
        _check_header(file, header, columns)
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                raise BadInputError(
                    f"{file} line {line}",
                    f"{len(cells)} cells",
                    f"{len(header)} cells",
                    "quote a cell that has a comma",
                )
            rows.append(cells)
            lines.append(line)
    except csv.Error as error:
        raise BadInputError(
            f"{file} line {reader.line_num}",
            str(error),
            "comma-separated cells, double quotes closed",
            "correct the line",
        ) from error
    cells_as_text = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
    empty_is_null = pl.when(pl.all() != "").then(pl.all())
    return Sheet(file=file, rows=cells_as_text.select(columns).with_columns(empty_is_null), lines=lines)


def _check_header(file: str, header: list[str], columns: list[str]) -> None:
    place = f"{file} line 1"
    for name in header:
        if name not in columns:
            raise BadInputError(place, name, f"only the columns {', '.join(columns)}", "remove or rename the column")
        if header.count(name) > 1:
            raise BadInputError(place, f"column {name} twice", "each column once", "remove one of them")
    for name in columns:
        if name not in header:
            raise BadInputError(place, f"no column {name}", f"the columns {', '.join(columns)}", "add the column")


def checked(sheet: Sheet) -> Sheet:
    """The sheet with its cells typed and every check of its schema passed."""
    table = sheet.file.removesuffix(".csv")
    schema = REGISTRY[table]
    types = {name: column.dtype.type for name, column in schema.columns.items()}
    typed = sheet.rows.with_columns(_typed(name, dtype) for name, dtype in types.items())
    for name, dtype in types.items():
        lost = (typed[name].is_null() & sheet.rows[name].is_not_null()).arg_true()
        if lost.len():
            raise sheet.refusal(lost[0], (name,), _WRITTEN_AS[dtype])
    sheet = replace(sheet, rows=typed)
    if not keeps(sheet.rows, schema):
        try:
            schema.validate(sheet.rows, lazy=True)
        except SchemaErrors as error:
            raise _first_failure(sheet, schema, error.failure_cases) from error
    return sheet


def readable(table: str, column: str, cell: str, folder: Traversable | Path = REFERENCE) -> str | None:
    """What is wrong with one cell by itself, as a sentence part; None where nothing is. For people who type.

    `folder`: the registry whose companies and sites the cell may refer to.
    """
    facts = REGISTRY[table].columns[column]
    if not cell:
        return None if facts.nullable else "expected a value"
    dtype = facts.dtype.type
    typed = pl.DataFrame({column: [cell]}).with_columns(_typed(column, dtype))
    if typed[column].is_null()[0]:
        return f"found {cell!r}, expected {_WRITTEN_AS[dtype]}"
    try:
        pa.DataFrameSchema({column: facts}).validate(typed, lazy=True)
    except SchemaErrors as error:
        return f"found {cell!r}, expected {error.failure_cases['check'][0]}"
    target = references(table).get(column)
    if target is not None:
        rows = load_registry(folder)
        if cell not in rows[target][target]:
            return f"found {cell!r}, expected {expected_of(target, cell, rows)}"
    return None


def _typed(name: str, dtype: type[pl.DataType]) -> pl.Expr:
    cell = pl.col(name)
    # Without the pattern the parser would also take 2026-2-5, which sorts and compares as another text elsewhere.
    iso = pl.when(cell.str.contains(r"^\d{4}-\d{2}-\d{2}$")).then(cell)
    return iso.str.to_date("%Y-%m-%d", strict=False) if dtype == pl.Date else cell.cast(dtype, strict=False)


def _first_failure(sheet: Sheet, schema: pa.DataFrameSchema, failures: pl.DataFrame) -> BadInputError:
    """The error about the topmost row that fails a check."""
    first = failures.sort("index", nulls_last=True, maintain_order=True).row(0, named=True)
    check = first["check"]
    rules = {rule.statement: rule.columns for rule in row_rules(schema)}
    if check in rules:
        return sheet.refusal(first["index"], rules[check], check)
    if check == "multiple_fields_uniqueness":
        return sheet.refusal(first["index"], tuple(schema.unique or ()), "a key that no other row has")
    if check == "not_nullable":
        return sheet.refusal(first["index"], (first["column"],), "a value")
    return sheet.refusal(first["index"], (first["column"],), check)
