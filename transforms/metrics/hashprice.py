"""Hashprice: what a petahash per second earns in a day."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import (
    HASHES_PER_DIFFICULTY,
    HASHES_PER_PETAHASH,
    PETAHASH_PER_EXAHASH,
    SAT_PER_BTC,
    SECONDS_PER_DAY,
    Unit,
)
from transforms.calendar import FEE_WINDOW_BLOCKS, FEE_WINDOW_LEAST_BLOCKS
from transforms.windows import mean_over, ratio


@metric(
    Example(
        given={"fees_per_block_144_sat": 2_740_000.0, "fees_sat": None, "block_count": None},
        gives=0.0274,
        source="the block-level mean is taken where there is one",
    ),
    Example(
        given={"fees_per_block_144_sat": None, "fees_sat": [9.0, 300_000_000.0], "block_count": [1.0, 150.0]},
        gives=0.02,
        source="150 blocks fill the window",
    ),
    Example(
        given={"fees_per_block_144_sat": None, "fees_sat": [9.0, 288_000_000.0], "block_count": [1.0, 144.0]},
        gives=0.02,
        source="so do 144",
    ),
    Example(
        given={"fees_per_block_144_sat": None, "fees_sat": [2e8, 1e8], "block_count": [100.0, 50.0]},
        gives=0.02,
        source="50 blocks do not, two days do",
    ),
    Example(
        given={"fees_per_block_144_sat": None, "fees_sat": [1.6e8, 1e8], "block_count": [80.0, 50.0]},
        gives=0.02,
        source="130 blocks in two days are enough",
    ),
    Example(
        given={"fees_per_block_144_sat": None, "fees_sat": [2e8, 1e8], "block_count": [44.0, 50.0]},
        gives=None,
        source="94 blocks in two days are too few",
    ),
    unit=Unit.BTC,
    error="Exact where blocks are known; from daily totals the window is whole days, not 144 blocks.",
    null_rule="NULL when fees are, or fewer than 130 blocks of them are known.",
    ge=0,
    history_days=2,
)
def fees_per_block_btc() -> pl.Expr:
    """Mean fees of a block over the last 144 blocks; from daily totals, over today or today and yesterday."""
    fees, blocks = pl.col("fees_sat"), pl.col("block_count")
    two_days = blocks + blocks.shift()
    from_totals = (
        pl.when(blocks >= FEE_WINDOW_BLOCKS)
        .then(fees / blocks)
        .when(two_days >= FEE_WINDOW_LEAST_BLOCKS)
        .then((fees + fees.shift()) / two_days)
    )
    return pl.coalesce("fees_per_block_144_sat", from_totals) / SAT_PER_BTC


@metric(
    Example(
        given={
            "difficulty": 141_668_000_000_000.0,
            "issuance_btc": 3.125 * 144,
            "block_count": 144.0,
            "fees_per_block_btc": 0.0274,
            "price_usd": 66_000.0,
        },
        gives=29.54,
        within=0.005,
        source="difficulty 141.668T, reward 3.1524 BTC",
    ),
    Example(
        given={
            "difficulty": 144_400_000_000_000.0,
            "issuance_btc": 3.125 * 100,
            "block_count": 100.0,
            "fees_per_block_btc": 0.020,
            "price_usd": 67_000.0,
        },
        gives=29.4,
        within=0.05,
        source="difficulty 144.4T, reward 3.145 BTC, where the press had 23.9",
    ),
    unit=Unit.USD_PER_PETAHASH_DAY,
    error="Expected value, free of block luck; as good as the daily price.",
    null_rule="NULL when difficulty, price, issuance or the fees of a block are.",
    ge=0,
)
def hashprice_usd_per_phs_day() -> pl.Expr:
    """Expected daily revenue of one PH/s: subsidy and recent fees of a block, at the day's difficulty and price."""
    blocks_per_day = ratio(
        pl.lit(float(HASHES_PER_PETAHASH * SECONDS_PER_DAY)), pl.col("difficulty") * HASHES_PER_DIFFICULTY
    )
    reward = ratio(pl.col("issuance_btc"), pl.col("block_count")) + pl.col("fees_per_block_btc")
    return blocks_per_day * reward * pl.col("price_usd")


@metric(
    Example(given={"miner_revenue_usd": 30_000_000.0, "hashrate_ehs": 1_000.0}, gives=30.0),
    Example(given={"miner_revenue_usd": 0.0, "hashrate_ehs": 0.0}, gives=None, source="no hash rate, no hashprice"),
    unit=Unit.USD_PER_PETAHASH_DAY,
    error="The block count cancels out, so it differs from the expected form by the fee window only.",
    null_rule="NULL when revenue or hash rate is, or the hash rate is zero.",
    ge=0,
)
def hashprice_realised_usd_per_phs_day() -> pl.Expr:
    """Revenue of the day divided by the hash rate of the day."""
    return ratio(pl.col("miner_revenue_usd"), pl.col("hashrate_ehs") * PETAHASH_PER_EXAHASH)


@metric(
    Example(given={"hashprice_usd_per_phs_day": [50.0] + [39.33] * 6 + [1.39]}, gives=33.91, within=0.005),
    unit=Unit.USD_PER_PETAHASH_DAY,
    error="As the hashprice of a day; a week takes most of the luck out.",
    null_rule="NULL where any of seven days has no hashprice.",
    ge=0,
    history_days=7,
)
def hashprice_7d_usd_per_phs_day() -> pl.Expr:
    """Mean hashprice of seven days: what `revenue_7d_usd_per_mwh` and `cost_coverage_ratio` rest on."""
    return mean_over(pl.col("hashprice_usd_per_phs_day"), 7)


METRICS = (
    fees_per_block_btc,
    hashprice_usd_per_phs_day,
    hashprice_7d_usd_per_phs_day,
    hashprice_realised_usd_per_phs_day,
)
