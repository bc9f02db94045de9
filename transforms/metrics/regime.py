"""The state of the miners with its reasons, the outage that covers a day, and rules of other houses beside it."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from schemas.metric import Example, Given, Scalar, metric
from schemas.units import Unit
from transforms.capitulation import PARTS, RULE, STATE_INPUTS, STATES

GLASSNODE_RISK_LIMIT: Final = 0.65
PUELL_LOW_LIMIT: Final = 0.6
COMPRESSED_LIMIT: Final = 0.05

OTHER_HOUSE = "Another house's rule on our inputs: their data and the details of their averages differ."
MOST_POINTS = dict(zip(PARTS, (RULE.income_level, RULE.income_per_hash, RULE.hashrate), strict=True))


@metric(
    Example(given={"covering_event": "Winter Storm Fern"}, gives="Winter Storm Fern"),
    Example(given={"covering_event": ""}, gives=None),
    unit=Unit.LABEL,
    error="As good as the dates of the event. Whether it is why hash rate fell is our judgement.",
    null_rule="NULL when no event that was known by then covers the day.",
)
def outage_event() -> pl.Expr:
    """Storm, power cut or ban that covers the day, which is up to 60 days after its end; the latest of several.

    Those 60 days are the slow window of the hash ribbon, which an outage lowers for as long.
    """
    return pl.when(pl.col("covering_event") != "").then(pl.col("covering_event"))


def _days(
    *, income: Sequence[float] | float = 0.0, hashrate: Sequence[float] | float = 0.0, event: Scalar = None
) -> Given:
    """Example days: points of the economic side, all of it from the level, those of hash rate, and the event."""
    parts = dict(zip(PARTS, (income, 0.0, hashrate), strict=True))
    return {"is_final": True, **parts, "outage_event": event}


@metric(
    Example(given=_days(), gives="normal"),
    Example(given=_days(income=[30, 21]), gives="squeeze"),
    Example(given=_days(income=[30, 21, 20]), gives="normal", source="left at 10 points less, or below"),
    Example(given=_days(hashrate=50), gives="hashrate_decline"),
    Example(given=_days(hashrate=50, event="Winter Storm Fern"), gives="outage"),
    Example(given=_days(income=30, event="Winter Storm Fern"), gives="squeeze", source="income explains it"),
    Example(given=_days(income=10, hashrate=50), gives="capitulation"),
    Example(given=_days(income=50, hashrate=[10, 1]), gives="capitulation"),
    Example(given=_days(income=50, hashrate=[10, 1, 0]), gives="squeeze", source="one side holds no capitulation"),
    Example(given=_days(income=30, hashrate=50), gives="deep_capitulation"),
    Example(given=_days(income=[30] + [0] * 60, hashrate=[30] + [0] * 60), gives="recovery"),
    Example(
        given=_days(income=[30] + [0] * 61, hashrate=[30] + [0] * 61),
        gives="normal",
        source="sixty days of recovery are over",
    ),
    Example(given={**_days(), "is_final": False}, gives=None),
    Example(given={**_days(), PARTS[1]: None}, gives=None, source="an unknown part is not calm"),
    unit=Unit.LABEL,
    error="Limits are our judgement; with another choice days move, and episodes mostly do not. Late by 8 to 18 days.",
    null_rule="NULL when the day is not final or a part of the score is unknown.",
    labels=STATES,
    history_days=RULE.year_days,
)
def capitulation_state() -> pl.Expr:
    """State of the miners, from bands of the score at 30, 60 and 80 points that are left 10 points lower.

    Below 30: normal, or recovery on the first 60 such days within a year after a capitulation. One side: squeeze where
    income is at least as stressed as hash rate, else hashrate_decline, or outage where an event covers the day. From 60
    on both sides: capitulation, and deep_capitulation from 80.
    """
    return pl.struct(STATE_INPUTS).map_batches(RULE.states, return_dtype=pl.String)


@metric(
    Example(
        given={"capitulation_state": "capitulation", **dict(zip(PARTS, (12.28, 15.16, 50.0), strict=True))},
        gives="income_per_hash+hashrate",
        source="2026-02-05: the income level stands at 12.28 of 25",
    ),
    Example(given={"capitulation_state": "normal", **dict.fromkeys(PARTS, 0.0)}, gives="none"),
    Example(given={"capitulation_state": None, **dict.fromkeys(PARTS, 25.0)}, gives=None),
    unit=Unit.LABEL,
    error="Exact.",
    null_rule="NULL when the state is.",
)
def capitulation_state_reason() -> pl.Expr:
    """Parts of the score that stand at half of their points or more, joined by plus signs; none where no part does."""
    names = [
        pl.when(pl.col(part) >= ramp.points / 2).then(pl.lit(part.removeprefix("score_")))
        for part, ramp in MOST_POINTS.items()
    ]
    reasons = pl.concat_list(names).list.drop_nulls().list.join("+")
    listed = pl.when(reasons == "").then(pl.lit("none")).otherwise(reasons)
    return pl.when(pl.col("capitulation_state").is_not_null()).then(listed)


@metric(
    Example(
        given={"puell_issuance_ratio": 0.69, "difficulty_ribbon_compression_ratio": 0.02},
        gives=False,
        source="0.69 is above the limit",
    ),
    Example(given={"puell_issuance_ratio": 0.60, "difficulty_ribbon_compression_ratio": 0.04}, gives=True),
    Example(given={"puell_issuance_ratio": 0.60, "difficulty_ribbon_compression_ratio": 0.05}, gives=False),
    unit=Unit.YES_NO,
    error=OTHER_HOUSE,
    null_rule="NULL when either input is.",
)
def rule_glassnode_risk() -> pl.Expr:
    """Glassnode's rule for elevated risk of capitulation: Puell Multiple plus ribbon compression below 0.65."""
    return pl.col("puell_issuance_ratio") + pl.col("difficulty_ribbon_compression_ratio") < GLASSNODE_RISK_LIMIT


@metric(
    Example(given={"puell_issuance_ratio": 0.599}, gives=True),
    Example(given={"puell_issuance_ratio": 0.6}, gives=False),
    unit=Unit.YES_NO,
    error=OTHER_HOUSE + " A halving halves the Puell Multiple, and block luck moves it by 8 % a day.",
    null_rule="NULL when the Puell Multiple is.",
)
def rule_puell_low() -> pl.Expr:
    """Glassnode's limit for stress of miners' income: Puell Multiple of the day below 0.6."""
    return pl.col("puell_issuance_ratio") < PUELL_LOW_LIMIT


@metric(
    Example(given={"difficulty_ribbon_compression_ratio": 0.0499}, gives=True),
    Example(given={"difficulty_ribbon_compression_ratio": 0.05}, gives=False),
    unit=Unit.YES_NO,
    error=OTHER_HOUSE + " It held for most of a rising market from April 2020 to June 2021.",
    null_rule="NULL when the compression is.",
)
def rule_difficulty_ribbon_compressed() -> pl.Expr:
    """Zone of the difficulty ribbon that the press calls one of lows of the price: compression below 0.05."""
    return pl.col("difficulty_ribbon_compression_ratio") < COMPRESSED_LIMIT


METRICS = (
    capitulation_state,
    capitulation_state_reason,
    outage_event,
    rule_glassnode_risk,
    rule_puell_low,
    rule_difficulty_ribbon_compressed,
)
