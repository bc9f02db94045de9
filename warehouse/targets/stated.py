"""What a Parquet file states of its table and of each column, so that it can be read far from the database.

A file has the facts of its table as key-value metadata, and those of a column as metadata of its Arrow field. They say
nothing that differs from run to run, so that the same rows are the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import nanoarrow
import polars as pl

from warehouse.targets.protocol import Publication

TABLE_FACTS: Final = ("sources", "strictest_licence", "licence")
"""Columns of `meta.tables` that are stated in the file of a table; the others count rows and days."""
COLUMN_FACTS: Final = ("sources", "licence")
"""Columns of `meta.columns` beside what the table's own object states."""


@dataclass(frozen=True)
class Stated:
    """Facts of one table: `of_table` by key, `of_columns` by column and key."""

    of_table: Mapping[str, str] = field(default_factory=dict)
    of_columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Of all facts: a file with another one is written anew."""
        return hashlib.sha256(json.dumps([self.of_table, self.of_columns]).encode()).hexdigest()

    @property
    def metadata(self) -> dict[str, str]:
        """Key-value metadata of a file: the facts of the table, and as `columns` those of all columns as JSON."""
        columns = [{"name": name, **facts} for name, facts in self.of_columns.items()]
        return {**self.of_table, "columns": json.dumps(columns, ensure_ascii=False)}

    def schema(self, schema: pl.Schema) -> "FieldsWithFacts":
        """The Arrow schema of a frame with the facts of its columns."""
        return FieldsWithFacts(schema, self.of_columns)


def facts_stated(publication: Publication) -> dict[str, Stated]:
    """By table what its files state: description, key, unit, error, NULL rule, sources and licences."""
    of_tables = _rows(publication, "tables", ("table_name",))
    of_columns = _rows(publication, "columns", ("table_name", "column_name"))
    return {
        table.name: Stated(
            of_table={
                "table": table.name,
                "description": table.description,
                "key_columns": ", ".join(table.key),
                **_picked(of_tables.get((table.name,)), TABLE_FACTS),
            },
            of_columns={
                column.name: {
                    "description": column.description,
                    "title": column.verbose_name,
                    "unit": column.unit,
                    "error": column.error,
                    "null_rule": column.null_rule,
                    "aggregation": column.aggregation.value,
                    **_picked(of_columns.get((table.name, column.name)), COLUMN_FACTS),
                }
                for column in table.columns
            },
        )
        for table in publication.facts
    }


def _rows(publication: Publication, name: str, key: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Any]]:
    rows = publication.meta[name].iter_rows(named=True) if name in publication.meta else ()
    return {tuple(row[part] for part in key): row for row in rows}


def _picked(row: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, str]:
    return {name: row[name] for name in names if row and row.get(name)}


class FieldsWithFacts:
    """A schema whose fields have metadata, as the interface of Arrow that Polars takes one by."""

    def __init__(self, schema: pl.Schema, facts: Mapping[str, Mapping[str, str]]) -> None:
        self._schema = schema
        self._facts = facts

    def __arrow_c_schema__(self) -> object:
        whole = nanoarrow.c_schema(self._schema)
        return whole.modify(children=[self._field(each) for each in whole.children]).__arrow_c_schema__()

    def _field(self, field: Any) -> Any:
        # The newer kind of text that Polars states by default is not known to every reader of Arrow.
        kind = nanoarrow.c_schema(nanoarrow.large_string()) if field.format == "vu" else field
        return kind.modify(name=field.name, nullable=True, metadata=self._facts.get(field.name))
