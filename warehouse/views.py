"""The schema `answers` of a publication: views over its tables, named after what they show, one SQL file each.

A view renames, joins, filters and adds up; figures are made in the tables, so that a formula has one home.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from schemas.table import Table

SCHEMA: Final = "answers"
_COLUMN: Final = re.compile(r"([a-z0-9_]+): (.+)")
_READ: Final = re.compile(r"\b(?:from|join) main\.([a-z_]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view: what it shows, what it says of columns that are in no table, and its SELECT."""

    name: str
    description: str
    columns: Mapping[str, str]
    select: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables that it reads, in their order."""
        return tuple(dict.fromkeys(_READ.findall(self.select)))

    def comment_on(self, column: str, tables: Mapping[str, Table]) -> str:
        """What is stated about a column: by the view, else by the first table it reads that has one of the name.

        Raises `LookupError` where neither does.
        """
        if column in self.columns:
            return self.columns[column]
        stated = (c for name in self.reads for c in tables[name].columns if c.name == column)
        for each in stated:
            return each.comment()
        raise LookupError(f"view {self.name}: found no comment on {column}, expected one; state it in the view's file")


@cache
def views() -> tuple[View, ...]:
    """Every view, by name: those of `warehouse/sql/views/<name>.sql`.

    The comment lines that a file begins with are the description, then a line for each column that has no namesake.
    """
    folder = files("warehouse").joinpath("sql", "views")
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return tuple(_view(path.name.removesuffix(".sql"), path.read_text(encoding="utf-8")) for path in paths)


def _view(name: str, content: str) -> View:
    lines = content.splitlines()
    stated = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    select = "\n".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")
    matched = [_COLUMN.fullmatch(line) for line in stated]
    return View(
        name=name,
        description=" ".join(line for line, column in zip(stated, matched, strict=True) if column is None),
        columns={column[1]: column[2] for column in matched if column},
        select=select,
    )
