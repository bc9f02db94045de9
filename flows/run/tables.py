"""Facts of every published table: those built from metrics and those of the registry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from schemas.published import TableFacts, columns_of, reference_columns
from schemas.registry import REGISTRY
from schemas.series import SERIES
from schemas.suppliers import REGISTRY as REGISTRY_SUPPLIER
from transforms.catalog import (
    CAPITULATION_DAILY,
    CONVERSION_DAILY,
    EXCHANGE_FLOW_DAILY,
    FILING_CANDIDATE,
    LEASE_ECONOMICS,
    MINER_FLOW_DAILY,
    MINER_TRANSFER,
    POOL_DAILY,
    SECURITY_DAILY,
    TABLES,
    Table,
)
from transforms.inputs.concentration import FROM_POOLS, MERGED_POOLS
from transforms.inputs.security import MADE_FROM

DERIVED: Final = tuple(
    TableFacts(
        name=table.name,
        description=table.description,
        key=table.key,
        columns=columns_of(table.metrics),
        source=REGISTRY_SUPPLIER.name if table.name == LEASE_ECONOMICS.name else None,
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


LINEAGE: Final = (SECURITY_DAILY, CONVERSION_DAILY, CAPITULATION_DAILY)
"""Tables whose columns are followed to their series: each reads columns of those after it."""
MARKS: Final = ("day", "is_final", "sources")


def column_sources(
    chosen: Mapping[str, str],
    block_source: str | None,
    flow_source: str | None,
    transfer_source: str | None,
    filing_source: str | None = None,
) -> dict[tuple[str, str], str]:
    """Suppliers behind each (table, column), comma-separated.

    `chosen` tells the source of each series. Lineage follows the expressions down to series and reference columns.
    """
    whole_table = {
        POOL_DAILY.name: block_source or "",
        EXCHANGE_FLOW_DAILY.name: flow_source or "",
        MINER_FLOW_DAILY.name: transfer_source or "",
        MINER_TRANSFER.name: transfer_source or "",
        FILING_CANDIDATE.name: filing_source or "",
    }
    followed = {table.name: LINEAGE[n:] for n, table in enumerate(LINEAGE)}
    found = {}
    for facts in PUBLISHED:
        for column in facts.columns:
            if facts.name in followed:
                roots = set(_roots(column.name, followed[facts.name]))
                suppliers = {chosen[root] for root in roots if root in chosen}
                if block_source and roots & set(FROM_POOLS):
                    suppliers.add(block_source)
                if roots - set(SERIES) - set(MARKS) - set(FROM_POOLS) or MERGED_POOLS in roots:
                    suppliers.add(REGISTRY_SUPPLIER.name)
                found[facts.name, column.name] = ",".join(sorted(suppliers))
            else:
                found[facts.name, column.name] = facts.source or whole_table.get(facts.name, "")
    return found


def _roots(name: str, tables: Sequence[Table]) -> Iterator[str]:
    """Input columns that the metric `name` of the first of `tables` rests on in the end.

    A column that the first table only takes over is looked for in the ones after it.
    """
    named = {m.name: m for table in reversed(tables) for m in table.metrics}
    pending, seen = [name], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in MADE_FROM:
            pending.extend(MADE_FROM[current])
        elif current in named and named[current].inputs:
            pending.extend(named[current].inputs)
        else:
            yield current
