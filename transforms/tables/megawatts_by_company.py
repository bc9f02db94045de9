"""Power contracted and switched on, by day and company; the table by tenant is built here as well."""

from dataclasses import replace
from typing import Final

import polars as pl

from schemas.metric import Metric
from schemas.table import Lineage, Origin, Table, Tables
from schemas.units import Aggregation
from transforms.inputs.deals import RESTS_ON
from transforms.inputs.megawatts import party_days, party_rows
from transforms.metrics import conversion, day, deals, leases
from transforms.prepare import Prepared

SUMS: Final = tuple(
    # Within a day each contract belongs to one party.
    replace(m, aggregation=Aggregation.SUM_OF_DAY)
    for m in (
        conversion.deal_count,
        conversion.contracted_critical_it_mw,
        conversion.energised_critical_it_mw,
        conversion.leased_critical_it_mw,
        conversion.gpu_cloud_critical_it_mw,
        conversion.contracted_critical_it_with_unverified_mw,
        conversion.critical_it_mw_undisclosed_count,
        conversion.contracted_gross_mw,
        conversion.contracted_value_usd,
        conversion.contract_value_undisclosed_count,
    )
)


def megawatt_table(name: str, description: str, party: Metric, party_name: Metric) -> Table:
    """The table of contracts by day and `party`, which adds up to `conversion_daily` on every day."""

    def frame(given: Prepared, _: Tables) -> pl.DataFrame:
        """The days of each party, from the first contract on."""
        days = party_days(given.inputs.reference, party.name, SUMS, given.inputs.through)
        return given.marked(days, Origin.REGISTRY, by_blocks=False)

    return Table(
        name=name,
        description=description,
        # By party first: what seldom changes from day to day then takes next to no room.
        key=(party.name, "day"),
        metrics=(day.day, party, party_name, *SUMS, day.is_final, day.sources),
        main=("contracted_critical_it_mw",),
        truths={
            "what is unverified only adds": (
                pl.col("contracted_critical_it_mw") <= pl.col("contracted_critical_it_with_unverified_mw")
            )
        },
        frame=frame,
        spans=lambda given: party_rows(given.inputs.reference, party.name),
        lineage=Lineage(origin=Origin.REGISTRY, rests_on=RESTS_ON),
    )


TABLE: Final = megawatt_table(
    "megawatts_by_company",
    "Power that each miner has let to AI and switched on, as known on the day: one row a UTC day and company with a "
    "contract.",
    leases.miner,
    deals.miner_name,
)
