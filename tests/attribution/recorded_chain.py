"""Ten days of a regtest chain recorded from its node, the labels of its wallets, and what was really sent."""

import csv
import gzip
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock
from transforms.attribution.blocks import BlockFlows, attribute
from transforms.attribution.pool_names import PoolNames
from warehouse.labels import exchange_scripts, label_set, read_csv
from warehouse.pool_list import read_pool_list

RECORDED = Path(__file__).parent / "recorded"
BLOCKS = Path(__file__).parent.parent / "node" / "recorded" / "blocks.ndjson.gz"
FIRST_DAY = date(2026, 1, 1)
AMOUNT = re.compile(r'("value": )"([^"]+)"')
DECODER = msgspec.json.Decoder(NodeBlock)


def recorded_blocks() -> Iterator[dict[str, Any]]:
    """Each block as plain JSON, numbers as the text they were."""
    with gzip.open(BLOCKS, "rt") as lines:
        for line in lines:
            yield json.loads(line, parse_float=str)["getblock3"]


def decoded_blocks() -> list[NodeBlock]:
    with gzip.open(BLOCKS, "rb") as lines:
        return [DECODER.decode(msgspec.json.decode(line, type=dict[str, msgspec.Raw])["getblock3"]) for line in lines]


def decoded(as_json: list[dict[str, Any]]) -> list[NodeBlock]:
    """Blocks as attribution gets them, from JSON in which amounts are texts."""
    return [DECODER.decode(AMOUNT.sub(r"\1\2", json.dumps(block))) for block in as_json]


def exchanges() -> dict[str, str]:
    labels = read_csv(RECORDED / "labels.csv")
    return exchange_scripts(label_set([labels])[1], on=FIRST_DAY)


def pool_names() -> PoolNames:
    return PoolNames(read_pool_list())


def run(
    blocks: list[NodeBlock], miners: MinerSet, labelled: dict[str, str], pools: PoolNames | None = None
) -> list[BlockFlows]:
    pools = pools or pool_names()
    return [attribute(block, miners, labelled, pools) for block in blocks]


def true_deposits() -> list[dict[str, str]]:
    with gzip.open(RECORDED / "truth_transfers.csv.gz", "rt", newline="") as file:
        return [row for row in csv.DictReader(file) if row["to_kind"] == "exchange"]
