"""What protects the chain, by day."""

from typing import Final

import polars as pl

from schemas.registry import WEATHER
from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.inputs import concentration as pools_inputs
from transforms.inputs import security as security_inputs
from transforms.inputs.concentration import concentration_days
from transforms.inputs.security import security_days, supply_at_end
from transforms.metrics import concentration, day, drawdown, security
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily, conversion_daily, pool_daily

EXACT: Final = 1e-9


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The days of the market beside displaced hash rate, concentration of pools, machine prices, outages and supply."""
    reference = given.inputs.reference
    return security_days(
        tables[capitulation_daily.TABLE.name],
        tables[conversion_daily.TABLE.name],
        concentration_days(tables[pool_daily.TABLE.name], reference["proxy_pool"]),
        reference["asic_price"],
        reference["outage_event"].filter(pl.col("kind").is_in(WEATHER)),
        supply_at_end(given.blocks, given.whole),
    )


STARTER: Final = (
    day.day,
    security.security_budget_usd_year,
    security.security_budget_of_market_value_pct,
    security.attack_hardware_usd,
    security.attack_energy_usd_per_hour,
    concentration.nakamoto_coefficient_count,
    concentration.merged_nakamoto_coefficient_count,
    concentration.pool_hhi_index,
    concentration.top2_pool_share_pct,
    drawdown.hashrate_drawdown_pct,
    drawdown.drawdown_total_ehs,
    drawdown.drawdown_permanent_low_ehs,
    drawdown.drawdown_permanent_high_ehs,
    drawdown.drawdown_temporary_ehs,
    day.is_final,
)

TABLE: Final = Table(
    name="security_daily",
    description="What protects the chain, how concentrated it is, why hash rate is off its peak: one row a UTC day.",
    key=("day",),
    starter_count=len(STARTER),
    metrics=starting_with(
        STARTER,
        (day.day, *security.METRICS, *concentration.METRICS, *drawdown.METRICS, day.is_final, day.sources),
    ),
    main=("security_budget_of_market_value_pct", "pool_hhi_index"),
    truths={
        "low case of concentration no higher than the high one": (
            pl.col("pool_hhi_index") <= pl.col("pool_hhi_high_index") * (1 + EXACT)
        ),
        "merging pools only concentrates": pl.col("pool_hhi_index") <= pl.col("merged_pool_hhi_index") * (1 + EXACT),
        "the terms of the drawdown add up": (
            (
                pl.col("drawdown_permanent_low_ehs")
                + pl.col("drawdown_temporary_ehs")
                + pl.col("drawdown_residual_high_ehs")
                - pl.col("drawdown_total_ehs")
            ).abs()
            <= EXACT * (1 + pl.col("hashrate_peak_365d_ehs"))
        ),
    },
    frame=frame,
    reads=(capitulation_daily.TABLE, conversion_daily.TABLE, pool_daily.TABLE),
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on={**security_inputs.RESTS_ON, **pools_inputs.RESTS_ON},
    ),
)
