"""Income of miners against its own year, in two forms that no halving moves."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import Unit
from transforms.capitulation import RULE
from transforms.windows import ratio

NULL_RULE = "NULL with fewer than 6 of 7 days or 329 of 365 days of"


@metric(
    Example(given={"price_usd": [100.0] * 358 + [50.0] * 7}, gives=50 / ((358 * 100 + 7 * 50) / 365)),
    Example(given={"price_usd": [2.0] * 363 + [None, 2.0]}, gives=1.0, source="six of seven days are enough"),
    Example(given={"price_usd": [2.0] * 363 + [None, None]}, gives=None, source="five of seven days are too few"),
    Example(given={"price_usd": [None] * 37 + [2.0] * 328}, gives=None, source="328 days are too few"),
    unit=Unit.RATIO,
    error="As good as the daily price. Open to no luck: no block count enters, and no fee.",
    null_rule=f"{NULL_RULE} the price.",
    ge=0,
    history_days=RULE.year_days,
)
def income_of_year_ratio() -> pl.Expr:
    """Mean price of seven days over that of 365: the Puell Multiple with subsidy and block rate held constant."""
    return RULE.of_year(pl.col("price_usd"))


@metric(
    Example(
        given={"price_usd": [40.0] * 365, "difficulty": [1.0] * 358 + [2.0] * 7},
        gives=20 / ((358 * 40 + 7 * 20) / 365),
        source="doubled difficulty halves what a machine earns",
    ),
    Example(given={"price_usd": [40.0] * 365, "difficulty": [0.0] * 365}, gives=None),
    unit=Unit.RATIO,
    error="As good as the daily price and difficulty. Open to no luck: no block count enters, and no fee.",
    null_rule=f"{NULL_RULE} price and difficulty.",
    ge=0,
    history_days=RULE.year_days,
)
def income_per_hash_of_year_ratio() -> pl.Expr:
    """Mean of seven days over mean of 365 of price by difficulty: what an unchanged machine earns."""
    return RULE.of_year(ratio(pl.col("price_usd"), pl.col("difficulty")))


METRICS = (income_of_year_ratio, income_per_hash_of_year_ratio)
