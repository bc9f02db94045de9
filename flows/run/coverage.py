"""What a run goes without: sources that could not be fetched, series that nobody states, and columns that are NULL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from flows.sources.kinds import suppliers_of
from flows.sources.protocol import Known
from schemas.check import Check
from schemas.errors import HashpivotError, SettingsError
from schemas.series import SERIES, Group
from transforms.catalog import TABLES
from transforms.derive import UNOBSERVED

WITHOUT_SERIES: Final = frozenset(Group) - {series.group for series in SERIES.values()}
"""Groups of observations that no series stands for: what is missing of them leaves whole tables empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A source that could not be fetched, or not completely. `is_choice`: it needs a setting that nobody has set."""

    source: str
    why: str
    is_choice: bool

    @classmethod
    def because(cls, source: str, error: HashpivotError) -> "Missing":
        """What `error` of `source` means for a run that goes on without it."""
        is_choice = isinstance(error, SettingsError) and error.value is None
        return cls(source=source, why=str(error), is_choice=is_choice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """A missing source and what that costs.

    `columns`: as `table.column`, NULL on the last day for want of series that this source may fill. `ends_on`: the last
    day that is stored of it.
    """

    missing: Missing
    columns: tuple[str, ...]
    ends_on: date | None

    def message(self) -> str:
        """All of it in one line."""
        stored = [f"stored up to {self.ends_on}"] if self.ends_on else []
        null = f"NULL without it: {', '.join(self.columns)}" if self.columns else "no column is NULL without it"
        return "; ".join([self.missing.why, *stored, null])

    def check(self) -> Check:
        """Its row of `meta.quality`: a notice where somebody chose to go without, else a warning."""
        return Check(
            check_name=f"{self.missing.source}: missing",
            table_name="",
            severity="notice" if self.missing.is_choice else "warning",
            passed=self.missing.is_choice,
            value=float(len(self.columns)),
            expected="a source that is fetched completely",
            detail=self.message(),
        )

    def facts(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "missing": self.missing.why,
            "is_choice": self.missing.is_choice,
            "stored_until": self.ends_on and self.ends_on.isoformat(),
            "null_columns": list(self.columns),
        }


def coverage(
    missing: Sequence[Missing],
    precedence: Mapping[Group, Sequence[str]],
    tables: Mapping[str, pl.DataFrame],
    nulls: pl.DataFrame,
    known: Known,
) -> list[Coverage]:
    """What each of `missing` costs, by the finished `tables` and their `nulls`; `known` is what is stored now."""
    unfilled = [(column, group) for column, _, group in _unfilled(tables, nulls)]
    found = []
    for each in missing:
        suppliers = [supplier.name for supplier in suppliers_of(each.source)]
        groups = {group for group, ranked in precedence.items() if set(suppliers) & set(ranked)}
        days = [day for (supplier, _), day in known.newest_day.items() if supplier in suppliers]
        found.append(
            Coverage(
                missing=each,
                columns=tuple(column for column, group in unfilled if group in groups),
                ends_on=max(days, default=None),
            )
        )
    return found


def unstated(
    chosen: Mapping[str, str],
    covered: Sequence[Coverage],
    tables: Mapping[str, pl.DataFrame],
    nulls: pl.DataFrame,
) -> dict[str, tuple[str, ...]]:
    """By series that no source states the columns without any value for it, those left out that a missing source costs.

    `chosen`: the supplier of each series. The series that costs most comes first.
    """
    empty = {
        f"{name}.{column}"
        for name, rows in tables.items()
        for column, null_count in rows.null_count().row(0, named=True).items()
        if null_count == rows.height
    }
    empty -= {column for each in covered for column in each.columns}
    found: dict[str, tuple[str, ...]] = {}
    for column, series, _ in _unfilled(tables, nulls):
        if series and series not in chosen and column in empty:
            found[series] = (*found.get(series, ()), column)
    return dict(sorted(found.items(), key=lambda each: (-len(each[1]), each[0])))


def _unfilled(tables: Mapping[str, pl.DataFrame], nulls: pl.DataFrame) -> Iterator[tuple[str, str | None, Group]]:
    """Columns that are NULL on the last day of their table for want of a series, with this and its group.

    A table that has no row for want of observations that are no series comes without one.
    """
    last_days = {name: rows["day"].max() for name, rows in tables.items() if "day" in rows.columns}
    for row in nulls.iter_rows(named=True):
        series = SERIES.get(row["reason"].removeprefix(UNOBSERVED))
        if series and row["last_day"] == last_days[row["table_name"]]:
            yield f"{row['table_name']}.{row['column_name']}", series.name, series.group
    for name, table in TABLES.items():
        group = table.lineage and table.lineage.origin.group
        if group in WITHOUT_SERIES and tables[name].is_empty():
            yield f"{name}.*", None, group
