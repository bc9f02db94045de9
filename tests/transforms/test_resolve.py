"""One source a series, whole: gaps stay gaps, other sources are compared and never mixed in."""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.series import SERIES, Group
from transforms.inputs.resolve import CONFLICTS, resolve

FIRST = date(2024, 6, 1)
A_THEN_B = {group: ["a", "b"] for group in Group}

Value = tuple[str, str, int, float]


def values_of(*rows: Value) -> pl.DataFrame:
    """Values as (source, series, days after the first, value)."""
    return pl.DataFrame(
        [(source, series, FIRST + timedelta(days=n), value) for source, series, n, value in rows],
        schema={"source": pl.String, "series": pl.String, "day": pl.Date, "value": pl.Float64},
        orient="row",
    )


def column(values: pl.DataFrame, series: str, precedence: dict[Group, list[str]]) -> list[float | None]:
    return resolve(values, precedence).days[series].to_list()


def test_series_comes_whole_from_the_first_source_that_states_it() -> None:
    values = values_of(
        ("a", "miner_outflow_sat", 0, 1.0),
        ("a", "miner_outflow_sat", 2, 3.0),
        *(("b", "miner_outflow_sat", n, 9.0) for n in range(4)),
    )
    resolved = resolve(values, A_THEN_B)
    assert resolved.chosen == {"miner_outflow_sat": "a"}
    assert resolved.days["miner_outflow_sat"].to_list() == [1.0, None, 3.0]


def test_second_source_is_taken_where_the_first_states_nothing() -> None:
    values = values_of(("a", "price_usd", 0, 1.0), ("b", "fees_sat", 0, 7.0))
    assert resolve(values, A_THEN_B).chosen == {"price_usd": "a", "fees_sat": "b"}


def test_order_of_preference_decides_and_not_the_name() -> None:
    values = values_of(("a", "price_usd", 0, 1.0), ("b", "price_usd", 0, 2.0))
    assert column(values, "price_usd", {Group.PRICE: ["b", "a"]}) == [2.0]


def test_groups_are_ranked_each_for_itself() -> None:
    values = values_of(
        *((s, series, 0, v) for s, v in (("a", 1.0), ("b", 2.0)) for series in ("price_usd", "fees_sat"))
    )
    days = resolve(values, {Group.PRICE: ["a"], Group.CHAIN: ["b", "a"]}).days
    assert days.select("price_usd", "fees_sat").row(0) == (1.0, 2.0)


def test_source_that_is_not_listed_is_not_used() -> None:
    resolved = resolve(values_of(("c", "price_usd", 0, 1.0), ("a", "fees_sat", 0, 1.0)), {Group.CHAIN: ["a"]})
    assert resolved.chosen == {"fees_sat": "a"}
    assert resolved.days["price_usd"].to_list() == [None]
    assert resolved.days["sources"].to_list() == ["a"]


def test_calendar_has_no_gap_and_every_series_a_column() -> None:
    days = resolve(values_of(("a", "price_usd", 0, 1.0), ("a", "fees_sat", 4, 1.0)), A_THEN_B).days
    assert days["day"].to_list() == [FIRST + timedelta(days=n) for n in range(5)]
    assert days.columns == ["day", *SERIES, "sources"]


def test_missing_day_is_unknown_and_a_stated_zero_is_zero() -> None:
    values = values_of(*(("a", "miner_to_exchange_sat", n, 0.0) for n in (0, 2)))
    assert column(values, "miner_to_exchange_sat", A_THEN_B) == [0.0, None, 0.0]


def test_sources_of_a_day_are_those_that_gave_it_a_value() -> None:
    values = values_of(("a", "price_usd", 0, 1.0), ("b", "fees_sat", 0, 1.0), ("b", "fees_sat", 2, 1.0))
    assert resolve(values, A_THEN_B).days["sources"].to_list() == ["a,b", "", "b"]


def test_source_that_was_not_chosen_is_not_named() -> None:
    values = values_of(("a", "price_usd", 0, 1.0), ("b", "price_usd", 0, 1.0))
    assert resolve(values, A_THEN_B).days["sources"].to_list() == ["a"]


def test_nothing_stated_is_no_days() -> None:
    resolved = resolve(values_of(), A_THEN_B)
    assert resolved.days.height == 0
    assert resolved.days.columns == ["day", *SERIES, "sources"]
    assert dict(resolved.chosen) == {}
    assert resolved.conflicts.schema == CONFLICTS


@pytest.mark.parametrize(
    ("mine", "theirs", "conflicts", "largest_pct"),
    [
        (1000.0, 1000.0, 0, 0.0),
        (1000.0, 999.0, 0, 0.1),
        (1000.0, 998.9, 1, 0.11),
        (0.0, 0.0, 0, 0.0),
        (0.0, 5.0, 1, 100),
    ],
)
def test_difference_of_more_than_a_thousandth_is_a_conflict(
    mine: float, theirs: float, conflicts: int, largest_pct: float
) -> None:
    found = resolve(values_of(("a", "price_usd", 0, mine), ("b", "price_usd", 0, theirs)), A_THEN_B).conflicts
    assert found.select("series", "chosen_source", "other_source").row(0) == ("price_usd", "a", "b")
    assert found["compared_count"].item() == 1
    assert found["conflict_count"].item() == conflicts
    assert found["largest_difference_pct"].item() == pytest.approx(largest_pct, abs=1e-9)


def test_only_days_that_both_state_are_compared() -> None:
    values = values_of(
        *(("a", "price_usd", n, 10.0) for n in (0, 1, 2)), *(("b", "price_usd", n, 20.0) for n in (1, 2, 3))
    )
    found = resolve(values, A_THEN_B).conflicts
    assert found.select("compared_count", "conflict_count", "median_difference_pct").row(0) == (2, 2, 50.0)


VALUES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["price_usd", "fees_sat", "miner_outflow_sat"]),
        st.integers(0, 9),
        st.sampled_from([0.0, 1.0, 1.0005, 2.0]),
    ),
    max_size=40,
    unique_by=lambda row: row[:3],
)


@given(rows=VALUES)
def test_values_are_those_of_a_slow_search(rows: Sequence[Value]) -> None:
    ranked = {Group.PRICE: ["b", "a"], Group.CHAIN: ["a", "c", "b"], Group.MINER_FLOWS: ["c"]}
    spoken = {(source, series, n): value for source, series, n, value in rows}
    chosen = {}
    for series in ("price_usd", "fees_sat", "miner_outflow_sat"):
        for source in ranked[SERIES[series].group]:
            if series not in chosen and any(key[:2] == (source, series) for key in spoken):
                chosen[series] = source
    used = sorted(n for source, series, n in spoken if chosen.get(series) == source)

    resolved = resolve(values_of(*rows), ranked)

    assert dict(resolved.chosen) == chosen
    if not used:
        assert resolved.days.is_empty()
        return
    days = range(used[0], used[-1] + 1)
    assert resolved.days["day"].to_list() == [FIRST + timedelta(days=n) for n in days]
    for series in ("price_usd", "fees_sat", "miner_outflow_sat"):
        expected = [spoken.get((chosen.get(series, ""), series, n)) for n in days]
        assert resolved.days[series].to_list() == expected


@given(rows=VALUES, seed=st.integers(0, 1_000))
def test_order_of_rows_does_not_matter(rows: Sequence[Value], seed: int) -> None:
    values = values_of(*rows)
    shuffled = resolve(values.sample(fraction=1, shuffle=True, seed=seed), A_THEN_B)
    straight = resolve(values, A_THEN_B)
    assert_frame_equal(shuffled.days, straight.days)
    assert_frame_equal(shuffled.conflicts, straight.conflicts)
    assert dict(shuffled.chosen) == dict(straight.chosen)


def account(source: str, n: int, fees: float) -> list[Value]:
    """Count, issuance and fees of a day."""
    return [(source, "block_count", n, 144.0), (source, "issuance_sat", n, 450e8), (source, "fees_sat", n, fees)]


def test_days_whose_blocks_are_known_have_the_fees_of_these() -> None:
    values = values_of(*account("a", 0, 9e8), *account("a", 1, 8e8), *account("b", 1, 7e8))
    found = resolve(values, A_THEN_B, block_source="b")
    assert found.days["fees_sat"].to_list() == [9e8, 7e8]
    assert found.days["sources"].to_list() == ["a", "b"]


def test_part_of_an_account_replaces_nothing() -> None:
    values = values_of(*account("a", 0, 9e8), ("b", "block_count", 0, 145.0))
    found = resolve(values, A_THEN_B, block_source="b")
    assert found.days.select("block_count", "fees_sat").row(0) == (144.0, 9e8)


def test_fees_that_a_reward_proves_win_over_a_total_of_fees() -> None:
    paid = [("b", "block_count", 0, 144.0), ("b", "issuance_sat", 0, 450e8), ("b", "reward_sat", 0, 455e8)]
    found = resolve(values_of(*account("a", 0, 9e8), *account("a", 1, 8e8), *paid), A_THEN_B)
    assert found.days["fees_sat"].to_list() == [5e8, 8e8]
    (compared,) = found.conflicts.filter(series="fees_sat").iter_rows(named=True)
    assert (compared["chosen_source"], compared["other_source"], compared["conflict_count"]) == ("b", "a", 1)
