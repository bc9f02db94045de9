"""Sums of transfers over pools and over exchanges, and what cannot be summed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.observations import EXCHANGE_FLOW
from transforms.derive import derive
from transforms.inputs.exchange_flows import exchange_flow_days
from transforms.tables.exchange_flow_daily import TABLE as EXCHANGE_FLOW_DAILY

FIRST = date(2024, 6, 1)

Flow = tuple[int, str, str, int, int]
"""Days after the first one, exchange, pool, satoshi, transactions."""

FLOWS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["X", "Y", "Z"]),
        st.sampled_from(["P", "Q", "R"]),
        st.integers(0, 2 * 10**15),
        st.integers(0, 500),
    ),
    max_size=30,
    unique_by=lambda row: row[:3],
)


def observed(flows: Sequence[Flow]) -> pl.DataFrame:
    types = {name: column.dtype.type for name, column in EXCHANGE_FLOW.columns.items()}
    rows = [
        (FIRST + timedelta(days=n), exchange, pool, sat, count, sat // 2) for n, exchange, pool, sat, count in flows
    ]
    return pl.DataFrame(rows, schema=types, orient="row")


@given(flows=FLOWS)
def test_sums_are_those_of_a_slow_addition(flows: list[Flow]) -> None:
    sums: dict[tuple[date, str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for n, exchange, pool, sat, count in flows:
        for to in (exchange, "all"):
            for by in (pool, "all"):
                key = FIRST + timedelta(days=n), to, by
                sums[key] = sums[key][0] + sat, sums[key][1] + count
    days = exchange_flow_days(observed(flows))
    assert {row[:3]: row[3:5] for row in days.iter_rows()} == dict(sums)
    assert days.select("day", "exchange", "pool").rows() == sorted(sums)


@given(flows=FLOWS)
def test_ten_largest_are_known_of_parts_only(flows: list[Flow]) -> None:
    days = exchange_flow_days(observed(flows))
    summed = (pl.col("exchange") == "all") | (pl.col("pool") == "all")
    assert days.filter(summed)["top10_sat"].null_count() == days.filter(summed).height
    assert days.filter(~summed)["top10_sat"].null_count() == 0


@given(flows=FLOWS, seed=st.integers(0, 1_000))
def test_order_of_rows_does_not_matter(flows: list[Flow], seed: int) -> None:
    shuffled = observed(flows).sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(exchange_flow_days(shuffled), exchange_flow_days(observed(flows)))


@given(flows=FLOWS, stated=st.integers(0, 2 * 10**15))
def test_sum_that_the_source_states_counts_instead_of_ours(flows: list[Flow], stated: int) -> None:
    """A vendor's totals hold what it does not separate, so they need not be the sum of the rest."""
    totals = [(0, "all", "all", stated, 7), (0, "X", "all", stated // 2, 3)]
    without = exchange_flow_days(observed(flows))
    days = exchange_flow_days(observed([*flows, *totals]))
    is_total = (pl.col("day") == FIRST) & pl.col("exchange").is_in(["all", "X"]) & (pl.col("pool") == "all")
    assert_frame_equal(days.filter(~is_total), without.filter(~is_total))
    assert days.filter(is_total).select("exchange", "transfer_sat", "transfer_count", "top10_sat").rows() == [
        ("X", stated // 2, 3, stated // 2 // 2),
        ("all", stated, 7, stated // 2),
    ]
    assert days.select("day", "exchange", "pool").is_unique().all()


def test_count_of_a_sum_is_unknown_where_that_of_a_part_is() -> None:
    flows = observed([(0, "X", "P", 5, 2), (0, "Y", "P", 6, 3)])
    flows = flows.with_columns(pl.when(pl.col("exchange") == "X").then("transfer_count").alias("transfer_count"))
    found = {row[:2]: row[2] for row in exchange_flow_days(flows).select("exchange", "pool", "transfer_count").rows()}
    assert found[("X", "all")] == 2
    assert found[("Y", "all")] is None
    assert found[("all", "P")] is None
    assert found[("all", "all")] is None


def test_worked_example_of_twelve_transactions() -> None:
    """480 BTC in 12 transactions, the ten largest of them 471 BTC."""
    flows = observed([(0, "X", "P", 48_000_000_000, 12)]).with_columns(pl.lit(47_100_000_000).alias("top10_sat"))
    days = derive(exchange_flow_days(flows), EXCHANGE_FLOW_DAILY.metrics[1:-2])
    columns = "miner_to_exchange_btc", "miner_to_exchange_mean_btc", "miner_to_exchange_top10_btc"
    found = {row[:2]: row[2:] for row in days.select("exchange", "pool", *columns).iter_rows()}
    assert found == {
        ("X", "P"): (480.0, 40.0, 471.0),
        ("X", "all"): (480.0, 40.0, None),
        ("all", "P"): (480.0, 40.0, None),
        ("all", "all"): (480.0, 40.0, None),
    }


def test_day_of_no_transactions_has_no_mean() -> None:
    days = derive(exchange_flow_days(observed([(0, "X", "P", 0, 0)])), EXCHANGE_FLOW_DAILY.metrics[1:-2])
    assert days["miner_to_exchange_btc"].to_list() == [0.0] * 4
    assert days["miner_to_exchange_mean_btc"].to_list() == [None] * 4
