"""Cost estimates by day: the newest one published by then, never one that was not yet known."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from transforms.inputs.cost import known_inputs

FIRST = date(2024, 6, 1)
DAYS = pl.DataFrame({"day": [FIRST + timedelta(days=n) for n in range(40)]})

Builder = Callable[..., pl.DataFrame]
Estimate = tuple[int, int, float]
"""Days after the first one that it describes and from which it is known, and the figure."""

ESTIMATES = st.lists(
    st.tuples(st.integers(-30, 39), st.integers(-5, 45), st.floats(10, 100)),
    max_size=8,
    unique_by=lambda row: row[:2],
).map(lambda rows: [row for row in rows if row[0] <= row[1]])


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def fleets(registry_table: Builder, estimates: Sequence[Estimate], fleet: str = "network") -> pl.DataFrame:
    return registry_table(
        "fleet_efficiency",
        [
            {"fleet": fleet, "as_of": day(of), "known_at": day(known), "efficiency_j_per_th": j, "pue_ratio": j / 50}
            for of, known, j in estimates
        ],
    )


def prices(registry_table: Builder, estimates: Sequence[Estimate]) -> pl.DataFrame:
    return registry_table(
        "power_price",
        [
            {"as_of": day(of), "known_at": day(known), "power_usd_per_mwh": p, "all_in_usd_per_mwh": p + 10}
            for of, known, p in estimates
        ],
    )


def as_known(estimates: Sequence[Estimate], today: int) -> float | None:
    """Of the estimates published by today, the one about the latest date; of equals the last published."""
    known_figures = [(of, known, figure) for of, known, figure in estimates if known <= today]
    return max(known_figures)[2] if known_figures else None


@given(estimates=ESTIMATES)
def test_day_gets_the_newest_estimate_published_by_then(registry_table: Builder, estimates: list[Estimate]) -> None:
    laid_out = known_inputs(DAYS, fleets(registry_table, estimates), prices(registry_table, estimates))
    expected = [as_known(estimates, n) for n in range(DAYS.height)]
    assert laid_out["fleet_efficiency_j_per_th"].to_list() == expected
    assert laid_out["fleet_pue_ratio"].to_list() == [None if j is None else j / 50 for j in expected]
    assert laid_out["power_usd_per_mwh"].to_list() == expected
    assert laid_out["all_in_usd_per_mwh"].to_list() == [None if p is None else p + 10 for p in expected]
    assert laid_out["new_fleet_efficiency_j_per_th"].null_count() == DAYS.height


@given(estimates=ESTIMATES, cut=st.integers(0, 39))
def test_estimate_published_later_changes_no_earlier_day(
    registry_table: Builder, estimates: list[Estimate], cut: int
) -> None:
    known_by_then = [row for row in estimates if row[1] <= cut]
    everything, less = (
        known_inputs(DAYS, fleets(registry_table, rows), prices(registry_table, rows)).head(cut + 1)
        for rows in (estimates, known_by_then)
    )
    assert_frame_equal(everything, less)


def test_estimate_counts_from_its_publication_and_not_from_its_date(registry_table: Builder) -> None:
    laid_out = known_inputs(DAYS, fleets(registry_table, [(0, 10, 28.2)]), prices(registry_table, []))
    assert laid_out["fleet_efficiency_j_per_th"].to_list() == [None] * 10 + [28.2] * 30


def test_estimate_is_held_and_not_drawn_toward_the_next_one(registry_table: Builder) -> None:
    laid_out = known_inputs(DAYS, fleets(registry_table, [(0, 0, 40.0), (20, 20, 20.0)]), prices(registry_table, []))
    assert laid_out["fleet_efficiency_j_per_th"].to_list() == [40.0] * 20 + [20.0] * 20


def test_late_word_about_an_earlier_date_supersedes_nothing(registry_table: Builder) -> None:
    laid_out = known_inputs(DAYS, fleets(registry_table, [(5, 6, 20.0), (2, 9, 40.0)]), prices(registry_table, []))
    assert laid_out["fleet_efficiency_j_per_th"].to_list() == [None] * 6 + [20.0] * 34


def test_fleets_do_not_stand_in_for_each_other(registry_table: Builder) -> None:
    yardsticks = pl.concat(
        fleets(registry_table, [(0, 0, j)], fleet) for fleet, j in (("network", 25.0), ("new", 18.0), ("old", 30.0))
    )
    last = known_inputs(DAYS, yardsticks, prices(registry_table, [])).row(-1, named=True)
    efficiencies = [last[f"{fleet}_efficiency_j_per_th"] for fleet in ("fleet", "new_fleet", "old_fleet")]
    assert efficiencies == [25.0, 18.0, 30.0]


def test_survey_that_leaves_out_a_price_does_not_end_the_one_before(registry_table: Builder) -> None:
    surveys = prices(registry_table, [(0, 0, 40.0), (10, 10, 50.0)]).with_columns(
        pl.when(pl.col("as_of") == FIRST).then("all_in_usd_per_mwh").alias("all_in_usd_per_mwh")
    )
    laid_out = known_inputs(DAYS, fleets(registry_table, []), surveys)
    assert laid_out["power_usd_per_mwh"].to_list() == [40.0] * 10 + [50.0] * 30
    assert laid_out["all_in_usd_per_mwh"].to_list() == [50.0] * 40


@given(estimates=ESTIMATES, seed=st.integers(0, 1_000))
def test_order_of_rows_does_not_matter(registry_table: Builder, estimates: list[Estimate], seed: int) -> None:
    fleet, price = fleets(registry_table, estimates), prices(registry_table, estimates)
    shuffled = (frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (DAYS, fleet, price))
    assert_frame_equal(known_inputs(*shuffled), known_inputs(DAYS, fleet, price))
