"""Which module publishes to an address: one line a scheme. `schemas.targets` states what their addresses look like."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from schemas.targets import scheme_of
from warehouse.targets.finished import CopyTarget


def _bucket(address: str, keep: int, _: int | None, time_scale: float) -> CopyTarget:
    from warehouse.targets.bucket import BucketTarget

    return BucketTarget(address=address, keep=keep, time_scale=time_scale)


def _ducklake(address: str, _: int, keep_snapshots: int | None, time_scale: float) -> CopyTarget:
    from warehouse.targets.ducklake import DuckLakeTarget

    return DuckLakeTarget(address=address, keep=keep_snapshots, time_scale=time_scale)


def _postgres(address: str, keep: int, _: int | None, time_scale: float) -> CopyTarget:
    from warehouse.targets.postgresql import PostgresTarget

    # A server keeps the version that readers have by its locks, so that no other one is needed.
    return PostgresTarget(address=address, time_scale=time_scale)


OPENED_BY: Final[Mapping[str, Callable[[str, int, int | None, float], CopyTarget]]] = MappingProxyType(
    {"ducklake": _ducklake, "postgresql": _postgres, "s3": _bucket}
)
"""A module is imported where an address needs it: its library may take long."""


def target_at(address: str, *, keep: int, keep_snapshots: int | None = None, time_scale: float = 1) -> CopyTarget:
    """The target at an address that `schemas.targets.target_addresses` gave.

    It keeps so many whole versions; one with a history keeps `keep_snapshots` publications of it, all without a number.
    `time_scale` shrinks pauses and time-outs. Makes no request.
    """
    return OPENED_BY[scheme_of(address)](address, keep, keep_snapshots, time_scale)
