"""Days folded to weeks or months."""

from typing import Final

import polars as pl

from transforms.capitulation import CAPITULATIONS, SQUEEZE

_STATE: Final = pl.col("capitulation_state")
_SUMS: Final = ("miner_revenue_btc", "miner_revenue_usd", "miner_outflow_btc", "miner_to_exchange_btc")


def _of_states(*states: str) -> pl.Expr:
    return pl.when(_STATE.count() > 0).then(_STATE.is_in(states).sum()).cast(pl.Int64)


FOLDED: Final = {
    "capitulation_end_state": _STATE.drop_nulls().last(),
    "capitulation_mean_score": pl.col("capitulation_score").mean(),
    "capitulation_max_score": pl.col("capitulation_score").max(),
    "day_count": pl.col("day").count().cast(pl.Int64),
    "state_day_count": _STATE.count().cast(pl.Int64),
    "capitulation_day_count": _of_states(*CAPITULATIONS),
    "squeeze_day_count": _of_states(SQUEEZE),
    "price_end_usd": pl.col("price_usd").drop_nulls().last(),
    "puell_issuance_mean_ratio": pl.col("puell_issuance_ratio").mean(),
    "hashrate_mean_ehs": pl.col("hashrate_ehs").mean(),
    "hashprice_mean_usd_per_phs_day": pl.col("hashprice_usd_per_phs_day").mean(),
    **{name: pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()) for name in _SUMS},
}
"""By column of a week or month how it follows from the days of it."""

RESTS_ON: Final = {
    "week_start": ("day",),
    "month_start": ("day",),
    **{name: tuple(folded.meta.root_names()) for name, folded in FOLDED.items() if name not in _SUMS},
}
"""What the columns that are laid out here rest on; sums have the names of what they are of."""


def periods(days: pl.DataFrame, start: str, every: str) -> pl.DataFrame:
    """Fold `days`, rows of the derived `capitulation_daily`, to periods of `every`, '1w' or '1mo'.

    Shape: one row a period, sorted: `start`, its first day, the columns of `FOLDED`, `is_final` and `sources`. A period
    is final when it is over and all its days are. A sum is NULL where a day lacks it, all else where no day has it.
    """
    sources = pl.col("sources").str.split(",").explode().unique().sort()
    folded = days.group_by(pl.col("day").dt.truncate(every).alias(start), maintain_order=True).agg(
        *(expression.alias(name) for name, expression in FOLDED.items()),
        pl.col("is_final").fill_null(False).all(),
        pl.col("day").last().alias("last_day"),
        sources.filter(sources != "").str.join(",").alias("sources"),
    )
    is_over = pl.col("last_day").dt.offset_by("1d") == pl.col(start).dt.offset_by(every)
    return folded.with_columns(pl.col("is_final") & is_over).drop("last_day")
