"""Coins leaving miners and coins miners send to exchanges. Moving coins is not selling them."""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import SAT_PER_BTC, Aggregation, Unit
from transforms.windows import mean_over, ratio, sd_over, sum_over

YEAR_DAYS = 365
MONTH_DAYS = 30
LEAST_SPREAD = 1e-9
"""Standard deviations below this are rounding, not variation."""

LABELS_ERROR = "Depends on who is labelled a miner: two vendors differ by 100 %, and history moves when labels do. "
LOWER_BOUND = (
    "Unlabelled exchange addresses are missing. Of a block lake a lower bound of the miners too: see "
    "`coinbase_to_known_pct`."
)


@metric(
    Example(given={"miner_outflow_sat": 6_000_000_000.0}, gives=60.0, source="100 in, 39.99 back, 0.01 fee"),
    unit=Unit.BTC,
    error=LABELS_ERROR,
    aggregation=Aggregation.SUM,
    null_rule="NULL when the miner flow source states none.",
    ge=0,
)
def miner_outflow_btc() -> pl.Expr:
    """Coins that left miner wallets on the day, change and transfers among them taken out."""
    return pl.col("miner_outflow_sat") / SAT_PER_BTC


@metric(
    Example(given={"miner_netflow_sat": -147e9, "miner_inflow_sat": None, "miner_outflow_sat": None}, gives=-1_470.0),
    Example(
        given={"miner_netflow_sat": None, "miner_inflow_sat": 46_025_000_000.0, "miner_outflow_sat": 40e9},
        gives=60.25,
        source="without the fees, which such a source does not state",
    ),
    Example(given={"miner_netflow_sat": None, "miner_inflow_sat": None, "miner_outflow_sat": 40e9}, gives=None),
    unit=Unit.BTC,
    error=LABELS_ERROR + "Wallets that gain or lose their label count as coins that moved.",
    aggregation=Aggregation.SUM,
    null_rule="NULL when the miner flow source states neither a netflow nor both inflow and outflow.",
)
def miner_netflow_btc() -> pl.Expr:
    """Change of what miner wallets hold: inflow less outflow, less fees where they are known."""
    stated = pl.coalesce("miner_netflow_sat", pl.col("miner_inflow_sat") - pl.col("miner_outflow_sat"))
    return stated / SAT_PER_BTC


@metric(
    Example(given={"miner_reserve_sat": 190e12}, gives=1_900_000.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + "Holds coins of early miners that never moved, so that only its change says anything.",
    null_rule="NULL when the miner flow source states none.",
    ge=0,
)
def miner_reserve_btc() -> pl.Expr:
    """Coins that miner wallets hold at the end of the day, as the source states it."""
    return pl.col("miner_reserve_sat") / SAT_PER_BTC


@metric(
    Example(given={"miner_outflow_btc": 60.0, "price_usd": 66_000.0}, gives=3_960_000.0),
    unit=Unit.USD,
    error=LABELS_ERROR,
    aggregation=Aggregation.SUM,
    null_rule="NULL when the outflow or the price is.",
    ge=0,
)
def miner_outflow_usd() -> pl.Expr:
    """Coins that left miner wallets on the day, at the price of the day."""
    return pl.col("miner_outflow_btc") * pl.col("price_usd")


@metric(
    Example(given={"miner_outflow_usd": [10.0] * 364 + [24.0]}, gives=24 / (10 + 14 / 365)),
    unit=Unit.RATIO,
    error=LABELS_ERROR + "Short texts call just this ratio the Miners' Position Index.",
    null_rule="NULL with fewer than 329 of 365 days of outflow in USD.",
    ge=0,
    history_days=YEAR_DAYS,
)
def mpi_ratio() -> pl.Expr:
    """Outflow in USD over its mean of 365 days, today included."""
    return ratio(pl.col("miner_outflow_usd"), mean_over(pl.col("miner_outflow_usd"), YEAR_DAYS))


@metric(
    Example(
        given={"mpi_ratio": [1.016209 - 0.545971, 1.016209 + 0.545971] * 182 + [2.40]},
        gives=2.51,
        within=0.005,
        source="2.40 in a year of mean 1.02 and deviation 0.55, today included",
    ),
    Example(given={"mpi_ratio": [1.0] * 365}, gives=None, source="no variation, no score"),
    Example(
        given={"mpi_ratio": [0.3, 1.7, 0.1, 2.9] * 20 + [0.1] * 365},
        gives=None,
        source="nor after variation a year ago",
    ),
    unit=Unit.STANDARD_DEVIATIONS,
    error=LABELS_ERROR + "Flows are heavy-tailed, so one outlier widens the yardstick for a year.",
    null_rule="NULL with fewer than 329 of 365 days of the ratio, or when it never varied.",
    history_days=2 * YEAR_DAYS,
)
def mpi_zscore() -> pl.Expr:
    """Miners' Position Index: outflow ratio in standard deviations from its mean of 365 days, today included."""
    position = pl.col("mpi_ratio")
    spread = sd_over(position, YEAR_DAYS)
    return pl.when(spread > LEAST_SPREAD).then((position - mean_over(position, YEAR_DAYS)) / spread)


@metric(
    Example(given={"miner_to_exchange_sat": 48_000_000_000.0}, gives=480.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule="NULL when the miner flow source states none.",
    ge=0,
)
def miner_to_exchange_btc() -> pl.Expr:
    """Coins that miner wallets sent to exchanges on the day."""
    return pl.col("miner_to_exchange_sat") / SAT_PER_BTC


@metric(
    unit=Unit.COUNT,
    error=LABELS_ERROR + LOWER_BOUND,
    aggregation=Aggregation.SUM,
    null_rule="NULL when the miner flow source states none.",
    ge=0,
)
def miner_to_exchange_count() -> pl.Expr:
    """Transactions that carried coins from miner wallets to exchanges on the day."""
    return pl.col("miner_to_exchange_count")


@metric(
    Example(given={"miner_to_exchange_btc": 480.0, "miner_to_exchange_count": 12.0}, gives=40.0),
    Example(given={"miner_to_exchange_btc": 0.0, "miner_to_exchange_count": 0.0}, gives=None, source="a quiet day"),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL when the flow or the count is, or there was no transaction.",
    ge=0,
)
def miner_to_exchange_mean_btc() -> pl.Expr:
    """Mean size of a transaction from miner wallets to exchanges: total over count."""
    return ratio(pl.col("miner_to_exchange_btc"), pl.col("miner_to_exchange_count"))


@metric(
    Example(
        given={"miner_to_exchange_btc": [177_274 / 31] * 30, "issuance_btc": [13_128 / 31] * 30},
        gives=13.5,
        within=0.005,
        source="January 2026",
    ),
    unit=Unit.RATIO,
    error=LABELS_ERROR + "Where it is many times 1, coins were sent more than once.",
    null_rule="NULL with fewer than 27 of 30 days of flow or issuance.",
    ge=0,
    history_days=MONTH_DAYS,
)
def miner_to_exchange_of_issuance_30d_ratio() -> pl.Expr:
    """Coins sent to exchanges over coins issued, both summed over thirty days."""
    return ratio(sum_over(pl.col("miner_to_exchange_btc"), MONTH_DAYS), sum_over(pl.col("issuance_btc"), MONTH_DAYS))


METRICS = (
    miner_outflow_btc,
    miner_netflow_btc,
    miner_reserve_btc,
    miner_outflow_usd,
    mpi_zscore,
    mpi_ratio,
    miner_to_exchange_btc,
    miner_to_exchange_count,
    miner_to_exchange_mean_btc,
    miner_to_exchange_of_issuance_30d_ratio,
)
