"""Observations are only ever added: a changed value is a new revision, and the newest one counts."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.errors import WarehouseError
from schemas.observations import OBSERVED, Batch, ObservedTable
from schemas.series import SERIES
from tests.warehouse.warehouse_rows import (
    DAY,
    ONE,
    OTHER,
    PRICE,
    block,
    block_flow,
    block_flows,
    blocks,
    flow,
    flows,
    price,
    transfer,
    transfers,
    values,
)
from warehouse import vintages
from warehouse.folds import transfers_between
from warehouse.vintages import Appended
from warehouse.working import open_working

RAW_TABLES = ("batch", "block", "daily_value", "exchange_flow", "miner_transfer", "miner_block_flow")


def keep(working: Path, *batches: Batch) -> list[Appended]:
    with open_working(working) as connection:
        return [vintages.append(connection, batch, "run-1") for batch in batches]


def query(working: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_working(working) as connection:
        return connection.execute(sql).fetchall()


def state(working: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is stored, in an order that does not depend on when it came."""
    return {table: query(working, f"from raw.{table} order by all") for table in RAW_TABLES}


PRICES = f"select value, revision, batch_id from raw.daily_value where series = '{PRICE}' order by day, revision"


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        pytest.param(price(1.0, 2.0, 3.0), 3, id="daily_value"),
        pytest.param(blocks(block(1), block(2, pool=None, fees_sat=None, difficulty=None)), 2, id="block"),
        pytest.param(flows(flow(), flow("AntPool")), 2, id="exchange_flow"),
        pytest.param(transfers(transfer(1), transfer(2, fresh_sat=3)), 2, id="miner_transfer"),
        pytest.param(block_flows(block_flow(1), block_flow(2, largest_outflows_sat=[])), 2, id="miner_block_flow"),
    ],
)
def test_the_same_batch_twice_adds_nothing_but_the_record_of_the_batch(working: Path, batch: Batch, rows: int) -> None:
    first, second = keep(working, batch, batch)
    assert first == Appended(row_count=rows, new_count=rows, revised_count=0)
    assert second == Appended(row_count=rows, new_count=0, revised_count=0)
    assert query(working, f"select count(*), max(revision), max(batch_id) from raw.{batch.table}") == [(rows, 0, 1)]
    recorded = query(working, "select batch_id, row_count, new_count, revised_count from raw.batch order by 1")
    assert recorded == [(1, rows, rows, 0), (2, rows, 0, 0)]


def test_a_batch_is_recorded_with_its_run_origin_digest_and_time(working: Path) -> None:
    keep(working, price(1.0, observed_at=datetime(2024, 6, 9, 23, 59, tzinfo=UTC)))
    recorded = "select run_id, source, observed_table, origin, sha256, observed_at::varchar from raw.batch"
    assert query(working, recorded) == [
        ("run-1", ONE, "daily_value", "a/file.csv", "0" * 64, "2024-06-09 23:59:00"),
    ]


def test_a_changed_value_becomes_revision_one_and_the_old_value_stays(working: Path) -> None:
    keep(working, price(10.0, 20.0))
    assert keep(working, price(10.0, 21.0)) == [Appended(row_count=2, new_count=0, revised_count=1)]
    assert query(working, PRICES) == [(10.0, 0, 1), (20.0, 0, 1), (21.0, 1, 2)]


def test_a_value_that_changes_and_changes_back_has_three_revisions_and_the_first_value_counts(working: Path) -> None:
    keep(working, price(10.0), price(20.0), price(10.0))
    assert query(working, PRICES) == [(10.0, 0, 1), (20.0, 1, 2), (10.0, 2, 3)]
    assert query(working, "select value, revision from raw.latest_daily_value") == [(10.0, 2)]


def test_a_day_that_a_later_batch_leaves_out_keeps_its_value(working: Path) -> None:
    keep(working, price(10.0, 20.0), price(11.0))
    assert query(working, "select value from raw.latest_daily_value order by day") == [(11.0,), (20.0,)]


@pytest.mark.parametrize("shuffle", [1, 2, 3])
def test_the_order_of_rows_in_a_batch_does_not_matter(working: Path, tmp_path: Path, shuffle: int) -> None:
    days = {(PRICE, DAY + timedelta(days=i)): 100.0 + i for i in range(50)}
    changed = days | {(PRICE, DAY + timedelta(days=i)): 900.0 + i for i in range(0, 50, 3)}
    first = [values(days), values(changed), blocks(*map(block, range(50))), flows(flow("a"), flow("b"), flow("c"))]
    shuffled = [replace(batch, rows=batch.rows.sample(fraction=1, shuffle=True, seed=shuffle)) for batch in first]
    other = tmp_path / "other" / "working.duckdb"
    assert not shuffled[0].rows.equals(first[0].rows)
    assert keep(working, *first) == keep(other, *shuffled)
    assert state(working) == state(other)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("difficulty", 8.4e13),
        ("subsidy_claimed_sat", 0),
        ("fees_sat", 0),
        ("pool", "AntPool"),
    ],
)
def test_a_block_cell_that_is_stated_later_or_withdrawn_is_a_revision(working: Path, cell: str, value: Any) -> None:
    unknown, stated = blocks(block(7, **{cell: None})), blocks(block(7, **{cell: value}))
    added = keep(working, unknown, unknown, stated, stated, unknown)
    assert [a.revised_count for a in added] == [0, 0, 1, 0, 1]
    history = query(working, f"select {cell}, revision from raw.block order by revision")
    assert history == [(None, 0), (value, 1), (None, 2)]


@pytest.mark.parametrize(
    "change",
    [
        {"block_at": datetime(2024, 6, 1, 0, 0, 0, 1, tzinfo=UTC)},
        {"difficulty": 8.4e13 + 1},
        {"subsidy_claimed_sat": 312_500_001},
        {"fees_sat": 0},
        {"pool": "f2pool"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_cell_of_a_block_is_compared(working: Path, change: dict[str, Any]) -> None:
    before = block(0)
    assert before["block_at"] == datetime(2024, 6, 1, tzinfo=UTC)
    assert keep(working, blocks(before), blocks(before | change))[1].revised_count == 1


@pytest.mark.parametrize("cell", ["transfer_sat", "transfer_count", "top10_sat"])
def test_every_cell_of_an_exchange_flow_is_compared(working: Path, cell: str) -> None:
    assert keep(working, flows(flow()), flows(flow(**{cell: 1})))[1].revised_count == 1


@pytest.mark.parametrize("key", [{"day": date(2024, 6, 2)}, {"exchange": "kraken"}, {"pool": "AntPool"}])
def test_every_part_of_the_key_of_an_exchange_flow_counts(working: Path, key: dict[str, Any]) -> None:
    assert keep(working, flows(flow()), flows(flow() | key))[1].new_count == 1


@pytest.mark.parametrize("cell", ["transfer_count", "top10_sat"])
def test_what_a_source_does_not_state_of_a_flow_stays_unknown_until_it_does(working: Path, cell: str) -> None:
    unknown = flows(flow(**{cell: None}))
    first, again, later = keep(working, unknown, unknown, flows(flow(**{cell: 5})))
    assert (first.new_count, again.revised_count, later.revised_count) == (1, 0, 1)
    assert query(working, f"select {cell} from raw.exchange_flow order by revision") == [(None,), (5,)]


def test_two_sources_never_mix(working: Path) -> None:
    keep(working, price(10.0), price(99.0, source=OTHER), price(11.0), price(99.0, source=OTHER))
    rows = query(working, "select source, value, revision from raw.daily_value order by all")
    assert rows == [(OTHER, 99.0, 0), (ONE, 10.0, 0), (ONE, 11.0, 1)]
    keep(working, blocks(block(1, pool="a")), blocks(block(1, pool="b"), source=OTHER))
    keep(working, flows(flow(top10_sat=1)), flows(flow(top10_sat=2), source=OTHER))
    assert query(working, "select count(*), max(revision) from raw.block") == [(2, 0)]
    assert query(working, "select count(*), max(revision) from raw.exchange_flow") == [(2, 0)]


def test_blocks_that_nobody_revised_come_in_the_order_of_their_heights(working: Path) -> None:
    """So many that two threads read them, which a join hands on as they come."""
    few = blocks(block(0))
    many = pl.concat([few.rows] * 300_000).with_columns(pl.int_range(pl.len()).alias("height"))
    keep(working, replace(few, rows=many))
    with open_working(working) as connection:
        _, latest = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
    assert_frame_equal(latest, many)
    keep(working, blocks(block(7, fees_sat=5)))
    with open_working(working) as connection:
        _, latest = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
    assert latest.height == many.height
    assert latest.filter(fees_sat=5)["height"].to_list() == [7]


def test_the_first_source_in_the_order_that_has_anything_gives_all_blocks_and_flows(working: Path) -> None:
    keep(working, blocks(block(2), block(1)), blocks(block(1), block(3, pool="b"), source=OTHER))
    keep(working, blocks(block(1, pool="c"), source=OTHER), flows(flow(transfer_sat=9), source=OTHER))
    with open_working(working) as connection:
        source, latest = vintages.latest(connection, ObservedTable.BLOCK, ["registry", OTHER, ONE])
        assert (source, latest["height"].to_list(), latest["pool"].to_list()) == (OTHER, [1, 3], ["c", "b"])
        source, latest = vintages.latest(connection, ObservedTable.BLOCK, [ONE, OTHER])
        assert (source, latest["height"].to_list()) == (ONE, [1, 2])
        source, latest = vintages.latest(connection, ObservedTable.EXCHANGE_FLOW, [ONE, OTHER])
        assert (source, latest["transfer_sat"].to_list()) == (OTHER, [9])


def test_what_is_read_back_passes_the_schema_it_came_in_by(working: Path) -> None:
    sent = blocks(block(1), block(2, pool=None, fees_sat=None, difficulty=None, subsidy_claimed_sat=None))
    keep(working, sent, flows(flow()), price(1.0))
    with open_working(working) as connection:
        assert_frame_equal(vintages.latest(connection, ObservedTable.BLOCK, [ONE])[1], sent.rows)
        assert_frame_equal(vintages.latest(connection, ObservedTable.EXCHANGE_FLOW, [ONE])[1], flows(flow()).rows)
        assert_frame_equal(vintages.latest_values(connection).drop("source"), price(1.0).rows)


def test_an_empty_database_gives_empty_frames_of_the_right_types(working: Path) -> None:
    with open_working(working) as connection:
        source, latest = vintages.latest(connection, ObservedTable.BLOCK, [ONE])
        assert source is None
        assert_frame_equal(latest, blocks().rows)
        source, latest = vintages.latest(connection, ObservedTable.EXCHANGE_FLOW, [])
        assert source is None
        assert_frame_equal(latest, flows().rows)
        assert_frame_equal(vintages.latest_values(connection).drop("source"), values({}).rows)


def test_an_empty_batch_is_recorded_and_adds_nothing(working: Path) -> None:
    assert keep(working, values({}), blocks(), flows()) == [Appended(row_count=0, new_count=0, revised_count=0)] * 3
    assert query(working, "select count(*) from raw.batch") == [(3,)]


def break_run_id(connection: duckdb.DuckDBPyConnection) -> None:
    """The last statement of a batch fails: its run must be named."""
    vintages.append(connection, price(10.0, 21.0, 30.0), None)  # type: ignore[arg-type]


def break_revision(connection: duckdb.DuckDBPyConnection) -> None:
    """The rows themselves fail: one key has used up its revisions."""
    connection.execute(f"insert into raw.daily_value values ('{ONE}', '{PRICE}', ?, 1.0, 32767, 1, false)", [DAY])
    vintages.append(connection, price(2.0, 21.0, 30.0), "run-2")


def break_origin(connection: duckdb.DuckDBPyConnection) -> None:
    """The record of the batch does not even reach the database, whose transaction is still sound."""
    vintages.append(connection, replace(price(10.0, 21.0, 30.0), origin=connection), "run-2")  # type: ignore[arg-type]


@pytest.mark.parametrize("breaking", [break_run_id, break_revision, break_origin])
def test_a_batch_that_fails_half_way_leaves_nothing(
    working: Path, breaking: Callable[[duckdb.DuckDBPyConnection], None]
) -> None:
    keep(working, price(10.0, 20.0))
    before = state(working)
    with (
        pytest.raises(WarehouseError, match=r"Constraint|Conversion|Out of Range|Not implemented") as caught,
        open_working(working) as c,
    ):
        breaking(c)
    assert "\n" not in str(caught.value)
    after = state(working)
    after["daily_value"] = [row for row in after["daily_value"] if row[4] != 32767]
    assert after == before


def test_a_batch_can_follow_one_that_failed_on_the_same_connection(working: Path) -> None:
    with open_working(working) as connection:
        with pytest.raises(duckdb.ConstraintException):
            break_run_id(connection)
        assert vintages.append(connection, price(10.0, 20.0), "run-1").new_count == 2
    assert query(working, PRICES) == [(10.0, 0, 1), (20.0, 0, 1)]


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.warehouse.warehouse_rows import PRICE, values
from datetime import date, timedelta
from schemas.errors import WarehouseError
from warehouse import vintages
from warehouse.working import open_working

many = values({(PRICE, date(1800, 1, 1) + timedelta(days=i)): 1.0 + (i * 7919 % 99991) / 7 for i in range(80_000)})
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    with open_working(Path(sys.argv[1])) as connection:
        vintages.append(connection, many, "run-2")
except WarehouseError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_of_error_and_loses_nothing_that_was_stored(working: Path, start: Any) -> None:
    keep(working, price(10.0, 20.0))
    before = state(working)
    out, err = start(FULL_DISK, working).communicate(timeout=120)
    assert (out.count("\n"), err) == (1, "")
    assert "File too large" in out
    assert state(working) == before


APPEND_FOREVER = """
import sys
from pathlib import Path
from tests.warehouse.warehouse_rows import price
from warehouse import vintages
from warehouse.working import open_working

with open_working(Path(sys.argv[1])) as connection:
    for i in range(1, 100_000):
        vintages.append(connection, price(*[float(i)] * 400), f"run-{i}")
        if i == 1:
            print("ready", flush=True)
"""


def test_a_kill_loses_no_more_than_the_batch_in_hand(working: Path, start: Any) -> None:
    chance = random.Random(20240601)
    batches = 0
    for _ in range(3):
        process = start(APPEND_FOREVER, working)
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.wait()
        [(seen,)] = query(working, "select count(*) from raw.batch")
        assert seen > batches
        batches = seen
        assert query(working, "select distinct new_count + revised_count in (0, 400) from raw.batch") == [(True,)]
        uneven = "select batch_id from raw.daily_value group by batch_id having count(*) <> 400"
        assert query(working, uneven) == []
        without_rows = "from raw.batch anti join raw.daily_value using (batch_id) where new_count + revised_count > 0"
        assert query(working, without_rows) == []


SERIES_NAMES = st.sampled_from(sorted(s.name for s in SERIES.values() if s.le is None or s.le >= 3)[:3])
"""Series that may have the values of `FEW`."""
NEAR_DAYS = st.integers(0, 3).map(lambda i: DAY + timedelta(days=i))
FEW = st.integers(1, 3)
SOURCES = st.sampled_from([ONE, OTHER])


@st.composite
def statements(draw: st.DrawFn) -> Batch:
    """One batch of any shape, over so few keys and values that batches meet, agree and contradict one another."""
    source = draw(SOURCES)
    table = draw(st.sampled_from(ObservedTable))
    if table is ObservedTable.DAILY_VALUE:
        return values(draw(st.dictionaries(st.tuples(SERIES_NAMES, NEAR_DAYS), FEW.map(float))), source=source)
    if table is ObservedTable.BLOCK:
        maybe = st.none() | FEW
        drawn = draw(st.dictionaries(st.integers(0, 4), st.tuples(maybe, st.sampled_from([None, "a", "b"]))))
        return blocks(*(block(h, fees_sat=fees, pool=pool) for h, (fees, pool) in drawn.items()), source=source)
    if table is ObservedTable.MINER_TRANSFER:
        found = draw(st.dictionaries(st.tuples(FEW, st.sampled_from("ab")), FEW))
        return transfers(*(transfer(h, block_hash=b, transfer_sat=sat) for (h, b), sat in found.items()), source=source)
    if table is ObservedTable.MINER_BLOCK_FLOW:
        seen = draw(st.dictionaries(FEW, st.tuples(st.sampled_from("ab"), st.lists(FEW, max_size=2))))
        rows = (block_flow(h, block_hash=b, largest_outflows_sat=most) for h, (b, most) in seen.items())
        return block_flows(*rows, source=source)
    keys = st.tuples(NEAR_DAYS, st.sampled_from(["binance", "kraken"]), st.sampled_from(["a", "b"]))
    drawn = draw(st.dictionaries(keys, st.tuples(FEW, FEW)))
    rows = (
        flow(pool, day=day, exchange=exchange, transfer_sat=sat, transfer_count=count)
        for (day, exchange, pool), (sat, count) in drawn.items()
    )
    return flows(*rows, source=source)


KEYS = {
    ObservedTable.DAILY_VALUE: ("source", "series", "day"),
    ObservedTable.BLOCK: ("source", "height"),
    ObservedTable.EXCHANGE_FLOW: ("source", "day", "exchange", "pool"),
    ObservedTable.MINER_TRANSFER: ("source", "height", "block_hash", "txid", "exchange", "hop", "label_set"),
    ObservedTable.MINER_BLOCK_FLOW: ("source", "height"),
}


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows that a set can hold."""
    return [tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in rows]


def test_a_transfer_counts_while_its_block_and_its_labels_are_the_latest(working: Path) -> None:
    first, other = block_flow(1, block_hash="a"), block_flow(1, block_hash="b")
    both = transfers(transfer(1, block_hash="a", txid="x"), transfer(1, block_hash="b", txid="y"))

    def current() -> list[str]:
        with open_working(working) as connection:
            source = vintages.first_with_rows(connection, ObservedTable.MINER_BLOCK_FLOW, [OTHER, ONE]) or ONE
            return transfers_between(connection, source, 0, 1)["txid"].to_list()

    keep(working, both)
    assert current() == []
    for flowed, txids in ((first, ["x"]), (other, ["y"]), (first, ["x"]), ({**first, "label_set": "d"}, [])):
        keep(working, block_flows(flowed))
        assert current() == txids


@settings(max_examples=25, deadline=None)
@given(history=st.lists(statements(), min_size=1, max_size=12))
def test_the_newest_revision_is_what_each_source_stated_last(
    tmp_path_factory: pytest.TempPathFactory, history: list[Batch]
) -> None:
    working = tmp_path_factory.mktemp("history") / "working.duckdb"
    expected_versions: dict[ObservedTable, dict[tuple[Any, ...], list[tuple[Any, ...]]]] = {
        table: {} for table in ObservedTable
    }
    with open_working(working) as connection:
        for batch in history:
            vintages.append(connection, batch, "run-1")
            places = [batch.rows.columns.index(key) for key in KEYS[batch.table][1:]]
            for row in plain(batch.rows.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None)).rows()):
                versions = expected_versions[batch.table].setdefault(
                    (batch.source, *(row[place] for place in places)), []
                )
                if not versions or versions[-1] != row:
                    versions.append(row)
        for table, keys in KEYS.items():
            columns = ", ".join(OBSERVED[table].columns)
            newest = connection.execute(
                f"select source, {columns}, revision from raw.{table} "
                f"qualify row_number() over (partition by {', '.join(keys)} order by revision desc) = 1 order by all"
            )
            over_all_rows = plain(newest.fetchall())
            view = connection.execute(f"select source, {columns}, revision from raw.latest_{table} order by all")
            assert plain(view.fetchall()) == over_all_rows
            stored = plain(connection.execute(f"select source, {columns}, revision from raw.{table}").fetchall())
            expected = {
                (key[0], *row, revision)
                for key, versions in expected_versions[table].items()
                for revision, row in enumerate(versions)
            }
            assert set(stored) == expected
            assert len(stored) == len(expected)
            assert {row[:-1] for row in over_all_rows} == {
                (key[0], *versions[-1]) for key, versions in expected_versions[table].items()
            }


def test_other_blocks_are_the_newest_of_every_listed_source_but_the_chosen_one(working: Path) -> None:
    keep(
        working,
        blocks(block(5), block(6)),
        blocks(block(5, fees_sat=1), source=OTHER),
        blocks(block(5, fees_sat=2), source=OTHER),
        blocks(block(5, fees_sat=3), source="registry"),
    )
    with open_working(working) as connection:
        drawn = vintages.other_blocks(connection, [ONE, OTHER], ONE)
        assert drawn.rows() == [(OTHER, 5, 312_500_000, 2)]
        nobody = vintages.other_blocks(connection, [ONE], ONE)
        assert (nobody.height, nobody.schema) == (0, drawn.schema)
