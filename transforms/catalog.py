"""The one list: which metrics each published table holds, in which order, and what must be true of every row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from schemas.metric import Metric
from transforms.metrics import (
    attributed_flows,
    conversion,
    cost,
    day,
    exchange_flows,
    hashprice,
    hashrate,
    miner_flows,
    pools,
    puell,
    regime,
    score,
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
    metrics=(day.day, *conversion.METRICS, day.is_final, day.sources),
)

TABLES: Final = {
    t.name: t
    for t in (CAPITULATION_DAILY, CONVERSION_DAILY, POOL_DAILY, EXCHANGE_FLOW_DAILY, MINER_FLOW_DAILY, MINER_TRANSFER)
}
