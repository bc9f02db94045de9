"""What a reader sees of a filing: its words without tags and without what inline XBRL hides.

One pass, whatever is in the page: the parser of the standard library in Python 3.11 needs 43 s for 200 kB of comments
that nobody closed, and a filing may be a hundred times as long. Where a page is broken we need its words, not its tree.
"""

import re
from html import unescape
from typing import Final

from schemas.text import visible

HIDDEN: Final = frozenset({"head", "ix:header", "ix:hidden", "script", "style"})
"""Elements that no reader sees. The facts in `ix:header` would be words of no sentence."""
INSIDE_A_LINE: Final = frozenset(
    {
        *("a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "small", "span"),
        *("strike", "strong", "sub", "sup", "tt", "u"),
    }
)
"""Tags that may stand in the middle of a word, like those of inline XBRL; every other one ends it."""
COMMENT: Final = "!--"

_TAG: Final = re.compile(r"(/?)([a-zA-Z][a-zA-Z0-9:_-]*)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]|&#[xX]?[0-9a-fA-F]{9,};?")
"""What is no character: as it is, or by a number beyond all of them."""
_AS_TYPED: Final = str.maketrans({"\u2010": "-", "\u2011": "-", "\u00ad": None, "\u200b": None, "\ufeff": None})
"""Hyphens as one types them; marks where a line may break are not seen."""


def plain_text(html: str) -> str:
    """The words of the page `html`, broken or not, with single spaces between them; marks of direction are escaped."""
    first, *pieces = html.split("<")
    words = [first]
    hidden_by: str | None = None
    depth = 0
    for piece in pieces:
        if hidden_by == COMMENT:
            _, closed, text = piece.partition("-->")
            if closed:
                hidden_by = None
                words.append(text)
            continue
        inside, _, text = piece.partition(">")
        tag = _TAG.match(inside)
        if hidden_by is not None:
            # Only its own tags count inside: whatever else is opened there ends with it.
            if tag and tag[2].lower() == hidden_by and not inside.endswith("/"):
                depth += -1 if tag[1] else 1
            if depth == 0:
                hidden_by = None
                words += [" ", text]
        elif tag:
            name = tag[2].lower()
            if name in HIDDEN and not tag[1] and not inside.endswith("/"):
                hidden_by, depth = name, 1
                continue
            words += [text] if name in INSIDE_A_LINE or name.startswith("ix:") else [" ", text]
        elif piece.startswith(COMMENT):
            _, closed, text = piece[len(COMMENT) :].partition("-->")
            hidden_by = None if closed else COMMENT
            words += [" ", text]
        elif piece.startswith(("!", "?", "/")):
            words += [" ", text]
        else:
            # A sign and no tag: "3 < 4".
            words += ["<", piece]
    seen = unescape(_CONTROL.sub(" ", "".join(words)))
    return visible(" ".join(_CONTROL.sub(" ", seen).translate(_AS_TYPED).split()))
