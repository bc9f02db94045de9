"""Sums of flows by day: of days that were attributed whole, whatever order and however many rows come at once."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.observations import MINER_BLOCK_FLOW, MINER_TRANSFER
from transforms.inputs import transfer_days
from transforms.inputs.transfer_days import FLOW_AXES, FlowDays, flow_days, seen_days

FIRST_DAY = date(2024, 1, 1)
MAIN_NETWORK_BLOCKS = 977_000
MOST_BYTES = 4 << 30
FEW = st.integers(0, 3)


def frame(rows: list[dict[str, Any]], schema: Any) -> pl.DataFrame:
    types = {name: column.dtype.type for name, column in schema.columns.items()}
    if "largest_outflows_sat" in types:
        types["largest_outflows_sat"] = pl.List(pl.Int64)
    return pl.DataFrame(rows, schema=types, orient="row")


@st.composite
def chains(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Flows, transfers and the day of each height, of a few days; some heights were not looked at."""
    heights, flows, transfers = [], [], []
    per_day = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    height = 0
    for day, count in enumerate(per_day):
        for _ in range(count):
            heights.append({"height": height, "day": FIRST_DAY + timedelta(days=day)})
            labels = draw(st.sampled_from(["labels-1", "labels-2"]))
            if draw(st.integers(0, 9)):
                largest = sorted(draw(st.lists(FEW, max_size=12)), reverse=True)
                flows.append(
                    {name: 1 for name in MINER_BLOCK_FLOW.columns}
                    | {
                        "height": height,
                        "block_hash": "a",
                        "pool": "p",
                        "label_set": labels,
                        "outflow_sat": sum(largest),
                        "outflow_tx_count": len(largest),
                        "largest_outflows_sat": largest,
                    }
                )
            keys = st.tuples(st.sampled_from("xyz"), st.sampled_from(["binance", "kraken"]), st.integers(0, 1))
            for (txid, exchange, hop), (sat, fresh, pool) in draw(
                st.dictionaries(keys, st.tuples(st.integers(1, 5), st.none() | FEW, st.sampled_from("pq")), max_size=4)
            ).items():
                transfers.append(
                    {name: 1 for name in MINER_TRANSFER.columns}
                    | {
                        "height": height,
                        "block_hash": "a",
                        "txid": txid,
                        "exchange": exchange,
                        "hop": hop,
                        "pool": pool,
                        "transfer_sat": sat,
                        "fresh_sat": fresh,
                        "quality": "A",
                        "label_set": labels,
                    }
                )
            height += 1
    return (
        frame(flows, MINER_BLOCK_FLOW),
        frame(transfers, MINER_TRANSFER),
        pl.DataFrame(heights, schema={"height": pl.Int64, "day": pl.Date}),
    )


def by_hand(transfers: pl.DataFrame, known: pl.DataFrame, axes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Sums of transfers, one row at a time."""
    day_of = dict(known.iter_rows())
    rows = [row | {"day": day_of[row["height"]]} for row in transfers.iter_rows(named=True) if row["height"] in day_of]

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return (row["day"], *(row[axis] for axis in axes))

    for _, found in groupby(sorted(rows, key=key), key):
        group = list(found)
        spent: dict[str, list[dict[str, Any]]] = {}
        for row in group:
            spent.setdefault(row["txid"], []).append(row)
        zero_hop = [sum(row["transfer_sat"] for row in each if row["hop"] == 0) for each in spent.values()]
        fresh = [row["fresh_sat"] for row in group]
        yield (
            {"day": group[0]["day"]}
            | {axis: group[0][axis] for axis in axes}
            | {
                "transfer_sat": sum(zero_hop),
                "transfer_count": sum(any(row["hop"] == 0 for row in each) for each in spent.values()),
                "top10_sat": sum(sorted(zero_hop)[-10:]),
                "fresh_sat": None if None in fresh else sum(fresh),
                "one_hop_sat": sum(row["transfer_sat"] for row in group if row["hop"] == 1),
                "label_set": min(group, key=lambda row: row["height"])["label_set"],
            }
        )


@settings(max_examples=60, deadline=None)
@given(chain=chains(), seed=st.integers(0, 9), part_blocks=st.integers(1, 5))
def test_sums_do_not_depend_on_order_or_parts(chain, seed, part_blocks):
    flows, transfers, heights = chain
    whole = heights.select("day", pl.lit(True).alias("is_whole")).unique(maintain_order=True)
    attributed = flows.select("height", pl.lit(7).alias("newest_batch_id"))
    days = seen_days(attributed, heights, whole)
    known = heights.join(days, on="day", how="semi", maintain_order="left")
    seen = set(flows["height"])
    assert known.rows() == [
        (height, day)
        for day, of_day in groupby(heights.iter_rows(), lambda row: row[1])
        for heights_of_day in [[height for height, _ in of_day]]
        for height in heights_of_day
        if seen.issuperset(heights_of_day)
    ]
    ends = known.group_by("day", maintain_order=True).agg(first=pl.col("height").first(), last=pl.col("height").last())
    assert days.rows() == [(*row, 7) for row in ends.iter_rows()]
    at_once = flow_days(flows, transfers, known)
    for axes in FLOW_AXES:
        assert at_once.by(axes).rows(named=True) == list(by_hand(transfers, known, axes))
    by_day = (
        flows.join(known, on="height")
        .group_by("day")
        .agg(pl.col("largest_outflows_sat").explode(empty_as_null=False).top_k(10).sum())
    )
    assert dict(at_once.sums.select("day", "outflow_top10_sat").iter_rows()) == dict(by_day.iter_rows())
    shuffled = (rows.sample(fraction=1, shuffle=True, seed=seed) for rows in (flows, transfers))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer_days, "PART_BLOCKS", part_blocks)
        in_parts = flow_days(*shuffled, known)
    assert_frame_equal(in_parts.sums, at_once.sums)
    for axes in FLOW_AXES:
        assert_frame_equal(in_parts.by(axes), at_once.by(axes))


def test_some_days_of_flows_are_joined_again():
    rows = [{"height": h, "day": FIRST_DAY + timedelta(days=h)} for h in range(3)]
    known = pl.DataFrame(rows, schema={"height": pl.Int64, "day": pl.Date})
    flows = frame(
        [
            {name: 1 for name in MINER_BLOCK_FLOW.columns}
            | {"height": h, "block_hash": "a", "pool": "p", "label_set": "l", "largest_outflows_sat": []}
            for h in range(3)
        ],
        MINER_BLOCK_FLOW,
    )
    transfers = frame(
        [
            {name: 1 for name in MINER_TRANSFER.columns}
            | {
                "height": h,
                "block_hash": "a",
                "txid": "x",
                "exchange": "e",
                "pool": "p",
                "hop": 0,
                "quality": "A",
                "label_set": "l",
            }
            for h in range(3)
        ],
        MINER_TRANSFER,
    )
    flowed = flow_days(flows, transfers, known)
    second = flowed.of(known.filter(height=1))
    assert second.sums["day"].to_list() == second.by(())["day"].to_list() == [FIRST_DAY + timedelta(days=1)]
    parts = [flowed.of(known.filter(height=height)) for height in (2, 0, 1)]
    for axes in FLOW_AXES:
        assert_frame_equal(FlowDays.joined(parts).by(axes), flowed.by(axes))
    assert_frame_equal(FlowDays.joined(parts).sums, flowed.sums)
    assert flow_days(flows, transfers, known.clear()).by(()).is_empty()


MAIN_NETWORK = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({MOST_BYTES}, {MOST_BYTES}))
import polars as pl
from transforms.inputs.transfer_days import seen_days
heights = pl.DataFrame({{"height": pl.int_range({MAIN_NETWORK_BLOCKS}, dtype=pl.Int64, eager=True)}})
blocks = heights.with_columns((pl.date(2009, 1, 3) + pl.duration(days=pl.col("height") // 144)).alias("day"))
whole = blocks.select(pl.col("day").unique(maintain_order=True), pl.lit(True).alias("is_whole"))
attributed = heights.filter(pl.col("height") != 500).with_columns(newest_batch_id=1)
assert seen_days(attributed, blocks, whole).height == whole.height - 1
"""


def test_days_of_the_whole_main_network_are_found_within_seconds_and_little_memory():
    done = subprocess.run([sys.executable, "-c", MAIN_NETWORK], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-500:]
