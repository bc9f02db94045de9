"""Questions of readers, each with its query: those of the cookbook, and the examples of the query page."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_COMMENT: Final = "-- "


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question in words, and the SELECT over the views of `answers` whose rows are the result."""

    name: str
    title: str
    query: str


@cache
def questions() -> tuple[Question, ...]:
    """Every question in the order of its number: those of `warehouse/sql/questions/<number>_<name>.sql`.

    The comment that a file begins with is the title.
    """
    folder = files("warehouse").joinpath("sql", "questions")
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return tuple(_question(path.name.removesuffix(".sql"), path.read_text(encoding="utf-8")) for path in paths)


def _question(name: str, content: str) -> Question:
    title, _, query = content.partition("\n")
    return Question(
        name=name.partition("_")[2], title=title.removeprefix(_COMMENT), query=query.strip().removesuffix(";")
    )
