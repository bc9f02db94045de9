"""Profit/loss sustainability: revenue against a month before, with and without the growth of difficulty.

Comparable to a vendor's index of that name, whose formula is not published; never label it with the vendor's name.
"""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import PERCENT, Unit
from transforms.windows import mean_over, ratio

LAG_DAYS = 30
MEAN_DAYS = 7
LEAST_MEAN_DAYS = 6
FIRST_SUBSIDY_BTC = 50.0
HALVING_WINDOW_DAYS = 365
ERA_ROUNDING = 0.01
"""A miner may claim a little less than allowed; a hundredth of a halving is far more than ever was left."""

ZONES = ("extremely_underpaid", "underpaid", "fairly_paid", "overpaid", "extremely_overpaid")
ADAPTIVE_LEAST_DAYS = 3 * 365
WHOLE_HISTORY_DAYS = 36_525
EVEN_HISTORY = [float(change % 100) for change in range(1_199)]
"""Example days on which every change from 0 to 99 % was as frequent as any other."""

LUCK = "Block luck by itself gives a standard deviation of 4.5 percentage points. "
HALVED = "For 30 days after a halving it holds about -50 % by construction."


def _weekly(column: str) -> pl.Expr:
    return mean_over(pl.col(column), MEAN_DAYS, least=LEAST_MEAN_DAYS)


def _growth(column: pl.Expr) -> pl.Expr:
    """Ratio of a column to itself 30 calendar days before."""
    return ratio(column, column.shift(LAG_DAYS))


def _zone(change: pl.Expr, low: pl.Expr, lower: pl.Expr, upper: pl.Expr, high: pl.Expr) -> pl.Expr:
    """Five zones; each limit belongs to the zone further from zero."""
    return (
        pl.when(change <= low)
        .then(pl.lit(ZONES[0]))
        .when(change <= lower)
        .then(pl.lit(ZONES[1]))
        .when(change < upper)
        .then(pl.lit(ZONES[2]))
        .when(change < high)
        .then(pl.lit(ZONES[3]))
        .when(change >= high)
        .then(pl.lit(ZONES[4]))
    )


@metric(
    Example(given={"miner_revenue_usd": [43_500_000.0] + [30_500_000.0] * 7}, gives=30_500_000.0),
    unit=Unit.USD,
    error="Block luck by itself gives a standard deviation of 3.2 %.",
    null_rule="NULL with fewer than 6 of 7 days of revenue.",
    ge=0,
    history_days=MEAN_DAYS,
)
def miner_revenue_7d_usd() -> pl.Expr:
    """Mean miner revenue a day over seven days: what `revenue_change_30d_pct` compares."""
    return _weekly("miner_revenue_usd")


@metric(
    Example(
        given={"miner_revenue_usd": [43_500_000.0] * 30 + [30_500_000.0] * 7},
        gives=-29.9,
        within=0.05,
        source="30.5 M against 43.5 M",
    ),
    Example(
        given={"miner_revenue_usd": [43.5] * 29 + [30.5] * 7},
        gives=100 * (30.5 / 43.5 - 1),
        source="36 days: the first week has 6 days",
    ),
    Example(
        given={"miner_revenue_usd": [43.5] * 28 + [30.5] * 7}, gives=None, source="35 days: the first week has 5 days"
    ),
    unit=Unit.PERCENT,
    error=LUCK + HALVED,
    null_rule="NULL with fewer than 6 of 7 days of revenue in either of the two weeks.",
    ge=-100,
    history_days=LAG_DAYS + MEAN_DAYS,
)
def revenue_change_30d_pct() -> pl.Expr:
    """Change of the seven-day mean of miner revenue in USD against 30 days before."""
    return PERCENT * (_growth(_weekly("miner_revenue_usd")) - 1)


@metric(
    Example(given={"miner_revenue_usd": [40.0] * 30 + [28.0]}, gives=-30.0),
    unit=Unit.PERCENT,
    error="Block luck by itself gives a standard deviation of 12 percentage points. " + HALVED,
    null_rule="NULL when revenue is, on either of the two days.",
    ge=-100,
    history_days=LAG_DAYS + 1,
)
def revenue_change_30d_raw_pct() -> pl.Expr:
    """Change of the single day's miner revenue in USD against the single day 30 days before."""
    return PERCENT * (_growth(pl.col("miner_revenue_usd")) - 1)


@metric(
    Example(
        given={
            "miner_revenue_usd": [43.5] * 30 + [30.5] * 7,
            "difficulty": [148.258] * 30 + [141.668] * 7,
        },
        gives=-25.4,
        within=0.05,
        source="revenue -29.9, difficulty -4.4",
    ),
    Example(
        given={"miner_revenue_usd": [40.0] * 37, "difficulty": [100.0] * 36 + [107.0]},
        gives=-1.0,
        source="one day in seven is 7 % harder",
    ),
    unit=Unit.PERCENT,
    error=LUCK + HALVED,
    null_rule="NULL when the change of revenue or of difficulty is.",
    history_days=LAG_DAYS + MEAN_DAYS,
)
def revenue_less_difficulty_change_30d_pct() -> pl.Expr:
    """Change of weekly revenue in USD over 30 days, less the change of weekly mean difficulty over the same days."""
    return PERCENT * (_growth(_weekly("miner_revenue_usd")) - _growth(_weekly("difficulty")))


@metric(
    Example(given={"issuance_btc": 456.25, "block_count": 146.0}, gives=4),
    Example(given={"issuance_btc": 50 * 100.0, "block_count": 100.0}, gives=0),
    Example(given={"issuance_btc": 50 * 6.25 + 90 * 3.125, "block_count": 140.0}, gives=4, source="the halving day"),
    Example(given={"issuance_btc": 899.9999, "block_count": 144.0}, gives=3, source="a few satoshi left unclaimed"),
    unit=Unit.COUNT,
    error="A halving that falls in the last hundredth of a day's blocks is dated to the next day.",
    null_rule="NULL when issuance or the block count is, or nothing was issued.",
    ge=0,
)
def halving_count() -> pl.Expr:
    """Halvings up to the end of the day, read from what a block of the day was paid."""
    subsidy = ratio(pl.col("issuance_btc"), pl.col("block_count"))
    halvings = pl.when(subsidy > 0).then((pl.lit(FIRST_SUBSIDY_BTC) / subsidy).log(2))
    return (halvings - ERA_ROUNDING).ceil().clip(lower_bound=0)


@metric(
    Example(given={"halving_count": [3, 3, 4, 4]}, gives=True),
    Example(given={"halving_count": [3] + [4] * 364}, gives=True, source="the 364th day of the window"),
    Example(given={"halving_count": [3] + [4] * 366}, gives=False),
    Example(given={"halving_count": [3, None, 3]}, gives=False),
    Example(given={"halving_count": [3, None, 4]}, gives=True, source="it fell on the day that nobody states"),
    unit=Unit.YES_NO,
    error="Days on which no subsidy is known count as without a halving.",
    null_rule=None,
    history_days=HALVING_WINDOW_DAYS,
)
def halving_window() -> pl.Expr:
    """Whether a halving lies within the last 365 days, so that comparisons with a year before are distorted."""
    known = pl.col("halving_count").forward_fill()
    return (known.diff() > 0).fill_null(False).cast(pl.Int32).rolling_max(HALVING_WINDOW_DAYS, min_samples=1) == 1


@metric(
    Example(
        given={
            "issuance_usd": [60.0] * 20 + [30.0] * 17,
            "fees_btc": [0.0] * 37,
            "price_usd": [1.0] * 37,
            "halving_count": [3] * 20 + [4] * 17,
        },
        gives=0.0,
        source="a halving and nothing else",
    ),
    Example(
        given={
            "issuance_usd": [60.0] * 20 + [15.0] * 17,
            "fees_btc": [0.0] * 37,
            "price_usd": [1.0] * 37,
            "halving_count": [3] * 20 + [4] * 17,
        },
        gives=-50.0,
        source="a halving and a price that halved too",
    ),
    unit=Unit.PERCENT,
    error=LUCK + "Blocks of a halving day that came before it are valued as if they came after.",
    null_rule="NULL with fewer than 6 of 7 days of issuance and fees in either of the two weeks.",
    history_days=LAG_DAYS + MEAN_DAYS,
)
def revenue_change_30d_exhalving_pct() -> pl.Expr:
    """Change of weekly revenue in USD over 30 days with every day's issuance revalued at the present subsidy."""
    doublings = pl.lit(2.0).pow(pl.col("halving_count"))
    at_first_subsidy = mean_over(pl.col("issuance_usd") * doublings, MEAN_DAYS, least=LEAST_MEAN_DAYS)
    fees = mean_over(pl.col("fees_btc") * pl.col("price_usd"), MEAN_DAYS, least=LEAST_MEAN_DAYS)
    now = at_first_subsidy / doublings + fees
    before = at_first_subsidy.shift(LAG_DAYS) / doublings + fees.shift(LAG_DAYS)
    return PERCENT * (ratio(now, before) - 1)


@metric(
    Example(given={"revenue_change_30d_exhalving_pct": -30.0}, gives="extremely_underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": -21.0}, gives="extremely_underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": -20.0}, gives="extremely_underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": -19.9}, gives="underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": -10.0}, gives="underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": 9.9}, gives="fairly_paid"),
    Example(given={"revenue_change_30d_exhalving_pct": 10.0}, gives="overpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": 20.0}, gives="extremely_overpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": None}, gives=None),
    unit=Unit.LABEL,
    error="Limits are our judgement: twice the standard deviation of block luck from zero and beyond.",
    null_rule="NULL when the change of revenue without halvings is.",
    labels=ZONES,
)
def sustainability_zone() -> pl.Expr:
    """Zone of the 30-day change of revenue, halvings taken out, with fixed limits at -20, -10, +10 and +20 %."""
    return _zone(pl.col("revenue_change_30d_exhalving_pct"), pl.lit(-20.0), pl.lit(-10.0), pl.lit(10.0), pl.lit(20.0))


@metric(
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, -1.0]}, gives="extremely_underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 7.0]}, gives="underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 17.0]}, gives="underpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 23.0]}, gives="fairly_paid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 77.0]}, gives="fairly_paid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 83.0]}, gives="overpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 93.0]}, gives="overpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": [*EVEN_HISTORY, 99.0]}, gives="extremely_overpaid"),
    Example(given={"revenue_change_30d_exhalving_pct": [1.0] * 1_094}, gives=None),
    unit=Unit.LABEL,
    error="Limits move with history: the 5th, 20th, 80th and 95th percentile of every day up to the present one.",
    null_rule="NULL with fewer than 1,095 days of the change of revenue without halvings.",
    labels=ZONES,
    history_days=ADAPTIVE_LEAST_DAYS,
)
def sustainability_zone_adaptive() -> pl.Expr:
    """Zone of the 30-day change of revenue, halvings taken out, with limits from its own history up to the day."""
    change = pl.col("revenue_change_30d_exhalving_pct")
    low, lower, upper, high = (
        change.rolling_quantile(share, "linear", WHOLE_HISTORY_DAYS, min_samples=ADAPTIVE_LEAST_DAYS)
        for share in (0.05, 0.20, 0.80, 0.95)
    )
    return _zone(change, low, lower, upper, high)


METRICS = (
    miner_revenue_7d_usd,
    revenue_change_30d_pct,
    revenue_change_30d_raw_pct,
    revenue_less_difficulty_change_30d_pct,
    halving_count,
    halving_window,
    revenue_change_30d_exhalving_pct,
    sustainability_zone,
    sustainability_zone_adaptive,
)
