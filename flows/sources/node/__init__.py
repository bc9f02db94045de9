"""An own Bitcoin Core node: its blocks in order, with what their inputs spend, and the rows that follow from them."""

from flows.sources.node.checkpoints import Checkpoints
from flows.sources.node.cold_start import ColdStart
from flows.sources.node.connection import Connection, Patience
from flows.sources.node.credentials import CookieFile, Password
from flows.sources.node.rows import block_batches, block_row
from flows.sources.node.source import Node
from flows.sources.node.walk import ChainWalk

__all__ = [
    "ChainWalk",
    "Checkpoints",
    "ColdStart",
    "Connection",
    "CookieFile",
    "Node",
    "Password",
    "Patience",
    "block_batches",
    "block_row",
]
