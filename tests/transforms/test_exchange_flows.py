"""Sums of transfers over pools and over exchanges, and what cannot be summed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.observations import EXCHANGE_FLOW
from transforms.catalog import TABLES
from transforms.derive import derive
from transforms.inputs.exchange_flows import AXES, exchange_flow_days

FIRST = date(2024, 6, 1)

By = tuple[str, ...]
EVERY: list[By] = [(), ("exchange",), ("pool",), ("exchange", "pool")]
FLOW_TABLES = [name for name in TABLES if name.startswith("exchange_flow_")]

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


@pytest.mark.parametrize("by", EVERY)
@given(flows=FLOWS)
def test_sums_are_those_of_a_slow_addition(by: By, flows: list[Flow]) -> None:
    sums: dict[tuple[Any, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for n, exchange, pool, sat, count in flows:
        named = {"exchange": exchange, "pool": pool}
        key = (FIRST + timedelta(days=n), *(named[axis] for axis in by))
        sums[key] = sums[key][0] + sat, sums[key][1] + count
    days = exchange_flow_days(observed(flows), by)
    key_length = 1 + len(by)
    assert {row[:key_length]: row[key_length : key_length + 2] for row in days.iter_rows()} == dict(sums)
    assert days.select("day", *by).rows() == sorted(sums)


@pytest.mark.parametrize("by", EVERY)
@given(flows=FLOWS)
def test_ten_largest_are_known_of_parts_only(by: By, flows: list[Flow]) -> None:
    days = exchange_flow_days(observed(flows), by)
    assert days["top10_sat"].null_count() == (0 if by == AXES else days.height)


@pytest.mark.parametrize("by", EVERY)
@given(flows=FLOWS, seed=st.integers(0, 1_000))
def test_order_of_rows_does_not_matter(by: By, flows: list[Flow], seed: int) -> None:
    shuffled = observed(flows).sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(exchange_flow_days(shuffled, by), exchange_flow_days(observed(flows), by))


@pytest.mark.parametrize("by", EVERY)
@given(flows=FLOWS, stated=st.integers(0, 2 * 10**15))
def test_sum_that_the_source_states_counts_instead_of_ours(by: By, flows: list[Flow], stated: int) -> None:
    """A vendor's totals hold what it does not separate, so they need not be the sum of the rest."""
    totals = [(0, "all", "all", stated, 7), (0, "X", "all", stated // 2, 3)]
    without = exchange_flow_days(observed(flows), by)
    days = exchange_flow_days(observed([*flows, *totals]), by)
    is_stated = {(): pl.col("day") == FIRST, ("exchange",): (pl.col("day") == FIRST) & (pl.col("exchange") == "X")}
    is_total = is_stated.get(by, pl.lit(False))
    assert_frame_equal(days.filter(~is_total), without.filter(~is_total))
    expected = {(): [(stated, 7, stated // 2)], ("exchange",): [(stated // 2, 3, stated // 2 // 2)]}
    assert days.filter(is_total).select("transfer_sat", "transfer_count", "top10_sat").rows() == expected.get(by, [])


def test_count_of_a_sum_is_unknown_where_that_of_a_part_is() -> None:
    flows = observed([(0, "X", "P", 5, 2), (0, "Y", "P", 6, 3)])
    flows = flows.with_columns(pl.when(pl.col("exchange") == "X").then("transfer_count").alias("transfer_count"))
    by_exchange = exchange_flow_days(flows, ("exchange",))
    assert dict(by_exchange.select("exchange", "transfer_count").iter_rows()) == {"X": 2, "Y": None}
    for by in ((), ("pool",)):
        assert exchange_flow_days(flows, by)["transfer_count"].to_list() == [None]


@pytest.mark.parametrize("name", FLOW_TABLES)
def test_worked_example_of_twelve_transactions(name: str) -> None:
    """480 BTC in 12 transactions, the ten largest of them 471 BTC."""
    by = TABLES[name].key[1:]
    flows = observed([(0, "X", "P", 48_000_000_000, 12)]).with_columns(pl.lit(47_100_000_000).alias("top10_sat"))
    days = derive(exchange_flow_days(flows, by), TABLES[name].metrics[1:-2])
    columns = "miner_to_exchange_btc", "miner_to_exchange_mean_btc", "miner_to_exchange_top10_btc"
    assert days.select(columns).rows() == [(480.0, 40.0, 471.0 if by == AXES else None)]


@pytest.mark.parametrize("name", FLOW_TABLES)
def test_day_of_no_transactions_has_no_mean(name: str) -> None:
    flows = exchange_flow_days(observed([(0, "X", "P", 0, 0)]), TABLES[name].key[1:])
    days = derive(flows, TABLES[name].metrics[1:-2])
    assert days.select("miner_to_exchange_btc", "miner_to_exchange_mean_btc").rows() == [(0.0, None)]
