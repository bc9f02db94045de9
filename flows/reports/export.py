"""A whole publication, or some of its tables, as files to pass on: CSV, a workbook, or the data package in one file."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from flows.reports.formats import as_csv
from flows.reports.workbook import MOST_ROWS, Sheet, write_workbook
from schemas.errors import SettingsError, TerminalError, WarehouseError
from warehouse import publication_queries
from warehouse.atomic_files import whole_file
from warehouse.reading import OpenPublication, open_publication
from warehouse.targets.datapackage import NAME as DESCRIPTOR
from warehouse.targets.files import current_publication
from warehouse.targets.json_files import as_json

PIECE_BYTES: Final = 1 << 20
META: Final = "meta."


def version_of(published: Path) -> str:
    """The version that readers see. Raises `WarehouseError` where there is none."""
    return shown_publication(published)[0]


def shown_publication(published: Path) -> tuple[str, datetime]:
    """The same, and when it was made."""
    current = current_publication(published)
    if current is None:
        raise WarehouseError(f"{published}: found no publication, expected one; run `hashpivot daily` first")
    return current


def picked_tables(published: Path, names: Sequence[str]) -> list[str]:
    """The tables to export: all by default. Raises `TerminalError` naming one that does not exist."""
    with open_publication(published) as publication:
        known = [str(row[0]) for row in publication_queries.table_list(publication)[1]]
    for name in names:
        if name not in known:
            raise TerminalError(f"table: found {name!r}, expected one of {', '.join(known)}; correct the name")
    return list(names) or known


def write_csv(published: Path, tables: Iterable[str], folder: Path) -> int:
    """Write a CSV file a table into the new folder `folder`, and what describes them; return how many tables.

    Raises `SettingsError` for a folder with something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError("-o", str(folder), "a folder that is new or empty", "name another one")
    descriptor = _descriptor(published / "current")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with open_publication(published) as publication:
        for table in tables:
            rows = publication_queries.table_frame(publication, "main", table)
            (folder / f"{table}.csv").write_text(as_csv(rows), encoding="utf-8")
            written.append(table)
    resources = [
        {**each, "path": f"{each['name']}.csv", "format": "csv", "mediatype": "text/csv", "encoding": "utf-8"}
        for each in descriptor["resources"]
        if each["name"] in written
    ]
    (folder / DESCRIPTOR).write_bytes(as_json({**descriptor, "resources": resources}))
    return len(written)


def write_sheets(published: Path, tables: Iterable[str], path: Path) -> list[str]:
    """Write a workbook with a sheet a table, after one of all tables and one of all columns.

    Returns a line about each table that is left out, because a sheet cannot hold its rows.
    """
    left_out: list[str] = []
    current = current_publication(published)
    with open_publication(published) as publication:
        write_workbook(path, _sheets(publication, tables, left_out), made_at=current[1] if current else None)
    return left_out


def _sheets(publication: OpenPublication, tables: Iterable[str], left_out: list[str]) -> Iterable[Sheet]:
    for name in ("tables", "columns"):
        yield Sheet(name=name, rows=publication_queries.table_frame(publication, "meta", name), key_count=1)
    for table in tables:
        count = publication_queries.row_count(publication, table)
        if count > MOST_ROWS:
            left_out.append(f"left out {table}: {count:,} rows, a sheet holds {MOST_ROWS:,}; export it as CSV or zip")
            continue
        units = publication_queries.units_of(publication, table)
        keys = publication_queries.keys_of(publication, table)
        rows = publication_queries.table_frame(publication, "main", table)
        in_front = sum(1 for name, key in zip(rows.columns, keys, strict=False) if name in keys)
        yield Sheet(name=table, rows=rows, units=units, key_count=in_front)


def write_package(published: Path, tables: Sequence[str], path: Path) -> int:
    """Write the data package of the version, with `tables` and those of `meta`, as one zip file; return its files."""
    version = (published / "current").resolve()
    descriptor = _descriptor(version)
    resources = [each for each in descriptor["resources"] if each["name"] in tables or each["name"].startswith(META)]
    files = [file for each in resources for file in ([each["path"]] if isinstance(each["path"], str) else each["path"])]
    made_at = datetime.fromisoformat(descriptor["created"])
    with whole_file(path) as draft, ZipFile(draft, "w", ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(_entry(DESCRIPTOR, made_at), as_json({**descriptor, "resources": resources}))
        for file in files:
            with (version / file).open("rb") as source, archive.open(_entry(file, made_at), "w") as target:
                while piece := source.read(PIECE_BYTES):
                    target.write(piece)
    return len(files) + 1


def _entry(name: str, made_at: datetime) -> ZipInfo:
    return ZipInfo(name, made_at.timetuple()[:6])


def _descriptor(version: Path) -> dict[str, Any]:
    path = version / DESCRIPTOR
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise WarehouseError(
            f"{path}: found none that can be read, expected the description of the data package; "
            "run `hashpivot daily` to publish again"
        ) from error
    return found
