"""Runs of days in capitulation, with what the days before, in and after them show."""

from datetime import timedelta
from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.units import PERCENT
from transforms.capitulation import CAPITULATIONS, DEEP_CAPITULATION, PARTS
from transforms.metrics.episodes import HORIZONS_DAYS
from transforms.rules import JOINED_DAYS
from transforms.windows import max_over, mean_over, ratio

WEEK_DAYS: Final = 7
YEAR_DAYS: Final = 365
_STATE: Final = ("capitulation_state",)
_READ: Final = ("capitulation_score", "puell_issuance_ratio", "hash_ribbon_spread_pct")
_DRAWDOWNS: Final = {
    "price_drawdown_min_pct": "price_usd",
    "hashrate_drawdown_min_pct": "hashrate_ehs",
    "revenue_drawdown_min_pct": "miner_revenue_usd",
}
"""By column of a capitulation that of the days whose fall from its year's high it states."""
RESTS_ON: Final = {
    **dict.fromkeys(
        ("started_on", "ended_on", "day_count", "deep_day_count", "between_day_count", "state_after"), _STATE
    ),
    "capitulation_max_score": ("capitulation_score",),
    "peaked_on": ("capitulation_score",),
    **{f"peak_{name}": (name,) for name in PARTS},
    **{f"after_{name}": (*_STATE, name) for name in PARTS},
    **{name: (read,) for name, read in _DRAWDOWNS.items()},
    "puell_issuance_min_ratio": ("puell_issuance_ratio",),
    "hash_ribbon_spread_min_pct": ("hash_ribbon_spread_pct",),
    "stress_episode": (*_STATE, "stress_episode.core_start_on"),
    **{
        name: (*_STATE, "price_usd")
        for name in ("price_at_start_usd", "price_at_end_usd", *(f"price_{n}d_after_usd" for n in HORIZONS_DAYS))
    },
}
"""What the columns that are laid out here rest on."""


def capitulation_episodes(days: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
    """Runs of `days` in capitulation; those no more than `JOINED_DAYS` apart are one.

    `days`: rows of the derived `capitulation_daily`, `episodes`: those of `stress_episode`. Shape: one row a run,
    sorted by `started_on`, with what the metrics of `transforms.metrics.episodes` read, and `sources`.
    """
    day, state, score = pl.col("day"), pl.col("capitulation_state"), pl.col("capitulation_score")
    days = days.with_columns(_below_high(read).alias(name) for name, read in _DRAWDOWNS.items())
    begins = (day.diff().dt.total_days() > JOINED_DAYS).fill_null(True)
    runs = (
        days.filter(state.is_in(CAPITULATIONS))
        .group_by(begins.cum_sum().alias("run"), maintain_order=True)
        .agg(
            day.first().alias("started_on"),
            day.last().alias("last_day"),
            day.count().cast(pl.Int64).alias("day_count"),
            (state == DEEP_CAPITULATION).sum().cast(pl.Int64).alias("deep_day_count"),
        )
    )
    spans = runs.select("run", "started_on", "last_day")
    read = days.select("day", *_READ, *PARTS, *_DRAWDOWNS, "sources")
    within = (
        spans.join_where(read, pl.col("started_on") <= day, day <= pl.col("last_day"))
        .sort("day")
        .group_by("run", maintain_order=True)
        .agg(
            score.max().alias("capitulation_max_score"),
            day.get(score.arg_max()).alias("peaked_on"),
            *(pl.col(name).get(score.arg_max()).alias(f"peak_{name}") for name in PARTS),
            *(pl.col(name).min() for name in _DRAWDOWNS),
            pl.col("puell_issuance_ratio").min().alias("puell_issuance_min_ratio"),
            pl.col("hash_ribbon_spread_pct").min().alias("hash_ribbon_spread_min_pct"),
            pl.concat_str(pl.col("sources").last(), pl.lit(REGISTRY.name), separator=","),
        )
    )
    # Until then another day of capitulation would be one of the same run.
    known_until = days.select(day.filter(state.is_not_null()).max()).item()
    is_over = pl.col("last_day") + timedelta(days=JOINED_DAYS) <= pl.lit(known_until, pl.Date)
    found = (
        runs.join(within, on="run", how="left", validate="1:1", maintain_order="left")
        .join(_touched(spans, episodes), on="run", how="left", validate="1:1", maintain_order="left")
        .with_columns(
            pl.when(is_over).then("last_day").alias("ended_on"),
            (1 + (pl.col("last_day") - pl.col("started_on")).dt.total_days() - pl.col("day_count")).alias(
                "between_day_count"
            ),
        )
    )
    after = days.select(day, state.alias("state_after"), *(pl.col(name).alias(f"after_{name}") for name in PARTS))
    found = (
        found.with_columns(day=pl.col("ended_on") + timedelta(days=1))
        .join(after, on="day", how="left", validate="m:1", maintain_order="left")
        .drop("day")
    )
    prices = days.select("day", "price_usd")
    found = _with_price(found, prices, "price_at_start_usd", pl.col("started_on"))
    found = _with_price(found, prices, "price_at_end_usd", pl.col("ended_on"))
    for n in HORIZONS_DAYS:
        found = _with_price(found, prices, f"price_{n}d_after_usd", pl.col("ended_on") + timedelta(days=n))
    return found.drop("run", "last_day")


def _below_high(column: str) -> pl.Expr:
    """How far the mean of the last week is below the highest such mean of the last year, in percent."""
    week = mean_over(pl.col(column), WEEK_DAYS, least=WEEK_DAYS - 1)
    return PERCENT * (ratio(week, max_over(week, YEAR_DAYS)) - 1)


def _with_price(runs: pl.DataFrame, prices: pl.DataFrame, name: str, day: pl.Expr) -> pl.DataFrame:
    """The `runs` with the price of a day as `name`, NULL where it has none."""
    dated, named = runs.with_columns(day.alias("day")), prices.rename({"price_usd": name})
    return dated.join(named, on="day", how="left", validate="m:1", maintain_order="left").drop("day")


def _touched(spans: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
    """By `run` the episodes whose core it touches, as `stress_episode`."""
    cores = episodes.select("episode", "core_start_on", "core_end_on")
    touching = pl.col("started_on") <= pl.col("core_end_on"), pl.col("core_start_on") <= pl.col("last_day")
    return (
        spans.join_where(cores, *touching)
        .sort("run", "core_start_on", "episode")
        .group_by("run", maintain_order=True)
        .agg(pl.col("episode").str.join(" ").alias("stress_episode"))
    )
