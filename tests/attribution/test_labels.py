"""Addresses to scripts, labels from every format they are published in, pools from their lists."""

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.addresses import script_of
from schemas.errors import BadInputError
from schemas.labels import UNKNOWN_POOL, Kind, PoolEntry
from schemas.node_block import Transaction
from tests.attribution.recorded_chain import DECODER, RECORDED
from transforms.attribution.pool_names import PoolNames, slug
from warehouse.labels import (
    CONFIDENCE_OF_RANK,
    Labels,
    exchange_scripts,
    label_set,
    read_csv,
    read_defillama,
    read_labels,
    read_tagpack,
    read_tagpack_table,
)
from warehouse.pool_list import read_pool_list

DAY = date(2026, 1, 1)
BURN = "1BitcoinEaterAddressDontSendf59kuE"

SCRIPTS = {
    # The worked examples of BIP 173 and BIP 350, and the genesis key hash.
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4": "0014751e76e8199196d454941c45d1b3a323f1433bd6",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7": (
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"
    ),
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0": (
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    ),
    "BC1SW50QGDZ25J": "6002751e",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
    "3P14159f73E4gFr7JterCCQh9QjiTjiZrG": "a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87",
}


@pytest.mark.parametrize(("address", "script"), SCRIPTS.items())
def test_an_address_has_its_script(address, script):
    assert script_of(address) == script


@pytest.mark.parametrize(
    "address",
    [
        "",
        "1",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf0a",
        "LXTQdps2Pf83WdAXMinboiqLsEjSWrwJCD",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
        "bc1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "bc1pw5dgrnzv",
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "bc1gmk9yu",
        "0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
    ],
)
def test_what_is_not_an_address_is_rejected(address):
    with pytest.raises(ValueError, match=r"."):
        script_of(address)


def written(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_recorded_labels_name_six_exchange_scripts():
    labels = read_csv(RECORDED / "labels.csv")
    assert labels.rows.height == 19
    assert set(exchange_scripts(labels.rows, on=DAY).values()) == {"binance", "coinbase", "kraken"}
    assert set(labels.rows["kind"]) == {"exchange", "miner", "other", "pool"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb,kraken,exchange", "line 3.*DivfNb.*checksum"),
        (f"{BURN},kraken,bakery", "line 3, kind.*bakery.*exchange"),
        (f"{BURN},,exchange", "line 3, entity"),
        (f"{BURN},kraken", "line 3.*3 cells"),
        (f'{BURN},"kraken,exchange', "labels.csv line .*cells"),
    ],
)
def test_an_invalid_row_is_an_error_with_line_and_value(tmp_path, row, message):
    path = written(tmp_path, f"address,entity,kind\n{BURN},kraken,exchange\n{row}\n")
    with pytest.raises(BadInputError, match=message):
        read_csv(path)


def test_a_missing_file_or_column_is_an_error(tmp_path):
    with pytest.raises(BadInputError, match=r"the columns address, entity, kind"):
        read_csv(written(tmp_path, "wallet,who\n"))
    with pytest.raises(BadInputError, match="readable file"):
        read_csv(tmp_path / "none.csv")


TAGPACK = """title: invented
creator: nobody
source: https://example.org/wallets
lastmod: 2022-11-15
category: exchange
confidence: service_data
currency: BTC
tags:
  - address: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa
    label: okx wallet
    actor: okex
  - address: 3P14159f73E4gFr7JterCCQh9QjiTjiZrG
    label: a pool
    category: miner
    lastmod: 2021-01-02
  - address: "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
    label: elsewhere
    currency: ETH
"""


@pytest.mark.parametrize("header", ["address,entity,kind\n", "entity,address,file\n"])
def test_a_file_that_ends_after_its_header_is_an_error(tmp_path, header):
    file = tmp_path / "labels.csv"
    file.write_text(header)
    with pytest.raises(BadInputError, match="found 'no label', expected one row a label"):
        read_labels(file)


def test_tags_take_missing_fields_from_the_head_of_the_tagpack(tmp_path):
    labels = read_tagpack(written(tmp_path, TAGPACK, "pack.yaml"))
    columns = ("entity", "kind", "known_at", "source", "confidence")
    assert labels.rows.select(columns).rows() == [
        ("okx", Kind.EXCHANGE.value, date(2022, 11, 15), "https://example.org/wallets", 0.6),
        ("a pool", Kind.POOL.value, date(2021, 1, 2), "https://example.org/wallets", 0.6),
    ]
    assert labels.dropped == {"network ETH": 1}


def test_a_bad_tag_is_named_by_its_line(tmp_path):
    broken = TAGPACK.replace("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", "3P14159f73E4gFr7JterCCQh9QjiTjiZrg")
    with pytest.raises(BadInputError, match=r"pack.yaml line 12: found '3P14"):
        read_tagpack(written(tmp_path, broken, "pack.yaml"))
    with pytest.raises(BadInputError, match="a date like"):
        read_tagpack(written(tmp_path, TAGPACK.replace("2021-01-02", "last year"), "pack.yaml"))
    with pytest.raises(BadInputError, match="TagPack"):
        read_tagpack(written(tmp_path, "tags: {", "pack.yaml"))
    with pytest.raises(BadInputError, match="TagPack"):
        read_tagpack(written(tmp_path, "- 1", "pack.yaml"))


def test_only_named_exchanges_are_taken_from_a_list_of_reserves(tmp_path):
    rows = f"okex,{BURN},index.js\nwbtc,not even an address,wbtc.js\ncoinbase-btc,{BURN},coinbase-btc.js\n"
    labels = read_defillama(written(tmp_path, "entity,address,file\n" + rows))
    assert labels.rows["entity"].to_list() == ["okx"]
    assert labels.dropped == {"entity wbtc is not an exchange": 1, "entity coinbase-btc is not an exchange": 1}


def test_our_own_list_is_sound_and_every_row_has_a_source():
    own = read_csv()
    assert own.rows.height > 0
    assert own.rows["source"].str.len_chars().min() > 20


def statement(**changes: object) -> Labels:
    row = {"address": BURN, "entity": "kraken", "kind": "exchange", "valid_from": None, "known_at": DAY}
    row |= {"script": script_of(BURN), "source": "x", "confidence": 0.5} | changes
    own = read_csv().rows
    return Labels(rows=pl.DataFrame([row], schema=own.schema).select(own.columns))


def test_the_version_of_a_label_set_follows_its_content_only():
    a, b = statement(), statement(entity="okx")
    assert label_set([a, b])[0] == label_set([b, a, a])[0]
    assert label_set([a])[0] != label_set([b])[0] != label_set([])[0]


def test_the_highest_confidence_counts_then_the_newest():
    weak, sure, newer = statement(), statement(entity="okx", confidence=0.9), statement(entity="gate", known_at=DAY)
    newer = statement(entity="gate", known_at=date(2026, 2, 1))
    assert set(exchange_scripts(label_set([weak, sure, newer])[1], on=DAY).values()) == {"okx"}
    assert set(exchange_scripts(label_set([weak, newer])[1], on=DAY).values()) == {"gate"}


def test_a_label_counts_from_the_day_it_is_valid():
    _, rows = label_set([statement(valid_from=date(2026, 1, 2))])
    assert exchange_scripts(rows, on=DAY) == {}
    assert set(exchange_scripts(rows, on=date(2026, 1, 2)).values()) == {"kraken"}


def test_other_kinds_are_not_exchanges():
    assert exchange_scripts(statement(kind="pool").rows, on=DAY) == {}


def test_published_labels_are_read_whole(shared_data):
    tags = read_tagpack_table(shared_data / "labels" / "graphsense_tags_btc_no_bitmex.parquet")
    assert (tags.rows.height, dict(tags.dropped)) == (
        38_524,
        {"actor bitwise is not an exchange": 1, "actor bitmain is not an exchange": 2},
    )
    reserves = read_defillama(shared_data / "labels" / "defillama_btc_addresses.csv")
    assert reserves.rows.height + sum(reserves.dropped.values()) == 2_267
    assert "wbtc" not in set(reserves.rows["entity"])
    _, rows = label_set([tags, reserves, read_csv()])
    scripts = exchange_scripts(rows, on=DAY)
    assert scripts[script_of("34xp4vRoCGJym3xR7yCVPFHoCNxv4Twseo")] == "binance"
    assert len(scripts) > 1_000


def coinbase(script: bytes, paid: tuple[str, ...] = ("00",)) -> Transaction:
    outputs = [{"value": 1, "scriptPubKey": {"hex": each}} for each in paid]
    content = {"txid": "00", "vin": [{"coinbase": script.hex()}], "vout": outputs}
    block = {"hash": "", "height": 0, "time": 0, "mediantime": 0, "difficulty": 1, "tx": [content]}
    return DECODER.decode(json.dumps(block)).tx[0]


LIST = [
    PoolEntry("Foundry USA", ("aa",), ("/Foundry USA Pool #dropgold/",)),
    PoolEntry("F2Pool", (), ("🐟", "/F2Pool/")),
    PoolEntry("AntPool", ("bb",), ("AntPool",)),
]


@pytest.mark.parametrize(
    ("script", "paid", "pool"),
    [
        (b"\x03\xff\xfe/foundry usa pool #dropgold/\xff", ("00",), "foundryusa"),
        (b"\x03\x01\x02\x03\xe2Mined by AntPool\x80/F2Pool/", ("00",), "f2pool"),
        ("\x00🐟".encode(), ("00",), "f2pool"),
        (b"/F2Pool/", ("00", "bb", "aa"), "antpool"),
        (b"", ("00",), UNKNOWN_POOL),
        (b"\xff\xff", (), UNKNOWN_POOL),
    ],
    ids=["tag", "first of the list", "not ASCII", "address before tag", "nothing", "no text"],
)
def test_a_block_is_its_pools_by_address_then_by_tag(script, paid, pool):
    assert PoolNames(LIST).pool(coinbase(script, paid)) == pool


def test_pools_are_called_as_in_public_lists():
    assert [slug(name) for name in ("Foundry USA", "BTC.com", "八宝")] == ["foundryusa", "btccom", UNKNOWN_POOL]


def test_our_own_pool_list_is_sound():
    pools = read_pool_list()
    assert len({slug(pool.name) for pool in pools}) == len(pools) >= 15
    assert all(pool.tags or pool.scripts for pool in pools)


def test_both_formats_of_a_pool_list_give_the_same(tmp_path):
    older = {
        "coinbase_tags": {"/a/": {"name": "A"}, "/aa/": {"name": "A"}},
        "payout_addresses": {BURN: {"name": "A"}},
    }
    newer = [{"id": 1, "name": "A", "addresses": [BURN], "tags": ["/a/", "/aa/"], "link": ""}]
    lists = [read_pool_list(written(tmp_path, json.dumps(content), "pools.json")) for content in (older, newer)]
    assert lists[0] == lists[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSON"),
        ("1", "a list of pools"),
        ('[{"id": 1}]', "entry 1.*with a name"),
        ('[{"name": "A", "tags": "x"}]', r"entry 1 \(A\), tags"),
        ('[{"name": "A", "addresses": ["1x"]}]', r"entry 1 \(A\).*1x"),
        ('{"coinbase_tags": {"x": {}}}', "coinbase_tags, x"),
        ('{"payout_addresses": {"1x": {"name": "A"}}}', "payout_addresses.*1x"),
        ('{"payout_addresses": []}', "an object"),
    ],
)
def test_a_bad_pool_list_is_named_by_entry_and_value(tmp_path, content, message):
    with pytest.raises(BadInputError, match=message):
        read_pool_list(written(tmp_path, content, "pools.json"))
    with pytest.raises(BadInputError, match="readable"):
        read_pool_list(tmp_path / "none.json")


def test_public_lists_and_a_real_block_agree(shared_data):
    block = DECODER.decode((shared_data / "raw_blocks" / "739990.json").read_bytes())
    for name in ("pools-v2.json", "pools.json"):
        assert PoolNames(read_pool_list(shared_data / "pools" / name)).pool(block.tx[0]) == "binancepool"
    assert PoolNames(read_pool_list()).pool(block.tx[0]) == "binancepool"


def test_confidence_of_a_rank_is_a_probability_and_falls_from_what_is_proven_to_what_is_guessed() -> None:
    ranked = [
        CONFIDENCE_OF_RANK[rank] for rank in ("ownership", "service_api", "trusted_provider", "forensic", "web_crawl")
    ]
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] == 1
    assert all(CONFIDENCE_OF_RANK["unknown"] <= each <= 1 for each in CONFIDENCE_OF_RANK.values())
    assert 0 < CONFIDENCE_OF_RANK["unknown"] < CONFIDENCE_OF_RANK["heuristic"]
