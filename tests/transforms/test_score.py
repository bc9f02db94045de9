"""The score: three ramps on two sides, neither of which is enough for a capitulation."""

from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.derive import derive
from transforms.metrics.score import METRICS

# Written out from the specification: input, part, 0 at, all at, points.
RAMPS: Final = {
    "income_of_year_ratio": ("score_income_level", 1.0, 0.5, 25),
    "income_per_hash_of_year_ratio": ("score_income_per_hash", 1.0, 0.5, 25),
    "hash_ribbon_spread_pct": ("score_hashrate", -2.0, -5.0, 50),
}
PARTS: Final = tuple(part for part, *_ in RAMPS.values())

Inputs = dict[str, float | None]
INPUTS = st.fixed_dictionaries(
    {
        "income_of_year_ratio": st.none() | st.floats(0, 4, width=32),
        "income_per_hash_of_year_ratio": st.none() | st.floats(0, 4, width=32),
        "hash_ribbon_spread_pct": st.none() | st.floats(-40, 40, width=32),
    }
)


def scored(inputs: Inputs) -> dict[str, float | None]:
    frame = pl.DataFrame(inputs, schema=dict.fromkeys(RAMPS, pl.Float64))
    return derive(frame, METRICS).select("capitulation_score", *PARTS).row(-1, named=True)


@given(inputs=INPUTS)
def test_score_is_the_sum_of_its_ramps_and_unknown_where_one_is(inputs: Inputs) -> None:
    row = scored(inputs)
    points: dict[str, float | None] = {}
    for column, (part, at_zero, at_all, most) in RAMPS.items():
        value = inputs[column]
        share = None if value is None else min(1.0, max(0.0, (value - at_zero) / (at_all - at_zero)))
        points[part] = None if share is None else most * share
    for part, expected in points.items():
        assert row[part] == (None if expected is None else pytest.approx(expected, abs=1e-9))
    if None in points.values():
        assert row["capitulation_score"] is None
    else:
        assert row["capitulation_score"] == pytest.approx(sum(points.values()), abs=1e-9)
        assert 0 <= row["capitulation_score"] <= 100


@pytest.mark.parametrize(
    ("ratios", "spread", "score"),
    [
        ((0.0, 0.0), 0.0, 50.0),
        ((2.0, 2.0), -40.0, 50.0),
        ((0.5, 0.5), -5.0, 100.0),
        ((1.0, 1.0), -2.0, 0.0),
    ],
    ids=["income by itself", "hash rate by itself", "both at their limits", "neither"],
)
def test_one_side_gives_no_more_than_50_points(ratios: tuple[float, float], spread: float, score: float) -> None:
    inputs: Inputs = dict(zip(RAMPS, (*ratios, spread), strict=True))
    assert scored(inputs)["capitulation_score"] == pytest.approx(score, abs=1e-9)


@given(inputs=INPUTS, column=st.sampled_from(list(RAMPS)), step=st.floats(0, 30, width=32))
def test_more_stress_never_lowers_the_score(inputs: Inputs, column: str, step: float) -> None:
    before = inputs[column]
    if before is None:
        return
    scores = [scored(inputs | {column: value})["capitulation_score"] for value in (before, before - step)]
    if scores[0] is not None:
        assert scores[1] >= scores[0] - 1e-9
