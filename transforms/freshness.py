"""How far behind the day of a run its data is: by supplier, series, published column and table."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from schemas.freshness import FRESHNESS
from schemas.table import Origin, Table, Tables
from transforms.derive import NOT_FINAL, UNOBSERVED
from transforms.lineage import roots
from transforms.prepare import Prepared

Stated = Mapping[tuple[str, str], date]
"""By supplier and series, or label of an origin, the last day that it states."""


def freshness(given: Prepared, published: Tables, nulls: pl.DataFrame, tables: Iterable[Table]) -> pl.DataFrame:
    """Every supplier, series, column and table with its last day. Shape: `FRESHNESS`, in this order of subjects.

    `published`: the finished `tables`, `nulls` their rows of `meta.nulls`. A row of a column or table names the
    supplier and series that it waits for: of all that it rests on those that end first.
    """
    tables = tuple(tables)
    flows = [
        published[table.name]["day"]
        for table in tables
        if table.lineage and table.lineage.origin is Origin.FLOWS and "day" in table.key
    ]
    stated = dict(_stated(given, pl.concat(flows)))
    behind = _Behind(given.inputs.through, given.inputs.allowed_lag_days)
    rows = [behind.row("source", source, None, day) for source, day in _by_source(stated).items()]
    rows += [behind.row("series", source, series, day) for (source, series), day in stated.items()]
    chosen = [(source, series) for series, source in given.resolved.chosen.items()]
    calendar_ends_with = max(chosen, key=lambda each: stated[each], default=None)
    columns: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for table in tables:
        if "day" not in table.key:
            continue
        detail = given.inputs.detail.get(table.name)
        last_days = detail.last_days if detail else _last_days(table, published[table.name], nulls)
        of_table = []
        for name, last_day in last_days.items():
            waits_for = _first_to_end(given, table, name, stated)
            if waits_for and waits_for[1] == Origin.REGISTRY.label and last_day and last_day < given.inputs.through:
                waits_for = calendar_ends_with  # a row of the registry stands on every later day that has a row
            if waits_for:
                of_table.append(behind.row("column", *waits_for, last_day, table.name, name))
        columns += of_table
        main = [row for row in of_table if row["column_name"] in table.main and row["last_day"]]
        if main:
            first = min(main, key=lambda row: (row["last_day"], row["allowed_lag_days"] or 0))
            ends.append(first | {"subject": "table", "column_name": None})
    return pl.DataFrame([*rows, *columns, *ends], schema=FRESHNESS)


class _Behind:
    """Measures against the last day of the run."""

    def __init__(self, through: date, allowed_lag_days: Mapping[str, int]) -> None:
        self._through, self._allowed_lag_days = through, allowed_lag_days

    def row(
        self,
        subject: str,
        source: str,
        series: str | None,
        last_day: date | None,
        table_name: str | None = None,
        column_name: str | None = None,
    ) -> dict[str, Any]:
        """One row of `FRESHNESS`; what has no day at all is missing, not late."""
        days_behind = None if last_day is None else (self._through - last_day).days
        allowed = self._allowed_lag_days.get(source)
        return {
            "subject": subject,
            "source": source,
            "series": series,
            "table_name": table_name,
            "column_name": column_name,
            "last_day": last_day,
            "days_behind": days_behind,
            "allowed_lag_days": allowed,
            "is_late": None if days_behind is None or allowed is None else days_behind > allowed,
        }


def _stated(given: Prepared, flow_days: pl.Series) -> Iterator[tuple[tuple[str, str], date]]:
    """Every supplier that the profile ranks with its series, then the origins; sorted within both.

    `flow_days`: days of the published flows to exchanges.
    """
    inputs, through = given.inputs, given.inputs.through
    for source, series, last_day in given.resolved.last_days.iter_rows():
        yield (source, series), last_day
    days = {
        Origin.BLOCKS: given.whole.filter("is_whole")["day"],
        Origin.FLOWS: flow_days,
        Origin.TRANSFERS: given.inputs.flow_days.sums["day"],
        Origin.FILINGS: inputs.filings["filed_on"],
        Origin.REGISTRY: pl.concat(
            rows["known_at"] for rows in inputs.reference.values() if rows.schema.get("known_at") == pl.Date
        ),
    }
    for origin, of_origin in days.items():
        last_day = of_origin.filter(of_origin <= through).max()
        if origin in given.origins and isinstance(last_day, date):
            yield (given.origins[origin], origin.label), last_day


def _by_source(stated: Stated) -> dict[str, date]:
    """The last day of each supplier in any series."""
    newest: dict[str, date] = {}
    for (source, _), day in stated.items():
        newest[source] = max(day, newest.get(source, day))
    return newest


def _first_to_end(given: Prepared, table: Table, name: str, stated: Stated) -> tuple[str, str] | None:
    """Supplier and series that end first of those the column rests on; None where it comes from nobody.

    A row of the registry stands until another replaces it, so that a column waits for it only if for nothing else.
    """
    found = []
    for root in roots(table, name):
        supplier = given.resolved.chosen.get(root) if isinstance(root, str) else given.origins.get(root)
        if supplier is not None:
            label = root if isinstance(root, str) else root.label
            found.append((root is Origin.REGISTRY, stated.get((supplier, label), date.max), supplier, label))
    return min(found)[2:] if found else None


def _last_days(table: Table, rows: pl.DataFrame, nulls: pl.DataFrame) -> Mapping[str, date | None]:
    """By column the last day that is known: with a value, or without one for another reason than what is missing."""
    end = rows["day"].max()
    if table.key != ("day",) or not isinstance(end, date):
        known = rows.select(pl.col("day").filter(pl.col(name).is_not_null()).max().alias(name) for name in rows.columns)
        return known.row(0, named=True)
    last_days: dict[str, date | None] = dict.fromkeys(rows.columns, end)
    missing = nulls.filter(
        (pl.col("table_name") == table.name)
        & (pl.col("reason").str.starts_with(UNOBSERVED) | (pl.col("reason") == NOT_FINAL))
    ).sort("last_day", descending=True)
    for name, first_day, last_day in missing.select("column_name", "first_day", "last_day").iter_rows():
        if last_days[name] == last_day:
            never = rows[name].null_count() == rows.height
            last_days[name] = None if never else first_day - timedelta(days=1)
    return last_days
