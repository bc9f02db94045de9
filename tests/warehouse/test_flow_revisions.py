"""Revisions of flows: one row a changed day and figure of a run, with the figures before and after, and a reason."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.observations import Batch, Retraction
from tests.warehouse.warehouse_rows import NOW, ONE, block, block_flow, block_flows, blocks, transfer, transfers
from warehouse.flow_revisions import add_flow_revisions
from warehouse.past import open_past
from warehouse.vintages import append, retract
from warehouse.working import open_working

LATER = NOW + timedelta(days=1)
A_DAY = 10
HEIGHTS = range(30)
"""Ten blocks a day, from 2024-06-01 on."""


def at(height: int) -> datetime:
    return datetime(2024, 6, 1, tzinfo=UTC) + timedelta(days=height // A_DAY, minutes=height % A_DAY)


def chain(heights: range, branch: str = "0", label_set: str = "abc", sat: int = 1_000, **when: Any) -> list[Batch]:
    """Transfers, flows and blocks of `heights`: each moves 2 `sat` out and `sat` to an exchange in one transaction."""
    names = {height: branch * 60 + f"{height:04d}" for height in heights}
    moved = [
        transfer(height, block_hash=name, txid=name, transfer_sat=sat, label_set=label_set)
        for height, name in names.items()
    ]
    flows = [
        block_flow(height, block_hash=name, outflow_sat=2 * sat, label_set=label_set) for height, name in names.items()
    ]
    rows = [block(height, block_at=at(height)) for height in heights]
    return [transfers(*moved, **when), block_flows(*flows, **when), blocks(*rows, **when)]


def retraction(above_height: int, **when: Any) -> Retraction:
    return Retraction(
        source=ONE, origin="a node", sha256="0" * 64, above_height=above_height, **{"observed_at": NOW} | when
    )


def keep(working: Path, run_id: str, *items: Batch | Retraction, **options: int) -> int:
    with open_working(working) as connection:
        for item in items:
            if isinstance(item, Retraction):
                retract(connection, item, run_id)
            else:
                append(connection, item, run_id)
        return add_flow_revisions(connection, **options)


def revisions(working: Path, where: str = "item not like 'block %'") -> list[tuple[Any, ...]]:
    with open_working(working) as connection:
        return connection.execute(
            "select item, day::varchar, revision, value_before, value_after, difference, reason "
            f"from raw.revision where {where} order by observed_at, item, day"
        ).fetchall()


def test_blocks_that_are_read_for_the_first_time_revise_nothing(working: Path) -> None:
    assert keep(working, "1", *chain(range(15))) == 0
    assert keep(working, "2", *chain(range(15, 30))) == 0
    assert revisions(working, "true") == []


def test_other_labels_are_a_revision_of_each_figure_and_day_that_they_change(working: Path) -> None:
    keep(working, "1", *chain(HEIGHTS))
    relabelled = chain(range(8, 12), label_set="def", sat=3_000, observed_at=LATER)
    assert keep(working, "2", *relabelled[:2]) == 4
    exchange, out = "miner_to_exchange_sat", "miner_outflow_sat"
    assert revisions(working) == [
        (out, "2024-06-01", 1, 20_000, 28_000, 8_000, "labels"),
        (out, "2024-06-02", 1, 20_000, 28_000, 8_000, "labels"),
        (exchange, "2024-06-01", 1, 10_000, 14_000, 4_000, "labels"),
        (exchange, "2024-06-02", 1, 10_000, 14_000, 4_000, "labels"),
    ]
    with open_working(working) as connection:
        stated = connection.execute("select distinct detail, stated_at, observed_at from raw.revision").fetchall()
    assert stated == [("labels abc to def", NOW.replace(tzinfo=None), LATER.replace(tzinfo=None))]
    # The next run finds nothing, and what changes back is the second revision of the day.
    assert keep(working, "3", *relabelled) == 0
    assert keep(working, "4", *chain(range(8, 12), label_set="ghi", observed_at=LATER + timedelta(days=1))) == 4
    assert {row[2] for row in revisions(working)} == {1, 2}


@pytest.mark.parametrize("part_blocks", [1, 10, 11, 25, 30])
def test_days_are_summed_whole_however_many_at_a_time(working: Path, part_blocks: int) -> None:
    keep(working, "1", *chain(HEIGHTS))
    relabelled = chain(range(3, 28), label_set="def", sat=3_000)
    replaced = (*relabelled[:2], retraction(26), *chain(range(27, 30), "1", sat=4_000))
    keep(working, "2", *replaced, part_blocks=part_blocks)
    assert [(row[1], *row[3:5], row[-1]) for row in revisions(working, "item = 'miner_to_exchange_sat'")] == [
        ("2024-06-01", 10_000, 24_000, "labels"),
        ("2024-06-02", 10_000, 30_000, "labels"),
        ("2024-06-03", 10_000, 33_000, "re-organisation"),
    ]


def test_labels_that_change_no_figure_leave_no_row(working: Path) -> None:
    keep(working, "1", *chain(HEIGHTS))
    assert keep(working, "2", *chain(HEIGHTS, label_set="def")) == 0
    assert revisions(working) == []


def test_a_reorganisation_is_a_revision_of_flows_and_of_what_the_chain_paid(working: Path) -> None:
    keep(working, "1", *chain(HEIGHTS))
    assert (
        keep(working, "2", retraction(24, observed_at=LATER), *chain(range(25, 28), "1", sat=2_000, observed_at=LATER))
        == 7
    )
    assert revisions(working) == [
        ("block_count", "2024-06-03", 1, 10, 8, -2, "re-organisation"),
        ("fees_sat", "2024-06-03", 1, 210_000_000, 168_000_000, -42_000_000, "re-organisation"),
        ("issuance_sat", "2024-06-03", 1, 3_125_000_000, 2_500_000_000, -625_000_000, "re-organisation"),
        ("miner_outflow_count", "2024-06-03", 1, 20, 16, -4, "re-organisation"),
        ("miner_outflow_sat", "2024-06-03", 1, 20_000, 22_000, 2_000, "re-organisation"),
        ("miner_to_exchange_count", "2024-06-03", 1, 10, 8, -2, "re-organisation"),
        ("miner_to_exchange_sat", "2024-06-03", 1, 10_000, 11_000, 1_000, "re-organisation"),
    ]
    # Blocks that came back in the run that retracted them are one revision each.
    named = revisions(working, "item like 'block %' and item <> 'block_count'")
    assert [(row[0], row[2], row[-1]) for row in named] == [
        *((f"block {height}", 2, "re-organisation") for height in (25, 26, 27)),
        *((f"block {height}", 1, "re-organisation") for height in (28, 29)),
    ]


def test_a_day_that_is_wholly_gone_has_no_figure_after_and_none_before_it_is_back(working: Path) -> None:
    keep(working, "1", *chain(HEIGHTS))
    keep(working, "2", retraction(19, observed_at=LATER))
    keep(working, "3", *chain(range(20, 30), "1", observed_at=LATER + timedelta(days=1)))
    count = "item = 'miner_to_exchange_count'"
    assert revisions(working, count) == [
        ("miner_to_exchange_count", "2024-06-03", 1, 10, None, None, "re-organisation"),
        ("miner_to_exchange_count", "2024-06-03", 2, None, 10, None, "re-organisation"),
    ]
    with open_past(working, LATER) as past:
        assert past.execute(f"select count(*) from raw.revision where {count}").fetchone() == (1,)
        assert past.execute("select count(*) from raw.latest_block").fetchone() == (20,)
    with open_past(working, NOW) as past:
        assert past.execute("select count(*) from raw.revision").fetchone() == (0,)
        assert past.execute("select count(*) from raw.latest_block").fetchone() == (30,)


def test_what_a_source_corrects_of_the_same_block_by_the_same_labels_is_its_own_revision(working: Path) -> None:
    keep(working, "1", *chain(HEIGHTS))
    moved, flows, _ = chain(range(3, 4), sat=5_000)
    assert keep(working, "2", moved, flows) == 2
    assert {row[-1] for row in revisions(working)} == {"source"}


def test_revisions_of_a_run_that_was_killed_are_summed_up_by_the_next(working: Path) -> None:
    keep(working, "1", *chain(HEIGHTS))
    with open_working(working) as connection:
        for batch in chain(range(2, 4), label_set="def", sat=4_000):
            append(connection, batch, "2")
    moved = keep(working, "3", *chain(range(4, 5), label_set="def", sat=4_000, observed_at=LATER))
    assert moved == 4
    assert [row[2:5] for row in revisions(working, "item = 'miner_to_exchange_sat'")] == [
        (1, 10_000, 16_000),
        (2, 16_000, 19_000),
    ]
