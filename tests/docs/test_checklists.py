"""Each checklist for contributors, followed word by word on a copy of the tree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, Block, blocks
from tests.invocation import clean_environment

CHECKLISTS = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs" / "contributing").glob("*.md"))
OFTEN = ("metric", "source", "table")
"""What is added most; the other checklists are followed once a week."""
FILE = "# file: "
"""Begins a block that is a new file, and names it."""


def copy_of_the_tree(folder: Path) -> None:
    """Every file that git knows or would take, as it is in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source = REPOSITORY / name
        if source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


def environment_of(tree: Path, folder: Path) -> dict[str, str]:
    """An environment in which `hashpivot` and `python` run the code of `tree`."""
    folder.mkdir()
    for name, arguments in {"hashpivot": "-m flows.command.cli", "python": ""}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return clean_environment(
        PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=str(tree), HOME=str(folder),
        HASHPIVOT_HOME=str(folder / "data"), PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip


def run(command: str, tree: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=tree, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def follow(block: Block, tree: Path, environment: dict[str, str]) -> None:
    """Do what one block says: apply an edit, write a file, or run commands."""
    if block.kind == "diff":
        applied = subprocess.run(
            ["git", "apply", "--recount", "-"],
            cwd=tree,
            env=environment | {"GIT_CEILING_DIRECTORIES": str(tree.parent)},
            input=block.text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert applied.returncode == 0, f"{block}: {applied.stderr}"
    elif block.text.startswith(FILE):
        path = tree / block.text.splitlines()[0].removeprefix(FILE)
        assert not path.exists(), f"{block}: {path.name} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text.partition("\n")[2], encoding="utf-8")
    elif block.kind == "sh":
        for command in block.commands:
            done = run(command, tree, environment)
            shown = f"{block}: {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            assert done.returncode == 0, shown
            assert "deselected" not in done.stdout or "passed" in done.stdout, shown


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[] if Path(page).stem in OFTEN else pytest.mark.long) for page in CHECKLISTS]
)
def test_checklist_leads_to_what_it_promises(page: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    copy_of_the_tree(tree)
    environment = environment_of(tree, tmp_path / "commands")
    steps = [block for block in blocks("diff", "sh", "python", "toml", "sql", "csv") if block.page == page]
    assert steps[-1].kind == "sh", "a checklist ends in commands that show what was added"
    for block in steps:
        follow(block, tree, environment)
    lint = run(f"{sys.executable} -m ruff check . && {sys.executable} -m ruff format --check .", tree, environment)
    assert lint.returncode == 0, lint.stdout
