"""Publication to one or more targets: each shows all of it or none of it, whatever happens to the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import WarehouseError
from warehouse.targets.protocol import Publication, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A publication that at least one target shows."""

    version: str
    rows: Mapping[str, int]
    """By table."""
    pruned: Mapping[str, tuple[str, ...]]
    """By target that shows it, the versions that it no longer keeps."""
    failed: Mapping[str, WarehouseError]
    """By target that does not, why; its readers keep the version before."""


def publish(publication: Publication, targets: Sequence[Target]) -> Published:
    """Write and check `publication` at all `targets`, then let each of them show it to its readers.

    A target that fails does not keep the others from publishing. Raises `WarehouseError` when every one fails. After
    an exception of another kind, such as a stop, what was not shown is discarded.
    """
    written: list[Target] = []
    failed: dict[str, WarehouseError] = {}
    pruned: dict[str, tuple[str, ...]] = {}
    try:
        for target in targets:
            try:
                target.prepare(publication)
                target.write(publication)
                target.check(publication)
            except WarehouseError as error:
                failed[target.name] = error
            else:
                written.append(target)
        # All are written before the first one switches, so that they change within moments of one another.
        for target in written:
            try:
                target.switch(publication)
            except WarehouseError as error:
                failed[target.name] = error
            else:
                pruned[target.name] = target.prune(publication)
    finally:
        for target in targets:
            target.discard(publication)
    if failed and not pruned:
        first = next(iter(failed.values()))
        raise WarehouseError("; ".join(str(error) for error in failed.values())) from first
    return Published(
        version=publication.version,
        rows={name: rows.height for name, rows in publication.tables.items()},
        pruned=pruned,
        failed=failed,
    )
