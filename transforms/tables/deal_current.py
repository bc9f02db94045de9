"""The deals that stand: one row each, without the versions that later ones replaced."""

from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.deals import RESTS_ON, named_deals
from transforms.metrics import day, deals, leases
from transforms.metrics.deals import as_in_registry
from transforms.prepare import Prepared


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The deals that stand on the last day."""
    named = named_deals(given.inputs.reference, given.inputs.through)
    return named.with_columns(pl.lit(REGISTRY.name).alias("sources"))


COLUMNS: Final = (
    leases.deal_id,
    as_in_registry("miner"),
    deals.miner_name,
    *map(as_in_registry, ("joint_venture", "tenant")),
    deals.tenant_name,
    *map(as_in_registry, ("tenant_as_stated", "end_customer", "site")),
    deals.site_name,
    *map(as_in_registry, ("site_part", "state_or_country", "kind", "lease_type")),
    deals.is_binding,
    deals.is_verified,
    leases.confidence,
    *map(as_in_registry, ("announced_on", "critical_it_mw", "gross_mw", "term_years", "contract_value_usd")),
    *map(as_in_registry, ("backstop_usd", "site_history", "source_url")),
)

TABLE: Final = Table(
    name="deal_current",
    description="The deals that stand on the last day, each in its present version: one row a deal.",
    key=("deal_id",),
    metrics=(*COLUMNS, day.sources),
    frame=frame,
    lineage=Lineage(origin=Origin.REGISTRY, rests_on=RESTS_ON),
)
