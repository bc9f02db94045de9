"""The capitulation score: five ramps with fixed weights that add up to a number from 0 to 100.

Weights and ramps were fixed before any back-test and are never fitted to past lows: there are only three or four.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.metric import Example, Given, metric
from schemas.units import PERCENT, Unit
from transforms.windows import mean_over

WEEK_DAYS: Final = 7
LEAST_WEIGHT: Final = 0.6
ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Component:
    """One input of the score: it gives nothing at `calm`, its whole `weight` at `stressed`, a share in between."""

    column: str
    calm: float
    stressed: float
    weight: float

    def value(self) -> pl.Expr:
        """What the component looks at."""
        column = pl.col(self.column)
        return mean_over(column, WEEK_DAYS) if self.column == "puell_issuance_ratio" else column

    def stress(self) -> pl.Expr:
        """Share of the ramp passed, 0 to 1."""
        return ((self.value() - self.calm) / (self.stressed - self.calm)).clip(0, 1)


INCOME_LEVEL: Final = Component("puell_issuance_ratio", 1.00, 0.50, 0.25)
INCOME_CHANGE: Final = Component("revenue_change_30d_pct", -10, -30, 0.15)
HASHRATE: Final = Component("hash_ribbon_spread_pct", -1, -6, 0.25)
MARGIN: Final = Component("cost_coverage_ratio", 1.25, 0.85, 0.20)
SELLING: Final = Component("mpi_zscore", 1, 3, 0.15)
COMPONENTS: Final = (INCOME_LEVEL, INCOME_CHANGE, HASHRATE, MARGIN, SELLING)

SEED_DAY: Final[Given] = {
    "puell_issuance_ratio": [0.69] * 7,
    "revenue_change_30d_pct": -30.0,
    "hash_ribbon_spread_pct": -4.0,
    "cost_coverage_ratio": 0.887,
    "mpi_zscore": 2.5,
}
"""The worked example of the score: five inputs, contributions 15.5, 15.0, 15.0, 18.15 and 11.25, 74.9 in all."""


def _contribution(component: Component) -> pl.Expr:
    """Points that one component gives; the weights of unknown components are shared out among the known ones."""
    known = pl.sum_horizontal(pl.when(c.value().is_not_null()).then(c.weight).otherwise(0.0) for c in COMPONENTS)
    points = PERCENT * component.weight * component.stress() / known
    return pl.when(known >= LEAST_WEIGHT - ROUNDING).then(points)


SCORE_ERROR = (
    "Limits and weights are our judgement. As good as its five inputs; a missing one hands its weight to the others."
)
SCORE_NULL = "NULL when its own input is, or when less than 0.6 of the weight is known."


@metric(
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR,
    null_rule=SCORE_NULL,
    ge=0,
    le=100,
    history_days=WEEK_DAYS,
    examples=[Example(given=SEED_DAY, gives=15.5)],
)
def score_income_level() -> pl.Expr:
    """Part of the capitulation score from the weekly mean of the Puell Multiple: none at 1.0, all 25 at 0.5."""
    return _contribution(INCOME_LEVEL)


@metric(
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR,
    null_rule=SCORE_NULL,
    ge=0,
    le=100,
    history_days=WEEK_DAYS,
    examples=[Example(given=SEED_DAY, gives=15.0)],
)
def score_income_change() -> pl.Expr:
    """Part of the capitulation score from the 30-day change of revenue: none at -10 %, all 15 at -30 %."""
    return _contribution(INCOME_CHANGE)


@metric(
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR,
    null_rule=SCORE_NULL,
    ge=0,
    le=100,
    history_days=WEEK_DAYS,
    examples=[
        Example(given=SEED_DAY, gives=15.0),
        Example(given={**SEED_DAY, **{"mpi_zscore": None}}, gives=15.0 / 0.85, source="unknown weight is shared out"),
        Example(
            given={**SEED_DAY, **{"mpi_zscore": None, "puell_issuance_ratio": [None] * 7}},
            gives=15.0 / 0.6,
            source="0.6 of the weight is enough",
        ),
        Example(
            given={**SEED_DAY, **{"cost_coverage_ratio": None, "puell_issuance_ratio": [None] * 7}},
            gives=None,
            source="0.55 of the weight is not",
        ),
    ],
)
def score_hashrate() -> pl.Expr:
    """Part of the capitulation score from the hash ribbon's spread: none at -1 %, all 25 at -6 %."""
    return _contribution(HASHRATE)


@metric(
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR,
    null_rule=SCORE_NULL,
    ge=0,
    le=100,
    history_days=WEEK_DAYS,
    examples=[Example(given=SEED_DAY, gives=18.15)],
)
def score_margin() -> pl.Expr:
    """Part of the capitulation score from cost coverage of the mean fleet: none at 1.25, all 20 at 0.85."""
    return _contribution(MARGIN)


@metric(
    unit=Unit.SCORE_PART,
    error=SCORE_ERROR,
    null_rule=SCORE_NULL,
    ge=0,
    le=100,
    history_days=WEEK_DAYS,
    examples=[Example(given=SEED_DAY, gives=11.25)],
)
def score_selling() -> pl.Expr:
    """Part of the capitulation score from the Miners' Position Index: none at 1, all 15 at 3 standard deviations."""
    return _contribution(SELLING)


_PARTS = ("score_income_level", "score_income_change", "score_hashrate", "score_margin", "score_selling")


@metric(
    unit=Unit.SCORE,
    error=SCORE_ERROR,
    null_rule="NULL when less than 0.6 of the weight is known.",
    ge=0,
    le=100,
    examples=[
        Example(
            given=dict(zip(_PARTS, (15.5, 15.0, 15.0, 18.15, 11.25), strict=True)),
            gives=74.9,
        ),
        Example(given=dict.fromkeys(_PARTS), gives=None, source="nothing known is not calm"),
    ],
)
def capitulation_score() -> pl.Expr:
    """Stress of miners from 0 to 100, the sum of its five parts; below 25 calm, from 70 on like past capitulations."""
    known = pl.any_horizontal(pl.col(part).is_not_null() for part in _PARTS)
    return pl.when(known).then(pl.sum_horizontal(_PARTS))


METRICS = (
    capitulation_score,
    score_income_level,
    score_income_change,
    score_hashrate,
    score_margin,
    score_selling,
)
