"""The cold start: of old blocks only the coinbase is read, in shards that may be read concurrently and in any order.

The 0-hop set needs coinbases only, so it is complete where whole blocks begin. The 1-hop layer needs whole blocks and
begins empty there. A shard is one file; reading it again gives the same rows.
"""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from flows.sources.block_frame import block_frame
from flows.sources.node.checkpoints import REORGANISATION_BLOCKS
from flows.sources.node.kind import NODE
from flows.sources.node.rows import check_row, claims_all
from flows.sources.node.walk import ChainWalk
from flows.sources.protocol import Shard
from flows.sources.whole_blocks import BlockRow, PoolOf, block_batch
from schemas.errors import BadInputError, ChainReorganisedError
from schemas.miner_set import MinerSet
from schemas.node_block import satoshi
from schemas.observations import BLOCK, Batch
from transforms.attribution.blocks import paid_scripts, record_coinbase
from warehouse.coinbase_shards import CoinbaseShards

BLOCKS_A_SHARD: Final = 10_000


class ColdStart:
    """The blocks of one node before the first that is read whole."""

    def __init__(
        self, walk: ChainWalk, shards: CoinbaseShards, pool_of: PoolOf, blocks_a_shard: int = BLOCKS_A_SHARD
    ) -> None:
        self._walk, self._shards, self._pool_of = walk, shards, pool_of
        self._blocks_a_shard = blocks_a_shard

    def height(self, day: date) -> int:
        """The height from which blocks must be read whole for `day`, never within the reach of a reorganisation."""
        height = self._walk.first_height_since(day)
        # The genesis block holds nothing but its coinbase.
        return height if 1 < height <= self._walk.facts().tip_height - REORGANISATION_BLOCKS else 0

    def missing(self, whole_from_height: int) -> list[Shard]:
        """The shards below `whole_from_height` that are not stored yet."""
        return [shard for shard in self._shards_below(whole_from_height) if self._shards.find(*shard) is None]

    def first_missing(self) -> int:
        """The lowest height that is not in a stored shard."""
        height = 0
        while self._shards.find(height, height + self._blocks_a_shard - 1) is not None:
            height += self._blocks_a_shard
        return height

    def read(self, shard: Shard, *, readers_count: int = 1) -> Path:
        """Read the blocks of `shard` and keep them; `readers_count` is how many threads read shards at once.

        Raises as `ChainWalk.coinbases` and `ChainWalk.stats`, and `BadInputError` where sums do not hold.
        """
        rows: list[BlockRow] = []
        counted: list[tuple[int, str]] = []
        hashes, txids, paid = [], [], []
        for header, coinbase in self._walk.coinbases(shard.first, shard.last, readers_count=readers_count):
            try:
                sat = sum(satoshi(output.value) for output in coinbase.vout)
                paid.append(paid_scripts(coinbase))
            except ValueError as error:
                raise BadInputError(
                    f"{self._walk.origin} block {header.height:,}", str(error), "amounts of bitcoin", "use another node"
                ) from error
            pool = self._pool_of(coinbase)
            rows.append(BlockRow(header.height, header.hash, header.time, header.difficulty, sat, 0, pool))
            # A coinbase does not show fees that its miner left behind; a block without other transactions has none.
            if header.height and not (header.transactions_count == 1 and claims_all(self._walk.chain, rows[-1])):
                counted.append((header.height, header.hash))
            hashes.append(header.hash)
            txids.append(coinbase.txid)
        stats = {each.height: each for each in self._walk.stats(counted, readers_count=readers_count)}
        rows = [row._replace(fees_sat=stats[row.height].fees_sat) if row.height in stats else row for row in rows]
        for row in rows:
            if row.height in stats:
                check_row(self._walk.origin, row, stats[row.height])
        found = block_frame(rows).with_columns(
            pl.Series("block_hash", hashes, pl.String),
            pl.Series("coinbase_txid", txids, pl.String),
            pl.Series("paid_scripts", paid, pl.List(pl.String)),
        )
        return self._shards.save(found)

    def load_into(self, miners: MinerSet, whole_from_height: int, now: datetime) -> Iterator[Batch]:
        """Yield the rows of all blocks below `whole_from_height`; at the end `miners` is the state before that height.

        Reads what is missing. Raises `ChainReorganisedError` after it has removed the shards that are no longer on the
        chain of the node, and as `read`.
        """
        shards = self._shards_below(whole_from_height)
        kept = {shard: self._shards.find(*shard) or self.read(shard) for shard in shards}
        last_hashes: dict[int, str] = {}
        for shard, path in kept.items():
            rows = self._shards.load(path)
            found = rows.select("height", "coinbase_txid", "paid_scripts", "pool")
            for height, txid, scripts, pool in found.iter_rows():
                record_coinbase(miners, height, txid, scripts, pool)
            miners.height, miners.block_hash = shard.last, rows["block_hash"][-1]
            last_hashes[shard.last] = miners.block_hash
            yield block_batch(NODE.name, self._walk.origin, rows.select(*BLOCK.columns), rows["block_hash"], now)
        self._shards.tidy()
        miners.whole_from_height = whole_from_height
        miners.watch()
        # The blocks of a shard are linked, so that it is enough to check the last one.
        replaced = self._walk.replaced(last_hashes)
        for shard, path in kept.items():
            if shard.last in replaced:
                self._shards.drop(path)
        if replaced:
            raise ChainReorganisedError(replaced[0], None, last_hashes[replaced[0]])

    def _shards_below(self, whole_from_height: int) -> list[Shard]:
        return [
            Shard(first, min(first + self._blocks_a_shard, whole_from_height) - 1)
            for first in range(0, whole_from_height, self._blocks_a_shard)
        ]
