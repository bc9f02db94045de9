"""The score: five ramps, weights shared out among what is known, parts that add up."""

from itertools import combinations
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.derive import derive
from transforms.metrics.score import COMPONENTS, METRICS

# Written out from the specification: input, part, 0 at, 1 at, weight.
RAMPS: Final = {
    "puell_issuance_ratio": ("score_income_level", 1.00, 0.50, 0.25),
    "revenue_change_30d_pct": ("score_income_change", -10.0, -30.0, 0.15),
    "hash_ribbon_spread_pct": ("score_hashrate", -1.0, -6.0, 0.25),
    "cost_coverage_ratio": ("score_margin", 1.25, 0.85, 0.20),
    "mpi_zscore": ("score_selling", 1.0, 3.0, 0.15),
}
PARTS: Final = [part for part, *_ in RAMPS.values()]
SEED_DAY: Final = dict(zip(RAMPS, (0.69, -30.0, -4.0, 0.887, 2.5), strict=True))
WORST: Final = {column: at_one for column, (_, _, at_one, _) in RAMPS.items()}

Inputs = dict[str, float | None]

INPUTS = st.fixed_dictionaries({column: st.none() | st.floats(-60, 60, allow_nan=False, width=32) for column in RAMPS})


def scored(inputs: Inputs) -> dict[str, float | None]:
    """Score of a day whose week was the same."""
    frame = pl.DataFrame({name: [cell] * 7 for name, cell in inputs.items()}, schema=dict.fromkeys(RAMPS, pl.Float64))
    return derive(frame, METRICS).select("capitulation_score", *PARTS).row(-1, named=True)


def scored_slowly(inputs: Inputs) -> dict[str, float | None]:
    known = {column: value for column, value in inputs.items() if value is not None}
    weight = sum(round(100 * RAMPS[column][3]) for column in known)
    points: dict[str, float | None] = dict.fromkeys(PARTS)
    if weight < 60:
        return {"capitulation_score": None} | points
    for column, value in known.items():
        part, at_zero, at_one, share = RAMPS[column]
        passed = min(1.0, max(0.0, (value - at_zero) / (at_one - at_zero)))
        points[part] = 100 * (100 * share / weight) * passed
    return {"capitulation_score": sum(p for p in points.values() if p is not None)} | points


def test_worked_example_adds_up_to_74_9() -> None:
    expected = dict(zip(PARTS, (15.5, 15.0, 15.0, 18.15, 11.25), strict=True))
    assert scored(SEED_DAY) == pytest.approx({"capitulation_score": 74.9} | expected, abs=1e-9)


def test_weights_add_up_to_one() -> None:
    assert sum(component.weight for component in COMPONENTS) == pytest.approx(1.0, abs=1e-15)


@given(inputs=INPUTS)
def test_score_is_that_of_a_slow_sum(inputs: Inputs) -> None:
    expected = scored_slowly(inputs)
    for name, value in scored(inputs).items():
        assert value == (None if expected[name] is None else pytest.approx(expected[name], abs=1e-9)), name


@given(inputs=INPUTS)
def test_score_lies_between_0_and_100_and_is_the_sum_of_its_parts(inputs: Inputs) -> None:
    row = scored(inputs)
    parts = [row[part] for part in PARTS if row[part] is not None]
    if row["capitulation_score"] is None:
        assert parts == []
    else:
        assert 0 <= row["capitulation_score"] <= 100
        assert row["capitulation_score"] == pytest.approx(sum(parts), abs=1e-9)
        assert all(0 <= part <= 100 for part in parts)


@pytest.mark.parametrize("unknown", [c for n in range(6) for c in combinations(RAMPS, n)], ids="+".join)
def test_worst_day_scores_100_by_whatever_is_known_and_never_more(unknown: tuple[str, ...]) -> None:
    score = scored(WORST | dict.fromkeys(unknown))["capitulation_score"]
    missing = sum(round(100 * RAMPS[column][3]) for column in unknown)
    if missing > 40:
        assert score is None
    else:
        assert score == pytest.approx(100, abs=1e-9)
        assert score <= 100


def test_calm_day_scores_zero() -> None:
    calm = {column: at_zero for column, (_, at_zero, _, _) in RAMPS.items()}
    assert scored(calm)["capitulation_score"] == 0


@given(inputs=INPUTS, column=st.sampled_from(list(RAMPS)), step=st.floats(0, 30, width=32))
def test_more_stress_never_lowers_the_score(inputs: Inputs, column: str, step: float) -> None:
    before = inputs[column]
    if before is None:
        return
    _, at_zero, at_one, _ = RAMPS[column]
    worse = before + step if at_one > at_zero else before - step
    scores = [scored(inputs | {column: value})["capitulation_score"] for value in (before, worse)]
    if scores[0] is not None:
        assert scores[1] >= scores[0] - 1e-9


def test_income_level_is_that_of_the_week() -> None:
    week = [1.0] * 5 + [0.5, 0.5]
    frame = pl.DataFrame({name: [cell] * 7 for name, cell in WORST.items()}).with_columns(
        pl.Series("puell_issuance_ratio", week)
    )
    assert derive(frame, METRICS)["score_income_level"][-1] == pytest.approx(25 * 2 / 7)


def test_other_inputs_are_those_of_the_day() -> None:
    frame = pl.DataFrame({name: [at_zero] * 6 + [WORST[name]] for name, (_, at_zero, _, _) in RAMPS.items()})
    row = derive(frame, METRICS).row(-1, named=True)
    assert [row[part] for part in PARTS[1:]] == pytest.approx([15, 25, 20, 15])
