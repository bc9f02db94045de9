"""Pages are short, their links lead somewhere, and they name every command and setting that there is."""

import re
import subprocess
from collections.abc import Iterator
from urllib.parse import unquote

import click
import pytest

from flows.command.cli import cli
from flows.settings import Settings
from flows.sources.kinds import kinds, variable
from tests.docs.pages import LONGEST_PAGE_LINES, REFERENCE_DATA, REPOSITORY, blocks, pages, text_of

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """The names that a heading can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: str, text: str) -> list[str]:
    """Links of `text` that lead to no file of the project, or to no heading of a page."""
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    assert broken_links(page, text_of(page)) == []


def test_link_that_leads_nowhere_is_found() -> None:
    text = (
        "[a](docs/nowhere.md) [b](LICENSE) [c](docs/glossary.md#data) [d](docs/glossary.md#nothing) [e](https://x.org)"
    )
    assert broken_links("README.md", text) == ["docs/nowhere.md", "docs/glossary.md#nothing"]


@pytest.mark.parametrize("page", sorted(set(pages()) - REFERENCE_DATA))
def test_page_can_be_read_in_one_sitting(page: str) -> None:
    assert len(text_of(page).splitlines()) <= LONGEST_PAGE_LINES


def test_every_page_is_linked_from_the_readme_or_a_page_that_is() -> None:
    reached, pending = set(), ["README.md"]
    while pending:
        page = pending.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.findall(text_of(page)):
            path = ((REPOSITORY / page).parent / link.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.is_relative_to(REPOSITORY):
                pending.append(str(path.relative_to(REPOSITORY)))
    assert set(pages()) - reached == set()


def commands(group: click.Group, name: str = "hashpivot") -> Iterator[str]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {command.name}")
        else:
            yield f"{name} {command.name}"


def test_reference_names_every_command() -> None:
    page = text_of("docs/reference.md")
    named = page.replace(
        "`hashpivot registry check`, `add TABLE`, `diff`",
        "`hashpivot registry check` `hashpivot registry add` `hashpivot registry diff`",
    )
    assert [command for command in commands(cli) if f"`{command}" not in named] == []


def variables() -> set[str]:
    """The environment variables that settings and sources read."""
    own = {f"HASHPIVOT_{name.upper()}" for name in Settings.model_fields if name != "sources"}
    return own | {variable(name, field) for name, kind in kinds().items() for field in kind.settings.model_fields}


def test_reference_names_every_setting() -> None:
    page = text_of("docs/reference.md")
    shortened = {"HASHPIVOT_ALERT_SLACK_URL": "_SLACK_URL", "HASHPIVOT_ALERT_MAIL_URL": "_MAIL_URL"}
    assert [name for name in sorted(variables()) if f"`{shortened.get(name, name)}`" not in page] == []


def test_pages_name_no_setting_that_does_not_exist() -> None:
    named = {name for page in pages() for name in re.findall(r"HASHPIVOT_[A-Z_]+[A-Z]", text_of(page))}
    known = variables() | {variable("esplora.backup", "url")}
    # A page may speak of the settings of a source by their beginning, and a checklist makes a source of its own.
    assert [n for n in sorted(named) if not any(k.startswith(n) for k in known) and "GEMINI" not in n] == []


def test_make_targets_in_pages_exist() -> None:
    """`make daily`, `make test` and `make check` are what CI itself runs; of the others only the recipe is read."""
    named = {words[1] for block in blocks("sh") for line in block.commands if (words := line.split())[0] == "make"}
    named |= {name for page in pages() for name in re.findall(r"`make ([a-z-]+)", text_of(page))}
    for name in sorted(named):
        done = subprocess.run(
            ["make", "--dry-run", name], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"make {name}: {done.stderr}"
