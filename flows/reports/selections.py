"""Rows that a reader picks of a publication: the newest of a table, or those of a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from schemas.errors import TerminalError
from warehouse import publication_queries
from warehouse.reading import OpenPublication, fetch_first, fetch_frame, open_publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """Rows that were read: `is_cut` where there are more, `total` how many there are, None where that is not known."""

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    is_cut: bool
    total: int | None = None


class Selection(Protocol):
    """What can be read as rows for people, or as a frame for a file."""

    @property
    def is_explicit(self) -> bool:
        """Whether the reader named every column, so that none is left out."""

    @property
    def name(self) -> str:
        """What a sheet with these rows is called."""

    def units(self) -> Mapping[str, str]:
        """Units by column, as far as they are known."""

    def rows(self, limit: int | None) -> Picked:
        """At most `limit` rows, all by default."""

    def frame(self, limit: int | None) -> tuple[pl.DataFrame, bool]:
        """The same rows with the types of their columns, and whether there are more."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """The newest rows of one table, the newest last: `columns` of them, or all.

    Reading raises `TerminalError` naming the table or column that does not exist.
    """

    published: Path
    table: str
    columns: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.table

    def units(self) -> Mapping[str, str]:
        """Units of its columns; none of a table of `meta`."""
        with open_publication(self.published) as publication:
            return publication_queries.units_of(publication, self.table)

    @property
    def is_explicit(self) -> bool:
        """Whether columns are named."""
        return bool(self.columns)

    def rows(self, limit: int | None) -> Picked:
        """Names of columns and the rows."""
        with open_publication(self.published) as publication:
            names = self._names(publication)
            total = publication_queries.row_count(publication, self.table)
            picked, rows = publication_queries.newest_rows(publication, self.table, names, limit or total)
        return Picked(names=picked, rows=rows, is_cut=len(rows) < total, total=total)

    def frame(self, limit: int | None) -> tuple[pl.DataFrame, bool]:
        """The rows as a frame."""
        with open_publication(self.published) as publication:
            return publication_queries.newest_frame(publication, self.table, self._names(publication), limit)

    def _names(self, publication: OpenPublication) -> Sequence[str]:
        names = publication_queries.columns_of(publication, self.table)
        if not names:
            tables = ", ".join(row[0] for row in publication_queries.table_list(publication)[1])
            raise TerminalError(f"table: found {self.table!r}, expected one of {tables}; correct the name")
        for column in self.columns:
            if column not in names:
                raise TerminalError(
                    f"column of {self.table}: found {column!r}, expected one of {', '.join(names)}; correct the name"
                )
        return self.columns or names


@dataclass(frozen=True, slots=True)
class QueryRows:
    """The rows of one read-only statement. Reading raises `TerminalError` where it is wrong."""

    published: Path
    sql: str
    is_explicit: bool = False
    name: str = "query"

    def units(self) -> Mapping[str, str]:
        """None: a query may compute anything."""
        return {}

    def rows(self, limit: int | None) -> Picked:
        """Names of columns and the rows."""
        with open_publication(self.published) as publication:
            (names, rows), is_cut = fetch_first(publication, self.sql, limit=limit)
        return Picked(names=names, rows=rows, is_cut=is_cut)

    def frame(self, limit: int | None) -> tuple[pl.DataFrame, bool]:
        """The rows as a frame."""
        with open_publication(self.published) as publication:
            return fetch_frame(publication, self.sql, limit=limit)
