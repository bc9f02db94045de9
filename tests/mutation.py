"""Change one thing of the code at a time and count what the tests notice: `python -m tests.mutation transforms`.

Each mutant is one comparison, operator, constant, condition or returned value of a module, chosen at random; a copy of
the tree holds it while the tests of its folder run, those that import the module first, until one fails. Prints what
became of each mutant, and the share that was noticed. A survivor is equivalent, or a test is missing.
"""

import argparse
import ast
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Final

from tests import mutation_reach
from tests.invocation import REPOSITORY

TESTS_OF: Final = {
    "schemas": ("tests/house", "tests/examples", "tests/transforms", "tests/warehouse"),
    "transforms/attribution": ("tests/attribution", "tests/node/test_profile.py"),
    "transforms": (
        *("tests/examples", "tests/house/test_catalog.py", "tests/transforms", "tests/attribution"),
        *("tests/run/test_files_profile.py", "tests/run/test_transfer_years.py"),
    ),
    "warehouse": (
        *("tests/warehouse", "tests/attribution", "tests/command"),
        *("tests/run/test_rebuild.py", "tests/run/test_backup.py", "tests/run/test_past_days.py"),
        "tests/node/test_cold_start.py",
    ),
    "flows/sources/node": ("tests/node",),
    "flows/sources/lake": ("tests/lake",),
    "flows/sources/files": ("tests/sources",),
    "flows/sources/simulated": ("tests/sources", "tests/command"),
    "flows/sources": ("tests/live", "tests/sources"),
    "flows/run": ("tests/run", "tests/command", "tests/node/test_profile.py"),
    "flows/reports": ("tests/reports", "tests/command", "tests/scheduled/test_serve_alerts.py"),
    "flows/command": ("tests/command", "tests/scheduled/test_daily_flow.py", "tests/docs/test_page_commands.py"),
    "flows/scheduled": ("tests/scheduled",),
    "flows": ("tests/run", "tests/command"),
}
"""Where the tests of a folder stand; the longest name counts."""
LEFT_OUT: Final = ("flows/scheduled/warm_modules.py",)
LONGEST_SECONDS: Final = int(os.environ.get("MUTATION_LONGEST_SECONDS", "600"))
"""How long the tests of the module may take, and then those of the folder, which have not noticed what takes longer."""
SHORTEST_FIRST: Final = (6, 30)
"""How many of the tests that reach a place run before the rest of their files."""
NOT_REACHED: Final = ("tests/house", "tests/mutation")
"""Tests of the text of modules, which a note in each place changes."""
ENDLESS: Final = "endless"
NOTICED, SURVIVED, UNKNOWN = "noticed", "SURVIVED", "unknown"
_SOUND: Final[set[str]] = set()
"""Tests that were seen to pass without a change."""
_SECONDS: Final = itertools.count(1_000_000_000)
COMPARED: Final = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATED: Final = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: which node of the module's tree, in the order of a walk, and what it reads like."""

    path: str
    line: int
    position: int
    change: str


class _Mutator(ast.NodeTransformer):
    """Makes the change at one position, or with None lists all that could be made.

    `noted`: the numbers of places by position, which note that they are reached instead.
    """

    def __init__(self, wanted: int | None = None, noted: Mapping[int, int] | None = None) -> None:
        self.wanted, self.noted, self.position = wanted, noted or {}, -1
        self.found: list[tuple[int, int, str]] = []
        self.is_pattern = False

    def _offer(self, node: ast.AST, other: ast.AST) -> ast.AST:
        self.position += 1
        change = f"{' '.join(ast.unparse(node).split())[:60]} -> {' '.join(ast.unparse(other).split())[:60]}"
        self.found.append((self.position, getattr(node, "lineno", 0), change))
        if self.position in self.noted and not self.is_pattern:
            return ast.copy_location(mutation_reach.probe(self.noted[self.position], node), node)
        return ast.copy_location(other, node) if self.position == self.wanted else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        changed = COMPARED.get(type(node.ops[0]))
        return (
            self._offer(node, ast.Compare(node.left, [changed(), *node.ops[1:]], node.comparators)) if changed else node
        )

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if _is_text(node.left) or _is_text(node.right):
            return node
        self.generic_visit(node)
        changed = OPERATED.get(type(node.op))
        return self._offer(node, ast.BinOp(node.left, changed(), node.right)) if changed else node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        return self._offer(node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return self._offer(node, node.operand) if isinstance(node.op, (ast.Not, ast.Invert)) else node

    def visit_If(self, node: ast.If) -> ast.AST:
        if "TYPE_CHECKING" in ast.unparse(node.test) or "__name__" in ast.unparse(node.test):
            return node
        self.generic_visit(node)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if node.value is None or isinstance(node.value, ast.Constant):
            return node
        return self._offer(node, ast.Return(ast.Constant(None)))

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool):
            return self._offer(node, ast.Constant(not node.value))
        if isinstance(node.value, (int, float)):
            return self._offer(node, ast.Constant(node.value + 1))
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [self.visit(each) for each in node.body]
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.args.defaults = [self.visit(each) for each in node.args.defaults]
        node.args.kw_defaults = [each and self.visit(each) for each in node.args.kw_defaults]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "Example":  # a test that stands in the code
            return node
        self.generic_visit(node)
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        self.is_pattern = True
        self.generic_visit(node)
        self.is_pattern = False
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def mutants(folder: str) -> Iterator[Mutant]:
    """Every mutant of the modules below `folder`, in one order."""
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        name = path.relative_to(REPOSITORY).as_posix()
        if name in LEFT_OUT:
            continue
        mutator = _Mutator()
        mutator.visit(ast.parse(path.read_text("utf-8")))
        for position, line, change in mutator.found:
            yield Mutant(name, line, position, change)


def outcome_of(mutant: Mutant, tree: Path, reaching: Sequence[str] = ()) -> str:
    """What tests do while the copy of the project in `tree` holds the mutant: those `reaching` its place, if known.

    `NOTICED` where one fails, or those of the module do not end, `SURVIVED` where none does, and `UNKNOWN`
    where the one that fails does so without the mutant too.
    """
    path = tree / mutant.path
    original = path.read_text("utf-8")
    changed = _Mutator(mutant.position).visit(ast.parse(original))
    _write(path, ast.unparse(ast.fix_missing_locations(changed)))
    first, *then = _in_turn(mutant.path, reaching) if reaching else _tests_of(mutant.path)
    try:
        failed = _failure(first, tree)
        for tests in then:
            if failed is None:
                failed = _failure(tests, tree)
                failed = None if failed == ENDLESS else failed
    finally:
        _write(path, original)
    if failed is None:
        return SURVIVED
    if failed not in (ENDLESS, *_SOUND) and _failure([failed], tree):
        print(f"{failed}: fails without a change too; mend it", file=sys.stderr, flush=True)
        return UNKNOWN
    _SOUND.add(failed)
    return NOTICED


def _write(path: Path, text: str) -> None:
    """Write a module with a time that no version of it had, by which Python sees that its bytecode is of another."""
    path.write_text(text, "utf-8")
    seconds = next(_SECONDS)
    os.utime(path, (seconds, seconds))


def _tests_of(path: str) -> tuple[list[str], list[str]]:
    """Test files for a module: those that import it and are about its folder, and all others of the folder."""
    folder = max((each for each in TESTS_OF if path.startswith(f"{each}/")), key=len)
    module = path.removesuffix(".py").replace("/", ".")
    parent, _, name = module.rpartition(".")
    files = [file for each in TESTS_OF[folder] for file in _files(REPOSITORY / each)]
    first = [file for file in files if _imports(file, module, parent, name)]
    names = {file: file.relative_to(REPOSITORY).as_posix() for file in files}
    return [names[file] for file in first], [names[file] for file in files if file not in first]


def _in_turn(path: str, reaching: Sequence[str]) -> Iterator[list[str]]:
    """The tests that reach a place: first the shortest, of files that import its module, at last all of their files."""
    of_module = set(_tests_of(path)[0])
    ranked = mutation_reach.by_seconds(reaching, len(reaching))
    ranked.sort(key=lambda test: test.partition("::")[0] not in of_module)
    done = 0
    for most in SHORTEST_FIRST:
        yield ranked[done:most]
        done = most
    yield sorted({test.partition("::")[0] for test in reaching})


def reaching_tests(chosen: Sequence[Mutant], folder: Path, processes: int) -> list[list[str]]:
    """For each mutant the tests that reach its place, by the notes in `folder`; without it, all tests run once."""
    listed = "".join(f"{mutant}\n" for mutant in chosen)
    if not folder.exists():
        mutation_reach.prepare(folder)
        with tempfile.TemporaryDirectory(prefix="mutation-") as place:
            tree = _copied(Path(place, "noted"))
            (tree / f"{mutation_reach.MODULE.replace('.', '/')}.py").write_text(mutation_reach.PROBE, "utf-8")
            for path in {mutant.path for mutant in chosen}:
                noted = {mutant.position: n for n, mutant in enumerate(chosen) if mutant.path == path}
                module = _Mutator(noted=noted).visit(ast.parse((tree / path).read_text("utf-8")))
                text = ast.unparse(ast.fix_missing_locations(mutation_reach.with_import(module)))
                (tree / path).write_text(text, "utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutation_reach", "-p", "no:cacheprovider"]
            command += [f"--numprocesses={processes}", "--dist=loadfile", "--no-loadscope-reorder", "tests"]
            command += [f"--ignore={tests}" for tests in NOT_REACHED]
            subprocess.run(
                command, cwd=tree, env=_environment(tree) | {mutation_reach.FOLDER: str(folder)}, check=False
            )
        (folder / "mutants").write_text(listed, "utf-8")
    if (folder / "mutants").read_text("utf-8") != listed:
        raise SystemExit(f"error: {folder} has notes of other mutants or of a run that did not end; remove it")
    return mutation_reach.tests_that_reach(folder, len(chosen))


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("test_*.py"), key=lambda file: file.stat().st_size) if place.is_dir() else [place]


def _imports(file: Path, module: str, parent: str, name: str) -> bool:
    text = file.read_text("utf-8")
    return f"{module} import" in text or f"import {module}" in text or f"from {parent} import {name}" in text


def _failure(tests: list[str], tree: Path) -> str | None:
    """The first test, or file, that fails; `ENDLESS` where they do not end."""
    if not tests:
        return None
    environment = _environment(tree)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-rfE", "--no-header", "-p", "no:cacheprovider", *tests]
    with tempfile.TemporaryFile("w+") as output:
        run = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            if run.wait(LONGEST_SECONDS) == 0:
                return None
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, 9)
            run.wait()
            return ENDLESS
        output.seek(0)
        named = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output.read(), re.MULTILINE)
        return named[1] if named else tests[0]


def _environment(tree: Path) -> dict[str, str]:
    shared = REPOSITORY.parent / "shared"
    found = {"HASHPIVOT_TEST_DATA": str(shared / "data"), "HASHPIVOT_TEST_BITCOIND": str(shared / "regtest" / "bin")}
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return found | inherited | {"PYTHONPATH": str(tree)}


def main() -> int:
    """Try mutants of the folders that the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="transforms, warehouse, flows/run ...")
    parser.add_argument("--mutants", type=int, default=100, help="how many a folder (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (%(default)s)")
    parser.add_argument("--skip", type=int, default=0, help="mutants of each folder that were tried already")
    parser.add_argument("--reach", type=Path, metavar="FOLDER", help="notes of which tests reach each mutant")
    options = parser.parse_args()
    every = {folder: list(mutants(folder)) for folder in options.folders}
    chosen = {
        folder: random.Random(options.seed).sample(found, min(options.mutants, len(found)))
        for folder, found in every.items()
    }
    tried = [mutant for folder in options.folders for mutant in chosen[folder]]
    reaching: dict[Mutant, list[str]] = {}
    if options.reach:
        noted = reaching_tests(tried, options.reach.absolute(), processes=2 * options.jobs)
        reaching = dict(zip(tried, noted, strict=True))
    trees: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        for n in range(options.jobs):
            trees.put(_copied(Path(place, str(n))))

        def one(mutant: Mutant) -> tuple[str, float]:
            tree, began = trees.get(), time.monotonic()
            try:
                return outcome_of(mutant, tree, reaching.get(mutant, ())), time.monotonic() - began
            finally:
                trees.put(tree)

        print("| folder | mutants | noticed | share |\n|---|---|---|---|")
        for folder in options.folders:
            outcomes: Counter[str] = Counter()
            with ThreadPoolExecutor(options.jobs) as executor:
                left = chosen[folder][options.skip :]
                for mutant, (outcome, seconds) in zip(left, executor.map(one, left), strict=True):
                    outcomes[outcome] += 1
                    line = f"{outcome} {seconds:4.0f} s {mutant.path}:{mutant.line}: {mutant.change}"
                    print(line, file=sys.stderr, flush=True)
            known = outcomes[NOTICED] + outcomes[SURVIVED]
            share = f"{outcomes[NOTICED] / known:.0%}" if known else "none known"
            print(f"| {folder} | {known} of {len(every[folder])} | {outcomes[NOTICED]} | {share} |", flush=True)
    return 0


def _copied(tree: Path) -> Path:
    """A copy of the project with a link to its environments; `import` finds it before what is installed there."""
    shutil.copytree(
        REPOSITORY, tree, symlinks=True, ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", "build")
    )
    # Without it the commands that tests start would run where the tests do, with more than users have.
    (tree / ".venv").symlink_to(REPOSITORY / ".venv")
    # Tests that copy the project copy what Git lists.
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    (tree / ".git" / "info" / "exclude").write_text(".venv\n", "utf-8")
    return tree


if __name__ == "__main__":
    sys.exit(main())
