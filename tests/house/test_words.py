"""Code, messages and pages use the terms of the glossary, and none of the words that it replaces."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, pages, text_of

FOLDERS = ("flows", "schemas", "transforms", "warehouse", "tests", "benchmarks")
METAPHORS = {
    *("told", "tell", "tells", "telling", "heard", "hear", "hears", "ask", "asks", "asked", "asking"),
    *("answer", "answers", "answered", "foresee", "foresees", "foreseen", "patiently", "hasty", "shop"),
}
"""In names, comments, docstrings and messages."""
IN_NAMES = METAPHORS | {"say", "says", "said", "saying", "door"}
"""Also not names: a docstring may say something, a value may not be called `said`."""
SCHEMA_OF_VIEWS = re.compile(r"""\banswers\.(?=[a-z])|(?<=[`"'])answers(?=[`"'])|\bhashpivot_answers\b""")
"""The schema of the published file whose name readers know, before the name of a view or by itself in quotes.

In PostgreSQL it has the name of the program before it.
"""
TABLE_ROWS = re.compile(r"^\|.*\|$", re.MULTILINE)
"""Tables of a page: the glossary lists there what is not used."""


def words(text: str) -> set[str]:
    """The words of a name or a sentence; a name is parted at underscores and capitals.

    Addresses are left out, and the schema of views where it stands as that.
    """
    plain = SCHEMA_OF_VIEWS.sub("", re.sub(r"https?://\S+", "", text))
    return set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", plain).lower()))


def misused(source: str) -> Iterator[str]:
    """Where Python source uses such a word: line and word."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        refused = {tokenize.NAME: IN_NAMES, tokenize.STRING: METAPHORS, tokenize.COMMENT: METAPHORS}.get(token.type)
        for word in sorted(words(token.string) & refused) if refused else ():
            yield f"{token.start[0]}: {word}"


def modules() -> list[str]:
    found = (path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
    return sorted(str(path.relative_to(REPOSITORY)) for path in found if path != Path(__file__))


@pytest.mark.parametrize("module", modules())
def test_module_uses_the_terms_of_the_glossary(module: str) -> None:
    assert list(misused((REPOSITORY / module).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", pages())
def test_page_uses_the_terms_of_the_glossary(page: str) -> None:
    text = text_of(page)
    prose = TABLE_ROWS.sub("", text) if page == "docs/glossary.md" else text
    assert sorted(words(prose) & (METAPHORS - {"ask", "asks"})) == []


def test_such_a_word_is_found() -> None:
    source = 'def told_apart(x): return x  # nobody was asked\nRESULT = "what was heard"\nwhatSaid = 1\n'
    assert list(misused(source)) == ["1: told", "1: asked", "2: heard", "3: said"]


def test_name_of_the_schema_of_views_is_no_such_word_and_everything_else_is() -> None:
    source = 'SCHEMA = "answers"  # the schema `answers`, as in answers.today\n'
    assert list(misused(source)) == []
    wrong = 'answers = 1  # it answers the call, and all answers.\nX = "answers given"\n'
    assert list(misused(wrong)) == ["1: answers", "1: answers", "2: answers"]
