"""Text of others stays text wherever it leaves: on a terminal, in Markdown, in a spreadsheet, in messages and pages."""

import io
import logging
import re
import unicodedata
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from flows.reports import brief
from flows.reports.alerts import Alert, AlertEvent
from flows.reports.tables import print_rows
from flows.reports.terminal import LogFormatter, shown
from schemas.errors import BadInputError, HashpivotError, SettingsError
from schemas.observations import Notice
from schemas.text import FORMULA_STARTS, cell, is_name, is_plain, markdown, visible

ATTACKS = (
    "\x1b]0;title\x07\x1b[2J",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "a | b",
    "[here](https://evil.example)",
    "https://evil.example www.evil.example a@evil.example",
    "`code` **bold** ![x](y) &lt; \\",
    "[link=https://evil.example]here[/link] [/]",
    "\u202egpj.exe",
    "a\x00b\r\n# heading",
    "\ud800",
)
ANY_TEXT = st.one_of(st.text(), st.sampled_from(ATTACKS), st.text("`*_[](){}<>|#\\&:/.@!~=+- \t\nab1", max_size=30))
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def unseen(text: str) -> list[str]:
    return [character for character in text if unicodedata.category(character) in UNSEEN]


def normal(text: str) -> str:
    return " ".join(text.split())


@given(ANY_TEXT)
@example(ATTACKS[0])
def test_what_is_shown_is_seen_and_what_is_seen_stays(text: str) -> None:
    assert unseen(visible(text)) == []
    assert visible(visible(text)) == visible(text)
    assert unseen(text) or visible(text) == text


@given(ANY_TEXT)
@example(ATTACKS[1])
@example("\t=1")
def test_cell_of_a_table_is_no_formula(text: str) -> None:
    assert not cell(text).startswith((*FORMULA_STARTS, "\t", "\r"))
    assert cell(cell(text)) == cell(text)


def check_markdown(text: str) -> None:
    escaped = markdown(text)
    (start, inline, end) = MARKDOWN.parse(f"before {escaped} after")
    assert (start.type, end.type) == ("paragraph_open", "paragraph_close")
    assert {token.type for token in inline.children or ()} <= {"text", "text_special"}
    seen = "".join(token.content for token in inline.children or ())
    assert normal(seen) == normal(f"before {visible(text)} after")
    # Some readers of Markdown make links of these without any sign around them.
    assert "://" not in escaped
    assert "www." not in escaped
    assert escaped.count("@") == escaped.count("\\@")
    assert MARKDOWN.render(f"| a | b |\n|---|---|\n| {escaped} | c |\n").count("<td>") == 2


@given(ANY_TEXT)
def test_markdown_shows_the_characters_and_nothing_else(text: str) -> None:
    check_markdown(text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_shows_the_characters_of_an_attack(attack: str) -> None:
    check_markdown(attack)


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=3), ANY_TEXT)
@example([(attack, attack) for attack in ATTACKS], ATTACKS[7])
def test_terminal_gets_characters_and_line_ends_and_no_style_of_others(rows: list[tuple[str, str]], name: str) -> None:
    with redirect_stdout(io.StringIO()) as output:
        print_rows([name, "second"], rows, as_json=False)
        print_rows([name, "second"], rows, as_json=True)
    assert set(unseen(output.getvalue())) <= {"\n"}
    terminal = Console(file=io.StringIO(), force_terminal=True, width=10_000, color_system="truecolor")
    terminal.print(shown(name), soft_wrap=True)
    assert terminal.file.getvalue() == f"{visible(name)}\n"
    picture = Console(file=io.StringIO(), record=True, width=10_000)
    picture.print(shown(name), soft_wrap=True)
    elements = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(picture.export_svg()).iter()}
    assert elements <= {"svg", "style", "defs", "clipPath", "rect", "text", "g", "circle"}


def test_brief_holds_no_link_and_no_tag_of_others(published_demo: Path) -> None:
    read = brief.read(published_demo)
    for attack in ATTACKS[:-1]:
        check = {**read.checks[0], "passed": False, "severity": "warning", "check_name": attack, "detail": attack}
        source = {**read.sources[0], "source": attack}
        page = brief.markdown(replace(read, profile=attack, checks=[check], sources=[source]))
        html = MARKDOWN.render(page)
        assert set(re.findall(r"<(\w+)", html)) <= {"h1", "h2", "p", "ul", "li", "strong", "code"}
        assert set(unseen(page)) == {"\n"}


@given(ANY_TEXT)
def test_messages_hold_no_sequence_of_others(text: str) -> None:
    errors = [HashpivotError(text), BadInputError(text, text, text, text), SettingsError("HOME", text, text, text)]
    notice = Notice(source="files", origin=text, message=text)
    alert = Alert(event=AlertEvent.LATE, severity="alarm", subject="x", title=text, text=text)
    record = logging.LogRecord("flows", logging.WARNING, "x.py", 1, "found %s", (text,), None)
    line = LogFormatter("%(levelname)s %(message)s").format(record)
    for found in (*map(str, errors), notice.origin, notice.message, alert.title, alert.text, line):
        assert unseen(found) == []
    assert not str(errors[0]).startswith(FORMULA_STARTS)
    assert not notice.message.startswith(FORMULA_STARTS)


@given(st.lists(ANY_TEXT, min_size=1))
def test_allowed_alphabets_take_nothing_that_would_need_an_escape(texts: list[str]) -> None:
    column = pl.Series("text", [text.replace("\ud800", "") for text in texts])
    taken = column.to_frame().filter(is_name(pl.col("text")) & is_plain(pl.col("text")))["text"]
    for text in taken:
        # A later edition of Unicode may have made a letter of what this interpreter does not know.
        assert cell(text) == text or "Cn" in {unicodedata.category(character) for character in text}
        assert not set(text) & set('|<>=`"\\[]{}*#@;:$%^~')
    assert column.to_frame().filter(is_name(pl.col("text")) & ~is_plain(pl.col("text"))).is_empty()
