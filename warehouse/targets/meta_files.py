"""The meta tables of a version as Parquet files, for who reads the tables as such."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from warehouse.statements import quoted, statement

FOLDER: Final = "meta"


@dataclass(frozen=True, slots=True)
class MetaFile:
    """What the file of one meta table holds."""

    description: str
    schema: pl.Schema


def write(draft: Path, reader: duckdb.DuckDBPyConnection) -> Mapping[str, MetaFile]:
    """Write each table of `meta` to `meta/<table>.parquet` under the folder `draft`; by table what the file holds."""
    (draft / FOLDER).mkdir()
    written = {}
    for name, description in reader.execute(statement("meta_tables")).fetchall():
        rows = pl.DataFrame(reader.sql(f"from meta.{quoted(name)}"))
        rows.write_parquet(
            draft / FOLDER / f"{name}.parquet",
            compression="zstd",
            metadata={"table": f"meta.{name}", "description": description},
        )
        written[name] = MetaFile(description, rows.schema)
    return written
