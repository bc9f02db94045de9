"""Rows of `meta.tables`, and of each column the licence: who published data comes from and how it may be used."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date

import polars as pl

from schemas.errors import LicenceError
from schemas.partition import Partitions
from schemas.suppliers import Supplier, strictest
from schemas.table import Table


def tables_frame(
    tables: Iterable[Table],
    frames: Mapping[str, pl.DataFrame | Partitions],
    sources: Mapping[tuple[str, str], str],
    supplier_named: Callable[[str], Supplier | None],
    described_until: Mapping[str, date],
) -> pl.DataFrame:
    """One row a table; it inherits the terms of everybody whose data is in it.

    `frames`: the finished rows of each table; `sources`: supplier names of each (table, column), comma-separated;
    `supplier_named`: facts of a supplier, None where it is not known; `described_until`: by table with one row
    a day or more, the last day that has all its main columns. Raises `LicenceError` for a table that names no
    source, has rows of no supplier, or has a supplier whose licence is not stated.
    """
    rows = []
    for table in tables:
        frame = frames[table.name]
        names = sorted({s for (name, _), of in sources.items() if name == table.name for s in of.split(",") if s})
        if table.lineage is None or (not names and not frame.is_empty()):
            raise LicenceError(table.name, "no source", "state its `lineage`")
        suppliers = [_supplier(table.name, name, supplier_named(name)) for name in names]
        days = _days(frame)
        rows.append(
            {
                "table_name": table.name,
                "description": table.description,
                "key_columns": ", ".join(table.key),
                "row_count": frame.height,
                "first_day": days.min(),
                "last_day": days.max(),
                "described_until": described_until.get(table.name),
                "sources": ",".join(names),
                "licence": "; ".join(map(_licence, suppliers)),
                "strictest_licence": _strictest(suppliers),
            }
        )
    dates = dict.fromkeys(("first_day", "last_day", "described_until"), pl.Date)
    return pl.DataFrame(rows, schema_overrides=dates, infer_schema_length=None)


def _days(frame: pl.DataFrame | Partitions) -> pl.Series:
    """Days of the rows, the first and the last one among them; none where rows have no day."""
    if isinstance(frame, Partitions):
        ends = [day for part in frame.parts for day in (part.first_day, part.last_day)]
        return pl.Series(ends, dtype=pl.Date)
    return frame["day"] if "day" in frame.columns else pl.Series([], dtype=pl.Date)


def column_licences(
    sources: Mapping[tuple[str, str], str], supplier_named: Callable[[str], Supplier | None]
) -> dict[tuple[str, str], str]:
    """By (table, column) the strictest licence of its `sources`, which are named as in `tables_frame`."""
    return {
        column: _strictest([_supplier(column[0], name, supplier_named(name)) for name in names.split(",") if name])
        for column, names in sources.items()
    }


def _supplier(table: str, name: str, supplier: Supplier | None) -> Supplier:
    if supplier is None or not supplier.licence.strip():
        raise LicenceError(table, f"source {name!r} without a licence", "state the licence of the supplier")
    return supplier


def _licence(supplier: Supplier) -> str:
    return f"{supplier.name}: {supplier.licence}"


def _strictest(suppliers: list[Supplier]) -> str:
    found = strictest(suppliers)
    return _licence(found) if found else ""
