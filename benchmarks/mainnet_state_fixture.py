"""A working database as an own node leaves it: every block of an invented chain attributed; and one more day's batches.

Run as `python -m benchmarks.mainnet_state_fixture FOLDER BLOCKS {whole,recent}`. Made by the project's own code: blocks
and prices of the simulated chain, flows of miners drawn from a seed, all checked and stored as batches of observations.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.fixture import FEWEST_BLOCKS_A_DAY, recent_chain, whole_chain
from benchmarks.mainnet_state_facts import StateFacts
from flows.run import plan
from flows.run.plan import Run
from flows.settings import Settings, read_profile
from flows.sources.coinmetrics.kind import COINMETRICS
from flows.sources.node.kind import NODE
from flows.sources.protocol import Request
from flows.sources.simulated.chain import Simulated
from schemas.observations import MINER_BLOCK_FLOW, MINER_TRANSFER, Batch, ObservedTable
from schemas.series import Group
from warehouse import vintages
from warehouse.working import open_working

NEXT_DAY_BLOCKS: Final = 144
TRANSFERS_A_BLOCK: Final = 4_000_000 / 977_000
LARGEST_COUNT: Final = 10
SEED: Final = 14
CHUNK_BLOCKS: Final = 100_000
"""Blocks that are drawn and stored at once; by height, so that a longer chain begins as a shorter one."""
MIDDAY_HOUR: Final = 12
LABEL_SET: Final = "invented"
EXCHANGES: Final = (
    *("binance", "bitfinex", "bitstamp", "bittrex", "bybit", "coinbase", "cryptocom", "gate"),
    *("gemini", "huobi", "kraken", "kucoin", "mexc", "okx", "poloniex"),
)
POOLS: Final = (
    *(
        "antpool",
        "binancepool",
        "bitfury",
        "braiins",
        "btccom",
        "btctop",
        "carbonnegative",
        "eligius",
        "emcd",
        "f2pool",
    ),
    *("foundryusa", "ghashio", "kano", "luxor", "marapool", "poolin", "sbicrypto", "spiderpool", "ultimus", "viabtc"),
)
FRESH, OF_ONE_HOP, TO_SECOND_EXCHANGE = 0.3, 0.1, 0.04
"""Part of a transfer straight out of coinbases; transfers of the 1-hop layer; those of the transaction before them."""
SPREAD: Final = 0.8


def make(folder: Path, source: Simulated, block_count: int) -> StateFacts:
    """Store at least `block_count` attributed blocks under `folder`, up to one of midday, and the next day beside."""
    blocks, prices = _chain(source, block_count)
    at_midday = (pl.col("height") - source.first_height >= block_count - 1) & (
        pl.col("block_at").dt.hour() == MIDDAY_HOUR
    )
    tip = blocks.filter(at_midday).row(0, named=True)
    now, next_now = (tip["block_at"] + timedelta(days=n, hours=1) for n in (0, 1))
    until = tip["height"] + 1
    run = run_at(folder, now)
    plan.record_start(run)
    counts = dict.fromkeys(ObservedTable, 0)
    stored = blocks.filter(pl.col("height") < until)
    with open_working(run.settings.working_database) as connection:
        for batch in chain(_batches(stored, now), [_prices(prices.filter(pl.col("day") < now.date()), now)]):
            vintages.append(connection, batch, run.run_id)
            counts[batch.table] += batch.rows.height
    added = blocks.filter(pl.col("height").is_between(until, until + NEXT_DAY_BLOCKS - 1))
    next_now = max(next_now, added["block_at"].max() + timedelta(minutes=1))
    for batch in chain(_batches(added, next_now), [_prices(prices.filter(pl.col("day") == now.date()), next_now)]):
        path = next_day(folder, batch.table)
        path.parent.mkdir(exist_ok=True)
        batch.rows.write_parquet(path)
    facts = StateFacts(
        now=now.isoformat(),
        next_now=next_now.isoformat(),
        block_count=counts[ObservedTable.BLOCK],
        transfer_count=counts[ObservedTable.MINER_TRANSFER],
        next_block_count=added.height,
        megabytes=run.settings.working_database.stat().st_size / 1e6,
    )
    facts.keep(folder)
    return facts


def run_at(home: Path, now: datetime) -> Run:
    """A run of the profile of an own node, with a price beside it, and nothing taken from the environment."""
    profile = read_profile("node")
    precedence = {**profile.precedence, Group.PRICE: (COINMETRICS.name,)}
    # The source of the price is left out: a run that fetches nothing needs no web session.
    profile = profile.model_copy(update={"sources": (NODE.name,), "precedence": precedence})
    return plan.plan(Settings(home=home, profile="node", keep_publications=1), profile, now=now)


def next_day(folder: Path, table: ObservedTable) -> Path:
    """The rows of `table` that the next day brings."""
    return folder / "next" / f"{table}.parquet"


def next_batches(folder: Path, now: datetime) -> Iterator[Batch]:
    """What the next day brings, in the order in which a node states it: the blocks after their flows."""
    for table in (
        ObservedTable.MINER_TRANSFER,
        ObservedTable.MINER_BLOCK_FLOW,
        ObservedTable.BLOCK,
        ObservedTable.DAILY_VALUE,
    ):
        source = COINMETRICS.name if table is ObservedTable.DAILY_VALUE else NODE.name
        yield _batch(table, pl.read_parquet(next_day(folder, table)), now, source)


def _chain(source: Simulated, block_count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Blocks and prices of `source` up to some days after block number `block_count`."""
    now = datetime.combine(source.first_day, datetime.min.time(), UTC) + timedelta(
        days=block_count // FEWEST_BLOCKS_A_DAY + 10
    )
    request = Request(since=None, through=now.date() - timedelta(days=1), now=now)
    rows = {batch.table: batch.rows for batch in source.observe(request) if isinstance(batch, Batch)}
    return rows[ObservedTable.BLOCK], rows[ObservedTable.DAILY_VALUE].filter(pl.col("series") == "price_usd")


def _batches(blocks: pl.DataFrame, now: datetime) -> Iterator[Batch]:
    """`blocks` with their flows, as a node states them."""
    for number in blocks.select((pl.col("height") // CHUNK_BLOCKS).unique().sort()).to_series():
        transfers, flows = _flows(number)
        held = blocks.filter(pl.col("height") // CHUNK_BLOCKS == number)
        paid = held.select("height", reward=pl.col("subsidy_claimed_sat") + pl.col("fees_sat"))
        transfers = transfers.join(paid, on="height", how="inner", maintain_order="left")
        transfers = _amounts(transfers)
        flows = _block_amounts(flows.join(paid, on="height", how="inner", maintain_order="left"), transfers)
        named = held.drop("pool").join(flows.select("height", "pool"), on="height", maintain_order="left")
        yield _batch(ObservedTable.MINER_TRANSFER, transfers.select(list(MINER_TRANSFER.columns)), now)
        yield _batch(ObservedTable.MINER_BLOCK_FLOW, flows.select(list(MINER_BLOCK_FLOW.columns)), now)
        yield _batch(ObservedTable.BLOCK, named, now)


def _flows(number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Transfers and blocks of one chunk of heights, with shares of the reward in the place of amounts."""
    draw = np.random.default_rng([SEED, number])
    first = number * CHUNK_BLOCKS
    count = draw.poisson(TRANSFERS_A_BLOCK, CHUNK_BLOCKS)
    position = np.repeat(np.arange(CHUNK_BLOCKS), count)
    row = np.arange(position.size)
    follows = (draw.random(row.size) < TO_SECOND_EXCHANGE) & (np.diff(position, prepend=-1) == 0)
    transaction = np.maximum.accumulate(np.where(follows, 0, row))
    # Each transaction pays an exchange once.
    exchange = (draw.integers(len(EXCHANGES), size=row.size)[transaction] + row - transaction) % len(EXCHANGES)
    weights = 1 / np.arange(1, len(POOLS) + 1)
    hashes = pl.Series(_hexadecimal(draw, CHUNK_BLOCKS, zeros=19))
    pools = pl.Series(POOLS)
    transfers = pl.DataFrame(
        {
            "height": first + position,
            "block_hash": hashes.gather(position),
            "txid": pl.Series(_hexadecimal(draw, row.size)).gather(transaction),
            "exchange": pl.Series(EXCHANGES).gather(exchange),
            "pool": pools.gather(draw.choice(len(POOLS), size=row.size, p=weights / weights.sum())),
            "hop": (draw.random(row.size) < OF_ONE_HOP)[transaction].astype(np.int64),
            "share": np.exp(SPREAD * draw.standard_normal(row.size)) / TRANSFERS_A_BLOCK,
            "miner_share": 1 / (1 - draw.random(row.size) * 0.9),
            "total_share": 1 / (1 - draw.random(row.size) * 0.9),
        }
    )
    flows = pl.DataFrame(
        {
            "height": first + np.arange(CHUNK_BLOCKS),
            "block_hash": hashes,
            "pool": pools.gather(draw.choice(len(POOLS), size=CHUNK_BLOCKS, p=weights / weights.sum())),
            "other_share": np.exp(SPREAD * draw.standard_normal(CHUNK_BLOCKS)),
        }
    )
    return transfers, flows


def _amounts(transfers: pl.DataFrame) -> pl.DataFrame:
    """`transfers` with amounts by their shares of the `reward` of their blocks."""
    sat = (pl.col("reward") * pl.col("share")).floor().cast(pl.Int64) + 1
    rest = pl.col("total_share") - 1
    return (
        transfers.with_columns(sat.alias("transfer_sat"))
        .with_columns(
            (pl.col("transfer_sat") * FRESH).floor().cast(pl.Int64).alias("fresh_sat"),
            (pl.col("transfer_sat") * pl.col("miner_share")).ceil().cast(pl.Int64).alias("miner_input_sat"),
        )
        .with_columns(
            (pl.col("miner_input_sat") * pl.col("total_share")).ceil().cast(pl.Int64).alias("total_input_sat"),
            pl.when(rest < 1)
            .then(pl.lit("A"))
            .when(rest < 4)
            .then(pl.lit("B"))
            .otherwise(pl.lit("C"))
            .alias("quality"),
            pl.lit(LABEL_SET).alias("label_set"),
        )
    )


def _block_amounts(flows: pl.DataFrame, transfers: pl.DataFrame) -> pl.DataFrame:
    """`flows` of blocks with the sums of their `transfers`, and one more outflow of each block to nobody known."""
    is_direct = pl.col("hop") == 0
    sums = transfers.group_by("height").agg(
        pl.col("transfer_sat").filter(is_direct).sum().alias("direct_sat"),
        pl.col("transfer_sat").filter(~is_direct).sum().alias("one_hop_outflow_sat"),
        pl.col("txid").filter(is_direct).n_unique().cast(pl.Int64).alias("direct_count"),
        pl.col("transfer_sat").filter(is_direct).alias("largest"),
    )
    other = (pl.col("reward") * pl.col("other_share")).floor().cast(pl.Int64) + 1
    largest = pl.concat_list(pl.col("largest").fill_null(pl.lit([], pl.List(pl.Int64))), other)
    return (
        flows.join(sums, on="height", how="left", maintain_order="left")
        .with_columns(pl.col("direct_sat", "direct_count", "one_hop_outflow_sat").fill_null(0))
        .with_columns(
            (pl.col("direct_sat") + other).alias("outflow_sat"),
            (pl.col("direct_count") + 1).alias("outflow_tx_count"),
            largest.list.sort(descending=True).list.head(LARGEST_COUNT).alias("largest_outflows_sat"),
            pl.col("reward").alias("inflow_sat"),
            pl.lit(5_000, pl.Int64).alias("fee_sat"),
            pl.lit(0, pl.Int64).alias("coinbase_direct_to_exchange_sat"),
            pl.lit(LABEL_SET).alias("label_set"),
        )
    )


def _prices(rows: pl.DataFrame, now: datetime) -> Batch:
    return _batch(ObservedTable.DAILY_VALUE, rows, now, COINMETRICS.name)


def _batch(table: ObservedTable, rows: pl.DataFrame, now: datetime, source: str = NODE.name) -> Batch:
    digest = sha256(f"{table} {rows.height} {now}".encode()).hexdigest()
    return Batch(source=source, table=table, origin="invented", sha256=digest, observed_at=now, rows=rows)


def _hexadecimal(draw: np.random.Generator, count: int, *, zeros: int = 0) -> list[str]:
    """`count` names of 64 hexadecimal digits that no compression makes smaller, but for leading `zeros`."""
    digits, prefix = draw.bytes(32 * count).hex(), "0" * zeros
    return [prefix + digits[start + zeros : start + 64] for start in range(0, 64 * count, 64)]


if __name__ == "__main__":
    chains = {"whole": whole_chain, "recent": recent_chain}
    make(Path(sys.argv[1]), chains[sys.argv[3]](), int(sys.argv[2]))
