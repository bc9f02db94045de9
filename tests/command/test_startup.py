"""Imports without the collector: it is back afterwards, as it was, and leaves alone what was made meanwhile."""

import gc
import subprocess
from collections.abc import Iterator

import pytest

from flows.startup import importing
from tests.invocation import PYTHON, clean_environment


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """What a test freezes, the other tests of this process must not have to carry."""
    yield
    gc.unfreeze()
    gc.enable()


def test_collector_rests_inside_and_leaves_alone_what_was_made_there() -> None:
    before = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
        made = [[] for _ in range(1_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() - before >= len(made)


def test_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with importing():
        pass
    assert not gc.isenabled()


def test_import_that_fails_brings_the_collector_back() -> None:
    with pytest.raises(ModuleNotFoundError), importing():
        import no_such_module  # type: ignore[import-not-found] # noqa: F401
    assert gc.isenabled()


SEARCHES = """
import sys
from flows.startup import importing
with importing():
    import duckdb
sought = []
class Finder:
    def find_spec(name, path=None, target=None):
        sought.append(name)
sys.meta_path.append(Finder)
print(duckdb.connect().execute("select ? + ?", [20, 22]).fetchone(), sought)
"""


def test_what_is_not_installed_is_not_sought_at_each_parameter_of_a_statement() -> None:
    done = subprocess.run(
        [PYTHON, "-c", SEARCHES], env=clean_environment(), capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "(42,) []\n"
