"""Facts of every published table: those built from metrics and those of the registry."""

from collections.abc import Iterator, Mapping
from typing import Final

from schemas.published import TableFacts, columns_of, reference_columns
from schemas.registry import REGISTRY
from schemas.series import SERIES
from schemas.suppliers import REGISTRY as REGISTRY_SUPPLIER
from transforms.catalog import (
    CAPITULATION_DAILY,
    CONVERSION_DAILY,
    EXCHANGE_FLOW_DAILY,
    MINER_FLOW_DAILY,
    MINER_TRANSFER,
    POOL_DAILY,
    TABLES,
)

DERIVED: Final = tuple(
    TableFacts(
        name=table.name,
        description=table.description,
        key=table.key,
        columns=columns_of(table.metrics),
        source=REGISTRY_SUPPLIER.name if table.name == CONVERSION_DAILY.name else None,
    )
    for table in TABLES.values()
)
REFERENCE: Final = tuple(
    TableFacts(
        name=name,
        description=" ".join(str(schema.description).split()),
        key=tuple(schema.unique or ()),
        columns=reference_columns(schema),
        source=REGISTRY_SUPPLIER.name,
    )
    for name, schema in REGISTRY.items()
)
PUBLISHED: Final = (*DERIVED, *REFERENCE)


def column_sources(
    chosen: Mapping[str, str], block_source: str | None, flow_source: str | None, transfer_source: str | None
) -> dict[tuple[str, str], str]:
    """Suppliers behind each (table, column), comma-separated.

    `chosen` tells the source of each series. Lineage follows the expressions down to series and reference columns.
    """
    whole_table = {
        POOL_DAILY.name: block_source or "",
        EXCHANGE_FLOW_DAILY.name: flow_source or "",
        MINER_FLOW_DAILY.name: transfer_source or "",
        MINER_TRANSFER.name: transfer_source or "",
    }
    found = {}
    for facts in PUBLISHED:
        for column in facts.columns:
            if facts.name == CAPITULATION_DAILY.name:
                roots = set(_roots(column.name))
                suppliers = {chosen[root] for root in roots if root in chosen}
                if any(root not in SERIES and root not in ("day", "is_final", "sources") for root in roots):
                    suppliers.add(REGISTRY_SUPPLIER.name)
                found[facts.name, column.name] = ",".join(sorted(suppliers))
            else:
                found[facts.name, column.name] = facts.source or whole_table.get(facts.name, "")
    return found


def _roots(name: str) -> Iterator[str]:
    """Input columns that the metric `name` of the capitulation table rests on in the end."""
    named = {m.name: m for m in CAPITULATION_DAILY.metrics}
    pending, seen = [name], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in named and named[current].inputs:
            pending.extend(named[current].inputs)
        else:
            yield current
