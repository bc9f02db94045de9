"""Kept sums of days: whatever is appended, revised, reorganised or labelled anew, they equal sums of everything."""

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from flows.run import folds
from flows.run.folds import COMPARED_EVERY, SUMMED_BY, comparison_check, folded_flows, sum_all_next
from flows.settings import Settings
from schemas.observations import Batch, ObservedTable, Retraction
from tests.warehouse.warehouse_rows import ONE, OTHER, block, block_flow, block_flows, blocks, transfer, transfers
from transforms.calendar import dated, whole_days
from transforms.inputs.transfer_days import FLOW_AXES, FlowDays, flow_days
from warehouse import vintages
from warehouse.folds import Comparison, flows_between, forget_comparisons, last_comparison, note_comparison
from warehouse.working import open_working

FIRST = datetime(2024, 6, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 7, 1, 3, tzinfo=UTC)
THROUGH = date(2024, 6, 30)
BLOCKS_A_DAY = 4
FEW = st.integers(1, 5)
SENT = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from(["binance", "kraken"]), st.integers(0, 1), FEW, st.none() | FEW),
    max_size=3,
    unique_by=lambda row: row[:3],
)
STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 9), SENT),
    st.tuples(st.just("append without flows"), st.integers(1, 3), SENT),
    st.tuples(st.just("late flows"), st.integers(0, 40), SENT),
    st.tuples(st.just("other time"), st.integers(0, 40), st.integers(-30, 30)),
    st.tuples(st.just("reorganise"), st.integers(1, 6), SENT),
    st.tuples(st.just("label anew"), st.integers(0, 40), SENT),
    st.tuples(st.just("retract"), st.integers(1, 6), SENT),
)
Step = tuple[str, int, Any]


class Chain:
    """A chain as a node attributes it, in batches."""

    def __init__(self) -> None:
        self.height = 0
        self.branch = 0
        self.labels = 0

    def batches(self, step: Step) -> Iterator[Batch | Retraction]:
        """What the node states at one step."""
        what, number, drawn = step
        if what.startswith("append"):
            heights = range(self.height, self.height + number)
            self.height += number
            yield blocks(*map(self._block, heights))
            if what == "append":
                yield from self._flows(heights, drawn)
        elif what == "other time":
            hours = timedelta(hours=drawn)
            yield blocks(block(number, block_at=self._block(number)["block_at"] + hours))
        elif what == "retract":
            self.height = max(self.height - number, 0)
            yield Retraction(source=ONE, origin="node", sha256="0" * 64, observed_at=NOW, above_height=self.height - 1)
        elif what == "reorganise":
            self.branch += 1
            heights = range(max(self.height - number, 0), self.height)
            yield blocks(*(self._block(height) | {"fees_sat": self.branch} for height in heights))
            yield from self._flows(heights, drawn)
        else:
            if what == "label anew":
                self.labels += 1
            yield from self._flows(range(number, min(number + 5, self.height)), drawn)

    def _block(self, height: int) -> dict[str, Any]:
        return block(height, block_at=FIRST + timedelta(days=1) / BLOCKS_A_DAY * height)

    def _flows(self, heights: range, sent: list[tuple[Any, ...]]) -> Iterator[Batch]:
        same = {"block_hash": f"branch-{self.branch}", "label_set": f"labels-{self.labels}"}
        rows = [
            transfer(height, **same, txid=txid, exchange=exchange, hop=hop, transfer_sat=sat, fresh_sat=fresh)
            for height in heights
            for txid, exchange, hop, sat, fresh in sent
        ]
        yield transfers(*rows)
        yield block_flows(*(block_flow(height, **same) for height in heights))


def kept(connection: duckdb.DuckDBPyConnection, now: datetime = NOW) -> FlowDays:
    _, stored = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
    return folded_flows(connection, ONE, stored, THROUGH, now).flows


def computed(connection: duckdb.DuckDBPyConnection) -> FlowDays:
    """Sums of everything that is stored, without anything that is kept."""
    _, stored = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
    ordered = dated(stored)
    flows, sent = flows_between(connection, ONE, 0, 1_000)
    seen = ordered.with_columns(pl.col("height").is_in(flows["height"].implode()).all().over("day").alias("is_seen"))
    heights = seen.filter("is_seen").join(whole_days(ordered).filter("is_whole"), on="day", how="semi")
    return flow_days(flows, sent, heights.filter(pl.col("day") <= THROUGH).select("height", "day").sort("height"))


def assert_same(one: FlowDays, other: FlowDays) -> None:
    assert_frame_equal(one.sums, other.sums, check_exact=True)
    for axes in FLOW_AXES:
        assert_frame_equal(one.by(axes), other.by(axes), check_exact=True)


@pytest.mark.long
@settings(max_examples=6, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=5), part_blocks=st.sampled_from([3, 60_000]))
def test_what_is_kept_equals_sums_of_everything(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], part_blocks: int
) -> None:
    chain = Chain()
    with (
        open_working(tmp_path_factory.mktemp("folds") / "working.duckdb") as connection,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(folds, "PART_BLOCKS", part_blocks)
        for step in [("append", 20, [("x", "binance", 0, 5, None)]), *steps]:
            for stated in chain.batches(step):
                if isinstance(stated, Batch):
                    vintages.append(connection, stated, "run-1")
                else:
                    vintages.retract(connection, stated, "run-1")
            assert_same(kept(connection), computed(connection))
        forget_comparisons(connection)
        assert_same(kept(connection), computed(connection))
        compared = last_comparison(connection)
        assert compared is not None
        assert compared.different_count == 0


@pytest.fixture
def working(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A working database with 20 attributed blocks, whose first four whole days are kept."""
    chain = Chain()
    with open_working(tmp_path / "working.duckdb") as connection:
        for batch in chain.batches(("append", 20, [("x", "binance", 0, 5, None)])):
            vintages.append(connection, batch, "run-1")
        assert kept(connection).sums.height == 4
        yield connection


def summed_heights(connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Heights that the next run reads flows of."""
    read: list[int] = []

    def between(*given: Any) -> Any:
        flows, sent = flows_between(*given)
        read.extend(sorted(flows["height"]))
        return flows, sent

    monkeypatch.setattr(folds, "flows_between", between)
    kept(connection)
    return read


def test_nothing_is_read_again_without_a_change(working, monkeypatch):
    assert summed_heights(working, monkeypatch) == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(block_flows(block_flow(9, outflow_sat=8_000)), id="flow"),
        pytest.param(transfers(transfer(9, block_hash="branch-0", label_set="labels-0", txid="new")), id="transfer"),
    ],
)
def test_a_change_invalidates_its_day_and_no_other(working, monkeypatch, changed):
    vintages.append(working, changed, "run-2")
    assert summed_heights(working, monkeypatch) == [8, 9, 10, 11]


def test_a_block_that_moves_to_another_day_invalidates_both(working, monkeypatch):
    vintages.append(working, blocks(block(11, block_at=FIRST + timedelta(hours=72))), "run-2")
    assert summed_heights(working, monkeypatch) == [8, 9, 10, 11, 12, 13, 14, 15]
    assert_same(kept(working), computed(working))


def test_what_another_source_states_invalidates_nothing(working, monkeypatch):
    vintages.append(working, block_flows(block_flow(9), source=OTHER), "run-2")
    assert summed_heights(working, monkeypatch) == []


def test_other_code_sums_everything_again(working, monkeypatch):
    monkeypatch.setattr(folds, "made_by", lambda: "another version")
    assert summed_heights(working, monkeypatch) == list(range(16))


def test_a_day_that_differs_is_found_within_a_week_and_replaced(working):
    working.execute("update fold.flow_day set outflow_sat = outflow_sat + 1 where first_height < 3")
    (unseen,) = comparison_check(working, NOW)
    assert unseen.passed
    for later, passed, detail in (
        (COMPARED_EVERY, False, "1 of 4 days differ"),
        (COMPARED_EVERY * 2, True, "0 of 4 days differ"),
    ):
        assert_same(kept(working, NOW + later), computed(working))
        (check,) = comparison_check(working, NOW + later)
        assert (check.passed, check.severity, check.detail) == (passed, "warning", detail)
    (later_check,) = comparison_check(working, NOW + COMPARED_EVERY * 2 + timedelta(days=1))
    assert later_check.detail == "as of 2024-07-15 03:00 UTC: 0 of 4 days differ"


def test_a_full_run_can_be_requested(tmp_path):
    settings = Settings(home=tmp_path / "home", profile="demo")
    made = Comparison(compared_at=NOW, day_count=4, different_count=0)
    with open_working(settings.working_database) as connection:
        note_comparison(connection, made)
        assert last_comparison(connection) == made
    sum_all_next(settings)
    with open_working(settings.working_database) as connection:
        assert last_comparison(connection) is None


def test_without_flows_nothing_is_kept_or_compared(tmp_path):
    with open_working(tmp_path / "working.duckdb") as connection:
        assert folded_flows(connection, None, blocks().rows, THROUGH, NOW).flows.sums.is_empty()
        assert list(comparison_check(connection, NOW)) == []


def test_the_digest_covers_every_module_of_transforms_that_sums_rest_on():
    """`attribution.blocks` decides what is stored, and only its number of largest outflows decides about sums."""
    named = {module.__name__ for module in SUMMED_BY}
    for module in (import_module("transforms.inputs.transfer_days"), import_module("transforms.attribution.transfers")):
        tree = ast.parse(Path(str(sys.modules[module.__name__].__file__)).read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert {name for name in imported if name.startswith("transforms")} <= named
