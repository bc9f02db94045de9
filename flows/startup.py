"""Imports without the garbage collector: modules live as long as the process, so nobody need walk them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Import inside the block what the process keeps until its end.

    Large libraries make some hundred thousand objects that never die. Walking them again and again takes a fifth of
    their import, and walking them once more takes as long at the end of the process. What is made in the block, and
    whatever lives already, the collector leaves alone from then on.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
