"""Which tests run the places of chosen mutants: one run of the tests over a tree in which each place reports itself.

The tree holds every module with `reached(n)` around the place of mutant n. A process of the tests, or one that descends
from it, notes its test for the place. Imported as a plugin of pytest it notes how long each test takes.
"""

import ast
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = "MUTATION_REACH"
"""The variable with the folder of the notes."""
RUNNING, REACHED, SECONDS = "running", "reached", "seconds"
BEFORE_TESTS: Final = "collection"
MODULE: Final = "schemas.mutation_probe"
"""Where the tree has the probe: in a folder that tests copy when they copy the project."""
PROBE: Final = '''
import os
import time

FOLDER = os.environ.get("MUTATION_REACH", "")
current = None
_ancestor = None
_noted = set()
_read_at = {}


def _test():
    """The test that runs now in the process of tests that this one is, or descends from."""
    global _ancestor
    if _ancestor is None:
        pid = os.getpid()
        while pid > 1:
            if os.path.exists(f"{FOLDER}/running/{pid}"):
                break
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                    pid = int(stat.read().rpartition(")")[2].split()[1])
            except OSError:
                pid = 0
        _ancestor = pid
    try:
        with open(f"{FOLDER}/running/{_ancestor}", encoding="utf-8") as running:
            return running.read() or "collection"
    except OSError:
        return "collection"


def reached(number):
    """Note the running test, which another process looks up at most ten times a second and place; false."""
    if not FOLDER:
        return False
    now = time.monotonic()
    if current is not None or now - _read_at.get(number, -1.0) > 0.1:
        _read_at[number] = now
        noted = (number, current if current is not None else _test())
        if noted not in _noted:
            _noted.add(noted)
            try:
                with open(f"{FOLDER}/reached/{number}", "a", encoding="utf-8") as notes:
                    notes.write(noted[1] + "\\n")
            except OSError:
                pass
    return False
'''
"""The text of that module: nothing but the standard library, since every process imports it. `current`
is the test, in the process of tests itself."""


def pytest_configure() -> None:
    """Make this process one whose tests are noted."""
    if folder := os.environ.get(FOLDER):
        Path(folder, RUNNING, str(os.getpid())).write_text("", "utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note which test runs, and how long it took."""
    folder, began = os.environ.get(FOLDER, ""), time.monotonic()
    running = Path(folder, RUNNING, str(os.getpid()))
    if folder:
        running.write_text(item.nodeid, "utf-8")
        _set_current(item.nodeid)
    result = yield
    if folder:
        running.write_text("", "utf-8")
        _set_current(BEFORE_TESTS)
        with Path(folder, SECONDS, str(os.getpid())).open("a", encoding="utf-8") as notes:
            notes.write(f"{time.monotonic() - began:.3f} {item.nodeid}\n")
    return result


def _set_current(test: str) -> None:
    # That tree alone has it.
    import_module(MODULE).current = test  # type: ignore[attr-defined]


def prepare(folder: Path) -> None:
    """Make the folder of notes."""
    for name in (RUNNING, REACHED, SECONDS):
        (folder / name).mkdir(parents=True)


def tests_that_reach(folder: Path, places: int) -> list[list[str]]:
    """For each place, the tests that ran it, the shortest first; none where it runs only while modules are imported."""
    seconds: dict[str, float] = {}
    for notes in (folder / SECONDS).iterdir():
        for line in notes.read_text("utf-8").splitlines():
            took, _, test = line.partition(" ")
            seconds[test] = float(took)
    found: Mapping[int, set[str]] = defaultdict(set)
    for notes in (folder / REACHED).iterdir():
        found[int(notes.name)].update(notes.read_text("utf-8").splitlines())
    return [sorted(found[n] & seconds.keys(), key=lambda test: (seconds[test], test)) for n in range(places)]


def with_import(tree: ast.Module) -> ast.Module:
    """The module with an import of the probe after its docstring and the imports of `__future__`."""
    at = 0
    while at < len(tree.body) and (
        (at == 0 and isinstance(tree.body[at], ast.Expr) and isinstance(tree.body[at].value, ast.Constant))  # type: ignore[attr-defined]
        or (isinstance(tree.body[at], ast.ImportFrom) and tree.body[at].module == "__future__")  # type: ignore[attr-defined]
    ):
        at += 1
    tree.body.insert(at, ast.ImportFrom(MODULE, [ast.alias("reached", "_reached")], 0))
    return tree


def probe(number: int, node: ast.AST) -> ast.AST:
    """The node as it was, with a note that its place is reached."""
    call = ast.Call(ast.Name("_reached", ast.Load()), [ast.Constant(number)], [])
    if isinstance(node, ast.Return):
        assert node.value is not None
        return ast.Return(ast.IfExp(call, ast.Constant(None), node.value))
    assert isinstance(node, ast.expr)
    return ast.IfExp(call, ast.Constant(None), node)


def by_seconds(tests: Sequence[str], most: int) -> list[str]:
    """At most so many of the tests, of each file the shortest before the second of another."""
    of_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        of_file[test.partition("::")[0]].append(test)
    ranked = [(place, test) for group in of_file.values() for place, test in enumerate(group)]
    return [test for _, test in sorted(ranked, key=lambda pair: pair[0])][:most]
