"""What the security figures of a day are made from: machine prices, supply, outages, troughs, as known then."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.units import SAT_PER_BTC
from transforms.chain import BLOCKS_PER_HALVING, INITIAL_SUBSIDY_SAT
from transforms.metrics.drawdown import RECOVERY_DAYS, hashrate_peak_365d_ehs

TROUGH_DEPTH_RATIO: Final = 0.9
"""A low counts as a trough only below this part of the peak before it; block luck by itself moves a week by 3 %."""

FROM_MARKET: Final = (
    "day",
    "price_usd",
    "issuance_btc",
    "supply_sat",
    "miner_revenue_usd",
    "hashrate_ehs",
    "hashrate_7d_ehs",
    "hashrate_30d_ehs",
    "hashprice_usd_per_phs_day",
    "fleet_efficiency_j_per_th",
    "fleet_unprofitable_share_pct",
    "power_usd_per_mwh",
    "all_in_usd_per_mwh",
    "is_final",
    "sources",
)
"""Columns of the derived `capitulation_daily`, its inputs included, that the security figures start from."""
RESTS_ON: Final = {
    "machine_price_as_of": ("asic_price.as_of",),
    "machine_usd_per_th": ("asic_price.machine_usd_per_th",),
    "scheduled_supply_btc": ("issuance_sat",),
    "trough_on": ("hashrate_ehs",),
    "trough_hashrate_ehs": ("hashrate_ehs",),
    "recovered_hashrate_ehs": ("hashrate_ehs",),
    "peak_before_ehs": ("hashrate_ehs",),
    "in_outage": ("outage_event.start_on", "outage_event.end_on", "outage_event.known_at"),
}
"""What the columns that are laid out here rest on."""
FROM_CONVERSION: Final = ("displaced_hashrate_low_ehs", "displaced_hashrate_high_ehs")


def security_days(
    market: pl.DataFrame,
    conversion: pl.DataFrame,
    concentration: pl.DataFrame,
    machine_prices: pl.DataFrame,
    outages: pl.DataFrame,
    supply: pl.DataFrame,
) -> pl.DataFrame:
    """Join what the metrics of `security_daily` read.

    `market`: the derived daily table; `conversion`: the derived conversion table; `concentration`: days of
    `concentration_days`; `machine_prices` and `outages`: the registry tables `asic_price` and `outage_event`; `supply`:
    `supply_at_end` of the blocks. Shape: the rows of `market`, sorted by day. Before the first day of the registry no
    hash rate is displaced: nobody had announced anything.
    """
    none_yet = pl.col("day") < conversion["day"].min()
    joined = (
        market.select(FROM_MARKET)
        .join(concentration, on="day", how="left", validate="1:1", maintain_order="left")
        .join(conversion.select("day", *FROM_CONVERSION), on="day", how="left", validate="1:1", maintain_order="left")
        .join(supply, on="day", how="left", validate="1:1", maintain_order="left")
        .join_asof(_prices(machine_prices), on="day", strategy="backward")
    )
    return joined.with_columns(
        *(pl.when(none_yet).then(0.0).otherwise(name).alias(name) for name in FROM_CONVERSION),
        _in_outage(outages.select("start_on", "end_on", "known_at").rows()).alias("in_outage"),
        pl.concat_str("sources", pl.lit(REGISTRY.name), separator=",").str.strip_prefix(",").alias("sources"),
        *_troughs(),
    )


def supply_at_end(blocks: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Coins issued up to the last block of each day, by the schedule: (`day`, `scheduled_supply_btc`), sorted.

    `whole`: `whole_days` of the dated `blocks`. Empty where a block is missing among them. What miners left unclaimed,
    some hundred BTC in all, is counted as issued.
    """
    first, last = blocks["height"].min(), blocks["height"].max()
    if not isinstance(first, int) or not isinstance(last, int) or last - first + 1 != blocks.height:
        return pl.DataFrame(schema={"day": pl.Date, "scheduled_supply_btc": pl.Float64})
    mined = last + 1 - pl.col("later_block_count")
    per_era = (
        (mined - era * BLOCKS_PER_HALVING).clip(0, BLOCKS_PER_HALVING) * (INITIAL_SUBSIDY_SAT >> era)
        for era in range(last // BLOCKS_PER_HALVING + 1)
    )
    return whole.select("day", (pl.sum_horizontal(per_era) / SAT_PER_BTC).alias("scheduled_supply_btc"))


def _prices(machine_prices: pl.DataFrame) -> pl.DataFrame:
    """The machine prices by the day they were known; one about an earlier date supersedes nothing."""
    ordered = machine_prices.sort("known_at", "as_of").filter(pl.col("as_of") >= pl.col("as_of").cum_max())
    return ordered.unique("known_at", keep="last", maintain_order=True).select(
        pl.col("known_at").alias("day"), pl.col("as_of").alias("machine_price_as_of"), "machine_usd_per_th"
    )


def _in_outage(events: Sequence[tuple[date, date, date]]) -> pl.Expr:
    """Whether the day lies in one of the events (first day, last day, day it was known) and that was known by then."""
    day = pl.col("day")
    return pl.any_horizontal(pl.lit(False), *(day.is_between(max(start, known), end) for start, end, known in events))


def _troughs() -> list[pl.Expr]:
    """Hash rate at a low of 60 days ago that proved to be one, now, and at the peak before it; NULL on other days."""
    week = pl.col("hashrate_7d_ehs")
    low = week.shift(RECOVERY_DAYS)
    around = week.rolling_min(2 * RECOVERY_DAYS + 1, min_samples=2 * RECOVERY_DAYS + 1)
    peak = hashrate_peak_365d_ehs.expr.shift(RECOVERY_DAYS)
    is_trough = (low == around) & (low < TROUGH_DEPTH_RATIO * peak)
    return [
        pl.when(is_trough).then(pl.col("day").dt.offset_by(f"-{RECOVERY_DAYS}d")).alias("trough_on"),
        pl.when(is_trough).then(low).alias("trough_hashrate_ehs"),
        pl.when(is_trough).then(week).alias("recovered_hashrate_ehs"),
        pl.when(is_trough).then(peak).alias("peak_before_ehs"),
    ]
