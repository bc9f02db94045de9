"""Since when a supplier's miner flows measure the same thing, by day: dated by the registry, or by the labels used."""

from collections.abc import Mapping
from typing import Final

import polars as pl

EXPORTED: Final = "_export"
"""Ends the name of a supplier whose figures come as files; they are those of the supplier itself."""
COLUMNS: Final = {"miner_to_exchange": "flow_regime_dated_on", "miner_outflow": "outflow_regime_dated_on"}
"""By series of `flow_regime`, the column that it is laid out in."""
_FROM_REGISTRY: Final = ("flow_regime.valid_from", "flow_regime.known_at")
RESTS_ON: Final = dict.fromkeys(COLUMNS.values(), _FROM_REGISTRY)
"""What the columns that are laid out here rest on."""


def regime_days(
    days: pl.DataFrame,
    regimes: pl.DataFrame,
    chosen: Mapping[str, str],
    labelled_days: pl.DataFrame | None,
) -> pl.DataFrame:
    """Lay the dated starts of flow regimes out by day.

    `days`: a frame with `day`; `regimes`: the registry table `flow_regime`; `chosen`: the supplier of each series that
    anybody states; `labelled_days`: (`day`, `label_set`) where the flows were attributed with labels of our own, each
    set of which is a regime. Shape: the rows of `days`, sorted: `day`, `flow_regime_dated_on`, the newest start that
    was known on the day, and `outflow_regime_dated_on`, the newest one up to the day, whenever it became known.
    """
    calendar = days.select("day").sort("day")
    for series, column in COLUMNS.items():
        named = chosen.get(f"{series}_sat", "").removesuffix(EXPORTED)
        stated = regimes.filter(pl.col("series") == series, pl.col("source") == named).select("valid_from", "known_at")
        starts = pl.concat([stated, *([] if labelled_days is None else [_changed(labelled_days)])])
        since = "known_at" if series == "miner_to_exchange" else "valid_from"
        newest = starts.group_by(pl.col(since).alias("day")).agg(pl.col("valid_from").max().alias(column)).sort("day")
        calendar = calendar.join_asof(newest.with_columns(pl.col(column).cum_max()), on="day", strategy="backward")
    return calendar


def _changed(labelled_days: pl.DataFrame) -> pl.DataFrame:
    """The days from which a set of labels was used."""
    changed = labelled_days.filter(pl.col("label_set").ne_missing(pl.col("label_set").shift()))
    return changed.select(pl.col("day").alias("valid_from"), pl.col("day").alias("known_at"))
