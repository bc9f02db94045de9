from typing import Any

from flows.sources.node.connection import Connection, RetryPolicy
from flows.sources.node.credentials import CookieFile
from flows.sources.node.walk import ChainWalk
from schemas.node_block import NodeBlock, Transaction, satoshi
from tests.node.replay_node import ReplayNode

SHORT_PAUSES = RetryPolicy(attempts_count=12, first_pause_seconds=0.01, longest_pause_seconds=0.3, response_seconds=20)
FEW_RETRIES = RetryPolicy(
    attempts_count=2, first_pause_seconds=0.001, longest_pause_seconds=0.001, response_seconds=0.3
)


def walk_to(
    node: ReplayNode, retry_policy: RetryPolicy = SHORT_PAUSES, chain: str = "regtest", **limits: Any
) -> ChainWalk:
    return ChainWalk(Connection(node.url, CookieFile(node.cookie_file), retry_policy=retry_policy, **limits), chain)


def content(block: NodeBlock) -> Any:
    """All fields of a block, amounts in satoshi, so that blocks of different formats can be compared."""
    return (
        (block.hash, block.previous_hash, block.height, block.time, block.mediantime, block.difficulty),
        [
            (
                tx.txid,
                satoshi(tx.fee) if number else None,
                [
                    (each.coinbase, each.prevout and (satoshi(each.prevout.value), each.prevout.script.hex))
                    for each in tx.vin
                ],
                [(satoshi(each.value), each.script.hex) for each in tx.vout],
            )
            for number, tx in enumerate(block.tx)
        ],
    )


def unknown_pool(coinbase: Transaction) -> str:
    """A pool list without entries."""
    return "unknown"
