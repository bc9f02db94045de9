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


STARTER: Final = (
    leases.deal_id,
    deals.miner_name,
    deals.tenant_name,
    deals.site_name,
    *map(as_in_registry, ("announced_on", "kind", "lease_type")),
    deals.is_binding,
    deals.is_verified,
    *map(as_in_registry, ("critical_it_mw", "term_years", "contract_value_usd", "backstop_usd", "source_url")),
)
OTHERS: Final = (
    *map(as_in_registry, ("miner", "joint_venture", "tenant", "tenant_as_stated", "end_customer", "site", "site_part")),
    as_in_registry("state_or_country"),
    leases.confidence,
    *map(as_in_registry, ("gross_mw", "site_history")),
)

TABLE: Final = Table(
    name="deal_current",
    description="The deals that stand on the last day, each in its present version: one row a deal.",
    key=("deal_id",),
    starter_count=len(STARTER),
    metrics=(*STARTER, *OTHERS, day.sources),
    frame=frame,
    lineage=Lineage(origin=Origin.REGISTRY, rests_on=RESTS_ON),
)
