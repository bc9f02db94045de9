"""The one list: which metrics each published table holds, in which order, and what must be true of every row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from schemas.metric import Metric
from transforms.metrics import (
    attributed_flows,
    concentration,
    conversion,
    cost,
    day,
    drawdown,
    economics,
    exchange_flows,
    filings,
    hashprice,
    hashrate,
    leases,
    miner_flows,
    pools,
    puell,
    regime,
    score,
    security,
    supply,
    sustainability,
    transfers,
)

SATOSHI_BTC: Final = 1e-8
EXACT: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One published table built from metrics.

    `truths` are named expressions over the published columns that hold in every row; NULL counts as holding.
    """

    name: str
    description: str
    key: tuple[str, ...]
    metrics: tuple[Metric, ...]
    truths: Mapping[str, pl.Expr] = field(default_factory=dict)


_PARTS = ("score_income_level", "score_income_change", "score_hashrate", "score_margin", "score_selling")

CAPITULATION_DAILY: Final = Table(
    name="capitulation_daily",
    description="How hard Bitcoin's miners are being squeezed: one row a UTC day.",
    key=("day",),
    metrics=(
        day.day,
        *supply.METRICS,
        *hashrate.METRICS,
        *hashprice.METRICS,
        *puell.METRICS,
        *sustainability.METRICS,
        *miner_flows.METRICS,
        *cost.METRICS,
        *score.METRICS,
        *regime.METRICS,
        day.is_final,
        day.sources,
    ),
    truths={
        "revenue is issuance plus fees": (
            (pl.col("miner_revenue_btc") - pl.col("issuance_btc") - pl.col("fees_btc")).abs() <= SATOSHI_BTC
        ),
        "mean transfer times count is the total": (
            (
                pl.col("miner_to_exchange_mean_btc") * pl.col("miner_to_exchange_count")
                - pl.col("miner_to_exchange_btc")
            ).abs()
            <= SATOSHI_BTC
        ),
        "the parts of the score add up": ((pl.sum_horizontal(_PARTS) - pl.col("capitulation_score")).abs() <= EXACT),
    },
)

POOL_DAILY: Final = Table(
    name="pool_daily",
    description="Blocks and shares of each mining pool: one row a UTC day and pool.",
    key=("day", "pool"),
    metrics=(day.day, *pools.METRICS, day.is_final, day.sources),
    truths={
        "a window of 1,008 blocks lies inside one of 4,320": pl.col("block_1008_count") <= pl.col("block_4320_count")
    },
)

EXCHANGE_FLOW_DAILY: Final = Table(
    name="exchange_flow_daily",
    description="Coins from miners to exchanges: one row a UTC day, exchange and pool, either of them also 'all'.",
    key=("day", "exchange", "pool"),
    metrics=(day.day, *exchange_flows.METRICS, day.is_final, day.sources),
    truths={
        "the ten largest transfers are no more than all": (
            pl.col("miner_to_exchange_top10_btc") <= pl.col("miner_to_exchange_btc") + SATOSHI_BTC
        )
    },
)

MINER_FLOW_DAILY: Final = Table(
    name="miner_flow_daily",
    description=(
        "What miners' scripts sent and received, attributed from whole blocks: one row a UTC day. Empty where no "
        "source tells single transactions."
    ),
    key=("day",),
    metrics=(day.day, *attributed_flows.METRICS, day.is_final, day.sources),
    truths={
        "what went to exchanges is part of the outflow": (
            pl.col("outflow_to_exchange_btc") <= pl.col("outflow_btc") + SATOSHI_BTC
        ),
        "what is fresh is a part": pl.col("outflow_to_exchange_fresh_btc") <= pl.col("outflow_to_exchange_btc"),
    },
)

MINER_TRANSFER: Final = Table(
    name="miner_transfer",
    description=(
        "Coins from miners to exchanges: one row a transaction, exchange and layer of miners. Empty where no source "
        "tells single transactions."
    ),
    key=("height", "txid", "exchange", "hop_count"),
    metrics=(day.day, *transfers.METRICS, day.is_final, day.sources),
    truths={
        "miners put in no more than all": pl.col("miner_input_sat") <= pl.col("total_input_sat"),
        "what is fresh is a part": pl.col("fresh_sat") <= pl.col("transfer_sat"),
    },
)

CONVERSION_DAILY: Final = Table(
    name="conversion_daily",
    description="How much of the miners' power is promised to AI, point in time by announcement: one row a UTC day.",
    key=("day",),
    metrics=(day.day, *conversion.METRICS, *economics.METRICS, day.is_final, day.sources),
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
)

LEASE_ECONOMICS: Final = Table(
    name="lease_economics",
    description="What each standing contract is worth to the miner, on stated assumptions: one row a deal.",
    key=("deal_id",),
    metrics=(*leases.METRICS, day.sources),
)

SECURITY_DAILY: Final = Table(
    name="security_daily",
    description="What protects the chain, how concentrated it is, why hash rate is off its peak: one row a UTC day.",
    key=("day",),
    metrics=(
        day.day,
        *security.METRICS,
        *concentration.METRICS,
        *drawdown.METRICS,
        day.is_final,
        day.sources,
    ),
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
)

FILING_CANDIDATE: Final = Table(
    name="filing_candidate",
    description=(
        "Filings that speak of leases and power, found by keyword for a person to read: one row a filing. Never deals "
        "by themselves. Empty where no source reads filings."
    ),
    key=("cik", "accession"),
    metrics=(*filings.METRICS, day.sources),
)

TABLES: Final = {
    t.name: t
    for t in (
        CAPITULATION_DAILY,
        CONVERSION_DAILY,
        LEASE_ECONOMICS,
        SECURITY_DAILY,
        POOL_DAILY,
        EXCHANGE_FLOW_DAILY,
        MINER_FLOW_DAILY,
        MINER_TRANSFER,
        FILING_CANDIDATE,
    )
}
