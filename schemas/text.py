"""Text that others wrote, made harmless where it leaves: on a terminal, in Markdown, in a spreadsheet.

Names of pools, cells of the registry, messages of servers and names of files may hold anything: sequences that move the
cursor, marks that turn the direction of reading, links, tags, formulas.
"""

import re
import unicodedata
from typing import Final

import polars as pl

FORMULA_STARTS: Final = ("=", "+", "-", "@")
"""What a spreadsheet takes for the begin of a formula."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, marks of direction and joiners, lone surrogates, what has no meaning, separators of lines."""
_MARKDOWN: Final = re.compile(r"([!-/:-@\[-`{-~])")
"""All ASCII punctuation: each can be escaped by a backslash, and no link or tag is without one."""
_NAME: Final = r"^[\p{L}\p{N}][\p{L}\p{N} &'()./_+,!-]{0,63}$"
_PLAIN: Final = r"^[^=+@\p{Cc}\p{Cf}\p{Zl}\p{Zp}-][^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$"
NAME_EXPECTED: Final = "a name of up to 64 letters, digits, blanks and & ' ( ) . / _ + , ! -, a letter or digit first"
PLAIN_EXPECTED: Final = "text without control characters and marks of direction that begins with none of = + - @"


def visible(text: str) -> str:
    r"""`text` in one line, each character that is not seen, or that moves others, as its escape: `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        _escape(character) if unicodedata.category(character) in _UNSEEN else character for character in text
    )


def cell(text: str) -> str:
    """The same for a table that a spreadsheet may open: text, never a formula."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(FORMULA_STARTS) else shown


def markdown(text: str) -> str:
    """The same inside Markdown: the characters themselves, never a link, a tag, emphasis or the end of a cell."""
    return _MARKDOWN.sub(r"\\\1", visible(text))


def is_name(column: pl.Expr) -> pl.Expr:
    """Whether each cell is made of what names of pools and exchanges are made of, see `NAME_EXPECTED`."""
    return column.str.contains(_NAME)


def is_plain(column: pl.Expr) -> pl.Expr:
    """Whether each cell is `PLAIN_EXPECTED`; an empty one is not."""
    return column.str.contains(_PLAIN)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
