"""Imports without the garbage collector: modules live as long as the process, so nobody need walk them."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

SOUGHT: Final = ("pandas", "pyarrow")
"""What DuckDB tries to import at each parameter and each registered frame, found or not."""


@contextmanager
def importing() -> Iterator[None]:
    """Import inside the block what the process keeps until its end.

    Large libraries make some hundred thousand objects that never die. Walking them again and again takes a fifth of
    their import, and walking them once more takes as long at the end of the process. What is made in the block, and
    whatever lives already, the collector leaves alone from then on. What is not installed then is not sought again:
    each of a thousand attempts a run would search every folder of modules.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in SOUGHT:
            if name not in sys.modules and find_spec(name) is None:
                sys.modules[name] = None  # type: ignore[assignment]  # as the import system documents it
        gc.freeze()
        if was_enabled:
            gc.enable()
