"""Whether what suppliers state reaches the day of the run, within the lag that each is allowed.

Always a warning, never an error: a publication that is stopped would be older still than the one that warns, and other
sources may have new days. What a source has not stated is NULL in it, and no day is final that it has left open. An old
registry is a notice: it comes with the code, so that no run can get a newer one.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.suppliers import REGISTRY

IN_TIME: Final = "newest day is in time"
"""Ends the name of each of these checks, which begins with the supplier."""


def check_freshness(freshness: pl.DataFrame, through: date) -> Iterator[Check]:
    """One check a supplier, over all of its series; `freshness`: rows of `transforms.freshness`, up to `through`."""
    judged = freshness.filter((pl.col("subject") == "series") & pl.col("is_late").is_not_null())
    for (source,), series in judged.group_by("source", maintain_order=True):
        late = series.filter("is_late")
        is_old_registry = source == REGISTRY.name and late.height > 0
        furthest = series["days_behind"].max()
        named = late if late.height else series.filter(pl.col("days_behind") == furthest)
        yield Check(
            check_name=f"{source}: {IN_TIME}",
            severity="notice" if is_old_registry else "warning",
            passed=late.is_empty() or is_old_registry,
            value=float(furthest),  # type: ignore[arg-type]
            expected=f"each series up to {series['allowed_lag_days'][0]} days behind {through}",
            detail="; ".join(_stretches(named.sort("last_day", "series"))),
        )


def _stretches(series: pl.DataFrame) -> Iterator[str]:
    """Series that end on the same day together, those furthest behind first."""
    for same in series.partition_by("last_day", maintain_order=True):
        first = same.row(0, named=True)
        yield f"{', '.join(same['series'])} up to {first['last_day']}, {first['days_behind']:,} days behind"
