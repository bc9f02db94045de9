"""The Parquet files of a version: one a table, or a folder with one a year, of which unchanged ones are links."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from schemas.errors import WarehouseError
from schemas.partition import Partition
from warehouse.statements import one_line
from warehouse.targets import carry
from warehouse.targets.carry import Before
from warehouse.targets.protocol import PublishedRows
from warehouse.targets.stated import Stated

NO_ROWS: Final = "none"
"""Name of the one file of a table in parts that has no row, so that whoever reads its folder finds the columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files of a version, which another thread is writing: `files` by table and key of a part, None without one."""

    draft: Path
    files: Mapping[tuple[str, str | None], Future[None]]

    def rows(self, table: str, part: Partition) -> pl.DataFrame:
        """The rows of a part, as soon as its file is there. Raises what writing it has raised."""
        self.files[table, part.key].result()
        return pl.read_parquet(self.draft / _file(table, part.key), glob=False, hive_partitioning=False)

    def wait(self) -> None:
        """Wait for all files. Raises what writing the first one that failed has raised."""
        for file in self.files.values():
            file.result()


def write(
    draft: Path,
    tables: Mapping[str, PublishedRows],
    stated: Mapping[str, Stated],
    before: Before,
    writer: Executor,
) -> Written:
    """Let `writer`, of one thread, write every table under the folder `draft`, which has none yet.

    Files are links where the version `before` has the same.
    """
    (draft / "parquet").mkdir()
    files: dict[tuple[str, str | None], Future[None]] = {}
    for name, rows in tables.items():
        facts = stated.get(name, Stated())
        if isinstance(rows, pl.DataFrame):
            files[name, None] = writer.submit(_write_rows, draft / _file(name), rows, facts)
            continue
        (draft / "parquet" / name).mkdir()
        if rows.is_empty():
            files[name, None] = writer.submit(_write_rows, draft / _file(name, NO_ROWS), rows.schema.to_frame(), facts)
        for part in rows.parts:
            files[name, part.key] = writer.submit(_write_part, draft, name, part, rows.schema, facts, before)
    return Written(draft=draft, files=files)


def check(draft: Path, tables: Mapping[str, PublishedRows]) -> None:
    """Compare the rows of each file, as its footer states them, with what is published.

    Raises `WarehouseError` at the first one that differs. Most files of years were written by a run before.
    """
    for name, rows in tables.items():
        for file, row_count in files_of(name, rows):
            found = _found(draft / file)
            if found != f"{row_count} rows":
                raise WarehouseError(
                    f"{file}: found {found}, expected {row_count} rows; the last publication stays, "
                    "remove this file of it and run again"
                )


def read(folder: Path, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """`columns`, or all, of a table under the folder of a version, in one file or several; None without them."""
    file = folder / _file(table)
    try:
        return pl.read_parquet(
            file if file.exists() else file.with_suffix(""), columns=None if columns is None else list(columns)
        )
    except (OSError, pl.exceptions.PolarsError):
        return None


def _write_part(draft: Path, name: str, part: Partition, schema: pl.Schema, facts: Stated, before: Before) -> None:
    file = _file(name, part.key)
    is_there = before.has_part(name, part, schema, facts.digest) and before.digest_of(file) is not None
    if not (is_there and carry.link(before.folder / file, draft / file)):
        _write_rows(draft / file, part.rows(), facts)


def _write_rows(path: Path, rows: pl.DataFrame, facts: Stated) -> None:
    rows.write_parquet(path, compression="zstd", metadata=facts.metadata, arrow_schema=facts.schema(rows.schema))


def _file(table: str, key: str | None = None) -> str:
    return f"parquet/{table}.parquet" if key is None else f"parquet/{table}/{key}.parquet"


def files_of(name: str, rows: PublishedRows) -> Iterator[tuple[str, int]]:
    """Each file of a table and how many rows it should have."""
    if isinstance(rows, pl.DataFrame):
        yield _file(name), rows.height
    elif rows.is_empty():
        yield _file(name, NO_ROWS), 0
    else:
        yield from ((_file(name, part.key), part.row_count) for part in rows.parts)


def _found(path: Path) -> str:
    """The rows of a file, or why they cannot be counted."""
    try:
        return f"{pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()} rows"
    except (OSError, pl.exceptions.PolarsError) as error:
        return repr(one_line(error))
