"""The lake as a source: the same transfers as a node, whatever its files look like, and no day that is not whole."""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.sources.lake.bucket import Bucket, FolderBucket
from flows.sources.lake.copies import Copies
from flows.sources.lake.rows import transactions
from flows.sources.lake.source import Lake
from flows.sources.node.checkpoints import Checkpoints
from flows.sources.protocol import DayShard, Request
from flows.sources.whole_blocks import block_row
from schemas.errors import SettingsError, WarehouseError
from schemas.miner_set import MinerSet
from schemas.observations import Batch, Notice
from tests.attribution.recorded_chain import RECORDED, decoded_blocks, exchanges, pool_names, recorded_blocks, run
from tests.lake.lake_files import day_files, day_of
from transforms.attribution.transfers import block_flow_rows, transfer_rows
from warehouse.labels import label_set, read_csv

FIRST, LAST = date(2025, 12, 31), date(2026, 1, 11)
NOW = datetime(2026, 1, 12, 6, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
LATE = date(2026, 1, 8)
"""From here on few days are enough."""
Block = dict[str, Any]
Rows = dict[str, pl.DataFrame]
Seen = tuple["World", Rows, list[str]]
KEYS = {"block": ["height"], "miner_block_flow": ["height"], "miner_transfer": ["txid", "exchange", "hop"]}


@cache
def blocks_of(day: date) -> Sequence[dict[str, Any]]:
    return [block for block in recorded_blocks_once() if day_of(block) == day]


@cache
def recorded_blocks_once() -> Sequence[dict[str, Any]]:
    return list(recorded_blocks())


@cache
def files_of(day: date) -> dict[str, bytes]:
    return day_files(day, blocks_of(day), rows_a_group=150)


def days(first: date, last: date) -> list[date]:
    return [first + n * ONE_DAY for n in range((last - first).days + 1)]


class World:
    """A lake in a folder, and the home of who reads it."""

    def __init__(self, folder: Path, *wanted: date) -> None:
        self.lake, self.home = folder / "lake", folder / "home"
        for day in wanted:
            self.put(files_of(day))

    def put(self, files: dict[str, bytes]) -> None:
        for key, content in files.items():
            path = self.lake / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def remove(self, day: date) -> None:
        for path in self.lake.glob(f"*/date={day}/*"):
            path.unlink()

    def source(
        self,
        labels: Path = RECORDED / "labels.csv",
        max_bytes: int = 10**9,
        bucket: Bucket | None = None,
        **options: Any,
    ) -> Lake:
        """What reads `bucket`, by default the folder; `options` are those of `Copies`."""
        return Lake(
            Copies(bucket or FolderBucket(self.lake), self.home / "copies", **options),
            Checkpoints(self.home / "miner_set", "regtest"),
            pool_names(),
            label_set([read_csv(labels)]),
            chain="regtest",
            max_bytes=max_bytes,
        )

    def observe(self, through: date = LAST, since: date | None = None, **options: Any) -> tuple[Rows, list[str]]:
        """Rows by table, the newest of each key, and notices."""
        items = list(self.source(**options).observe(Request(since=since, through=through, now=NOW)))
        rows: dict[str, list[pl.DataFrame]] = {}
        for item in items:
            if isinstance(item, Batch):
                rows.setdefault(item.table.value, []).append(item.rows)
        return (
            {table: pl.concat(frames) for table, frames in rows.items()},
            [item.message for item in items if isinstance(item, Notice)],
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """All days in one run."""
    world = World(tmp_path_factory.mktemp("whole"), *days(FIRST, LAST))
    rows, notices = world.observe(since=FIRST + ONE_DAY)
    return world, rows, notices


@pytest.fixture
def late(tmp_path: Path) -> World:
    """The last four days."""
    return World(tmp_path, *days(LATE, LAST))


def test_transfers_and_flows_are_those_of_the_node_to_the_satoshi(whole: Seen) -> None:
    _, rows, notices = whole
    by_node = run(decoded_blocks(), MinerSet(), exchanges())
    (used,) = rows["miner_transfer"]["label_set"].unique()
    # The genesis block is of 2011 and moves nothing; the tip has no block above it that confirms it.
    seen = [flow for flow in by_node if 0 < flow.height < by_node[-1].height]
    transfers = transfer_rows(seen, used)
    assert transfers["hop"].value_counts(sort=True).height == 2
    # What came straight out of coinbases is not in the copied columns.
    assert transfers.height > 500
    fresh = rows["miner_transfer"].group_by("hop").agg(pl.col("fresh_sat").null_count(), pl.len()).sort("hop")
    assert fresh.select(pl.col("fresh_sat") == pl.when(pl.col("hop") == 0).then("len").otherwise(0)).to_series().all()
    assert rows["miner_transfer"].drop("fresh_sat").equals(transfers.drop("fresh_sat"))
    assert rows["miner_block_flow"].equals(block_flow_rows(seen, used))
    assert all("days of flows are stored" in notice for notice in notices)


def test_blocks_have_time_difficulty_claims_fees_and_pool_of_the_node(whole: Seen) -> None:
    rows = whole[1]["block"]
    named = pool_names()
    expected = [block_row(block, named.pool) for block in decoded_blocks()][1:-1]
    for name in ("height", "difficulty", "subsidy_claimed_sat", "fees_sat", "pool"):
        assert rows[name].to_list() == [getattr(each, name) for each in expected]
    assert rows["block_at"].dt.epoch("s").to_list() == [each.time for each in expected]


def test_share_of_known_coinbases_is_stated_of_each_whole_day(whole: Seen) -> None:
    values = whole[1]["daily_value"]
    assert values["series"].unique().to_list() == ["coinbase_to_known_ratio"]
    assert values["day"].to_list() == days(date(2026, 1, 1), date(2026, 1, 10))
    # By hand from what the node states: coinbase outputs to scripts that an earlier coinbase paid.
    known: set[str] = set()
    shares: dict[date, list[float]] = {}
    for block in recorded_blocks_once()[1:]:
        for output in block["tx"][0]["vout"]:
            sat = round(float(output["value"]) * 1e8)
            of_day = shares.setdefault(day_of(block), [0, 0])
            of_day[0] += sat
            of_day[1] += sat if output["scriptPubKey"]["hex"] in known else 0
        known |= {output["scriptPubKey"]["hex"] for output in block["tx"][0]["vout"] if float(output["value"])}
    assert values["value"].to_list() == pytest.approx([shares[day][1] / shares[day][0] for day in values["day"]])


def test_later_run_reads_only_what_is_new_and_ends_up_the_same(tmp_path: Path, whole: Seen) -> None:
    world = World(tmp_path, *days(FIRST, LATE))
    first, _ = world.observe(LATE, since=FIRST + ONE_DAY)
    for day in days(LATE + ONE_DAY, LAST):
        world.put(files_of(day))
    copied = {path: path.stat().st_mtime_ns for path in (world.home / "copies").rglob("*.parquet")}
    second, _ = world.observe()
    assert copied.items() <= {p: p.stat().st_mtime_ns for p in (world.home / "copies").rglob("*.parquet")}.items()
    # From the end of the last whole day on.
    assert (
        second["block"]["height"].min() > first["block"].filter(pl.col("block_at").dt.date() < LATE)["height"].max() - 3
    )  # type: ignore[operator]
    for table, key in (
        ("block", ["height"]),
        ("miner_block_flow", ["height"]),
        ("miner_transfer", ["txid", "exchange", "hop"]),
    ):
        both = pl.concat([first[table], second[table]]).unique(key, keep="last", maintain_order=True)
        assert both.sort(key).equals(whole[1][table].sort(key)), table
    third, notices = world.observe()
    assert third == {}
    assert len(notices) == 1


def test_walk_from_the_middle_finds_no_more_than_the_whole_one(late: World, whole: Seen) -> None:
    rows, _ = late.observe()
    key = ["txid", "exchange", "hop"]
    both = rows["miner_transfer"].join(whole[1]["miner_transfer"], on=key, suffix="_whole")
    assert 0 < rows["miner_transfer"].height == both.height
    assert both.select((pl.col("transfer_sat") <= pl.col("transfer_sat_whole")).all()).item()


@pytest.fixture
def hole_day() -> date:
    return LATE + 2 * ONE_DAY


def missing_block(blocks: list[Block]) -> list[Block]:
    return blocks[:70] + blocks[71:]


def stale_block(blocks: list[Block]) -> list[Block]:
    return [*blocks[:70], blocks[70] | {"hash": "00" * 32}, *blocks[71:]]


def both_blocks(blocks: list[Block]) -> list[Block]:
    return [*blocks, blocks[70] | {"hash": "00" * 32}]


def changed_value(blocks: list[Block], change: Callable[[list[Block]], object]) -> list[Block]:
    changed = json.loads(json.dumps(blocks[70]))
    change(changed["tx"])
    return [*blocks[:70], changed, *blocks[71:]]


def more_coins(blocks: list[Block]) -> list[Block]:
    return changed_value(blocks, lambda txs: txs[0]["vout"][0].update(value="50.00000001"))


def below_zero(blocks: list[Block]) -> list[Block]:
    return changed_value(blocks, lambda txs: txs[0]["vout"][0].update(value="-1"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (missing_block, "missing in the lake"),
        (stale_block, "0000000000000000000000000000000000000000000000000000000000000000, expected"),
        (more_coins, "a subsidy of"),
        (below_zero, "an amount that is missing or below zero"),
    ],
)
def test_day_with_a_hole_is_not_whole_and_its_reason_is_stated(
    late: World, hole_day: date, damage: Callable[[list[Block]], list[Block]], reason: str
) -> None:
    late.remove(hole_day)
    late.put(day_files(hole_day, damage(list(blocks_of(hole_day)))))
    rows, notices = late.observe()
    assert any(reason in notice for notice in notices), notices
    assert hole_day not in rows["daily_value"]["day"]
    gone = blocks_of(hole_day)[70]["height"]
    assert gone not in rows["block"]["height"]
    assert gone not in rows["miner_block_flow"]["height"]
    # The walk goes on behind it.
    assert rows["block"]["height"].max() == recorded_blocks_once()[-2]["height"]


def test_stale_block_beside_the_good_one_does_not_count(late: World, hole_day: date) -> None:
    clean, _ = late.observe()
    late.remove(hole_day)
    late.put(day_files(hole_day, both_blocks(list(blocks_of(hole_day)))))
    rows, _ = late.observe(since=LATE + ONE_DAY)
    kept = clean["block"].filter(pl.col("height") >= rows["block"]["height"].min())
    assert rows["block"].equals(kept)


def test_transactions_that_are_missing_or_double_are_a_hole(late: World, hole_day: date) -> None:
    late.remove(hole_day)
    blocks = list(blocks_of(hole_day))
    fewer = [block | {"tx": block["tx"][:-1]} if len(block["tx"]) > 1 else block for block in blocks]
    files = day_files(hole_day, blocks) | {
        key: content
        for key, content in day_files(hole_day, fewer, name="part-0-fewer.parquet").items()
        if key.startswith("transactions")
    }
    late.put({key: content for key, content in files.items() if "part-00000" not in key or key.startswith("blocks")})
    _, notices = late.observe()
    count = sum(len(block["tx"]) > 1 for block in blocks)
    assert sum("transactions, expected" in notice for notice in notices) == count > 5


def test_day_that_is_rewritten_is_read_again_from_the_day_before(late: World) -> None:
    before, _ = late.observe()
    late.remove(LAST)
    late.put(day_files(LAST, blocks_of(LAST), seed=7, name="part-0-rewritten.parquet"))
    rows, _ = late.observe()
    assert rows["block"].equals(before["block"].filter(pl.col("height") >= rows["block"]["height"].min()))
    assert rows["block"].height < before["block"].height / 2
    assert len(list((late.home / "copies" / "transactions").iterdir())) == 4


def test_late_block_beside_the_file_of_the_day_is_read_once(late: World, hole_day: date) -> None:
    clean, _ = World(late.home.parent / "clean", *days(LATE, LAST)).observe()
    blocks = blocks_of(hole_day)
    late.remove(hole_day)
    late.put(day_files(hole_day, [*blocks[:70], *blocks[71:]]))
    late.put(day_files(hole_day, [blocks[70]], name=f"{blocks[70]['height']}.snappy.parquet"))
    # And one that the file of the day has too: the producer has not removed it yet.
    late.put(day_files(hole_day, [blocks[71]], name=f"{blocks[71]['height']}.snappy.parquet"))
    rows, _ = late.observe()
    for table, expected in clean.items():
        assert rows[table].equals(expected), table


def test_days_of_2009_have_no_inputs_and_no_id_but_hash(late: World) -> None:
    first = blocks_of(FIRST)[:5]
    without = ("inputs", "input_value", "fee", "txid")
    late.put(day_files(FIRST, first, without=without))
    (path,) = (late.lake / "transactions" / f"date={FIRST}").iterdir()
    only = Copies(FolderBucket(late.lake), late.home / "copies")
    found = only.fetch(FIRST)
    rows = pl.concat(transactions(only.of(found).transactions[0], only.layout)).sort("block_number")
    assert rows["txid"].to_list() == [block["tx"][0]["hash"] for block in first]
    assert rows["inputs"].null_count() == rows.height == len(first)
    assert path.stat().st_size > 0


def test_more_than_the_allowed_bytes_is_not_begun(late: World) -> None:
    with pytest.raises(SettingsError, match=r"HASHPIVOT_LAKE_MAX_BYTES.*for 4 days from 2026-01-08 to 2026-01-11"):
        late.observe(max_bytes=10_000)
    assert not list((late.home / "copies").rglob("*.parquet"))


def test_estimate_and_shards_are_the_days_that_are_not_copied(late: World) -> None:
    request = Request(since=LATE + ONE_DAY, through=LAST, now=NOW)
    source = late.source()
    assert source.plan(request).received_bytes == 4 * 97_000_000
    assert source.plan(request).own_budget
    shards = source.shards(request)
    assert [shard.title for shard in shards] == [f"day {day}" for day in days(LATE, LAST)]
    assert all(isinstance(shard, DayShard) for shard in shards)
    source.read(shards[2])
    assert [str(shard)[:10] for shard in source.shards(request)] == [
        str(day) for day in days(LATE, LAST) if day != LATE + 2 * ONE_DAY
    ]
    assert source.plan(request).received_bytes == 3 * 97_000_000


def test_changed_labels_apply_from_the_next_block_on(late: World, tmp_path: Path) -> None:
    late.remove(LAST)
    late.observe(LAST - ONE_DAY)
    late.put(files_of(LAST))
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("address,entity,kind\n2MyPejWtC8ZVuN5TkbEztE39DfT5dXvYePE,user,user\n")
    _, notices = late.observe(labels=fewer)
    assert any("labels changed" in notice for notice in notices)


def test_relabelled_days_are_those_of_a_run_with_the_labels_of_now(late: World, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"found no day that was read.*hashpivot daily"):
        list(late.source().relabel(NOW))
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("address,entity,kind\n2MyPejWtC8ZVuN5TkbEztE39DfT5dXvYePE,user,user\n")
    before, _ = late.observe(labels=fewer)
    shutil.move(late.lake, tmp_path / "gone")
    source = late.source()
    items = list(source.relabel(NOW))
    shutil.move(tmp_path / "gone", late.lake)
    source.adopt()
    expected, _ = World(tmp_path / "fresh", *days(LATE, LAST)).observe()
    assert "miner_transfer" not in before
    for table in ("miner_transfer", "miner_block_flow"):
        assert pl.concat([item.rows for item in items if item.table == table]).equals(expected[table]), table
    # The next run goes on from it.
    late.remove(LAST)
    late.put(day_files(LAST, blocks_of(LAST), seed=7, name="part-0-rewritten.parquet"))
    rows, notices = late.observe()
    assert not any("labels changed" in notice for notice in notices)
    kept = expected["miner_block_flow"].filter(pl.col("height") >= rows["block"]["height"].min())
    assert rows["miner_block_flow"].equals(kept)
    (late.home / "copies" / "blocks").rename(late.home / "copies" / "elsewhere")
    with pytest.raises(WarehouseError, match=r"no copies of 4 days from 2026-01-08 to 2026-01-11"):
        list(late.source().relabel(NOW))


def test_first_run_reads_thirty_days_and_a_backfill_begins_anew(late: World) -> None:
    rows, _ = late.observe(LAST)
    for day in days(LATE - ONE_DAY, LATE - ONE_DAY):
        late.put(files_of(day))
    more, _ = late.observe(LATE, since=LATE)
    assert more["block"].height == rows["block"].height + len(blocks_of(LATE - ONE_DAY))
    assert late.source().plan(Request(since=None, through=date(2026, 3, 1), now=NOW)).received_bytes > 0
    empty = World(late.home.parent / "empty").source()
    request = Request(since=None, through=date(2026, 3, 1), now=NOW)
    assert empty.plan(request).received_bytes == 30 * 97_000_000


def test_damaged_miner_set_gives_way_to_an_older_one_or_to_the_copies(late: World) -> None:
    before, _ = late.observe()
    for path in (late.home / "miner_set").glob("*.bin"):
        path.write_bytes(path.read_bytes()[:-3])
    late.remove(LAST)
    late.put(day_files(LAST, blocks_of(LAST), seed=3, name="part-0-again.parquet"))
    rows, _ = late.observe()
    assert rows["block"].equals(before["block"])
