"""What a publication is, and what a place to publish to must be able to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import polars as pl

from schemas.partition import Partition, Partitions
from schemas.table import Table
from warehouse.views import View

PublishedRows: TypeAlias = pl.DataFrame | Partitions
"""All rows of a table, or the parts that it is published in."""


def parts_of(rows: PublishedRows) -> tuple[Partition, ...]:
    """The parts that a table is published in; none of one that is published whole."""
    return rows.parts if isinstance(rows, Partitions) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Everything that goes into one version: tables that have passed their schemas, and rows of the meta tables."""

    version: str
    created_at: datetime
    tables: Mapping[str, PublishedRows]
    facts: Sequence[Table]
    meta: Mapping[str, pl.DataFrame]
    about: Mapping[str, Any]
    """Facts for the manifest: profile, day, run, whether simulated."""
    pages: Callable[[], Mapping[str, bytes]] = dict
    """Gives by name the files of the report, for people; a target that holds tables alone does not call it.

    The same at each call, and from any thread, so that they can be made while tables are written.
    """
    views: Sequence[View] = ()
    """Of a target that is a database."""


class Target(Protocol):
    """A place that publications are written to.

    `warehouse.publish.publish` calls the steps in the order below. Until `switch` returns, readers see the version
    before, whole; afterwards they see the new one, whole, also after a kill at any moment between. Every step but
    `discard` raises `WarehouseError` where it fails: thing, found, expected, what to do, in one line.
    """

    @property
    def name(self) -> str:
        """Names the target in reports; unique among the targets of a run."""

    def prepare(self, publication: Publication) -> None:
        """Make the place ready to write to, and remove what an earlier attempt has left."""

    def write(self, publication: Publication) -> None:
        """Write the version where no reader looks for it: a draft folder, a schema, a prefix."""

    def check(self, publication: Publication) -> None:
        """Read back what was written, as a reader would, and compare it with the publication."""

    def switch(self, publication: Publication) -> None:
        """Lead all readers to the version in one step: a link, a transaction, one small object."""

    def prune(self, publication: Publication) -> tuple[str, ...]:
        """Remove versions that are not kept, never this one, and return their names."""

    def discard(self, publication: Publication) -> None:
        """Remove what is left of a version that was not switched to; nothing where it was. Raises nothing."""
