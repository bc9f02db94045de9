"""Single jumps of the flow to exchanges. A burst is no sale, and enters neither score nor state."""

from datetime import date
from typing import Final

import polars as pl

from schemas.metric import Example, Given, metric
from schemas.units import Unit
from transforms.metrics.flow_regimes import within_regime
from transforms.metrics.miner_flows import LABELS_ERROR, MONTH_DAYS
from transforms.windows import MAD_TO_SD, mean_over, median_and_mad_before

BURST_WINDOW_DAYS: Final = 90
BURST_LEAST_SPREAD: Final = 0.10
"""Floor of the spread of log flows, for windows that are mostly zero."""
BURST_ZSCORE: Final = 3.5
BURST_EXTREME_ZSCORE: Final = 6.0
BURST_LEAST_OF_ISSUANCE: Final = 0.5

ONE_REGIME: Final[Given] = {"flow_regime_start": date(2024, 6, 1), "flow_break_suspected": False}
"""Example days, which begin on that day, of one regime of labels."""


@metric(
    Example(
        given={**ONE_REGIME, "miner_to_exchange_btc": [45.1] * 45 + [79.7] * 45 + [480.0]},
        gives=4.97,
        within=0.02,
        source="median of logs 4.11 (about 60 BTC), deviation 0.28, today 480 BTC",
    ),
    Example(
        given={**ONE_REGIME, "miner_to_exchange_btc": [0.0] * 90 + [1.718281828459045]},
        gives=10.0,
        source="a silent quarter: ln(e) over the floor of 0.10",
    ),
    Example(
        given={**ONE_REGIME, "miner_to_exchange_btc": [5.0] * 90},
        gives=None,
        source="the 90th day of the regime has 89 before it",
    ),
    Example(given={**ONE_REGIME, "flow_break_suspected": True, "miner_to_exchange_btc": [5.0] * 91}, gives=None),
    unit=Unit.SCORE,
    error=LABELS_ERROR + "A floor of 0.10 replaces the spread where most days are zero.",
    null_rule="NULL with fewer than 81 of the 90 days before, in a regime's first 90, or while a break is suspected.",
    history_days=BURST_WINDOW_DAYS + 1,
)
def miner_to_exchange_burst_score() -> pl.Expr:
    """Robust score of the log flow to exchanges against the ninety days before, today left out."""
    flow = pl.col("miner_to_exchange_btc").log1p()
    median, deviation = median_and_mad_before(flow, BURST_WINDOW_DAYS)
    spread = pl.max_horizontal(MAD_TO_SD * deviation, pl.lit(BURST_LEAST_SPREAD))
    return pl.when(deviation.is_not_null() & within_regime(BURST_WINDOW_DAYS + 1)).then((flow - median) / spread)


@metric(
    Example(
        given={
            "miner_to_exchange_burst_score": 4.97,
            "miner_to_exchange_btc": [480.0] * 30,
            "issuance_btc": [450.0] * 30,
        },
        gives=True,
    ),
    Example(
        given={
            "miner_to_exchange_burst_score": 4.97,
            "miner_to_exchange_btc": [224.0] * 30,
            "issuance_btc": [450.0] * 30,
        },
        gives=False,
        source="less than half of a day's issuance",
    ),
    Example(
        given={
            "miner_to_exchange_burst_score": 3.5,
            "miner_to_exchange_btc": [225.0] * 30,
            "issuance_btc": [450.0] * 30,
        },
        gives=True,
        source="both limits belong to the burst",
    ),
    Example(
        given={
            "miner_to_exchange_burst_score": [None] * 30,
            "miner_to_exchange_btc": [1.0] * 30,
            "issuance_btc": [450.0] * 30,
        },
        gives=None,
        source="a small flow in a young regime",
    ),
    Example(
        given={
            "miner_to_exchange_burst_score": 3.4,
            "miner_to_exchange_btc": [480.0] * 30,
            "issuance_btc": [450.0] * 30,
        },
        gives=False,
    ),
    unit=Unit.YES_NO,
    error="3.5 is the customary cut of a robust score; the share of issuance is our judgement.",
    null_rule="NULL when the burst score, the flow or issuance is.",
    history_days=MONTH_DAYS,
)
def miner_to_exchange_burst() -> pl.Expr:
    """Whether the flow to exchanges jumped: score 3.5 or more, and at least half of the mean daily issuance."""
    large = pl.col("miner_to_exchange_btc") >= BURST_LEAST_OF_ISSUANCE * mean_over(pl.col("issuance_btc"), MONTH_DAYS)
    score = pl.col("miner_to_exchange_burst_score")
    # An unknown score or size is not made known by the other one.
    return pl.when(score.is_not_null() & large.is_not_null()).then((score >= BURST_ZSCORE) & large)


@metric(
    Example(given={"miner_to_exchange_burst": True, "miner_to_exchange_burst_score": 6.0}, gives=True),
    Example(given={"miner_to_exchange_burst": False, "miner_to_exchange_burst_score": 6.0}, gives=False),
    unit=Unit.YES_NO,
    error="The cut at 6 is our judgement.",
    null_rule="NULL when the burst is.",
)
def miner_to_exchange_burst_extreme() -> pl.Expr:
    """Whether the day is a burst with a score of 6 or more."""
    extreme = pl.col("miner_to_exchange_burst_score") >= BURST_EXTREME_ZSCORE
    return pl.when(pl.col("miner_to_exchange_burst").is_not_null()).then(pl.col("miner_to_exchange_burst") & extreme)


METRICS = (
    miner_to_exchange_burst_score,
    miner_to_exchange_burst,
    miner_to_exchange_burst_extreme,
)
