"""The regime: four kinds of stress, a vendor's rule, and a state with hysteresis and its reasons."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from schemas.metric import Example, Given, Scalar, metric
from schemas.units import Unit
from transforms.windows import least_known, mean_over

WEEK_DAYS: Final = 7
INCOME_STRESS_PUELL: Final = 0.80
INCOME_STRESS_CHANGE_PCT: Final = -20.0
MARGIN_STRESS_COVERAGE: Final = 1.0
SELLING_STRESS_ZSCORE: Final = 2.0
SELLING_STRESS_EVENTS: Final = 2
SELLING_STRESS_DAYS: Final = 14
SAME_EVENT_DAYS: Final = 3
"""Bursts no further apart than this are one event."""
DEEP_COVERAGE: Final = 0.9
DEEP_PUELL: Final = 0.6
DEEP_SIGNS: Final = 2
HELD_DAYS: Final = 3
RECOVERY_DAYS: Final = 60
GLASSNODE_RISK_LIMIT: Final = 0.65

STATES: Final = ("normal", "squeeze", "outage", "capitulation", "deep_capitulation", "recovery")
CAPITULATIONS: Final = ("capitulation", "deep_capitulation")

JUDGEMENT = "Limits are our judgement. "


@metric(
    unit=Unit.YES_NO,
    error=JUDGEMENT,
    null_rule="NULL when neither input is known, or the known one shows no stress.",
    history_days=WEEK_DAYS,
    examples=[
        Example(given={"puell_issuance_ratio": [0.80] * 7, "revenue_change_30d_pct": 0.0}, gives=True),
        Example(given={"puell_issuance_ratio": [0.81] * 7, "revenue_change_30d_pct": -20.0}, gives=True),
        Example(given={"puell_issuance_ratio": [0.81] * 7, "revenue_change_30d_pct": -19.9}, gives=False),
        Example(given={"puell_issuance_ratio": [None] * 7, "revenue_change_30d_pct": -30.0}, gives=True),
        Example(given={"puell_issuance_ratio": [None] * 7, "revenue_change_30d_pct": 5.0}, gives=None),
    ],
)
def stress_income() -> pl.Expr:
    """Income stress: weekly Puell Multiple of 0.80 or less, or revenue down 20 % or more in 30 days."""
    level = mean_over(pl.col("puell_issuance_ratio"), WEEK_DAYS) <= INCOME_STRESS_PUELL
    return level | (pl.col("revenue_change_30d_pct") <= INCOME_STRESS_CHANGE_PCT)


@metric(
    unit=Unit.YES_NO,
    error=JUDGEMENT + "As good as the dated fleet and cost estimates.",
    null_rule="NULL when cost coverage is.",
    examples=[
        Example(given={"cost_coverage_ratio": 0.887}, gives=True),
        Example(given={"cost_coverage_ratio": 1.001}, gives=False),
    ],
)
def stress_margin() -> pl.Expr:
    """Margin stress: the mean fleet earns no more than its all-in cash cost."""
    return pl.col("cost_coverage_ratio") <= MARGIN_STRESS_COVERAGE


@metric(
    unit=Unit.YES_NO,
    error="Late by three days by construction.",
    null_rule="NULL when the state of the hash ribbon is.",
    examples=[
        Example(given={"hash_ribbon_state": "capitulation"}, gives=True),
        Example(given={"hash_ribbon_state": "normal"}, gives=False),
    ],
)
def stress_hashrate() -> pl.Expr:
    """Hash-rate stress: the hash ribbon, with its dead band, is in capitulation."""
    return pl.col("hash_ribbon_state") == "capitulation"


@metric(
    unit=Unit.YES_NO,
    error=JUDGEMENT + "Moving coins is not selling them.",
    null_rule="NULL when the index is unknown and the bursts decide nothing.",
    history_days=SELLING_STRESS_DAYS + SAME_EVENT_DAYS,
    examples=[
        Example(
            given={
                "mpi_zscore": 2.0,
                "miner_to_exchange_burst": [False] * 14,
                "miner_to_exchange_recycling_suspected": False,
            },
            gives=True,
        ),
        Example(
            given={
                "mpi_zscore": 1.0,
                "miner_to_exchange_burst": [True] + [False] * 12 + [True],
                "miner_to_exchange_recycling_suspected": False,
            },
            gives=True,
            source="two events in 14 days",
        ),
        Example(
            given={
                "mpi_zscore": 1.0,
                "miner_to_exchange_burst": [False] * 10 + [True, False, False, True],
                "miner_to_exchange_recycling_suspected": False,
            },
            gives=False,
            source="three days apart is one event",
        ),
        Example(
            given={
                "mpi_zscore": 1.0,
                "miner_to_exchange_burst": [False] * 9 + [True, False, False, False, True],
                "miner_to_exchange_recycling_suspected": False,
            },
            gives=True,
            source="four days apart is two",
        ),
        Example(
            given={
                "mpi_zscore": 1.0,
                "miner_to_exchange_burst": [True] + [False] * 12 + [True],
                "miner_to_exchange_recycling_suspected": True,
            },
            gives=False,
            source="coins that go round are not sold",
        ),
        Example(
            given={
                "mpi_zscore": 1.0,
                "miner_to_exchange_burst": [True] + [False] * 13 + [True],
                "miner_to_exchange_recycling_suspected": False,
            },
            gives=False,
            source="15 days apart",
        ),
    ],
)
def stress_selling() -> pl.Expr:
    """Selling stress: Miners' Position Index of 2 or more, or two burst events in 14 days, coins not recycled."""
    burst = pl.col("miner_to_exchange_burst")
    before = burst.fill_null(False).cast(pl.Int32).rolling_sum(SAME_EVENT_DAYS, min_samples=1).shift(fill_value=0)
    starts = burst & (before == 0)
    events = starts.cast(pl.Int32).rolling_sum(SELLING_STRESS_DAYS, min_samples=least_known(SELLING_STRESS_DAYS))
    sold = (events >= SELLING_STRESS_EVENTS) & ~pl.col("miner_to_exchange_recycling_suspected")
    return (pl.col("mpi_zscore") >= SELLING_STRESS_ZSCORE) | sold


@metric(
    unit=Unit.YES_NO,
    error="Another house's rule on our inputs: their data and the details of their averages differ.",
    null_rule="NULL when either input is.",
    examples=[
        Example(
            given={"puell_issuance_ratio": 0.69, "difficulty_ribbon_compression_ratio": 0.02},
            gives=False,
            source="0.69 is above the limit",
        ),
        Example(given={"puell_issuance_ratio": 0.60, "difficulty_ribbon_compression_ratio": 0.04}, gives=True),
        Example(given={"puell_issuance_ratio": 0.60, "difficulty_ribbon_compression_ratio": 0.05}, gives=False),
    ],
)
def rule_glassnode_risk() -> pl.Expr:
    """Glassnode's rule for elevated risk of capitulation: Puell Multiple plus ribbon compression below 0.65."""
    return pl.col("puell_issuance_ratio") + pl.col("difficulty_ribbon_compression_ratio") < GLASSNODE_RISK_LIMIT


_CONDITIONS = ("stress_income", "stress_margin", "stress_hashrate", "stress_selling")


@metric(
    unit=Unit.RATIO,
    error="Exact.",
    null_rule=None,
    ge=0,
    le=1,
    examples=[
        Example(given=dict.fromkeys(_CONDITIONS, False), gives=1.0),
        Example(given=dict.fromkeys(_CONDITIONS, True) | {"stress_selling": None}, gives=0.75),
    ],
)
def capitulation_coverage_ratio() -> pl.Expr:
    """Share of the four stress conditions that are known; the state rests on these."""
    return pl.mean_horizontal(pl.col(c).is_not_null().cast(pl.Float64) for c in _CONDITIONS)


@metric(
    unit=Unit.COUNT,
    error=JUDGEMENT,
    null_rule=None,
    ge=0,
    le=4,
    examples=[
        Example(
            given={
                "rule_glassnode_risk": False,
                "stress_selling": True,
                "cost_coverage_ratio": 0.887,
                "puell_issuance_ratio": 0.69,
            },
            gives=2,
            source="selling, and coverage of 0.9 or less",
        ),
        Example(
            given={
                "rule_glassnode_risk": None,
                "stress_selling": None,
                "cost_coverage_ratio": None,
                "puell_issuance_ratio": 0.6,
            },
            gives=1,
            source="an unknown sign is no sign",
        ),
    ],
)
def deep_sign_count() -> pl.Expr:
    """Signs of a deep capitulation: Glassnode's rule, selling stress, coverage up to 0.9, Puell Multiple up to 0.6."""
    signs = (
        pl.col("rule_glassnode_risk"),
        pl.col("stress_selling"),
        pl.col("cost_coverage_ratio") <= DEEP_COVERAGE,
        pl.col("puell_issuance_ratio") <= DEEP_PUELL,
    )
    return pl.sum_horizontal(sign.fill_null(False).cast(pl.Int64) for sign in signs)


def _walk(days: pl.Series) -> Iterator[str | None]:
    """Yield the state of each day.

    The conditions of a day demand a state; the present state gives way once it has lasted three days itself, which
    is why this is a walk and not an expression. Capitulation needs the third consecutive day of its own condition;
    until then the day demands nothing new. An unknown day has no state and breaks that streak, but ends nothing; it
    is one of the sixty days of a recovery, as days are counted and not rows.
    """
    state: str | None = None
    lasted = streak = recovered_days = 0
    capitulated = recovering = False
    columns = ("is_final", "stress_hashrate", "stress_income", "stress_margin", "deep_sign_count")
    for is_final, hashrate, income, margin, signs in zip(*map(days.struct.field, columns), strict=True):
        if not is_final or hashrate is None or (income is None and margin is None):
            streak = 0
            recovered_days += 1
            yield None
            continue
        stressed = bool(income or margin)
        streak = streak + 1 if hashrate and stressed else 0
        wanted = state
        if streak >= HELD_DAYS:
            wanted = "deep_capitulation" if signs >= DEEP_SIGNS else "capitulation"
        elif hashrate and not stressed:
            wanted = "outage"
        elif not hashrate:
            wanted = "squeeze" if stressed else "normal"
        if hashrate:
            recovering = False
        elif capitulated:
            capitulated, recovering, recovered_days = False, True, 0
        if recovering:
            recovered_days += 1
            recovering = recovered_days <= RECOVERY_DAYS
            wanted = "recovery" if recovering else wanted
        if wanted != state and (state is None or lasted >= HELD_DAYS):
            state, lasted = wanted, 0
        lasted += 1
        capitulated = capitulated or (hashrate and state in CAPITULATIONS)
        yield state


def _states(days: pl.Series) -> pl.Series:
    return pl.Series(list(_walk(days)), dtype=pl.String)


def _days(**conditions: Sequence[Scalar] | Scalar) -> Given:
    """Conditions of example days; those not given are known and quiet."""
    quiet = {"stress_hashrate": False, "stress_income": False, "stress_margin": False, "deep_sign_count": 0}
    return {"is_final": True, **quiet, **conditions}


@metric(
    unit=Unit.LABEL,
    error=JUDGEMENT + "Late by three days by construction, and by three more where the ribbon decides.",
    null_rule="NULL when the day is not final, hash-rate or both other stresses are unknown, or history begins.",
    labels=STATES,
    history_days=HELD_DAYS,
    examples=[
        Example(given=_days(), gives="normal"),
        Example(given=_days(stress_margin=True), gives="squeeze"),
        Example(given=_days(stress_hashrate=True), gives="outage"),
        Example(given=_days(stress_hashrate=[True] * 3, stress_income=True), gives="capitulation"),
        Example(
            given=_days(stress_hashrate=[False, True, True], stress_income=True),
            gives="squeeze",
            source="two days of both are not three",
        ),
        Example(
            given=_days(stress_hashrate=[True] * 3, stress_income=True, deep_sign_count=2),
            gives="deep_capitulation",
            source="coverage 0.887 and selling: deep by a hair",
        ),
        Example(
            given=_days(stress_hashrate=[True] * 5 + [False] * 3, stress_income=True),
            gives="recovery",
        ),
        Example(
            given=_days(stress_hashrate=[True] * 5 + [False] * 61, stress_income=True),
            gives="squeeze",
            source="sixty days of recovery are over",
        ),
        Example(
            given=_days(stress_hashrate=False, stress_income=[False, False, False, True, False]),
            gives="squeeze",
            source="a state lasts three days",
        ),
        Example(given=_days(stress_hashrate=None), gives=None),
        Example(given=_days(stress_income=None, stress_margin=None), gives=None, source="unknown income is not calm"),
        Example(given=_days(stress_income=None), gives="normal", source="the state rests on what is known"),
    ],
)
def capitulation_state() -> pl.Expr:
    """State of the miners: normal, squeeze, outage, capitulation, deep capitulation or recovery."""
    conditions = pl.struct("is_final", "stress_hashrate", "stress_income", "stress_margin", "deep_sign_count")
    return conditions.map_batches(_states, return_dtype=pl.String)


@metric(
    unit=Unit.LABEL,
    error="Exact.",
    null_rule="NULL when the state is.",
    examples=[
        Example(
            given={
                "capitulation_state": "capitulation",
                "stress_income": True,
                "stress_margin": None,
                "stress_hashrate": True,
                "stress_selling": False,
            },
            gives="income+hashrate",
        ),
        Example(given={"capitulation_state": "normal"} | dict.fromkeys(_CONDITIONS, False), gives="none"),
    ],
)
def capitulation_state_reason() -> pl.Expr:
    """Stress conditions that hold on the day, joined by plus signs: why the state is what it is."""
    names = [pl.when(pl.col(c).fill_null(False)).then(pl.lit(c.removeprefix("stress_"))) for c in _CONDITIONS]
    reasons = pl.concat_list(names).list.drop_nulls().list.join("+")
    listed = pl.when(reasons == "").then(pl.lit("none")).otherwise(reasons)
    return pl.when(pl.col("capitulation_state").is_not_null()).then(listed)


METRICS = (
    capitulation_state,
    capitulation_state_reason,
    capitulation_coverage_ratio,
    stress_income,
    stress_margin,
    stress_hashrate,
    stress_selling,
    deep_sign_count,
    rule_glassnode_risk,
)
