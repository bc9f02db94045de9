"""Dated cost inputs laid out by day, as they were known on that day."""

import math
from collections.abc import Iterable
from datetime import date
from typing import Final

import polars as pl

from schemas.registry import NETWORK
from transforms.metrics.cost import DAYS_PER_YEAR

YARDSTICKS: Final = {"new": "new_fleet_efficiency_j_per_th", "old": "old_fleet_efficiency_j_per_th"}
"""Fleets of `fleet_efficiency` that are fixed machines, and their columns."""
POWER_COLUMNS: Final = ("power_usd_per_mwh", "all_in_usd_per_mwh")

EFFICIENCY_RATIO_A_YEAR: Final = 0.8
"""The network's machines need a fifth less energy each year. Our own round figure: the estimates of 2019 to 2024 fall
by 21 % a year, Cambridge has 24 % for its last year."""
TRANSITION_DAYS: Final = 90
"""A new estimate takes over from the older ones in this time."""

_NETWORK: Final = ("fleet_efficiency.efficiency_j_per_th", "fleet_efficiency.pue_ratio")
RESTS_ON: Final = {
    "fleet_efficiency_j_per_th": _NETWORK,
    "fleet_efficiency_as_of": ("fleet_efficiency.as_of",),
    **dict.fromkeys(YARDSTICKS.values(), _NETWORK),
    **{name: (f"power_price.{name}",) for name in POWER_COLUMNS},
    "all_in_as_of": ("power_price.as_of",),
}
"""What the columns that are laid out here rest on."""


def known_inputs(days: pl.DataFrame, fleet_efficiency: pl.DataFrame, power_price: pl.DataFrame) -> pl.DataFrame:
    """Lay fleet efficiency and power price out by day, never ahead of their publication.

    `days`: a frame with `day`. Shape: the rows of `days`, sorted: `day`, `fleet_efficiency_j_per_th`,
    `fleet_efficiency_as_of`, `new_fleet_efficiency_j_per_th`, `old_fleet_efficiency_j_per_th`, `power_usd_per_mwh`,
    `all_in_usd_per_mwh`, `all_in_as_of`; an efficiency is that of the site, its cooling included. The network's
    follows the path of the estimates, see `_path`; of the others a day gets the newest published by then and holds it.
    NULL before the first publication.
    """
    calendar = days.select("day").sort("day")
    fleets = fleet_efficiency.with_columns(pl.col("efficiency_j_per_th") * pl.col("pue_ratio"))
    network = _superseding(fleets.filter(pl.col("fleet") == NETWORK))
    calendar = _as_known(calendar, network, {"as_of": "fleet_efficiency_as_of"})
    calendar = _path(calendar, network.select("as_of", "known_at", "efficiency_j_per_th").iter_rows())
    for fleet, column in YARDSTICKS.items():
        rows = _superseding(fleets.filter(pl.col("fleet") == fleet))
        calendar = _as_known(calendar, rows, {"efficiency_j_per_th": column})
    paid = power_price.filter(pl.col("scope") == NETWORK)
    for column in POWER_COLUMNS:
        names = {column: column} | ({"as_of": "all_in_as_of"} if column == "all_in_usd_per_mwh" else {})
        calendar = _as_known(calendar, _superseding(paid.drop_nulls(column)), names)
    return calendar


def _superseding(rows: pl.DataFrame) -> pl.DataFrame:
    """The estimates in order of publication; a late publication about an older date supersedes nothing."""
    published = rows.sort("known_at", "as_of")
    newest = published.filter(pl.col("as_of") >= pl.col("as_of").cum_max())
    return newest.unique("known_at", keep="last", maintain_order=True)


def _as_known(calendar: pl.DataFrame, rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """Join the newest estimate published by each day."""
    columns = (pl.col(old).alias(new) for old, new in names.items())
    return calendar.join_asof(
        rows.select(pl.col("known_at").alias("day").set_sorted(), *columns), on="day", strategy="backward"
    )


def _path(calendar: pl.DataFrame, estimates: Iterable[tuple[date, date, float]]) -> pl.DataFrame:
    """Add `fleet_efficiency_j_per_th`: the newest estimate, carried on from its date by the change of a year.

    `estimates`: date, day of publication, J/TH, in order of publication. Estimates come late and a year apart: held,
    one of 2024 would be wrong in 2026, and the next one a jump by up to a third. So a publication takes over within
    `TRANSITION_DAYS`, evenly in logarithms, and no day before it knows of it.
    """
    path, day = pl.col("fleet_efficiency_j_per_th"), pl.col("day")
    calendar = calendar.with_columns(pl.lit(None, pl.Float64).alias("fleet_efficiency_j_per_th"))
    for as_of, known_at, efficiency in estimates:
        years = (day - as_of).dt.total_days() / DAYS_PER_YEAR
        newest = math.log(efficiency) + math.log(EFFICIENCY_RATIO_A_YEAR) * years
        taken = ((day - known_at).dt.total_days() / TRANSITION_DAYS).clip(upper_bound=1)
        moved = pl.coalesce(path + taken * (newest - path), newest)
        calendar = calendar.with_columns(pl.when(day >= known_at).then(moved).otherwise(path))
    return calendar.with_columns(path.exp())
