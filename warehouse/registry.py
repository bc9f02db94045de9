"""The curated registry from its CSV files: typed by the schemas, every row checked, a bad cell named by its line."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
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

from schemas.errors import BadInputError
from schemas.registry import BACKSTOP, REGISTRY, ROW_RULES

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
    cell, column, row or link between tables that breaks its contract. Other files of the folder are left alone.
    """
    return dict(_load(folder, registry_digest(folder)))  # type: ignore[arg-type]  # every folder of ours is hashable


@lru_cache(maxsize=4)
def _load(folder: Traversable | Path, _digest: str) -> dict[str, pl.DataFrame]:
    """The same, kept as long as the files hold the same bytes: a standing process checks them once, not every run."""
    sheets = {table: _checked(_read(folder, table)) for table in REGISTRY}
    _check_deals_exist(sheets["credit_support"], sheets["conversion_deal"])
    _check_backstops_agree(sheets["conversion_deal"], sheets["credit_support"])
    return {table: sheet.rows.sort(REGISTRY[table].unique, nulls_last=True) for table, sheet in sheets.items()}


def registry_digest(folder: Traversable | Path = REFERENCE) -> str:
    """SHA-256 over the bytes of the registry files, taken in the order of their names.

    Raises `BadInputError` when one cannot be read.
    """
    digest = hashlib.sha256()
    for file in sorted(f"{table}.csv" for table in REGISTRY):
        digest.update(_bytes(folder, file))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """One file: its rows, and the line of the file each of them starts on."""

    file: str
    rows: pl.DataFrame
    lines: list[int]

    def refusal(self, row: int, columns: tuple[str, ...], expected: str) -> BadInputError:
        """The error that names the cells `columns` of one row, counted from 0."""
        cells = [str(c) if isinstance(c, date) else c for c in self.rows.select(columns).row(row)]
        told = ", ".join(f"{name}={cell}" for name, cell in zip(columns, cells, strict=True))
        found = cells[0] if len(cells) == 1 else told
        return BadInputError(_place(self.file, self.lines[row], columns), found, expected, "correct the row")


def _place(file: str, line: int, columns: tuple[str, ...]) -> str:
    return f"{file} line {line}, column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"


def _bytes(folder: Traversable | Path, file: str) -> bytes:
    try:
        return folder.joinpath(file).read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{folder}/{file}", error.strerror, "a readable registry file", "restore it from the package"
        ) from error


def _read(folder: Traversable | Path, table: str) -> _Sheet:
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
    return _Sheet(file=file, rows=cells_as_text.select(columns).with_columns(empty_is_null), lines=lines)


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


def _checked(sheet: _Sheet) -> _Sheet:
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
    try:
        schema.validate(sheet.rows, lazy=True)
    except SchemaErrors as error:
        raise _first_failure(sheet, schema, error.failure_cases) from error
    return sheet


def _typed(name: str, dtype: type[pl.DataType]) -> pl.Expr:
    cell = pl.col(name)
    # Without the pattern the parser would also take 2026-2-5, which sorts and compares as another text elsewhere.
    iso = pl.when(cell.str.contains(r"^\d{4}-\d{2}-\d{2}$")).then(cell)
    return iso.str.to_date("%Y-%m-%d", strict=False) if dtype == pl.Date else cell.cast(dtype, strict=False)


def _first_failure(sheet: _Sheet, schema: pa.DataFrameSchema, failures: pl.DataFrame) -> BadInputError:
    """The error about the topmost row that fails a check."""
    first = failures.sort("index", nulls_last=True, maintain_order=True).row(0, named=True)
    check = first["check"]
    rules = {rule.says: rule.columns for rule in ROW_RULES[str(schema.name)]}
    if check in rules:
        return sheet.refusal(first["index"], rules[check], check)
    if check == "multiple_fields_uniqueness":
        return sheet.refusal(first["index"], tuple(schema.unique or ()), "a key that no other row has")
    return sheet.refusal(first["index"], (first["column"],), "a value" if check == "not_nullable" else check)


def _check_deals_exist(support: _Sheet, deals: _Sheet) -> None:
    """Every credit support belongs to a deal of the registry."""
    orphans = (~support.rows["deal_id"].is_in(deals.rows["deal_id"].implode())).arg_true()
    if orphans.len():
        raise support.refusal(orphans[0], ("deal_id",), f"a deal_id of {deals.file}")


def _check_backstops_agree(deals: _Sheet, support: _Sheet) -> None:
    """What a deal says of its backstop is the sum of what `credit_support` lists for it."""
    listed = (
        support.rows.filter(pl.col("kind").is_in(BACKSTOP))
        .drop_nulls("amount_usd")
        .group_by("deal_id")
        .agg(pl.col("amount_usd").sum().alias("listed_usd"))
    )
    told = deals.rows.join(listed, on="deal_id", how="left", validate="m:1", maintain_order="left")
    apart = told["backstop_usd"].ne_missing(told["listed_usd"]).arg_true()
    if apart.len():
        expected = f"{told['listed_usd'][apart[0]]}, the sum of the guarantees and letters of credit in {support.file}"
        raise deals.refusal(apart[0], ("backstop_usd",), expected)
