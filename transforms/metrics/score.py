"""The capitulation score: what miners earn against their year, 50 points, and hash rate that leaves, 50 points.

Neither side can pass 50 by itself and a capitulation begins at 60, so it always needs both.
"""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import Unit
from transforms.capitulation import PARTS, RULE

SCORE_ERROR = "Limits and weights are our judgement; they are never fitted. "


@metric(
    Example(given={"income_of_year_ratio": 0.7544}, gives=12.28),
    Example(given={"income_of_year_ratio": 1.152}, gives=0.0),
    Example(given={"income_of_year_ratio": 0.3}, gives=25.0),
    Example(given={"income_of_year_ratio": None}, gives=None),
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR + "As good as the daily price.",
    null_rule="NULL when the ratio is.",
    ge=0,
    le=RULE.income_level.points,
)
def score_income_level() -> pl.Expr:
    """Part of the capitulation score from `income_of_year_ratio`: none at 1.0, all 25 at 0.5."""
    return RULE.income_level.of(pl.col("income_of_year_ratio"))


@metric(
    Example(given={"income_per_hash_of_year_ratio": 0.6968}, gives=15.16),
    Example(given={"income_per_hash_of_year_ratio": 1.373}, gives=0.0),
    Example(given={"income_per_hash_of_year_ratio": 0.083}, gives=25.0),
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR + "As good as the daily price and difficulty.",
    null_rule="NULL when the ratio is.",
    ge=0,
    le=RULE.income_per_hash.points,
)
def score_income_per_hash() -> pl.Expr:
    """Part of the capitulation score from `income_per_hash_of_year_ratio`: none at 1.0, all 25 at 0.5."""
    return RULE.income_per_hash.of(pl.col("income_per_hash_of_year_ratio"))


@metric(
    Example(given={"hash_ribbon_spread_pct": -2.0}, gives=0.0),
    Example(given={"hash_ribbon_spread_pct": -3.5}, gives=25.0),
    Example(given={"hash_ribbon_spread_pct": -5.08}, gives=50.0),
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR + "Block luck moves the spread by 1.08 percentage points, 18 points of this part.",
    null_rule="NULL when the spread of the hash ribbon is.",
    ge=0,
    le=RULE.hashrate.points,
)
def score_hashrate() -> pl.Expr:
    """Part of the capitulation score from the hash ribbon's spread: none at -2 %, all 50 at -5 %."""
    return RULE.hashrate.of(pl.col("hash_ribbon_spread_pct"))


@metric(
    Example(given=dict(zip(PARTS, (12.28, 15.16, 50.0), strict=True)), gives=77.44, source="2026-02-05"),
    Example(given=dict(zip(PARTS, (24.61, 25.0, 0.0), strict=True)), gives=49.61, source="2015-01-14"),
    Example(given=dict(zip(PARTS, (12.28, None, 50.0), strict=True)), gives=None),
    unit=Unit.SCORE,
    error=SCORE_ERROR + "As good as price, difficulty and block counts.",
    null_rule="NULL when one of its parts is.",
    ge=0,
    le=100,
)
def capitulation_score() -> pl.Expr:
    """Stress of miners from 0 to 100, the sum of its parts; below 30 calm, to 60 one side, from 60 on both sides."""
    return pl.sum_horizontal(PARTS, ignore_nulls=False)


METRICS = (capitulation_score, score_income_level, score_income_per_hash, score_hashrate)
