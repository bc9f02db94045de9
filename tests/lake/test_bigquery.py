"""Days that were exported from BigQuery: the transfers of a node, and nothing out of files that mean something else."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.run.plan import plan
from flows.settings import read_profile, read_settings
from flows.sources.lake.aws import AWS
from flows.sources.lake.bigquery import BIGQUERY, COLUMNS
from flows.sources.lake.bucket import SITE, FolderBucket, WebBucket
from flows.sources.lake.copies import END_OF_FILE_BYTES, Copies
from flows.sources.lake.rows import Coins, headers, transactions
from flows.sources.protocol import Request
from flows.sources.web.access import Access
from flows.sources.web.session import WebSession
from schemas.errors import BadInputError, SettingsError
from schemas.miner_set import MinerSet
from tests.attribution.recorded_chain import decoded_blocks, exchanges, run
from tests.docs.pages import blocks
from tests.lake import bigquery_files
from tests.lake.bigquery_files import address_of_key, export_of, hashed, rows_of
from tests.lake.test_lake_source import FIRST, LAST, LATE, NOW, ONE_DAY, Block, Rows, World, blocks_of, days, files_of
from tests.replay import ReplayServer
from tests.replay.sites.lake import LakeReplay
from transforms.attribution.address_scripts import UNKNOWN_SCRIPT
from transforms.attribution.transfers import block_flow_rows, transfer_rows

Damage = Callable[[list[Block]], list[Block]]
KEYS = {"block": ["height"], "miner_block_flow": ["height"], "miner_transfer": ["txid", "exchange", "hop"]}
DAY = date(2026, 1, 3)
SCALE = 0.02


def exported(folder: Path, first: date, last: date) -> World:
    """A folder with days of the recorded chain."""
    world = World(folder)
    for day in days(first, last):
        world.put(export_of(day, blocks_of(day)))
    return world


def in_key_order(rows: Rows) -> Rows:
    return {table: comparable(rows[table].sort(key)) for table, key in KEYS.items()}


def comparable(rows: pl.DataFrame) -> pl.DataFrame:
    """Without what an export cannot state: the pool that paid a script last within one block, as no order is known."""
    if "difficulty" in rows.columns:
        # A node prints it with 16 digits; the bits of a header have the exact value.
        return rows.with_columns(pl.col("difficulty").round_sig_figs(12))
    if "hop" in rows.columns:
        return rows.drop("fresh_sat").with_columns(pool=pl.when(hop=0).then("pool"))
    return rows


def test_folder_without_days_is_stated(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put({key.replace("date=", ""): content for key, content in export_of(LATE, blocks_of(LATE)).items()})
    rows, notices = world.observe(layout=BIGQUERY)
    assert rows == {}
    assert any("found no whole day" in notice and "blocks/date=2025-12-13/ and" in notice for notice in notices), (
        notices
    )
    of_blocks = {key: content for key, content in export_of(LATE, blocks_of(LATE)).items() if key.startswith("blocks")}
    world.put(of_blocks)
    _, notices = world.observe(layout=BIGQUERY)
    assert any(f"{LATE} has no file in transactions" in notice for notice in notices), notices


@pytest.fixture
def late(tmp_path: Path) -> World:
    """The last four days."""
    return exported(tmp_path, LATE, LAST)


def test_flows_of_an_export_are_those_of_the_node(tmp_path: Path) -> None:
    rows, notices = exported(tmp_path, FIRST, LAST).observe(since=FIRST + ONE_DAY, layout=BIGQUERY)
    by_node = run(decoded_blocks(), MinerSet(), exchanges())
    (used,) = rows["miner_transfer"]["label_set"].unique()
    seen = [flow for flow in by_node if 0 < flow.height < by_node[-1].height]
    found = in_key_order(rows)
    transfers = transfer_rows(seen, used).sort(KEYS["miner_transfer"])
    assert transfers.height > 500
    assert found["miner_transfer"].equals(comparable(transfers))
    assert found["miner_block_flow"].equals(block_flow_rows(seen, used).sort("height"))
    assert all("days of flows are stored" in notice for notice in notices)


def test_rows_of_an_export_are_those_of_the_other_layout(late: World, tmp_path: Path) -> None:
    rows, _ = late.observe(layout=BIGQUERY)
    by_aws, _ = World(tmp_path / "aws", *days(LATE, LAST)).observe()
    assert set(rows) == set(by_aws)
    found = in_key_order(rows)
    for table, expected in in_key_order(by_aws).items():
        assert found[table].equals(expected), table
    assert rows["daily_value"].sort("day").equals(by_aws["daily_value"].sort("day"))


def served(files: dict[str, bytes], folder: Path, server: ReplayServer) -> WebBucket:
    client = WebSession(folder / "web", time_scale=SCALE).client(SITE, Access(url=server.base("lake")))
    return WebBucket(client, "v1.0/btc")


def test_bucket_is_read_as_a_folder_is(late: World, tmp_path: Path) -> None:
    by_folder, _ = late.observe(layout=BIGQUERY)
    files = {path.relative_to(late.lake).as_posix(): path.read_bytes() for path in sorted(late.lake.rglob("*.parquet"))}
    with ReplayServer([LakeReplay(files)], time_scale=SCALE) as server:
        other = World(tmp_path / "other")
        by_bucket, _ = other.observe(layout=BIGQUERY, bucket=served(files, tmp_path, server), whole_file_bytes=0)
        server.check()
    for table, expected in by_folder.items():
        assert by_bucket[table].equals(expected), table


@pytest.mark.parametrize("form", ["annotated", "two levels", "repeated"])
def test_lists_are_read_in_each_form_that_writers_give_them(tmp_path: Path, form: Any) -> None:
    world = World(tmp_path)
    world.put(export_of(DAY, blocks_of(DAY), form=form, files_count=1))
    (path,) = world.lake.glob("transactions/*/*")
    paths = {column.path for column in pq.ParquetFile(path).schema}
    expected = {
        "annotated": "inputs.list.element.value",
        "two levels": "inputs.array.value",
        "repeated": "inputs.value",
    }
    assert expected[form] in paths
    copies = Copies(FolderBucket(world.lake), world.home / "copies", BIGQUERY, whole_file_bytes=0)
    rows = pl.concat(transactions(copies.of(copies.fetch(DAY)).transactions[0], BIGQUERY)).sort("txid")
    written = sorted((row for block in blocks_of(DAY) for row in rows_of(block)), key=lambda row: row["hash"])
    assert rows["txid"].to_list() == [row["hash"] for row in written]
    for side in ("inputs", "outputs"):
        assert rows[side].list.eval(pl.element().struct.field("sat")).to_list() == [
            [int(coin["value"]) for coin in row[side]] for row in written
        ]
    assert rows["spent"].to_list() == [[coin["spent_transaction_hash"] for coin in row["inputs"]] for row in written]


def test_only_chunks_that_are_needed_are_fetched(tmp_path: Path) -> None:
    files = export_of(DAY, blocks_of(DAY), files_count=2, ballast_bytes=20_000, rows_a_group=100)
    site = LakeReplay(files)
    with ReplayServer([site], time_scale=SCALE) as server:
        copies = Copies(served(files, tmp_path, server), tmp_path / "copies", BIGQUERY, whole_file_bytes=0)
        ready, _ = copies.days(DAY, DAY)
        cost = copies.cost(ready.values())
        before = site.sent_bytes
        copies.fetch(DAY)
        assert site.sent_bytes - before == cost.received_bytes
        server.check()
    coins = {"addresses", "type", "value", "spent_transaction_hash"}
    needed = 0
    for key, content in files.items():
        plain = {"hash", "block_hash", "block_number", "is_coinbase"}
        if key.startswith("blocks"):
            plain = {"hash", "number", "timestamp", "coinbase_param", "transaction_count"}
            plain |= {"version", "merkle_root", "nonce", "bits"}
        metadata = pq.ParquetFile(BytesIO(content)).metadata
        for group in range(metadata.num_row_groups):
            for column in map(metadata.row_group(group).column, range(metadata.num_columns)):
                names = set(column.path_in_schema.split("."))
                if names & (coins if "list" in names else plain):
                    needed += column.total_compressed_size
    assert cost.needed_bytes == needed
    assert needed <= cost.received_bytes
    assert cost.received_bytes + before - len(files) * END_OF_FILE_BYTES <= needed + 64 * 1024 * cost.requests_count
    assert sum(map(len, files.values())) > 20 * needed


def one_row(**changed: Any) -> dict[str, Any]:
    return next(iter(rows_of(blocks_of(DAY)[5]))) | changed


def coin(script: str, kind: str, **stated: Any) -> dict[str, Any]:
    (row,) = rows_of(
        blocks_of(DAY)[5]
        | {"tx": [{"txid": "aa", "vout": [{"n": 0, "value": "1.5", "scriptPubKey": {"hex": script, "type": kind}}]}]}
    )
    return row["outputs"][0] | stated


def scripts_and_sat(row: dict[str, Any]) -> tuple[list[str], list[int]]:
    stored = pl.from_arrow(pa.Table.from_pylist([row], bigquery_files.TRANSACTIONS))
    assert isinstance(stored, pl.DataFrame)
    coins = Coins(BIGQUERY.transactions(stored)["outputs"])
    return coins.scripts, coins.sat.tolist()


KEY, OTHER_KEY = "02" + "11" * 32, "03" + "22" * 32
P2PKH = address_of_key(bytes.fromhex(KEY))


@pytest.mark.parametrize(
    ("script", "kind", "stated"),
    [
        pytest.param(f"21{KEY}ac", "pubkey", [P2PKH], id="P2PK, with the address of its key"),
        pytest.param(
            f"5121{KEY}21{OTHER_KEY}52ae",
            "multisig",
            [P2PKH, address_of_key(bytes.fromhex(OTHER_KEY))],
            id="bare multisig of two",
        ),
        pytest.param(f"5121{KEY}51ae", "multisig", [P2PKH], id="bare multisig of one"),
        pytest.param("6a04deadbeef", "nulldata", None, id="OP_RETURN, with an identifier"),
    ],
)
def test_what_has_no_address_is_nobodys(script: str, kind: str, stated: list[str] | None) -> None:
    written = coin(script, kind)
    assert written["addresses"] == stated or (stated is None and written["addresses"][0].startswith("nonstandard"))
    assert scripts_and_sat(one_row(outputs=[written])) == ([UNKNOWN_SCRIPT], [150_000_000])


def test_one_address_is_that_of_the_script() -> None:
    script = f"76a914{'ab' * 20}88ac"
    written = coin(script, "pubkeyhash", addresses=[P2PKH], type="pubkeyhash")
    found, _ = scripts_and_sat(one_row(outputs=[written]))
    assert found[0].startswith("76a914")
    several = written | {"addresses": [P2PKH, address_of_key(bytes.fromhex(OTHER_KEY))]}
    assert scripts_and_sat(one_row(outputs=[several]))[0] == [UNKNOWN_SCRIPT]


def test_amounts_are_exact_satoshi() -> None:
    amounts = [0, 1, 2_099_999_997_690_000, 9_007_199_254_740_993]
    row = one_row(outputs=[coin("51", "nonstandard", value=Decimal(sat)) for sat in amounts])
    assert scripts_and_sat(row)[1] == amounts
    with pytest.raises(ValueError, match="missing or below zero"):
        scripts_and_sat(one_row(outputs=[coin("51", "nonstandard", value=None)]))


def test_transactions_are_behind_those_that_they_spend_from_and_each_counts_once() -> None:
    spends = {"c": [], "z": ["other"], "y": ["z"], "a": ["y", "z"], "b": ["other"]}
    rows = [
        {"block_number": 7, "block_hash": "h", "txid": txid, "is_coinbase": txid == "c", "spent": spent}
        | {"inputs": [], "outputs": []}
        for txid, spent in [*spends.items(), ("y", ["z"])]
    ]
    shape = {name: dtype for name, dtype in bigquery_rows_schema().items()}
    found = BIGQUERY.in_order(pl.DataFrame(rows, schema=shape))
    assert found["txid"].to_list() == ["c", "b", "z", "y", "a"]
    assert found["index"].to_list() == [0, 1, 2, 3, 4]


def bigquery_rows_schema() -> dict[str, Any]:
    stored = pl.from_arrow(pa.Table.from_pylist([one_row()], bigquery_files.TRANSACTIONS))
    assert isinstance(stored, pl.DataFrame)
    return dict(BIGQUERY.transactions(stored).schema)


def missing(blocks: list[Block]) -> list[Block]:
    return blocks[:70] + blocks[71:]


def stale(blocks: list[Block]) -> list[Block]:
    """Another block in the place of one, whose header is sound."""
    return [*blocks[:70], hashed(blocks[70] | {"nonce": 12345}), *blocks[71:]]


def changed_root(blocks: list[Block]) -> list[Block]:
    """A header that is not the one of its hash."""
    return [*blocks[:70], blocks[70] | {"merkleroot": "00" * 32}, *blocks[71:]]


def no_header(blocks: list[Block]) -> list[Block]:
    return [*blocks[:70], blocks[70] | {"bits": None}, *blocks[71:]]


@pytest.mark.parametrize(
    ("damage", "reason", "gone"),
    [
        pytest.param(missing, "missing in the lake", 0, id="missing"),
        pytest.param(stale, "which the header above does not follow", 0, id="stale"),
        pytest.param(changed_root, "which the header above does not follow", -1, id="other header"),
        pytest.param(no_header, "missing in the lake", 0, id="no header"),
    ],
)
def test_day_whose_headers_do_not_follow_each_other_is_not_whole(
    late: World, damage: Damage, reason: str, gone: int
) -> None:
    day = LATE + 2 * ONE_DAY
    late.remove(day)
    late.put(export_of(day, damage(list(blocks_of(day)))))
    rows, notices = late.observe(layout=BIGQUERY)
    assert any(reason in notice for notice in notices), notices
    assert day not in rows["daily_value"]["day"]
    assert blocks_of(day)[70]["height"] + gone not in rows["miner_block_flow"]["height"]
    assert rows["block"]["height"].max() == blocks_of(LAST)[-2]["height"]


def test_rows_that_are_missing_are_a_hole_and_rows_that_are_there_twice_are_none(late: World) -> None:
    clean, _ = World(late.home.parent / "clean").observe(layout=BIGQUERY, bucket=FolderBucket(late.lake))
    day = LATE + 2 * ONE_DAY
    transactions = [row for block in blocks_of(day) for row in rows_of(block)]
    late.remove(day)
    late.put(export_of(day, blocks_of(day), transactions=[*transactions, *transactions[::3]]))
    rows, notices = late.observe(layout=BIGQUERY)
    assert in_key_order(rows)["miner_transfer"].equals(in_key_order(clean)["miner_transfer"])
    assert all("days of flows are stored" in notice for notice in notices)
    late.put(export_of(day, blocks_of(day), transactions=transactions[:-1]))
    rows, notices = late.observe(layout=BIGQUERY)
    assert any("transactions, expected" in notice for notice in notices)


def test_day_without_blocks_is_a_hole(late: World) -> None:
    """As four days of August 2026 are."""
    day = LATE + 2 * ONE_DAY
    late.remove(day)
    late.put(export_of(day, [], files_count=1))
    rows, notices = late.observe(layout=BIGQUERY)
    assert any("missing in the lake" in notice for notice in notices)
    assert "daily_value" not in rows, "neither the day nor those beside it are whole"
    assert rows["block"]["height"].max() == blocks_of(LAST)[-2]["height"]


def with_numbers(schema: pa.Schema, name: str, of: pa.DataType) -> pa.Schema:
    return schema.set(schema.get_field_index(name), pa.field(name, of))


def test_nonce_may_be_an_integer(tmp_path: Path) -> None:
    block = blocks_of(DAY)[5] | {"nonce": 868_906_256}
    found = []
    for number, of in enumerate((pa.string(), pa.int64())):
        world = World(tmp_path / str(number))
        world.put(
            export_of(DAY, [block], blocks_schema=with_numbers(bigquery_files.BLOCKS, "nonce", of), files_count=1)
        )
        copies = Copies(FolderBucket(world.lake), world.home / "copies", BIGQUERY)
        found.append(headers(copies.of(copies.fetch(DAY)).blocks, BIGQUERY))
    assert found[0].equals(found[1])
    assert found[0]["nonce"].to_list() == [f"{868_906_256:x}"]


def coins_with(name: str, of: pa.DataType | None) -> pa.Schema:
    """The schema with another type of a field of outputs, or without it."""
    schema = bigquery_files.TRANSACTIONS
    fields = [field for field in schema.field("outputs").type.value_type if field.name != name]
    if of is not None:
        fields.append(pa.field(name, of))
    return schema.set(schema.get_field_index("outputs"), pa.field("outputs", pa.list_(pa.struct(fields))))


def in_bitcoin(row: dict[str, Any], kind: type) -> dict[str, Any]:
    coins = [coin | {"value": kind(coin["value"] / 10**8)} for coin in row["outputs"]]
    return row | {"outputs": coins}


@pytest.mark.parametrize(
    ("schema", "kind", "found"),
    [
        pytest.param(bigquery_files.TRANSACTIONS, Decimal, r"satoshi, which is not whole", id="bitcoin as NUMERIC"),
        pytest.param(coins_with("value", pa.float64()), float, r"of type Float64, which is no NUMERIC", id="doubles"),
        pytest.param(coins_with("type", None), Decimal, r"no column outputs\.type'", id="a column that is not there"),
    ],
)
def test_other_amounts_and_columns_are_refused(tmp_path: Path, schema: pa.Schema, kind: type, found: str) -> None:
    world = exported(tmp_path, LATE, LAST)
    day = LATE + ONE_DAY
    rows = [in_bitcoin(row, kind) for block in blocks_of(day) for row in rows_of(block)]
    world.remove(day)
    world.put(export_of(day, blocks_of(day), transactions=rows, transactions_schema=schema))
    with pytest.raises(BadInputError, match=found) as refused:
        world.observe(layout=BIGQUERY)
    assert "HASHPIVOT_LAKE_LAYOUT" in str(refused.value)
    assert str(refused.value).count("\n") == 0


def renamed(files: dict[str, bytes]) -> dict[str, bytes]:
    return {key.rpartition("/")[0] + "/part-0-a.parquet": content for key, content in files.items()}


def test_files_of_one_layout_are_refused_in_the_other(tmp_path: Path) -> None:
    of_aws, by_name, by_column = (World(tmp_path / name) for name in ("aws", "name", "column"))
    of_aws.put(files_of(LATE))
    with pytest.raises(BadInputError, match=r"no column inputs\.addresses.*in the layout bigquery.*_LAKE_LAYOUT"):
        of_aws.observe(LATE, layout=BIGQUERY)
    by_name.put(export_of(LATE, blocks_of(LATE)))
    with pytest.raises(SettingsError, match=r"HASHPIVOT_LAKE_LAYOUT: found 'aws', expected bigquery for .*0\.parquet"):
        by_name.observe(LATE, layout=AWS)
    by_column.put(renamed(export_of(LATE, blocks_of(LATE), files_count=1)))
    with pytest.raises(BadInputError, match=r"outputs\.addresses, which files of BigQuery have.*in the layout aws"):
        by_column.observe(LATE, layout=AWS)


def test_part_of_a_day_that_comes_later_is_read(late: World) -> None:
    day = LAST - ONE_DAY
    paths = sorted(late.lake.glob(f"transactions/date={day}/*"))
    content = paths[-1].read_bytes()
    paths[-1].unlink()
    _, notices = late.observe(layout=BIGQUERY)
    assert any("transactions, expected" in notice for notice in notices)
    paths[-1].write_bytes(content)
    rows, notices = late.observe(layout=BIGQUERY)
    assert day in rows["daily_value"]["day"]
    assert not any("transactions, expected" in notice for notice in notices)


def test_setting_chooses_the_layout_which_has_copies_of_its_own(
    late: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"HOME": tmp_path / "home", "LAKE_FOLDER": late.lake, "LAKE_LAYOUT": "bigquery"}
    for name, value in given.items():
        monkeypatch.setenv(f"HASHPIVOT_{name}", str(value))
    with planned() as source:
        (first, *_) = source.shards(Request(since=LATE + ONE_DAY, through=LAST, now=NOW))
        source.read(first)
    copies = [path.parent.parent for path in (tmp_path / "home").rglob(f"transactions/{LATE}-*.parquet")]
    assert {path.name for path in copies} == {"copies_bigquery"}
    monkeypatch.setenv("HASHPIVOT_LAKE_LAYOUT", "bigtable")
    refused = "HASHPIVOT_LAKE_LAYOUT: found 'bigtable', expected aws or bigquery"
    with pytest.raises(SettingsError, match=refused), planned():
        pass


@contextmanager
def planned() -> Iterator[Any]:
    """The source as a run of the profile has it."""
    profile = read_profile("lake").model_copy(update={"sources": ("coinmetrics", "lake")})
    run = plan(read_settings(profile="lake"), profile, now=NOW)
    try:
        yield run.sources["lake"]
    finally:
        run.sources.close()


def test_script_of_the_page_exports_the_columns_that_are_read() -> None:
    (script,) = (block.text for block in blocks("text") if block.text.startswith("DECLARE"))
    _, of_blocks, of_transactions = script.split("CREATE TEMP TABLE")
    for table, statement in (("blocks", of_blocks), ("transactions", of_transactions)):
        selected = statement.partition("\nFROM `")[0]
        sides = {side: re.findall(rf"STRUCT ([^)]*) FROM UNNEST\({side}\)", selected) for side in ("inputs", "outputs")}
        for first, last in COLUMNS[table]:
            assert last in re.findall(r"\w+", sides[first][0] if first in sides else selected), (first, last)
