"""Which module publishes to an address: one line a scheme. `schemas.targets` states what their addresses look like."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from schemas.targets import scheme_of
from warehouse.targets.finished import CopyTarget


def _bucket(address: str, keep: int, time_scale: float) -> CopyTarget:
    from warehouse.targets.bucket import BucketTarget

    return BucketTarget(address=address, keep=keep, time_scale=time_scale)


def _postgres(address: str, keep: int, time_scale: float) -> CopyTarget:
    from warehouse.targets.postgresql import PostgresTarget

    # A server keeps the version that readers have by its locks, so that no other one is needed.
    return PostgresTarget(address=address, time_scale=time_scale)


OPENED_BY: Final[Mapping[str, Callable[[str, int, float], CopyTarget]]] = MappingProxyType(
    {"postgresql": _postgres, "s3": _bucket}
)
"""A module is imported where an address needs it: its library may take long."""


def target_at(address: str, *, keep: int, time_scale: float = 1) -> CopyTarget:
    """The target at an address that `schemas.targets.target_addresses` gave, which keeps so many versions.

    `time_scale` shrinks pauses and time-outs. Makes no request.
    """
    return OPENED_BY[scheme_of(address)](address, keep, time_scale)
