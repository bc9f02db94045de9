"""Days of the invented chain of the replayed explorers as blocks with transactions: miners, exchanges and others."""

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from hashlib import sha256
from typing import Any

from btclib.script.script_pub_key import ScriptPubKey

from schemas.addresses import script_of
from tests.lake.lake_files import day_files
from tests.replay.chain import Chain, mainlike, mainlike_slot
from tests.replay.sites.coinmetrics import BLOCKS_OF_ERA, HALVINGS, noise
from warehouse.labels import EXCHANGE_ADDRESSES

SAT_PER_BTC = 10**8
EXCHANGES_COUNT = 3


@cache
def chain() -> Chain:
    return mainlike()


@cache
def exchange_addresses() -> tuple[str, ...]:
    """One of each of the first exchanges of our own list."""
    with EXCHANGE_ADDRESSES.open(encoding="utf-8") as file:
        first = {row["entity"]: row["address"] for row in csv.DictReader(file) if not row["valid_from"]}
    return tuple(first.values())[:EXCHANGES_COUNT]


def script_of_party(name: str) -> str:
    """P2WPKH of somebody."""
    return f"0014{sha256(name.encode()).hexdigest()[:40]}"


@cache
def invented_day(day: date) -> Mapping[str, bytes]:
    """The two files of a day."""
    return day_files(day, [block(height) for height in heights_of(day)])


def heights_of(day: date) -> Iterator[int]:
    low, high = chain().floor, BLOCKS_OF_ERA * (len(HALVINGS) - 1) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if mainlike_slot(middle).day < day else (low, middle)
    while mainlike_slot(low).day == day:
        yield low
        low += 1


def block(height: int) -> dict[str, Any]:
    """One block: the coinbase of a pool, what that pool sends to an exchange, and what others send each other."""
    invented, pool = chain(), chain().pool(height)[1]
    fees_sat, miner = invented.fees(height), script_of_party(pool)
    sent_sat = round(20 * SAT_PER_BTC * noise(mainlike_slot(height).day, f"sent {height}"))
    change_sat, other_sat = 5 * SAT_PER_BTC, 3 * SAT_PER_BTC
    exchange = script_of(exchange_addresses()[height % EXCHANGES_COUNT])
    of_miner, of_other = fees_sat // 3, fees_sat - fees_sat // 3
    coinbase = {
        "vin": [{"coinbase": invented.coinbase_script(height)}],
        "vout": [_output(0, miner, invented.subsidy(height) + fees_sat), _output(1, "6a24aa21a9ed" + "00" * 32, 0)],
    }
    to_exchange = {
        "vin": [_input(miner, sent_sat + change_sat + of_miner)],
        "vout": [_output(0, exchange, sent_sat), _output(1, miner, change_sat)],
        "fee": _btc(of_miner),
    }
    of_others = {
        "vin": [_input(script_of_party(f"from {height}"), other_sat + of_other)],
        "vout": [_output(0, script_of_party(f"to {height}"), other_sat)],
        "fee": _btc(of_other),
    }
    stated = invented.block(height)
    return {
        "hash": stated["id"],
        "height": height,
        "time": stated["timestamp"],
        "mediantime": stated["mediantime"],
        "difficulty": stated["difficulty"],
        "previousblockhash": stated["previousblockhash"],
        "tx": [
            {"txid": _txid(height, number), "hash": _txid(height, number + 10), **tx}
            for number, tx in enumerate((coinbase, to_exchange, of_others))
        ],
    }


def _txid(height: int, number: int) -> str:
    return sha256(f"{height} {number}".encode()).hexdigest()


def _output(number: int, script: str, sat: int) -> dict[str, Any]:
    address = "" if script.startswith("6a") else ScriptPubKey(bytes.fromhex(script)).address
    return {"n": number, "value": _btc(sat), "scriptPubKey": {"hex": script, "address": address or None}}


def _input(script: str, sat: int) -> dict[str, Any]:
    return {"prevout": {"value": _btc(sat), "scriptPubKey": _output(0, script, sat)["scriptPubKey"]}}


def _btc(sat: int) -> str:
    return f"{sat // SAT_PER_BTC}.{sat % SAT_PER_BTC:08d}"
