"""Every command and query in a page, run as a reader would: from top to bottom, in a folder of its own."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, blocks
from tests.invocation import COMMAND, clean_environment, invoke, made_once, run_command
from tests.node.replay_node import ReplayNode, recorded
from tests.object_storage import object_storage
from tests.postgres_server import PUBLISHER, READER, postgres_server
from tests.replay import ReplayServer
from tests.replay.sites import all_sites

RUN = [block for block in blocks("sh", "sql", "python") if not block.page.startswith("docs/contributing/")]
"""Of all pages but the checklists, which `test_checklists` follows on a copy of the tree."""
PAGES = sorted({block.page for block in RUN})
BEFORE_THE_FIRST_RUN = {
    *("README.md", "docs/own-node.md", "docs/own-data.md", "docs/live-sources.md", "docs/block-lake.md"),
    "docs/quarantine.md",
}
BI = Path(os.environ.get("HASHPIVOT_TEST_BI", REPOSITORY / ".venv" / "bi" / "bin" / "python"))
"""Python of an environment with what analysts use, which `make test` makes."""
PYTHON_OF = {"docs/bi.md": BI, "docs/target_postgresql.md": BI}
WITH_EXTRAS = {"docs/target_ducklake.md"}
"""Pages whose commands run in the environment of the tests, which has the extras."""
PLAIN = re.compile(r"""hashpivot( [\w./:=,@"'-]+)+""")
"""A command that a shell only divides into its arguments, so that it needs no start of its own."""
TIME_SCALE = 0.1
LABELS = REPOSITORY / "tests" / "attribution" / "recorded" / "labels.csv"


@contextmanager
def hosted_sources() -> Iterator[Mapping[str, str]]:
    """The replay server in the place of hosted sources."""
    with ReplayServer(all_sites(), time_scale=TIME_SCALE) as server:
        yield server.settings()


@contextmanager
def node(folder: Path) -> Iterator[Mapping[str, str]]:
    """A replay of a recorded node."""
    node = ReplayNode(folder / "node.cookie", chain=list(recorded()))
    node.start()
    try:
        yield {
            "HASHPIVOT_NODE_URL": node.url,
            "HASHPIVOT_NODE_COOKIE_FILE": str(node.cookie_file),
            "HASHPIVOT_NODE_CHAIN": "regtest",
            "HASHPIVOT_LABELS_FILE": str(LABELS),
        }
    finally:
        node.stop()


def put_export_with_a_day_twice(folder: Path) -> None:
    """A file of a vendor that states two prices of one day."""
    days = [date(2026, 2, 1) + timedelta(days=n) for n in range(60)]
    cells = ((day, f"{60_000 + n}") for n, day in enumerate(days))
    lines = [f"{day},144,{price}" for day, price in cells] + [f"{days[-10]},144,61000"]
    folder.mkdir()
    (folder / "btc.csv").write_text("\n".join(["time,BlkCnt,PriceUSD", *lines]) + "\n", encoding="utf-8")


@contextmanager
def surroundings(page: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """What a page takes for granted: outside systems, files, and the two commands that the README begins with."""
    with ExitStack() as stack:
        settings: dict[str, str] = {}
        if page in {"README.md", "docs/live-sources.md", "docs/block-lake.md"}:
            settings |= stack.enter_context(hosted_sources())
        if page == "docs/own-node.md":
            settings |= stack.enter_context(node(folder))
        if page in {"docs/targets.md", "docs/target_bucket.md"}:
            storage = stack.enter_context(object_storage())
            storage.make_bucket("my-bucket")
            settings |= storage.environment() | {"AWS_ALLOW_HTTP": "true"}
        if page == "docs/target_postgresql.md":
            settings |= stack.enter_context(postgres_server()).service_file(folder, tables=PUBLISHER, reader=READER)
        if page == "docs/own-data.md":
            shared: Path = request.getfixturevalue("shared_data")
            for name in ("coinmetrics", "cryptoquant", "pool_blocks"):
                shutil.copytree(shared / name, folder / "exports" / name)
        if page == "docs/quarantine.md":
            put_export_with_a_day_twice(folder / "exports")
        profiles = [block for block in blocks("toml") if block.page == page and "sources = " in block.text]
        for block in profiles:
            (folder / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text, encoding="utf-8")
        # Where a page begins after the first run, there has been one.
        if page not in BEFORE_THE_FIRST_RUN:
            shutil.copytree(request.getfixturevalue("first_run"), folder, symlinks=True, dirs_exist_ok=True)
        yield settings


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the command has run once."""

    def run(folder: Path) -> None:
        assert invoke(folder, "daily", "--plain").returncode == 0

    return made_once(tmp_path_factory, "first-run", run)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The caller's environment with the command on its path, under both names that pages use."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "hashpivot").symlink_to(COMMAND)
    (folder / "python").symlink_to(sys.executable)
    return clean_environment(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_queries_of_the_page_work(
    page: str, environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    python = PYTHON_OF.get(page, Path(sys.executable))
    if not python.is_file():
        pytest.skip(f"NOT TESTED that the programs of {page} run: no {python}, run `make .venv/.bi`")
    with surroundings(page, tmp_path, request) as settings:
        there = environment | {"HOME": str(tmp_path)} | dict(settings)
        if page in WITH_EXTRAS:
            there["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{there['PATH']}"
        for block in (block for block in RUN if block.page == page):
            if block.kind == "sql":
                for statement in block.statements:
                    done = run_command("sql", statement, "--json", folder=tmp_path, environment=there)
                    assert done.returncode == 0, f"{block}: {done.stderr}"
                    assert done.stdout.strip().startswith("["), f"{block}: {done.stdout[:200]}"
                    assert done.stdout.strip() != "[]" or "meta.quality" in statement, f"{block}: no row"
                continue
            commands = block.commands if block.kind == "sh" else [f"{python} -c {shlex.quote(block.text)}"]
            for command in commands:
                if command.startswith("make "):
                    continue  # CI runs these two itself; `test_make_targets_in_pages_exist` looks at the others
                line = command.replace(".venv/bin/", "") if block.kind == "sh" else command
                if page not in WITH_EXTRAS and PLAIN.fullmatch(line):
                    done = run_command(*shlex.split(line)[1:], folder=tmp_path, environment=there)
                else:
                    done = subprocess.run(
                        line, shell=True, cwd=tmp_path, env=there, capture_output=True, text=True, timeout=300
                    )
                assert done.returncode == 0, f"{block}: {command}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"


def test_pages_have_commands_of_every_kind() -> None:
    """Or the test above would pass over pages that hold none."""
    assert {block.kind for block in RUN} == {"sh", "sql", "python"}
    assert {
        "README.md",
        "docs/getting-started.md",
        "docs/own-data.md",
        "docs/own-node.md",
        "docs/live-sources.md",
    } <= set(PAGES)


def test_blocks_that_are_not_run_are_few_and_known() -> None:
    """A command that nobody runs is marked `text`; there is one for each thing that does not end by itself."""
    known = {
        "deploy/superset/README.md": "superset-env/bin/superset",
        "docs/bi.md": "alt.Chart",
        "docs/block-lake.md": "--profile lake",
        "docs/live-sources.md": "-m tests.replay",
        "docs/own-node.md": "hashpivot explain",
        "docs/reliability.md": "-m tests.campaign",
        "docs/scaling.md": "dask",
        "docs/scheduling.md": "hashpivot serve",
        "docs/target_bucket.md": "latest.json",
        "docs/target_ducklake.md": "install ducklake",
        "docs/target_postgresql.md": "user=hashpivot",
    }
    for block in blocks("text"):
        if "hashpivot" in block.text or "python -m" in block.text:
            assert known.get(block.page, "?") in block.text or "* * *" in block.text, str(block)
