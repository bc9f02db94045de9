"""Edits of the registry files: a row is added only if the whole registry is sound with it, and then in one step."""

import csv
from collections.abc import Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from schemas.errors import BadInputError, SettingsError
from schemas.registry import REGISTRY
from warehouse.atomic_files import write_whole
from warehouse.registry import check_past, load_registry


def with_row(folder: Path, table: str, cells: Mapping[str, str], today: date) -> dict[str, pl.DataFrame]:
    """The registry of `folder` as it would be with one more row of `table`; writes nothing there.

    `cells` are texts as in the file, missing ones empty. Raises `SettingsError` for a table or a column that is none of
    the registry, `BadInputError` where the registry would not be sound or has a day after `today` that is no plan.
    """
    _known(table, cells)
    with TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in REGISTRY:
            (copy / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
        path = copy / f"{table}.csv"
        path.write_text(_extended(path, cells), encoding="utf-8")
        registry = load_registry(copy)
        check_past(copy, today)
        return registry


def add_row(folder: Path, table: str, cells: Mapping[str, str], today: date) -> None:
    """Add one row to the file of `table` if the registry is sound with it; a reader sees the old file or the new one.

    Raises as `with_row` does, and then nothing was written.
    """
    with_row(folder, table, cells, today)
    path = folder / f"{table}.csv"
    write_whole(path, _extended(path, cells).encode())


def _known(table: str, cells: Mapping[str, str]) -> None:
    if table not in REGISTRY:
        raise SettingsError("table", table, f"one of {', '.join(sorted(REGISTRY))}", "name one of these")
    for name in cells:
        if name not in REGISTRY[table].columns:
            columns = ", ".join(REGISTRY[table].columns)
            raise SettingsError(f"column of {table}", name, f"one of {columns}", "name one of these")


def _extended(path: Path, cells: Mapping[str, str]) -> str:
    """Text of the file with the row at its end, in the columns of its own header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(str(path), error.strerror, "a readable registry file", "check the folder") from error
    header = next(csv.reader(StringIO(text, newline="")), [])
    row = StringIO(newline="")
    csv.writer(row, lineterminator="\n").writerow([cells.get(name, "") for name in header])
    return f"{text.rstrip()}\n{row.getvalue()}"
