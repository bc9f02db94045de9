"""Every hosted source as the fault matrix reads it, found by its module being here."""

import pkgutil
from dataclasses import dataclass
from importlib import import_module

from flows.sources.protocol import Request


@dataclass(frozen=True)
class Case:
    """`request` is small: it is made once a fault. Whatever happens, no more than `most_requests_count` follow."""

    source: str
    request: Request
    most_requests_count: int


def all_cases() -> list[Case]:
    return [import_module(f"{__name__}.{module.name}").CASE for module in pkgutil.iter_modules(__path__)]
