"""The questions of `docs/cookbook.md`, each with its query and the rows that the page states."""

import re
from dataclasses import dataclass
from typing import Any

import duckdb

from tests.docs.pages import text_of

SECTION = re.compile(r"^## (\d+)\. ([^\n]+)\n+```sql\n(.*?)^```\n+((?:^\|[^\n]+\n)*)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the page: `rows` as they are printed there, under the names of `columns`."""

    number: int
    title: str
    query: str
    columns: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """The cells of a column as they are printed."""
        return [row[self.columns.index(name)] for row in self.rows]

    def numbers(self, name: str) -> list[float]:
        """The cells of a column as numbers; those that are NULL are NaN."""
        return [float("nan") if cell == "NULL" else float(cell.replace(",", "")) for cell in self.column(name)]


def questions() -> dict[int, Question]:
    """Every question of the page by its number."""
    found = {}
    for number, title, query, table in SECTION.findall(text_of("docs/cookbook.md")):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        head, rows = (lines[0], lines[2:]) if lines else ([], [])
        found[int(number)] = Question(int(number), title, query.strip().removesuffix(";"), head, rows)
    return found


def printed(value: Any, like: str) -> str:
    """A value of a publication as the page prints it, with as many decimals as the cell `like`."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return f"{value:,.{len(like.partition('.')[2])}f}" if "," in like or "." in like else f"{value:.0f}"
    return str(value)


def found_rows(connection: duckdb.DuckDBPyConnection, question: Question) -> tuple[list[str], list[list[str]]]:
    """Names and rows that the query gives, printed like the cells of the page."""
    relation = connection.sql(question.query)
    rows = relation.fetchall()
    patterns = [*question.rows, *[[""] * len(relation.columns)] * len(rows)]
    return relation.columns, [
        [printed(value, like) for value, like in zip(row, pattern, strict=True)]
        for row, pattern in zip(rows, patterns, strict=False)
    ]
