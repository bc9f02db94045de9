"""A simulated chain: an invented market given by a table of dates, from which a seed draws blocks, prices and flows.

Trap: an earlier day must never depend on how far the run goes, or a later run would rewrite history. So each attribute
draws from a random stream of its own, in the order of time, and nothing is scaled by a total over the run.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum, unique
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.sources.protocol import Request
from flows.sources.simulated import scenario
from flows.sources.simulated.kind import SIMULATED
from schemas.errors import SettingsError
from schemas.labels import UNKNOWN_POOL
from schemas.observations import DAILY_VALUE, EXCHANGE_FLOW, UTC_TIME, Batch, Notice, ObservedTable
from schemas.units import HASHES_PER_DIFFICULTY, HASHES_PER_EXAHASH, SAT_PER_BTC, SECONDS_PER_DAY
from transforms.chain import (
    BLOCK_SPACING_S,
    BLOCKS_PER_HALVING,
    BLOCKS_PER_RETARGET,
    DIFFICULTY_1_TARGET,
    POW_LIMIT,
    decode_compact,
    difficulty,
    encode_compact,
    retarget,
    subsidy_sat,
    subsidy_sat_expr,
)

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


BLOCKS_PER_DAY: Final = SECONDS_PER_DAY // BLOCK_SPACING_S


@unique
class Stream(IntEnum):
    """One random stream for each attribute. A number must never change: that would rewrite every history."""

    EFFORT = 0
    CLOCK = 1
    UNDERCLAIM = 2
    FEES = 3
    EMPTY_BLOCK = 4
    POOL = 5
    POOL_WANDER = 6
    PRICE = 7
    HASHRATE = 8
    BURST = 9
    BURST_SIZE = 10
    TRANSFER_COUNT = 11
    TRANSFER_SIZE = 12
    SELLING = 13
    OTHER_OUTFLOW = 14
    MINER_INFLOW = 15
    EXCHANGE_INFLOW = 16
    EXCHANGE_OUTFLOW = 17
    OUTFLOW_TOP10 = 18


class Arrivals(NamedTuple):
    """Blocks in the order of their heights: when each was found, the time in its header, and its difficulty."""

    found_s: Floats
    header_s: Integers
    difficulty: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """The same chain for the same seed, as far as the moment of the request.

    Blocks run from `first_day` 00:00 UTC to `now`, daily values and flows cover whole days only. `since` drops earlier
    rows: for blocks by the latest header time so far, so that no height is missing in between. A later
    `now` adds rows and changes none. "Same" means the same release of NumPy: it may change what a seed draws.

    Raises `SettingsError` for a first height at which no difficulty period begins, or a negative seed.
    """

    seed: int = 7
    first_height: int = 600_768
    first_day: date = date(2019, 10, 24)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SettingsError("seed", self.seed, "zero or more", "choose another seed")
        if self.first_height < 0 or self.first_height % BLOCKS_PER_RETARGET:
            raise SettingsError(
                "first_height",
                self.first_height,
                f"a multiple of {BLOCKS_PER_RETARGET}",
                f"try {max(self.first_height, 0) // BLOCKS_PER_RETARGET * BLOCKS_PER_RETARGET}",
            )

    @classmethod
    def whole_chain(cls, seed: int = 7) -> Self:
        """From block 0 in January 2009 on, about a million blocks by late 2026."""
        return cls(seed=seed, first_height=0, first_day=date(2009, 1, 3))

    @property
    def name(self) -> str:
        """Short name for logs and profiles."""
        return SIMULATED.name

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield one batch a table; a table without a row in the range is skipped."""
        now = request.now.astimezone(UTC)
        day_count = (now.date() - self.first_day).days + 1
        if day_count <= 0:
            return
        days = self.first_day.toordinal() + np.arange(day_count)
        arrivals = self._arrivals(days, now)
        shares = self._pool_shares(days)

        since = request.since or self.first_day
        through = min(request.through, now.date() - timedelta(days=1))
        whole_days = pl.col("day").is_between(since, through)
        latest_at = pl.col("block_at").cum_max()
        midnight = datetime(since.year, since.month, since.day, tzinfo=UTC)

        flows = self._flows(days, arrivals, shares)
        daily = self._daily(days, arrivals, flows)
        for table, rows in (
            (ObservedTable.BLOCK, self._blocks(days, arrivals, shares).filter(latest_at >= midnight)),
            (ObservedTable.DAILY_VALUE, daily.filter(whole_days)),
            (ObservedTable.EXCHANGE_FLOW, flows.filter(whole_days)),
        ):
            if not rows.is_empty():
                yield Batch(
                    source=self.name,
                    table=table,
                    origin=f"{self.name}:seed={self.seed}",
                    sha256=sha256(rows.write_csv().encode()).hexdigest(),
                    observed_at=request.now,
                    rows=rows,
                )

    def _stream(self, stream: Stream) -> np.random.Generator:
        """What `SeedSequence.spawn` would give as child number `stream`, without making the others."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(stream,))))

    def _arrivals(self, days: Integers, now: datetime) -> Arrivals:
        """Find blocks up to `now`, one difficulty period at a time because each depends on the header times before it.

        Finding a block takes an exponential amount of work. Dividing work by a hash rate that changes would be wrong
        within a block, so the work is added up and looked up in the work that the network has done by each midnight.
        """
        effort, clock = self._stream(Stream.EFFORT), self._stream(Stream.CLOCK)
        hashrate_ehs = _along(days, "hashrate_ehs") * _wander(
            self._stream(Stream.HASHRATE).standard_normal(days.size), *scenario.HASHRATE_WANDER
        )
        midnights_s = _unix_s(self.first_day) + np.arange(days.size + 1.0) * SECONDS_PER_DAY
        network_exahash = np.concatenate(([0.0], np.cumsum(hashrate_ehs * SECONDS_PER_DAY)))

        expected_difficulty = float(hashrate_ehs[0]) * HASHES_PER_EXAHASH * BLOCK_SPACING_S / HASHES_PER_DIFFICULTY
        easiest = decode_compact(encode_compact(POW_LIMIT))
        target = decode_compact(encode_compact(min(int(DIFFICULTY_1_TARGET / expected_difficulty), easiest)))

        periods: list[Arrivals] = []
        done_exahash, latest_s = 0.0, 0
        while not periods or periods[-1].found_s.size == BLOCKS_PER_RETARGET:
            block_exahash = difficulty(target) * HASHES_PER_DIFFICULTY / HASHES_PER_EXAHASH
            work_exahash = done_exahash + block_exahash * np.cumsum(effort.standard_exponential(BLOCKS_PER_RETARGET))
            found_s = np.interp(work_exahash, network_exahash, midnights_s, right=np.inf)
            found_s = found_s[found_s <= now.timestamp()]
            honest_s = _strictly_after(latest_s, np.floor(found_s).astype(np.int64))
            header_s = honest_s + _seconds_ahead(clock)[: found_s.size]
            periods.append(Arrivals(found_s, header_s, np.full(found_s.size, difficulty(target))))
            if found_s.size == BLOCKS_PER_RETARGET:
                target = retarget(target, int(header_s[0]), int(header_s[-1]))
                done_exahash, latest_s = float(work_exahash[-1]), int(honest_s[-1])

        header_s = np.concatenate([period.header_s for period in periods])
        # A clock that runs ahead may put a header after `now`. The chain ends before it, so that no height is missing.
        past = np.minimum.accumulate(header_s <= now.timestamp())
        return Arrivals(
            found_s=np.concatenate([period.found_s for period in periods])[past],
            header_s=header_s[past],
            difficulty=np.concatenate([period.difficulty for period in periods])[past],
        )

    def _blocks(self, days: Integers, arrivals: Arrivals, shares: Floats) -> pl.DataFrame:
        """One row a block, as `BLOCK` wants it."""
        count = arrivals.found_s.size
        heights = self.first_height + np.arange(count)
        day_index = self._day_index(arrivals.found_s)

        # One draw decides both whether a block claims less and by how much, so each block costs the stream the same.
        draw = self._stream(Stream.UNDERCLAIM).random(count) / scenario.UNDERCLAIM_RATIO
        unclaimed_sat = np.where(draw < 1, 1 + np.floor(draw * scenario.UNDERCLAIM_LIMIT_SAT), 0).astype(np.int64)

        usual_sat = (_along(days, "fees_btc_per_block") * _fee_rush(days) * SAT_PER_BTC)[day_index]
        since_halving = np.where(heights < BLOCKS_PER_HALVING, np.inf, heights % BLOCKS_PER_HALVING)
        halving_rush = 1 + scenario.HALVING_FEE_FACTOR * np.exp(-since_halving / scenario.HALVING_FEE_FADE_BLOCKS)
        spread = np.exp(
            scenario.FEE_SPREAD * self._stream(Stream.FEES).standard_normal(count) - scenario.FEE_SPREAD**2 / 2
        )
        paid = self._stream(Stream.EMPTY_BLOCK).random(count) >= scenario.EMPTY_BLOCK_RATIO
        fees_sat = np.where(paid, usual_sat * halving_rush * spread, 0).astype(np.int64)

        draw = self._stream(Stream.POOL).random(count)
        below = np.cumsum(shares, axis=1)[:, :-1]
        pool_index = np.zeros(count, dtype=np.int64)
        for bound in below.T:
            pool_index += draw >= bound[day_index]

        allowed_sat = subsidy_sat_expr(pl.col("height"))
        return pl.DataFrame({"height": heights, "unclaimed_sat": unclaimed_sat, "fees_sat": fees_sat}).select(
            "height",
            pl.from_epoch(pl.Series(arrivals.header_s), "s").cast(UTC_TIME).alias("block_at"),
            pl.Series("difficulty", arrivals.difficulty),
            pl.max_horizontal(allowed_sat - pl.col("unclaimed_sat"), 0).alias("subsidy_claimed_sat"),
            "fees_sat",
            pl.Series(list(scenario.POOL_WEIGHTS)).gather(pool_index).alias("pool"),
        )

    def _flows(self, days: Integers, arrivals: Arrivals, shares: Floats) -> pl.DataFrame:
        """One row a day, exchange and pool that sent something, as `EXCHANGE_FLOW` wants it."""
        pools = [pool for pool in scenario.POOL_WEIGHTS if pool != UNKNOWN_POOL]
        known = shares[:, [list(scenario.POOL_WEIGHTS).index(pool) for pool in pools]]
        pairs = known[:, None, :] * np.array(list(scenario.EXCHANGE_WEIGHTS.values()))[None, :, None]

        burst = self._burst_factor(days)
        # A burst is both more transfers and larger ones.
        swelling = np.sqrt(burst) * (days >= scenario.FIRST_EXCHANGE_DAY.toordinal())
        count = self._stream(Stream.TRANSFER_COUNT).poisson(
            scenario.TRANSFERS_PER_DAY * pairs * swelling[:, None, None]
        )
        size_sat = self._issuance_sat(days, arrivals) * scenario.SOLD_RATIO / scenario.TRANSFERS_PER_DAY * swelling
        size_sat *= np.exp(scenario.DAY_SPREAD * self._stream(Stream.SELLING).standard_normal(days.size))
        spread = np.exp(scenario.PAIR_SPREAD * self._stream(Stream.TRANSFER_SIZE).standard_normal(pairs.shape))

        transfer_sat = np.ceil(count * size_sat[:, None, None] * spread).astype(np.int64)
        top_ratio = (scenario.TOP_TRANSFERS / np.maximum(count, scenario.TOP_TRANSFERS)) ** scenario.TOP_CONCENTRATION
        top10_sat = np.where(top_ratio < 1, np.floor(transfer_sat * top_ratio), transfer_sat).astype(np.int64)

        sent = np.nonzero(count)
        day_index, exchange_index, pool_index = sent
        return pl.DataFrame(
            {
                "day": _dates(days).gather(day_index),
                "exchange": pl.Series(list(scenario.EXCHANGE_WEIGHTS)).gather(exchange_index),
                "pool": pl.Series(pools).gather(pool_index),
                "transfer_sat": transfer_sat[sent],
                "transfer_count": count[sent],
                "top10_sat": top10_sat[sent],
            },
            schema_overrides={"transfer_count": pl.Int64},
        ).select(list(EXCHANGE_FLOW.columns))

    def _daily(self, days: Integers, arrivals: Arrivals, flows: pl.DataFrame) -> pl.DataFrame:
        """One row a day and series, as `DAILY_VALUE` wants it."""
        issuance_sat = self._issuance_sat(days, arrivals)
        trading = days >= scenario.FIRST_EXCHANGE_DAY.toordinal()
        turnover_sat = np.where(trading, float(scenario.EXCHANGE_TURNOVER_BTC * SAT_PER_BTC), 0.0)
        wander = _wander(self._stream(Stream.PRICE).standard_normal(days.size), *scenario.PRICE_WANDER)
        price_usd = pl.Series(_along(days, "price_usd") * wander).round_sig_figs(scenario.PRICE_DIGITS)

        sent = flows.group_by("day").agg(
            pl.col("transfer_sat").sum().alias("miner_to_exchange_sat"),
            pl.col("transfer_count").sum().alias("miner_to_exchange_count"),
            pl.col("top10_sat").max().alias("largest_top10_sat"),
        )
        other_sat = scenario.OTHER_OUTFLOW_RATIO * issuance_sat * np.sqrt(self._burst_factor(days))
        to_exchange = pl.col("miner_to_exchange_sat")
        outflow = pl.col("miner_outflow_sat")
        return (
            pl.DataFrame({"day": _dates(days), "price_usd": price_usd})
            .join(sent, on="day", how="left", validate="1:1", maintain_order="left")
            # The flows of every day are known, so a day without a row had none.
            .with_columns(pl.col(sent.columns).exclude("day").fill_null(0))
            .with_columns(
                self._noisy(Stream.MINER_INFLOW, issuance_sat),
                self._noisy(Stream.OTHER_OUTFLOW, other_sat),
                self._noisy(Stream.EXCHANGE_INFLOW, turnover_sat),
                self._noisy(Stream.EXCHANGE_OUTFLOW, turnover_sat),
                pl.Series("top10_ratio", self._stream(Stream.OUTFLOW_TOP10).uniform(*scenario.TOP10_RATIO, days.size)),
            )
            .select(
                "day",
                "price_usd",
                (to_exchange + pl.col("other_outflow")).alias("miner_outflow_sat"),
                pl.col("miner_inflow").alias("miner_inflow_sat"),
                to_exchange,
                "miner_to_exchange_count",
                (to_exchange + pl.col("exchange_inflow")).alias("exchange_inflow_sat"),
                pl.col("exchange_outflow").alias("exchange_outflow_sat"),
                "largest_top10_sat",
                "top10_ratio",
            )
            .with_columns(
                # No pair can have sent more in ten transactions than all miners together did.
                pl.max_horizontal("largest_top10_sat", (outflow * pl.col("top10_ratio")).cast(pl.Int64)).alias(
                    "miner_outflow_top10_sat"
                )
            )
            .drop("largest_top10_sat", "top10_ratio")
            .cast({pl.Int64: pl.Float64})
            .unpivot(index="day", variable_name="series")
            .sort("day", "series")
            .select(list(DAILY_VALUE.columns))
        )

    def _pool_shares(self, days: Integers) -> Floats:
        """Part of the hash rate of each pool on each day: a row a day, a column a pool, each row sums to one."""
        stops = [day.toordinal() for day in scenario.POOL_WEIGHT_DAYS]
        weights = np.column_stack([np.interp(days, stops, weights) for weights in scenario.POOL_WEIGHTS.values()])
        weights *= _wander(self._stream(Stream.POOL_WANDER).standard_normal(weights.shape), *scenario.POOL_WANDER)
        shares: Floats = weights / weights.sum(axis=1, keepdims=True)
        return shares

    def _burst_factor(self, days: Integers) -> Floats:
        """How many times the usual amount miners sell on each day; mostly one."""
        squeezed = np.any([_within(days, first, last) for first, last in scenario.SQUEEZES], axis=0)
        burst = self._stream(Stream.BURST).random(days.size) < np.where(
            squeezed, scenario.BURST_RATIO_IN_SQUEEZE, scenario.BURST_RATIO
        )
        return np.where(burst, self._stream(Stream.BURST_SIZE).uniform(*scenario.BURST_FACTOR, days.size), 1.0)

    def _issuance_sat(self, days: Integers, arrivals: Arrivals) -> Floats:
        """Coins that a day of average luck issues, by the subsidy of its first block."""
        first_blocks = np.searchsorted(self._day_index(arrivals.found_s), np.arange(days.size))
        return np.array([float(BLOCKS_PER_DAY * subsidy_sat(self.first_height + int(index))) for index in first_blocks])

    def _day_index(self, found_s: Floats) -> Integers:
        """How many days after `first_day` each block was found."""
        return ((found_s - _unix_s(self.first_day)) // SECONDS_PER_DAY).astype(np.int64)

    def _noisy(self, stream: Stream, usual_sat: Floats) -> pl.Series:
        """Whole satoshi around `usual_sat`, named after the stream."""
        noise = np.exp(scenario.DAY_SPREAD * self._stream(stream).standard_normal(usual_sat.size))
        return pl.Series(stream.name.lower(), np.floor(usual_sat * noise).astype(np.int64))


def _along(days: Integers, attribute: str) -> Floats:
    """One attribute of the scenario on each day."""
    stops = [turn.day.toordinal() for turn in scenario.SCENARIO]
    levels = np.log([getattr(turn, attribute) for turn in scenario.SCENARIO])
    level: Floats = np.exp(np.interp(days, stops, levels))
    return level


def _wander(shocks: Floats, kept: float, shock: float) -> Floats:
    """A factor around one that strays and returns, one step a row of `shocks`."""
    steps: Iterable[Any] = accumulate(shock * shocks, lambda stray, step: kept * stray + step)
    factors: Floats = np.exp(np.array(list(steps)))
    return factors


def _fee_rush(days: Integers) -> Floats:
    """How many times the usual fees blocks pay on each day."""
    rush = np.ones(days.size)
    for first, last, factor in scenario.FEE_SPIKES:
        rush[_within(days, first, last)] = factor
    return rush


def _strictly_after(latest_s: int, times_s: Integers) -> Integers:
    """Move each time to at least a second after the one before it, the first one after `latest_s`."""
    position = np.arange(times_s.size)
    return np.maximum(np.maximum.accumulate(times_s - position), latest_s + 1) + position


def _seconds_ahead(clock: np.random.Generator) -> Integers:
    """How far the clock of each block of a difficulty period runs ahead; mostly not at all.

    Only every third block may be ahead. So at most four of eleven headers in a row are, their median is the time of an
    honest one, and every later block passes the median-time-past rule without a repair.
    """
    draw = clock.random(BLOCKS_PER_RETARGET) / scenario.CLOCK_AHEAD_RATIO
    wrong = (draw < 1) & (np.arange(BLOCKS_PER_RETARGET) % scenario.CLOCK_EVERY_BLOCKS == 0)
    ahead_s = np.zeros(BLOCKS_PER_RETARGET, dtype=np.int64)
    # A draw below one is uniform again, so its logarithm is the exponential delay: one draw a block, wrong or not.
    ahead_s[wrong] = np.minimum(-scenario.CLOCK_AHEAD_MEAN_S * np.log1p(-draw[wrong]), scenario.CLOCK_AHEAD_LIMIT_S)
    return ahead_s


def _within(days: Integers, first: date, last: date) -> NDArray[np.bool_]:
    return (days >= first.toordinal()) & (days <= last.toordinal())


def _dates(days: Integers) -> pl.Series:
    return pl.Series((days - date(1970, 1, 1).toordinal()).astype(np.int32)).cast(pl.Date)


def _unix_s(day: date) -> int:
    return (day - date(1970, 1, 1)).days * SECONDS_PER_DAY
