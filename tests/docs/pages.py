"""The pages of the project, and the blocks in them that a reader would run."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
LONGEST_PAGE_LINES: Final = 150
REFERENCE_DATA: Final = {"warehouse/DICTIONARY.md", "warehouse/CHANGELOG.md", "CHANGELOG.md"}
"""Pages to look things up in, which grow with the data and with time."""
BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of `page`: `kind` is its language, `number` its place among all of the page."""

    page: str
    number: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}#{self.number}"

    @property
    def commands(self) -> list[str]:
        """Lines of a shell block without comments; a line that ends in a backslash goes on."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := re.sub(r"\s{2,}#.*$", "", line).strip())]

    @property
    def statements(self) -> list[str]:
        """Statements of an SQL block."""
        return [statement.strip() for statement in self.text.split(";") if statement.strip()]


def pages() -> list[str]:
    """Every page of the project, as a path below its root."""
    found = [*REPOSITORY.glob("*.md")]
    for folder in ("docs", "deploy", "benchmarks", "warehouse"):
        found += (REPOSITORY / folder).rglob("*.md")
    return sorted(str(path.relative_to(REPOSITORY)) for path in found)


def text_of(page: str) -> str:
    """The page as it is."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(*kinds: str) -> list[Block]:
    """The blocks of these kinds in all pages, in the order of each page."""
    return [
        Block(page, number, match[1], match[2])
        for page in pages()
        for number, match in enumerate(BLOCK.finditer(text_of(page)), 1)
        if match[1] in kinds
    ]
