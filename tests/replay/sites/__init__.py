"""Every replayed source, found by its module being here."""

import pkgutil
from importlib import import_module

from tests.replay.site import ReplaySite


def all_sites() -> list[ReplaySite]:
    """A new instance of each."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        for each in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(each, type) and issubclass(each, ReplaySite) and each is not ReplaySite:
                found.append(each())
    return found
