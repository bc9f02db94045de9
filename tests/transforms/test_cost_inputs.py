"""Cost estimates by day: by what had been published by then, never by one that was not yet known."""

import math
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from transforms.inputs.cost import known_inputs
from warehouse.registry import load_registry

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


def prices(registry_table: Builder, estimates: Sequence[Estimate], scope: str = "network") -> pl.DataFrame:
    return registry_table(
        "power_price",
        [
            {
                "as_of": day(of),
                "known_at": day(known),
                "scope": scope,
                "power_usd_per_mwh": p,
                "all_in_usd_per_mwh": p + 10,
            }
            for of, known, p in estimates
        ],
    )


def path_of(estimates: Sequence[Estimate], today: int) -> float | None:
    """By hand: each estimate falls by a fifth a year, and takes over from the ones before it within 90 days."""
    path: float | None = None
    newest_date = -math.inf
    for of, known, figure in sorted(estimates, key=lambda row: (row[1], row[0])):
        later_the_same_day = any(k == known and o > of for o, k, _ in estimates)
        if known > today or of < newest_date or later_the_same_day:
            continue
        newest_date = of
        newest = figure * figure / 50 * 0.8 ** ((today - of) / 365.25)
        taken = min((today - known) / 90, 1.0)
        path = newest if path is None else path ** (1 - taken) * newest**taken
    return path


def as_known(estimates: Sequence[Estimate], today: int) -> float | None:
    """Of the estimates published by today, the one about the latest date; of equals the last published."""
    known_figures = [(of, known, figure) for of, known, figure in estimates if known <= today]
    return max(known_figures)[2] if known_figures else None


@given(estimates=ESTIMATES)
def test_day_gets_the_newest_estimate_published_by_then(registry_table: Builder, estimates: list[Estimate]) -> None:
    laid_out = known_inputs(DAYS, fleets(registry_table, estimates), prices(registry_table, estimates))
    expected = [as_known(estimates, n) for n in range(DAYS.height)]
    assert laid_out["fleet_efficiency_j_per_th"].to_list() == pytest.approx(
        [path_of(estimates, n) for n in range(DAYS.height)]
    )
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


def test_estimate_counts_from_its_publication_and_is_carried_on_from_its_date(registry_table: Builder) -> None:
    late = registry_table(
        "fleet_efficiency",
        [{"fleet": "network", "as_of": day(0), "known_at": day(10), "efficiency_j_per_th": 25.0, "pue_ratio": 1.1}],
    )
    laid_out = known_inputs(DAYS, late, prices(registry_table, []))
    carried_on = [27.5 * 0.8 ** (n / 365.25) for n in range(10, 40)]
    assert laid_out["fleet_efficiency_j_per_th"].to_list() == pytest.approx([None] * 10 + carried_on)
    assert laid_out["fleet_efficiency_as_of"].to_list() == [None] * 10 + [day(0)] * 30


def test_late_word_about_an_earlier_date_supersedes_nothing(registry_table: Builder) -> None:
    one, late = (
        known_inputs(DAYS, fleets(registry_table, estimates), prices(registry_table, []))
        for estimates in ([(5, 6, 20.0)], [(5, 6, 20.0), (2, 9, 40.0)])
    )
    assert_frame_equal(one, late)


def test_yardsticks_are_held_and_stand_in_for_nobody(registry_table: Builder) -> None:
    rows = [(0, 0, 40.0), (20, 20, 20.0)]
    yardsticks = pl.concat(fleets(registry_table, rows, fleet) for fleet in ("new", "old"))
    laid_out = known_inputs(DAYS, yardsticks, prices(registry_table, []))
    for column in ("new_fleet_efficiency_j_per_th", "old_fleet_efficiency_j_per_th"):
        assert laid_out[column].to_list() == [32.0] * 20 + [8.0] * 20
    assert laid_out["fleet_efficiency_j_per_th"].null_count() == DAYS.height


def test_publications_of_the_registry_take_over_without_a_step() -> None:
    registry = load_registry()
    calendar = pl.DataFrame({"day": pl.date_range(date(2019, 1, 1), date(2026, 11, 1), eager=True)})
    path = known_inputs(calendar, registry["fleet_efficiency"], registry["power_price"])
    efficiency = pl.col("fleet_efficiency_j_per_th")
    steps = path.select((efficiency / efficiency.shift() - 1).abs().max()).item()
    assert 100 * steps == pytest.approx(0.15, abs=0.005)
    by_day = dict(path.select("day", efficiency).iter_rows())
    assert by_day[date(2019, 6, 11)] is None
    figures = {date(2020, 6, 1): 77.4, date(2022, 12, 25): 43.4, date(2024, 7, 5): 30.3, date(2026, 2, 5): 19.7}
    for when, figure in figures.items():
        assert by_day[when] == pytest.approx(figure, abs=0.05)


def test_prices_of_the_registry_are_sourced_and_reach_the_present() -> None:
    registry = load_registry()
    for table in ("asic_price", "power_price"):
        assert registry[table]["source_url"].null_count() == 0
    years = set(registry["power_price"]["as_of"].dt.year())
    assert years >= {2019, 2020, 2022, 2024, 2025}
    assert registry["asic_price"].sort("known_at").row(-1, named=True)["machine_usd_per_th"] == 7.5


def test_path_met_each_later_estimate_of_the_registry() -> None:
    registry = load_registry()
    estimates = registry["fleet_efficiency"].filter(pl.col("fleet") == "network").sort("known_at")
    misses = []
    for row in estimates[1:].iter_rows(named=True):
        published = pl.DataFrame({"day": [row["known_at"]]})
        before = registry["fleet_efficiency"].filter(pl.col("known_at") < row["known_at"])
        path = known_inputs(published, before, registry["power_price"])["fleet_efficiency_j_per_th"].item()
        years = (row["known_at"] - row["as_of"]).days / 365.25
        misses.append(100 * (row["efficiency_j_per_th"] * row["pue_ratio"] * 0.8**years / path - 1))
    assert [round(miss) for miss in misses] == [2, -5, 0, 3, 3, 2, -4, -1, -7]
    assert math.sqrt(sum(miss**2 for miss in misses) / len(misses)) == pytest.approx(3.6, abs=0.05)


def test_survey_that_leaves_out_a_price_does_not_end_the_one_before(registry_table: Builder) -> None:
    surveys = prices(registry_table, [(0, 0, 40.0), (10, 10, 50.0)]).with_columns(
        pl.when(pl.col("as_of") == FIRST).then("all_in_usd_per_mwh").alias("all_in_usd_per_mwh")
    )
    laid_out = known_inputs(DAYS, fleets(registry_table, []), surveys)
    assert laid_out["power_usd_per_mwh"].to_list() == [40.0] * 10 + [50.0] * 30
    assert laid_out["all_in_usd_per_mwh"].to_list() == [50.0] * 40


def test_price_of_some_miners_is_nobodys_cost(registry_table: Builder) -> None:
    hosts = pl.concat([prices(registry_table, [(0, 0, 40.0)]), prices(registry_table, [(5, 5, 70.0)], "part")])
    laid_out = known_inputs(DAYS, fleets(registry_table, []), hosts)
    assert laid_out["power_usd_per_mwh"].to_list() == [40.0] * 40


@given(estimates=ESTIMATES, seed=st.integers(0, 1_000))
def test_order_of_rows_does_not_matter(registry_table: Builder, estimates: list[Estimate], seed: int) -> None:
    fleet, price = fleets(registry_table, estimates), prices(registry_table, estimates)
    shuffled = (frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (DAYS, fleet, price))
    assert_frame_equal(known_inputs(*shuffled), known_inputs(DAYS, fleet, price))
