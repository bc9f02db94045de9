"""How much of the miners' power is promised to AI, by day."""

from datetime import date
from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.calendar import is_final
from transforms.inputs.conversion import FROM_MARKET, RESTS_ON, conversion_days, standing_rows
from transforms.inputs.cost import RESTS_ON as COSTS_REST_ON
from transforms.inputs.cost import known_inputs
from transforms.metrics import conversion, day, economics
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily

EXACT: Final = 1e-9
LAID_OUT: Final = {name: origins for name, origins in RESTS_ON.items() if name not in FROM_MARKET}
"""Without what is taken from the table of the market, whose own lineage is followed."""


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The conversion days, each beside what mining earns and costs on it."""
    inputs, market = given.inputs, tables[capitulation_daily.TABLE.name]
    first = inputs.reference["conversion_deal"]["known_at"].min()
    if not isinstance(first, date) or first > inputs.through:
        first = inputs.through
    days = conversion_days(inputs.reference, first, inputs.through)
    costs = known_inputs(days, inputs.reference["fleet_efficiency"], inputs.reference["power_price"])
    sources = pl.concat_str(pl.col("sources").fill_null(""), pl.lit(REGISTRY.name), separator=",")
    final = is_final(None, inputs.now, given.described_until)
    return (
        days.join(costs, on="day", how="left", validate="1:1", maintain_order="left")
        .join(
            market.select("day", *FROM_MARKET, "sources"), on="day", how="left", validate="1:1", maintain_order="left"
        )
        .with_columns(final.alias("is_final"), sources.str.strip_prefix(",").alias("sources"))
    )


STARTER: Final = (
    day.day,
    conversion.deal_count,
    conversion.contracted_critical_it_mw,
    conversion.leased_critical_it_mw,
    conversion.energised_critical_it_mw,
    conversion.contracted_value_usd,
    conversion.backstop_usd,
    conversion.google_backstop_usd,
    economics.lease_usd_per_mw_year,
    economics.mining_usd_per_mw_year,
    economics.lease_to_mining_ratio,
    conversion.displaced_hashrate_low_ehs,
    conversion.displaced_hashrate_high_ehs,
    conversion.capex_guidance_usd,
    day.is_final,
)

TABLE: Final = Table(
    name="conversion_daily",
    description="How much of the miners' power is promised to AI, point in time by announcement: one row a UTC day.",
    key=("day",),
    starter_count=len(STARTER),
    metrics=starting_with(STARTER, (day.day, *conversion.METRICS, *economics.METRICS, day.is_final, day.sources)),
    main=("contracted_critical_it_mw", "lease_usd_per_mw_year", "mining_usd_per_mw_year"),
    truths={
        "what is unverified only adds": (
            pl.col("contracted_value_usd") <= pl.col("contracted_value_with_unverified_usd") * (1 + EXACT)
        ),
        "leases and GPU cloud are all contracted power": (
            (
                pl.col("leased_critical_it_mw")
                + pl.col("gpu_cloud_critical_it_mw")
                - pl.col("contracted_critical_it_mw")
            ).abs()
            <= EXACT * pl.col("contracted_critical_it_mw")
        ),
        "what Google gives is a part": pl.col("google_backstop_usd") <= pl.col("backstop_usd") * (1 + EXACT),
        "guidance has a low and a high end": pl.col("capex_guidance_low_usd") <= pl.col("capex_guidance_high_usd"),
    },
    frame=frame,
    spans=lambda given: standing_rows(given.inputs.reference),
    reads=(capitulation_daily.TABLE,),
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True, rests_on={**COSTS_REST_ON, **LAID_OUT}),
)
