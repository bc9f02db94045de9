"""Rows of `meta.tables`: what each published table holds, who its data comes from and on which terms it may be used."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date

import polars as pl

from schemas.errors import LicenceError
from schemas.suppliers import Supplier
from schemas.table import Table


def tables_frame(
    tables: Iterable[Table],
    frames: Mapping[str, pl.DataFrame],
    sources: Mapping[tuple[str, str], str],
    supplier_named: Callable[[str], Supplier | None],
    described_until: Mapping[str, date],
) -> pl.DataFrame:
    """One row a table; it inherits the terms of everybody whose data is in it.

    `frames`: the finished frame of each table; `sources`: supplier names of each (table, column), comma-separated;
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
        licences = {name: _licence(table.name, name, supplier_named(name)) for name in names}
        days = frame["day"] if "day" in frame.columns else pl.Series([], dtype=pl.Date)
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
                "licence": "; ".join(f"{name}: {licence}" for name, licence in licences.items()),
            }
        )
    dates = dict.fromkeys(("first_day", "last_day", "described_until"), pl.Date)
    return pl.DataFrame(rows, schema_overrides=dates, infer_schema_length=None)


def _licence(table: str, name: str, supplier: Supplier | None) -> str:
    if supplier is None or not supplier.licence.strip():
        raise LicenceError(table, f"source {name!r} without a licence", "state the licence of the supplier")
    return supplier.licence
