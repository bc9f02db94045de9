"""A real block of the main network in the layout of the lake: what it moved is what the node source finds in it.

Block 739,990 of 2022-06-09, as a node returned it (`getblock`, verbosity 3), is read where third-party data lies; the
project holds no copy. It has what the recorded regtest chain has not: all types of scripts, 563 of 645 transactions
whose id is not their `hash`, and real amounts. Whose the scripts are is chosen here: each tenth that spends is a
pool's, each seventh that is paid an exchange's.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.sources.lake.aws import AWS
from flows.sources.lake.bigquery import BIGQUERY
from flows.sources.lake.bucket import FolderBucket
from flows.sources.lake.copies import Copies
from flows.sources.lake.layout import Layout
from flows.sources.lake.source import Lake
from flows.sources.node.checkpoints import Checkpoints
from flows.sources.protocol import Request
from flows.sources.whole_blocks import block_row
from schemas.addresses import script_of
from schemas.labels import PoolEntry
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from schemas.observations import Batch
from tests.attribution.recorded_chain import DECODER, run
from tests.lake.bigquery_files import export_of, hashed
from tests.lake.lake_files import day_files
from transforms.attribution.pool_names import PoolNames
from transforms.attribution.transfers import block_flow_rows, transfer_rows
from warehouse.labels import exchange_scripts, label_set, read_csv
from warehouse.pool_list import read_pool_list

HEIGHT = 739_990
DAY, NEXT_DAY = date(2022, 6, 9), date(2022, 6, 10)
SAMPLES = Path("spec") / "contracts" / "samples" / "block_lake"


@pytest.fixture(scope="module")
def raw_block(shared_data: Path) -> bytes:
    path = shared_data / "raw_blocks" / "739990.json"
    if not path.is_file():
        pytest.skip(f"no {path}, the real block of which transfers are compared")
    return path.read_bytes()


@pytest.fixture(scope="module")
def as_json(raw_block: bytes) -> dict[str, Any]:
    return json.loads(raw_block, parse_float=str)


@pytest.fixture(scope="module")
def block(raw_block: bytes) -> NodeBlock:
    return DECODER.decode(raw_block)


def parties(as_json: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Addresses of the pool and of the exchange."""
    spent = [each["prevout"]["scriptPubKey"].get("address") for tx in as_json["tx"][1:] for each in tx["vin"]]
    paid = [each["scriptPubKey"].get("address") for tx in as_json["tx"][1:] for each in tx["vout"]]
    miners = sorted({address for address in spent if address})[::10]
    return miners, sorted({address for address in paid if address} - set(miners))[::7]


def following(as_json: dict[str, Any]) -> dict[str, Any]:
    """A block that confirms it, of which only the hash is real."""
    output = {"n": 0, "value": "6.25", "scriptPubKey": as_json["tx"][0]["vout"][0]["scriptPubKey"]}
    return {
        **{"hash": as_json["nextblockhash"], "height": HEIGHT + 1, "previousblockhash": as_json["hash"]},
        **{"difficulty": as_json["difficulty"], "mediantime": as_json["time"]},
        "time": int(datetime(2022, 6, 10, 0, 1, tzinfo=UTC).timestamp()),
        "tx": [{"txid": "aa" * 32, "hash": "bb" * 32, "vin": [{"coinbase": "03974a0b"}], "vout": [output]}],
    }


def by_generator(_: Path, as_json: dict[str, Any]) -> dict[str, bytes]:
    return day_files(DAY, [as_json], rows_a_group=100)


def by_sample(shared_data: Path, _: dict[str, Any]) -> dict[str, bytes]:
    """Files that somebody else wrote from the description of the lake."""
    folder = shared_data.parent / SAMPLES
    if not folder.is_dir():
        pytest.skip(f"no {folder}, the block in files that our generator did not write")
    return {
        f"{table}/date={DAY}/part-0-sample.parquet": (folder / f"{table}_block_739990.snappy.parquet").read_bytes()
        for table in ("blocks", "transactions")
    }


def by_bigquery(_: Path, as_json: dict[str, Any]) -> dict[str, bytes]:
    return export_of(DAY, [as_json], rows_a_group=100)


@pytest.mark.parametrize(("written", "layout"), [(by_generator, AWS), (by_sample, AWS), (by_bigquery, BIGQUERY)])
def test_what_a_real_block_moves_is_what_the_node_source_finds(
    tmp_path: Path, shared_data: Path, as_json: dict[str, Any], block: NodeBlock, written: Any, layout: Layout
) -> None:
    after = following(as_json)
    confirming = day_files(NEXT_DAY, [after]) if layout is AWS else export_of(NEXT_DAY, [hashed(after)])
    for key, content in (written(shared_data, as_json) | confirming).items():
        path = tmp_path / "lake" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    senders, payees = parties(as_json)
    scripts = tuple(filter(None, map(script_of, senders)))
    pools = PoolNames([*read_pool_list(), PoolEntry(name="Senders", scripts=scripts, tags=())])
    (tmp_path / "labels.csv").write_text(
        "address,entity,kind\n" + "".join(f"{each},kraken,exchange\n" for each in payees)
    )
    labels = label_set([read_csv(tmp_path / "labels.csv")])
    source = Lake(
        Copies(FolderBucket(tmp_path / "lake"), tmp_path / "copies", layout, whole_file_bytes=0),
        Checkpoints(tmp_path / "miner_set", "main"),
        pools,
        labels,
        chain="main",
        max_bytes=10**9,
    )
    request = Request(since=DAY, through=DAY, now=datetime(2022, 6, 12, tzinfo=UTC))
    rows = {item.table.value: item.rows for item in source.observe(request) if isinstance(item, Batch)}

    miners = MinerSet(whole_from_height=HEIGHT)
    for script, pool in pools.payees():
        miners.zero_hop.pay(script, HEIGHT, pool)
    miners.watch()
    flows = run([block], miners, dict(exchange_scripts(labels[1], on=DAY)), pools)
    transfers = transfer_rows(flows, labels[0])
    assert transfers.height > 20
    assert transfers["transfer_sat"].sum() > 10**8
    if layout is BIGQUERY:
        # It does not state the order of the block.
        key = ["txid", "exchange", "hop"]
        assert rows["miner_transfer"].drop("fresh_sat").sort(key).equals(transfers.drop("fresh_sat").sort(key))
    else:
        assert rows["miner_transfer"].drop("fresh_sat").equals(transfers.drop("fresh_sat"))
    assert rows["miner_block_flow"].equals(block_flow_rows(flows, labels[0]))
    assert_block(rows["block"], block, pools)
    assert set(transfers["txid"]) <= {tx["txid"] for tx in as_json["tx"]}
    assert not set(transfers["txid"]) <= {tx["hash"] for tx in as_json["tx"]}, "or the trap was not in the way"


def assert_block(rows: pl.DataFrame, block: NodeBlock, pools: PoolNames) -> None:
    expected = block_row(block, pools.pool)
    assert rows["height"].to_list() == [HEIGHT]
    # A node prints 16 digits of it; the bits of a header have the exact value.
    assert rows["difficulty"].to_list() == [pytest.approx(expected.difficulty, rel=1e-14)]
    for name in ("subsidy_claimed_sat", "fees_sat", "pool"):
        assert rows[name].to_list() == [getattr(expected, name)], name
    assert rows["pool"].to_list() == ["binancepool"]
    assert seconds(rows["block_at"]) == [block.time]


def seconds(times: pl.Series) -> Sequence[int]:
    return times.dt.epoch("s").to_list()
