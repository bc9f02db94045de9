"""What each standing contract is worth to the miner."""

from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.inputs.leases import standing_contracts
from transforms.metrics import day, lease_costs, leases
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The contracts that stand on the last day, beside the assumptions and the market of that day."""
    market = tables[capitulation_daily.TABLE.name]
    contracts = standing_contracts(given.inputs.reference, market, given.inputs.through)
    return contracts.with_columns(pl.lit(REGISTRY.name).alias("sources"))


STARTER: Final = (
    leases.deal_id,
    leases.miner,
    leases.tenant,
    leases.lease_type,
    leases.confidence,
    leases.critical_it_mw,
    leases.term_years,
    leases.contract_usd_per_mw_year,
    leases.npv_low_usd,
    leases.npv_usd,
    leases.npv_high_usd,
    leases.npv_after_mining_usd,
    leases.irr_pct,
    leases.payback_years,
    lease_costs.cost_is_assumed,
)

TABLE: Final = Table(
    name="lease_economics",
    description="What each standing contract is worth to the miner, on stated assumptions: one row a deal.",
    key=("deal_id",),
    starter_count=len(STARTER),
    metrics=starting_with(STARTER, (*leases.METRICS, *lease_costs.METRICS, day.sources)),
    frame=frame,
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(origin=Origin.REGISTRY),
)
