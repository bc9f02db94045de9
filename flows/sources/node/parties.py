"""Transactions of stored blocks, with the addresses that the node has for their scripts.

Source: Core's `getblock` at verbosity 3, by hash, so that neither `txindex` nor a wallet is needed.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

import msgspec

from flows.sources.node.connection import Connection
from flows.sources.node.rpc import Rpc
from schemas.errors import BadInputError
from schemas.node_block import satoshi
from transforms.attribution.parties import Party

WITH_PREVOUTS: Final = 3
READ_AT_ONCE_COUNT: Final = 4


class _Script(msgspec.Struct, gc=False):
    """A script; one that pays a bare key or several has no address."""

    hex: str
    address: str | None = None


class _Coin(msgspec.Struct, gc=False, rename={"script": "scriptPubKey"}):
    value: msgspec.Raw
    script: _Script


class _Input(msgspec.Struct, gc=False):
    prevout: _Coin | None = None


class _Transaction(msgspec.Struct, gc=False):
    txid: str
    vin: tuple[_Input, ...]
    vout: tuple[_Coin, ...]


class _Block(msgspec.Struct):
    time: int
    tx: list[_Transaction]


class FoundTransaction(NamedTuple):
    """A transaction: the day in the header of its block, all that it spends and pays, and the addresses of scripts."""

    day: date
    inputs: tuple[Party, ...]
    outputs: tuple[Party, ...]
    addresses: dict[str, str]


def transactions(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[str, FoundTransaction]:
    """The `wanted` transactions, given as hash of the block and transaction id, by the latter.

    At most `READ_AT_ONCE_COUNT` blocks are in memory. Raises as `Rpc.call`, and `BadInputError` where a transaction or
    what it spends is not in its block.
    """
    txids_of: dict[str, list[str]] = {}
    for block_hash, txid in wanted:
        txids_of.setdefault(block_hash, []).append(txid)
    rpc = Rpc(connection)

    def read(block_hash: str) -> dict[str, FoundTransaction]:
        block = rpc.call("getblock", (block_hash, WITH_PREVOUTS), _Block)
        return _found(f"{connection.origin} block {block_hash}", block, txids_of[block_hash])

    found: dict[str, FoundTransaction] = {}
    with ThreadPoolExecutor(READ_AT_ONCE_COUNT, thread_name_prefix="node") as executor:
        for part in executor.map(read, txids_of):
            found |= part
    return found


def _found(place: str, block: _Block, txids: Sequence[str]) -> dict[str, FoundTransaction]:
    day = datetime.fromtimestamp(block.time, UTC).date()
    by_id = {tx.txid: tx for tx in block.tx}
    found = {}
    for txid in txids:
        tx = by_id.get(txid)
        spent = [each.prevout for each in tx.vin if each.prevout is not None] if tx else []
        if tx is None or len(spent) != len(tx.vin):
            raise BadInputError(place, f"no transaction {txid} with all it spends", "it", "use a node with prune=0")
        addresses = {coin.script.hex: coin.script.address for coin in (*spent, *tx.vout)}
        found[txid] = FoundTransaction(
            day,
            tuple(Party(coin.script.hex, satoshi(coin.value)) for coin in spent),
            tuple(Party(coin.script.hex, satoshi(coin.value)) for coin in tx.vout),
            {script: address for script, address in addresses.items() if address is not None},
        )
    return found
