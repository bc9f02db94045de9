"""Dated cost inputs laid out by day, as they were known on that day."""

from typing import Final

import polars as pl

FLEETS: Final = {"network": "fleet", "new": "new_fleet", "old": "old_fleet"}
"""Fleets of `fleet_efficiency` and how their columns begin."""
POWER_COLUMNS: Final = ("power_usd_per_mwh", "all_in_usd_per_mwh")

RESTS_ON: Final = {
    f"{prefix}_{name}": (f"fleet_efficiency.{name}",)
    for prefix in FLEETS.values()
    for name in ("efficiency_j_per_th", "pue_ratio")
} | {name: (f"power_price.{name}",) for name in POWER_COLUMNS}
"""What the columns that are laid out here rest on."""


def known_inputs(days: pl.DataFrame, fleet_efficiency: pl.DataFrame, power_price: pl.DataFrame) -> pl.DataFrame:
    """Lay fleet efficiency and power price out by day, never ahead of their publication.

    `days`: a frame with `day`. Shape: the rows of `days`, sorted: `day`, `fleet_efficiency_j_per_th`,
    `fleet_pue_ratio`, the same for `new_fleet_` and `old_fleet_`, `power_usd_per_mwh`, `all_in_usd_per_mwh`. A day
    gets the newest estimate that had been published by then and holds it: interpolating toward an estimate that was
    published later would be looking ahead. NULL before the first publication.
    """
    calendar = days.select("day").sort("day")
    for fleet, prefix in FLEETS.items():
        rows = fleet_efficiency.filter(pl.col("fleet") == fleet)
        names = {"efficiency_j_per_th": f"{prefix}_efficiency_j_per_th", "pue_ratio": f"{prefix}_pue_ratio"}
        calendar = _as_known(calendar, rows, names)
    for column in POWER_COLUMNS:
        calendar = _as_known(calendar, power_price.drop_nulls(column), {column: column})
    return calendar


def _as_known(calendar: pl.DataFrame, rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """Join the newest estimate published by each day; a late publication about an older date supersedes nothing."""
    published = rows.sort("known_at", "as_of")
    newest = published.filter(pl.col("as_of") >= pl.col("as_of").cum_max()).unique("known_at", keep="last")
    return calendar.join_asof(
        newest.select(pl.col("known_at").alias("day"), *(pl.col(old).alias(new) for old, new in names.items())).sort(
            "day"
        ),
        on="day",
        strategy="backward",
    )
