"""Imports without the collector: it is back afterwards, as it was, and leaves alone what was made meanwhile."""

import gc
from collections.abc import Iterator

import pytest

from flows.startup import importing


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
