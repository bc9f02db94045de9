"""How far behind the day of a run its data is: rows of `meta.freshness`, and the words that all reports of it share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from schemas.suppliers import REGISTRY

FRESHNESS: Final = pl.Schema(
    {
        "subject": pl.String,
        "source": pl.String,
        "series": pl.String,
        "table_name": pl.String,
        "column_name": pl.String,
        "last_day": pl.Date,
        "days_behind": pl.Int64,
        "allowed_lag_days": pl.Int64,
        "is_late": pl.Boolean,
    }
)
"""Rows of `meta.freshness`; `subject` is 'source', 'series', 'column' or 'table'."""
HEADLINE_TABLE: Final = "capitulation_daily"
"""A publication is described until the day that this table is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A supplier with a series that ends earlier than it may; `days_behind` of the one that ends first."""

    source: str
    last_day: date
    days_behind: int
    allowed_lag_days: int

    def __str__(self) -> str:
        return f"{self.source} {self.days_behind:,} days ({self.allowed_lag_days} allowed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What a publication reaches.

    `through`: last day of the run; `described_until`: last day on which the headline table has its main columns, None
    where it is not known. `late`: suppliers that are further behind `through` than each is allowed, by name.
    """

    through: date
    described_until: date | None
    late: tuple[Late, ...]

    @property
    def days_behind(self) -> int:
        """Days of the run that are not described yet."""
        return 0 if self.described_until is None else (self.through - self.described_until).days

    def reached(self) -> str:
        """The last described day, and how far behind the run that is: '2026-03-22, 245 days behind'."""
        behind = f", {self.days_behind:,} days behind" if self.days_behind else ""
        return f"{self.described_until or self.through}{behind}"

    def listed(self) -> str:
        """The suppliers that are late, as part of a sentence; '' without any."""
        return ", ".join(map(str, self.late))

    def message(self) -> str:
        """What the run came to, in one line."""
        return f"published {self.reached()}" + (f"; late: {self.listed()}" if self.late else "")

    def facts(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "described_until": str(self.described_until or self.through),
            "days_behind": self.days_behind,
            "late": {
                each.source: {"days_behind": each.days_behind, "allowed_lag_days": each.allowed_lag_days}
                for each in self.late
            },
        }


def freshness_of(rows: Iterable[Mapping[str, Any]], through: date) -> Freshness:
    """From rows of `meta.freshness` of a run up to `through`; none of them where an older version has published.

    The registry is not among the late: it comes with the code, so that no run can get a newer one.
    """
    described_until = None
    worst: dict[str, Late] = {}
    for row in rows:
        if row["subject"] == "table" and row["table_name"] == HEADLINE_TABLE:
            described_until = row["last_day"]
        if row["subject"] == "series" and row["is_late"] and row["source"] != REGISTRY.name:
            late = Late(**{name: row[name] for name in ("source", "last_day", "days_behind", "allowed_lag_days")})
            if late.source not in worst or late.last_day < worst[late.source].last_day:
                worst[late.source] = late
    return Freshness(
        through=through, described_until=described_until, late=tuple(worst[name] for name in sorted(worst))
    )
