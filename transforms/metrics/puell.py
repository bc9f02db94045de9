"""Puell Multiple and its variants: today's issuance against its own year."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import Unit
from transforms.windows import mean_over, ratio

YEAR_DAYS = 365
HALVING_NOTE = "For a year after a halving the numerator is halved and the mean is not."


@metric(
    Example(
        given={"issuance_usd": [43_637_198.0] * 364 + [30_112_500.0]},
        gives=0.691,
        within=0.0005,
        source="30.11 M against a year's mean of 43.6 M, today included",
    ),
    Example(given={"issuance_usd": [None] * 37 + [2.0] * 328}, gives=None, source="328 days are too few"),
    Example(given={"issuance_usd": [None] * 36 + [2.0] * 329}, gives=1.0, source="329 days are enough"),
    Example(given={"issuance_usd": [0.0] * 365}, gives=None, source="a year without issuance has no ratio"),
    unit=Unit.RATIO,
    error="As good as the daily price. " + HALVING_NOTE,
    null_rule="NULL with fewer than 329 of 365 days of issuance in USD.",
    ge=0,
    history_days=YEAR_DAYS,
)
def puell_issuance_ratio() -> pl.Expr:
    """Puell Multiple as Glassnode defines it: issuance in USD over its mean of 365 days, today included."""
    return ratio(pl.col("issuance_usd"), mean_over(pl.col("issuance_usd"), YEAR_DAYS))


@metric(
    Example(given={"miner_revenue_usd": [44.0] * 364 + [22.0]}, gives=22 / (44 - 22 / 365)),
    unit=Unit.RATIO,
    error="Fee bursts distort it. " + HALVING_NOTE,
    null_rule="NULL with fewer than 329 of 365 days of revenue in USD.",
    ge=0,
    history_days=YEAR_DAYS,
)
def puell_revenue_ratio() -> pl.Expr:
    """Puell Multiple as CryptoQuant publishes it, its correlation with this 0.9987: on revenue, fees included."""
    return ratio(pl.col("miner_revenue_usd"), mean_over(pl.col("miner_revenue_usd"), YEAR_DAYS))


@metric(
    Example(
        given={"issuance_usd": [40.0] * 365, "difficulty": [1.0] * 364 + [2.0]},
        gives=20 / (40 - 20 / 365),
        source="doubled difficulty halves what a machine earns",
    ),
    unit=Unit.RATIO,
    error="Our own form of a vendor's unpublished adjustment. " + HALVING_NOTE,
    null_rule="NULL with fewer than 329 of 365 days of issuance in USD and difficulty.",
    ge=0,
    history_days=YEAR_DAYS,
)
def puell_difficulty_adjusted_ratio() -> pl.Expr:
    """Variant of the Puell Multiple on issuance per unit of difficulty, so that growth of the network is taken out."""
    per_difficulty = ratio(pl.col("issuance_usd"), pl.col("difficulty"))
    return ratio(per_difficulty, mean_over(per_difficulty, YEAR_DAYS))


@metric(
    Example(given={"puell_issuance_ratio": 0.5}, gives="deep_stress"),
    Example(given={"puell_issuance_ratio": 0.6}, gives="stress"),
    Example(given={"puell_issuance_ratio": 0.69}, gives="pressure"),
    Example(given={"puell_issuance_ratio": 0.8}, gives="pressure"),
    Example(given={"puell_issuance_ratio": 1.5}, gives="normal"),
    Example(given={"puell_issuance_ratio": 3.0}, gives="comfortable"),
    Example(given={"puell_issuance_ratio": 3.01}, gives="hot"),
    Example(given={"puell_issuance_ratio": None}, gives=None),
    unit=Unit.LABEL,
    error="Limits are our judgement; published ones range from 0.4 to 0.6 for low and 3.4 to 4 for high.",
    null_rule="NULL when the Puell Multiple is.",
    labels=("deep_stress", "stress", "pressure", "normal", "comfortable", "hot"),
)
def puell_zone() -> pl.Expr:
    """Zone of the Puell Multiple: deep stress to 0.5, stress 0.6, pressure 0.8, normal 1.5, comfortable 3, then hot."""
    puell = pl.col("puell_issuance_ratio")
    return (
        pl.when(puell <= 0.5)
        .then(pl.lit("deep_stress"))
        .when(puell <= 0.6)
        .then(pl.lit("stress"))
        .when(puell <= 0.8)
        .then(pl.lit("pressure"))
        .when(puell <= 1.5)
        .then(pl.lit("normal"))
        .when(puell <= 3)
        .then(pl.lit("comfortable"))
        .when(puell > 3)
        .then(pl.lit("hot"))
    )


METRICS = (puell_issuance_ratio, puell_revenue_ratio, puell_difficulty_adjusted_ratio, puell_zone)
