"""The registry as rows of text, so that it can be stored with its date and read back as it was."""

import json
from collections.abc import Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import polars as pl

from schemas.registry import REGISTRY
from warehouse.registry import REFERENCE, checked, read_sheet
from warehouse.registry_links import Sheet


def registry_rows(folder: Traversable | Path = REFERENCE) -> Iterator[str]:
    """Each row of the registry files as JSON: its table, and its cells as they are written, empty ones left out.

    Raises `BadInputError` where a file cannot be read or has other columns.
    """
    for table in REGISTRY:
        for cells in read_sheet(folder, table).rows.iter_rows(named=True):
            yield json.dumps([table, {name: cell for name, cell in cells.items() if cell is not None}], sort_keys=True)


def registry_of(rows: Iterable[str]) -> dict[str, pl.DataFrame]:
    """The registry that `registry_rows` gave, as `load_registry` gives one.

    A table or column that this version knows no more is left out, one that it did not know then is empty. Raises
    `BadInputError` where a row breaks a rule of this version.
    """
    cells: dict[str, list[dict[str, str]]] = {table: [] for table in REGISTRY}
    for row in rows:
        table, stated = json.loads(row)
        if table in cells:
            cells[table].append(stated)
    return {table: _typed(table, found) for table, found in cells.items()}


def _typed(table: str, cells: list[dict[str, str]]) -> pl.DataFrame:
    schema = REGISTRY[table]
    rows = pl.DataFrame(
        [[row.get(name) for name in schema.columns] for row in cells],
        schema=dict.fromkeys(schema.columns, pl.String),
        orient="row",
    )
    sheet = Sheet(file=f"{table}.csv", rows=rows, lines=list(range(1, len(cells) + 1)))
    return checked(sheet).rows.sort(schema.unique or [], nulls_last=True)
