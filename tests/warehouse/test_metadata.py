"""What a publication states of runs, suppliers and revisions comes from the working database, with UTC times."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.sources.kinds import supplier_named
from schemas.table import Origin
from tests.warehouse.warehouse_rows import DAY, NOW, ONE, OTHER, block, blocks, flow, flows, price, run
from warehouse import journal, known, metadata, vintages
from warehouse.working import open_working

LATER = NOW + timedelta(days=1)


def naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def test_runs_are_listed_oldest_first_with_their_errors_and_counts(working: Path) -> None:
    with open_working(working) as connection:
        journal.start(connection, run("b", started_at=NOW))
        journal.end(connection, "b", status="failed", ended_at=LATER, error="broke")
        journal.start(connection, run("a", started_at=LATER, day=DAY + timedelta(days=1)))
        rows = metadata.run_history(connection)
    assert rows.select("run_id", "day", "started_at", "ended_at", "status", "error").rows() == [
        ("b", DAY, naive(NOW), naive(LATER), "failed", "broke"),
        ("a", DAY + timedelta(days=1), naive(LATER), None, "running", None),
    ]
    assert rows.schema["started_at"] == rows.schema["ended_at"] == pl.Datetime("us")


def test_revisions_have_the_value_before_and_after_and_when_it_was_received(working: Path) -> None:
    early = datetime(2024, 6, 9, tzinfo=UTC)
    with open_working(working) as connection:
        vintages.append(connection, price(10.0, 20.0, observed_at=early), "r")
        vintages.append(connection, price(11.0, 20.0, observed_at=LATER), "r")
        vintages.append(connection, price(10.0, 20.0, observed_at=NOW), "r")
        vintages.append(connection, blocks(block(5), observed_at=early), "r")
        vintages.append(connection, blocks(block(5, pool="AntPool"), observed_at=NOW), "r")
        vintages.append(connection, flows(flow(transfer_sat=1), observed_at=early), "r")
        vintages.append(connection, flows(flow(transfer_sat=2), observed_at=early), "r")
        rows = metadata.revisions(connection)
    assert [row[:6] for row in rows.rows()] == [
        (ONE, "flow F2Pool to binance", DAY, 1, 1.0, 2.0),
        (ONE, "block 5", DAY, 1, None, None),
        (ONE, "price_usd", DAY, 2, 11.0, 10.0),
        (ONE, "price_usd", DAY, 1, 10.0, 11.0),
    ]
    assert rows["difference"].to_list() == [1.0, None, -1.0, 1.0]
    assert rows["difference_pct"].to_list() == [100.0, None, pytest.approx(-9.0909, abs=1e-4), pytest.approx(10)]
    assert rows.select("stated_at", "observed_at").rows() == [
        (naive(early), naive(early)),
        (naive(early), naive(NOW)),
        (naive(LATER), naive(NOW)),
        (naive(early), naive(LATER)),
    ]


def test_revision_of_a_block_names_the_cells_that_changed_and_how(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, blocks(block(5, pool="F2Pool", fees_sat=7)), "r")
        vintages.append(connection, blocks(block(5, pool=None, fees_sat=9)), "r")
        vintages.append(connection, blocks(block(5, pool="AntPool", fees_sat=9)), "r")
        rows = metadata.revisions(connection)
    assert rows["detail"].to_list() == ["fees_sat: 7 to 9; pool: F2Pool to unknown", "pool: unknown to AntPool"]


def test_a_value_that_was_zero_has_no_relative_difference(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, flows(flow(transfer_sat=0)), "r")
        vintages.append(connection, flows(flow(transfer_sat=2)), "r")
        (row,) = metadata.revisions(connection).iter_rows(named=True)
    assert (row["difference"], row["difference_pct"]) == (2.0, None)


def test_a_history_without_changes_has_no_revisions(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(10.0), "r")
        vintages.append(connection, price(99.0, source=OTHER), "r")
        assert metadata.revisions(connection).height == 0


def test_each_source_has_its_rows_days_and_last_batch_without_counting_revisions(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(10.0, 20.0), "r")
        vintages.append(connection, price(11.0, 20.0, observed_at=LATER), "r")
        vintages.append(connection, flows(flow(day=date(2024, 5, 1)), flow("b", day=date(2024, 5, 1))), "r")
        vintages.append(connection, blocks(block(1), block(1_000), source=OTHER), "r")
        chosen, origins = {"price_usd": ONE, "fees_sat": ONE}, {Origin.BLOCKS: OTHER, Origin.REGISTRY: "registry"}
        rows = metadata.source_facts(connection, supplier_named, chosen, origins, LATER)
    assert rows.select("source", "row_count", "first_day", "last_day", "last_observed_at", "used_for").rows() == [
        (OTHER, 2, DAY, DAY + timedelta(days=6), naive(NOW), "blocks"),
        (ONE, 4, date(2024, 5, 1), DAY + timedelta(days=1), naive(LATER), "price_usd, fees_sat"),
        ("registry", None, None, None, None, "registry"),
    ]
    assert rows["licence"].to_list() == [
        supplier.licence for name in (OTHER, ONE, "registry") if (supplier := supplier_named(name))
    ]


def test_a_source_that_is_not_used_is_listed_with_no_use(working: Path) -> None:
    with open_working(working) as connection:
        vintages.append(connection, price(10.0, source=OTHER), "r")
        rows = metadata.source_facts(connection, supplier_named, {}, {}, LATER)
    assert rows.filter(source=OTHER)["used_for"].to_list() == [""]


def test_what_a_clock_ahead_has_dated_in_the_future_counts_for_nothing(working: Path) -> None:
    ahead = NOW + timedelta(days=33)
    with open_working(working) as connection:
        vintages.append(connection, price(10.0, observed_at=NOW), "r")
        vintages.append(connection, price(*[11.0] * 1_000, observed_at=ahead), "r")
        vintages.append(connection, blocks(block(1), block(10**6), source=OTHER, observed_at=ahead), "r")
        for now, day in ((NOW, NOW.date()), (ahead, ahead.date())):
            newest = known.newest_days(connection, now)[ONE, "price_usd"]
            assert newest == min(day, DAY + timedelta(days=999))
        assert known.received_at(connection, NOW) == {ONE: NOW}
        assert known.received_at(connection, ahead) == {ONE: ahead, OTHER: ahead}
        assert known.newest_heights(connection, NOW - timedelta(days=9_000)) == {}
        rows = metadata.source_facts(connection, supplier_named, {}, {}, NOW)
        (row,) = rows.filter(source=ONE).iter_rows(named=True)
        assert (row["last_day"], row["last_observed_at"]) == (NOW.date(), naive(NOW))
        journal.start(connection, run("mine", started_at=NOW))
        journal.start(connection, run("ahead", started_at=ahead))
        assert metadata.run_history(connection, "mine")["run_id"].to_list() == ["ahead", "mine"]


def test_an_empty_database_gives_nothing_but_the_registry_in_the_same_types(working: Path, tmp_path: Path) -> None:
    with open_working(working) as connection:
        empty = metadata.source_facts(connection, supplier_named, {}, {}, LATER)
        assert empty["source"].to_list() == ["registry"]
        assert metadata.run_history(connection).height == metadata.revisions(connection).height == 0
    with open_working(tmp_path / "full.duckdb") as connection:
        vintages.append(connection, price(10.0), "r")
        full = metadata.source_facts(connection, supplier_named, {"price_usd": ONE}, {}, LATER)
    assert_frame_equal(full.clear(), empty.clear())
