"""Price, blocks, issuance, fees and revenue: what miners are paid."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, SAT_PER_BTC, Aggregation, Unit
from transforms.windows import mean_over, ratio

SPEC_DAY = {"issuance_sat": 45_625_000_000.0, "fees_sat": 400_000_000.0}
"""A day of 146 blocks: 456.25 BTC issued, 4.00 BTC of fees."""

FEE_ERROR = (
    "Exact where blocks are known, or where a source states what miners were paid beside the issuance. From stated "
    "totals of fees alone a day is 1 % off at the median, up to 96 %: Coin Metrics' are of blocks four heights later."
)


@metric(
    unit=Unit.USD,
    error=(
        "One daily price of one supplier; venues differ by tenths of a percent, on violent days by several. Where only "
        "a reward in both units is stated, a mean over the blocks of the day."
    ),
    null_rule="NULL when the price source states none.",
    ge=0,
)
def price_usd() -> pl.Expr:
    """Price of one bitcoin, as the price source gives it for the UTC day."""
    return pl.col("price_usd")


@metric(
    unit=Unit.COUNT,
    error="Exact for final days.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when the chain source states none, or holds only a part of the day's blocks.",
    ge=0,
)
def block_count() -> pl.Expr:
    """Blocks of the day."""
    return pl.col("block_count")


@metric(
    Example(given={"issuance_sat": 45_625_000_000.0}, gives=456.25, source="146 blocks of 3.125 BTC"),
    unit=Unit.BTC,
    error=(
        "Exact to the satoshi for final days, but where Coin Metrics' totals are the only source: their count of 2009 "
        "has five blocks too many, which puts each halving four blocks early."
    ),
    aggregation=Aggregation.SUM,
    null_rule="NULL when the chain source states none.",
    ge=0,
)
def issuance_btc() -> pl.Expr:
    """Subsidy that the blocks of the day claimed, without fees."""
    return pl.col("issuance_sat") / SAT_PER_BTC


@metric(
    Example(given={"issuance_btc": 456.25, "price_usd": 66_000.0, "reported_issuance_usd": None}, gives=30_112_500.0),
    Example(
        given={"issuance_btc": None, "price_usd": None, "reported_issuance_usd": 30_112_500.0},
        gives=30_112_500.0,
        source="the vendor's product where it states neither factor",
    ),
    Example(
        given={"issuance_btc": 1_687.5, "price_usd": 6_231.82, "reported_issuance_usd": 1.0},
        gives=10_516_196.0,
        within=0.5,
        source="Coin Metrics' published row of 2020-03-28",
    ),
    unit=Unit.USD,
    error="As good as the one daily price; block-level pricing differs by several percent on violent days.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when issuance or price is, and the chain source states no such product either.",
    ge=0,
)
def issuance_usd() -> pl.Expr:
    """Issuance of the day at the price of the day; as the vendor computes it where one of both is unknown."""
    return pl.coalesce(pl.col("issuance_btc") * pl.col("price_usd"), "reported_issuance_usd")


@metric(
    Example(given={"fees_sat": 400_000_000.0}, gives=4.0, source="460.25 BTC of outputs less 456.25 claimed"),
    unit=Unit.BTC,
    error=f"{FEE_ERROR} Fees paid outside the chain are invisible.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when the chain source states none.",
    ge=0,
)
def fees_btc() -> pl.Expr:
    """Transaction fees paid to the blocks of the day."""
    return pl.col("fees_sat") / SAT_PER_BTC


@metric(
    Example(given=SPEC_DAY, gives=460.25),
    unit=Unit.BTC,
    error="As exact as the fees, which see: from Coin Metrics' totals alone a day is off by tenths of a percent.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when issuance or fees are.",
    ge=0,
)
def miner_revenue_btc() -> pl.Expr:
    """Issuance plus fees of the day."""
    return (pl.col("issuance_sat") + pl.col("fees_sat")) / SAT_PER_BTC


@metric(
    Example(given={"miner_revenue_btc": 460.25, "price_usd": 66_000.0}, gives=30_376_500.0),
    unit=Unit.USD,
    error="As good as the one daily price, and as the fees.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when revenue in BTC or the price is.",
    ge=0,
)
def miner_revenue_usd() -> pl.Expr:
    """Issuance plus fees of the day at the price of the day."""
    return pl.col("miner_revenue_btc") * pl.col("price_usd")


@metric(
    Example(given={"fees_btc": 4.0, "miner_revenue_btc": 460.25}, gives=0.869, within=0.0005),
    Example(given={"fees_btc": 0.0, "miner_revenue_btc": 456.25}, gives=0.0, source="no fees is a share of 0 %"),
    Example(given={"fees_btc": 0.0, "miner_revenue_btc": 0.0}, gives=None, source="no revenue has no shares"),
    unit=Unit.PERCENT,
    error="As exact as the fees, which see; free of the price.",
    null_rule="NULL when fees are, or miners earned nothing.",
    ge=0,
    le=100,
)
def fee_share_pct() -> pl.Expr:
    """Fees as a share of the day's miner revenue."""
    return PERCENT * ratio(pl.col("fees_btc"), pl.col("miner_revenue_btc"))


@metric(
    Example(
        given={"fees_btc": [4.0] * 6 + [32.0], "miner_revenue_btc": [400.0] * 6 + [800.0]},
        gives=100 * 56 / 3200,
        source="ratio of the means, not mean of the ratios",
    ),
    unit=Unit.PERCENT,
    error="As exact as the fees, which see; free of the price.",
    null_rule="NULL with fewer than 7 of 7 days of fees and revenue.",
    ge=0,
    le=100,
    history_days=7,
)
def fee_share_7d_pct() -> pl.Expr:
    """Mean fees of seven days as a share of the mean miner revenue of the same days."""
    return PERCENT * ratio(mean_over(pl.col("fees_btc"), 7), mean_over(pl.col("miner_revenue_btc"), 7))


METRICS = (
    price_usd,
    block_count,
    issuance_btc,
    issuance_usd,
    fees_btc,
    miner_revenue_btc,
    miner_revenue_usd,
    fee_share_pct,
    fee_share_7d_pct,
)
