"""Runs of days in capitulation, with what the days before, in and after them show."""

from datetime import timedelta
from typing import Final

import polars as pl

from schemas.suppliers import REGISTRY
from transforms.capitulation import CAPITULATIONS, DEEP_CAPITULATION
from transforms.metrics.episodes import HORIZONS_DAYS
from transforms.rules import JOINED_DAYS

_STATE: Final = ("capitulation_state",)
_READ: Final = ("capitulation_score", "puell_issuance_ratio", "hash_ribbon_spread_pct")
RESTS_ON: Final = {
    **dict.fromkeys(("started_on", "ended_on", "day_count", "deep_day_count"), _STATE),
    "capitulation_max_score": ("capitulation_score",),
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
    day, state = pl.col("day"), pl.col("capitulation_state")
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
    within = (
        spans.join_where(days.select("day", *_READ, "sources"), pl.col("started_on") <= day, day <= pl.col("last_day"))
        .sort("day")
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("capitulation_score").max().alias("capitulation_max_score"),
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
        .with_columns(pl.when(is_over).then("last_day").alias("ended_on"))
    )
    prices = days.select("day", "price_usd")
    found = _with_price(found, prices, "price_at_start_usd", pl.col("started_on"))
    found = _with_price(found, prices, "price_at_end_usd", pl.col("ended_on"))
    for n in HORIZONS_DAYS:
        found = _with_price(found, prices, f"price_{n}d_after_usd", pl.col("ended_on") + timedelta(days=n))
    return found.drop("run", "last_day")


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
