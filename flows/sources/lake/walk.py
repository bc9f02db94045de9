"""Attribution over the days of a lake: the rules of the node, on blocks out of the copies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import polars as pl

from flows.sources.block_frame import block_frame
from flows.sources.lake.blocks import BlockCoins
from flows.sources.lake.chain import Chain, Hole
from flows.sources.lake.copies import Copies, DayCopies
from flows.sources.lake.kind import COVERAGE_SERIES, LAKE
from flows.sources.lake.parts import Parts, cut
from flows.sources.node.label_sets import ExchangesOn
from flows.sources.whole_blocks import BlockRow, allowed_subsidy_sat, block_batch, block_row, flow_batches
from schemas.miner_set import MinerSet
from schemas.node_block import NodeBlock, satoshi
from schemas.observations import DAILY_VALUE, Batch, ObservedTable
from transforms.attribution.blocks import BlockFlows, attribute
from transforms.attribution.pool_names import PoolNames


@dataclass(slots=True)
class LakeDay:
    """What was found in the blocks of one day. `is_whole`: all of its blocks; `is_over`: a block is on a later day."""

    day: date
    is_whole: bool
    is_over: bool
    last_height: int = 0
    flows: list[BlockFlows] = field(default_factory=list)
    rows: list[BlockRow] = field(default_factory=list)
    coinbase_sat: int = 0
    known_sat: int = 0
    """Of it to scripts that were miners' before the block."""
    holes: list[Hole] = field(default_factory=list)

    def batches(self, label_set: str, origin: str, now: datetime) -> Iterator[Batch]:
        """Flows, then blocks, then how much of the coinbases went to known scripts, if the day is whole."""
        if not self.rows:
            return
        yield from flow_batches(LAKE.name, self.flows, label_set, origin, now)
        hashes = [row.hash for row in self.rows]
        batch = block_batch(LAKE.name, origin, block_frame(self.rows), hashes, now)
        yield batch
        if self.is_whole and self.coinbase_sat:
            share = [(COVERAGE_SERIES, self.day, self.known_sat / self.coinbase_sat)]
            types = {name: column.dtype.type for name, column in DAILY_VALUE.columns.items()}
            yield Batch(
                source=LAKE.name,
                table=ObservedTable.DAILY_VALUE,
                origin=batch.origin,
                sha256=batch.sha256,
                observed_at=now,
                rows=pl.DataFrame(share, schema=types, orient="row"),
            )


class LakeWalk:
    """The blocks of `chain` in the copies of `days`, attributed in their order."""

    def __init__(
        self,
        copies: Copies,
        chain: Chain,
        days: Mapping[date, DayCopies],
        pools: PoolNames,
        exchanges_on: ExchangesOn,
        chain_name: str,
    ) -> None:
        self._copies, self._chain, self._files = copies, chain, days
        self._pools, self._exchanges_on, self._chain_name = pools, exchanges_on, chain_name

    @property
    def tip_height(self) -> int:
        """Height of the highest block."""
        return int(self._chain.blocks["height"].max() or 0)  # type: ignore[arg-type]

    def days(self, miners: MinerSet) -> Iterator[LakeDay]:
        """The days above `miners`, which becomes the state after each of them. The first may be a part of a day.

        A block that is not as its header states it is a hole of its day. Raises `BadInputError` for a copy that cannot
        be read.
        """
        first_height = -1 if miners.height is None else miners.height
        blocks = self._chain.blocks.filter(pl.col("height") > first_height)
        whole = set(self._chain.whole()["day"])
        last_day = self._chain.blocks["day"].max()
        headers_of_days = blocks.partition_by("day", maintain_order=True)
        cuts = [list(cut(headers)) for headers in headers_of_days]
        with Parts(self._copies, [part for parts in cuts for part in parts], self._files) as rows:
            for headers, parts in zip(headers_of_days, cuts, strict=True):
                day = headers["day"][0]
                found = LakeDay(day, is_whole=day in whole, is_over=day != last_day, last_height=headers["height"][-1])
                for part in parts:
                    self._attribute(part, rows, miners, found)
                found.is_whole = found.is_whole and not found.holes
                yield found

    def _attribute(self, headers: pl.DataFrame, rows: Parts, miners: MinerSet, found: LakeDay) -> None:
        coins: BlockCoins | ValueError
        try:
            coins = BlockCoins(rows.next())
        except ValueError as error:
            coins = error
        for header in headers.iter_rows(named=True):
            try:
                if isinstance(coins, ValueError):
                    raise coins
                self._add(coins.block(header), miners, found)
            except ValueError as error:
                found.holes.append(Hole(header["height"], header["height"], str(error)))

    def _add(self, block: NodeBlock, miners: MinerSet, found: LakeDay) -> None:
        row = block_row(block, self._pools.pool)
        allowed_sat = allowed_subsidy_sat(self._chain_name, block.height)
        if row.subsidy_claimed_sat > allowed_sat:
            raise ValueError(f"a subsidy of {row.subsidy_claimed_sat:,} satoshi, at most {allowed_sat:,}")
        if miners.height is None:
            self._begin(miners, block.height)
        else:
            # Blocks of a hole are passed over: what they made of the set of miners is not known.
            miners.height, miners.block_hash = block.height - 1, block.previous_hash or ""
        known = miners.zero_hop.index
        paid = [(output.script.hex, satoshi(output.value)) for output in block.tx[0].vout]
        found.coinbase_sat += row.coinbase_sat
        found.known_sat += sum(sat for script, sat in paid if script in known)
        exchanges = self._exchanges_on(datetime.fromtimestamp(block.time, UTC).date())
        found.flows.append(attribute(block, miners, exchanges, self._pools))
        found.rows.append(row)

    def _begin(self, miners: MinerSet, height: int) -> None:
        """The set before the first block: payout addresses of the pool list, which coinbases paid whenever that was."""
        miners.whole_from_height = height
        for script, pool in self._pools.payees():
            miners.zero_hop.pay(script, height, pool)
        miners.watch()
