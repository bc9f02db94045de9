"""The cheap start: of old blocks only the coinbase is read, in shards that may be read at once and in any order.

Coinbases are all that the 0-hop set needs, so that it misses nothing where whole blocks begin. The 1-hop layer needs
whole blocks and begins empty there. A shard is one file: whoever reads it again gets the same rows.
"""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from flows.sources.block_frame import block_frame
from flows.sources.node.checkpoints import REORGANISATION_BLOCKS
from flows.sources.node.rows import BlockRow, PoolOf, block_batch, check_row
from flows.sources.node.walk import ChainWalk
from flows.sources.protocol import Shard
from schemas.errors import BadInputError, ChainReorganisedError
from schemas.miner_set import MinerSet
from schemas.node_block import satoshi
from schemas.observations import BLOCK, Batch
from transforms.attribution.blocks import paid_scripts, record_coinbase
from warehouse.coinbase_shards import CoinbaseShards

BLOCKS_A_SHARD: Final = 10_000


class ColdStart:
    """What comes before the first whole block of one node."""

    def __init__(
        self, walk: ChainWalk, shards: CoinbaseShards, pool_of: PoolOf, blocks_a_shard: int = BLOCKS_A_SHARD
    ) -> None:
        self._walk, self._shards, self._pool_of = walk, shards, pool_of
        self._blocks_a_shard = blocks_a_shard

    def height(self, day: date) -> int:
        """The height from which blocks are to be read whole, so that `day` is: never where a fork may still reach."""
        height = self._walk.first_height_since(day)
        # The genesis block holds nothing but its coinbase.
        return height if 1 < height <= self._walk.facts().tip_height - REORGANISATION_BLOCKS else 0

    def missing(self, whole_from_height: int) -> list[Shard]:
        """The shards below `whole_from_height` that nobody has read yet."""
        return [shard for shard in self._shards_below(whole_from_height) if self._shards.find(*shard) is None]

    def read(self, shard: Shard, *, readers_count: int = 1) -> Path:
        """Read the blocks of `shard` and keep them; `readers_count` is how many threads read shards at once.

        Raises as `ChainWalk.coinbases` and `ChainWalk.stats`, and `BadInputError` where sums do not hold.
        """
        rows: list[BlockRow] = []
        hashes, txids, paid = [], [], []
        for header, coinbase in self._walk.coinbases(shard.first, shard.last, readers_count=readers_count):
            try:
                sat = sum(satoshi(output.value) for output in coinbase.vout)
                paid.append(paid_scripts(coinbase))
            except ValueError as error:
                raise BadInputError(
                    f"{self._walk.origin} block {header.height:,}", str(error), "amounts of bitcoin", "ask another node"
                ) from error
            pool = self._pool_of(coinbase)
            rows.append(BlockRow(header.height, header.hash, header.time, header.difficulty, sat, 0, pool))
            hashes.append(header.hash)
            txids.append(coinbase.txid)
        # The genesis block has no undo data, and with it no statistics.
        counted = [row for row in rows if row.height]
        stats = self._walk.stats([(row.height, row.hash) for row in counted])
        fees_sat = {each.height: each.fees_sat for each in stats}
        rows = [row._replace(fees_sat=fees_sat.get(row.height, 0)) for row in rows]
        for row, each in zip([row for row in rows if row.height], stats, strict=True):
            check_row(self._walk.origin, row, each)
        told = block_frame(rows).with_columns(
            pl.Series("block_hash", hashes, pl.String),
            pl.Series("coinbase_txid", txids, pl.String),
            pl.Series("paid_scripts", paid, pl.List(pl.String)),
        )
        return self._shards.save(told)

    def into(self, miners: MinerSet, whole_from_height: int, now: datetime) -> Iterator[Batch]:
        """Yield the rows of all blocks below `whole_from_height`; at the end `miners` is the state before that height.

        Reads what is missing. Raises `ChainReorganisedError` after it has forgotten the shards that the chain of the
        node no longer has, and as `read`.
        """
        shards = self._shards_below(whole_from_height)
        kept = {shard: self._shards.find(*shard) or self.read(shard) for shard in shards}
        last_hashes: dict[int, str] = {}
        for shard, path in kept.items():
            rows = self._shards.load(path)
            told = rows.select("height", "coinbase_txid", "paid_scripts", "pool")
            for height, txid, scripts, pool in told.iter_rows():
                record_coinbase(miners, height, txid, scripts, pool)
            miners.height, miners.block_hash = shard.last, rows["block_hash"][-1]
            last_hashes[shard.last] = miners.block_hash
            yield block_batch(self._walk.origin, rows.select(*BLOCK.columns), rows["block_hash"], now)
        miners.whole_from_height = whole_from_height
        miners.watch()
        # The blocks of a shard hang together, so that its last one answers for all of them.
        lost = self._walk.lost(last_hashes)
        for shard, path in kept.items():
            if shard.last in lost:
                self._shards.drop(path)
        if lost:
            raise ChainReorganisedError(lost[0], None, last_hashes[lost[0]])

    def _shards_below(self, whole_from_height: int) -> list[Shard]:
        return [
            Shard(first, min(first + self._blocks_a_shard, whole_from_height) - 1)
            for first in range(0, whole_from_height, self._blocks_a_shard)
        ]
