"""How a figure came about: its formula, the values that the formula read, and the figures those rest on in turn.

The values are those of the frame that the figure was computed in. Each figure is computed again from nothing but the
values that are shown, so that what is shown is known to be all that it was made from.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import polars as pl

from schemas.metric import Metric
from schemas.series import SERIES
from schemas.table import Table
from transforms.catalog import TABLES
from transforms.derive import aggregate, aggregate_by
from transforms.lineage import MARKS
from transforms.prepare import Prepared

ROUNDING: Final = 1e-9
"""Relative difference of two ways to add up the same numbers in floating point."""
SPAN: Final = ("from_day", "until_day")

Key = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What a run computed: the prepared inputs, and by table its frame with all inputs and metrics."""

    given: Prepared
    derived: Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One value of one row, and what it was computed from.

    `read`: the rows of the frame that the formula looks at, with their key and the columns that it reads, or, of a
    metric over rows of the registry, those rows that stand on the day. `again`: the value computed from `read` alone.
    Both are None, as `metric`, where nothing is computed: then `series` names what a source states, `rests_on` the
    columns that it was laid out from, or else `origin` who supplies it.
    """

    table: str
    column: str
    key: Key
    value: Any
    metric: Metric | None = None
    read: pl.DataFrame | None = None
    again: Any = None
    series: str | None = None
    rests_on: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def name(self) -> str:
        """Table and column."""
        return f"{self.table}.{self.column}"

    @property
    def is_reproduced(self) -> bool:
        """Whether the values that are shown give the figure by the formula that is shown."""
        return self.metric is None or same(self.value, self.again)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one source gives for a series on a day.

    `how`: "stated", or from what it follows. `is_used`: whether it is the value that the figure rests on; others were
    observed and not chosen. `batches`: what it was observed in, the oldest first: `origin`, `sha256`, `observed_at` and
    `batch_id` of each, with what else is known of it.
    """

    series: str
    source: str
    value: float
    how: str
    is_used: bool
    batches: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A figure and all that it rests on in its row, each once, the figure itself first; and their observations."""

    figures: tuple[Figure, ...]
    observations: tuple[Observation, ...]


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same but for rounding in floating point."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def figures(
    frames: Frames, table: Table, column: str, key: Key, seen: set[tuple[str, str]] | None = None
) -> Iterator[Figure]:
    """The figure of `column` in the row `key` of a derived table, then all that it rests on in that row, each once.

    Those in `seen`, by table and column, are left out, and those that are found are added to it. A figure of another
    table that it rests on follows where that table has a row of the same day. Raises `LookupError` without the row, or
    without the column.
    """
    frame = frames.derived[table.name]
    if "day" in frame.columns and "day" not in key:
        key = {**key, "day": frame["day"][_place(frame, key)]}
    seen = set() if seen is None else seen
    pending = [(table, column)]
    while pending:
        of, name = pending.pop(0)
        if (of.name, name) in seen:
            continue
        row_key = {part: key[part] for part in of.key if part in key}
        found = figure(frames, of, name, row_key)
        seen.add((of.name, name))
        yield found
        pending += [each for each in _following(of, found) if set(each[0].key) <= set(key)]


def figure(frames: Frames, table: Table, column: str, key: Key) -> Figure:
    """One figure with what it reads; without what that rests on. Raises `LookupError` where there is none such."""
    frame = frames.derived[table.name]
    if column not in frame.columns:
        raise LookupError(f"{table.name} has no column {column}")
    at = _place(frame, key)
    value = frame[column][at]
    metric = _computed(table, column)
    if metric is None:
        lineage = table.lineage
        rests_on = lineage.rests_on.get(column, ()) if lineage else ()
        if not rests_on and column not in MARKS:
            rests_on = tuple(
                f"{read.name}.{column}" for read in table.reads if any(m.name == column for m in read.metrics)
            )
        series = column if column in SERIES and not rests_on else None
        origin = lineage.origin.label if lineage and not (series or rests_on or column in MARKS) else None
        return Figure(
            table=table.name, column=column, key=key, value=value, series=series, rests_on=rests_on, origin=origin
        )
    if metric.rows is not None:
        read, again = _over_rows(frames, table, metric, key)
    else:
        read, again = _over_frame(frame, table, metric, at, value)
    return Figure(table=table.name, column=column, key=key, value=value, metric=metric, read=read, again=again)


def _computed(table: Table, column: str) -> Metric | None:
    """The metric that computes the column; None where it passes through what the frame has."""
    return next((m for m in table.metrics if m.name == column and not m.is_given), None)


def _following(table: Table, found: Figure) -> Iterator[tuple[Table, str]]:
    """Table and column of what a figure was computed from, in other words than rows of the registry."""
    metric = found.metric
    if metric is not None and metric.rows is None:
        for name in metric.inputs:
            if name not in table.key:
                yield table, name
    elif metric is None and found.series is None:
        for name in found.rests_on:
            other, _, column = name.partition(".")
            if other in TABLES and any(m.name == column for m in TABLES[other].metrics):
                yield TABLES[other], column


def _place(frame: pl.DataFrame, key: Key) -> int:
    """The number of the row of `frame` that has the key."""
    if not key and frame.height == 1:
        return 0
    matches = frame.select(
        pl.all_horizontal(pl.col(name) == value for name, value in key.items()).arg_true()
    ).to_series()
    if matches.len() != 1:
        raise LookupError(f"found {matches.len()} rows with {dict(key)}, expected one")
    return int(matches[0])


def _over_frame(frame: pl.DataFrame, table: Table, metric: Metric, at: int, value: Any) -> tuple[pl.DataFrame, Any]:
    """The fewest rows from which the formula gives the value: of its days and key, else of more, and the value."""
    names = list(dict.fromkeys([*table.key, *metric.reads]))
    rows = frame.select(names).with_row_index("_at")
    read, again = rows, None
    for chosen in _windows(rows, table, metric, at):
        found = rows.filter(chosen) if isinstance(chosen, pl.Expr) else rows
        computed = found.select("_at", metric.expr.cast(metric.dtype).alias("_again"))
        read, again = found, computed.filter(pl.col("_at") == at)["_again"].item()
        if same(value, again):
            break
    return read.drop("_at"), again


def _windows(rows: pl.DataFrame, table: Table, metric: Metric, at: int) -> Iterator[pl.Expr | None]:
    """Conditions on the rows that a formula may look at, the narrowest first; None for all."""
    if "day" not in table.key:
        yield pl.col("_at") == at
        yield None
        return
    day = rows["day"][at]
    others = [name for name in table.key if name != "day"]
    alike = pl.all_horizontal(pl.lit(True), *(pl.col(name).eq_missing(rows[name][at]) for name in others))
    until = pl.col("day") <= day
    recent = until & (pl.col("day") > day - timedelta(days=metric.history_days))
    yield recent & alike
    if others:
        yield recent
    yield until & alike
    yield None


def _over_rows(frames: Frames, table: Table, metric: Metric, key: Key) -> tuple[pl.DataFrame, Any]:
    """The rows of the registry that stand on the day, with what the metric reads, and the value that they give."""
    if table.spans is None or metric.rows is None:
        raise TypeError(f"table {table.name} has metrics over rows, expected the rows too; state `spans`")
    spans = table.spans(frames.given)[metric.rows]
    day = key["day"]
    standing = (pl.col("from_day") <= day) & (pl.col("until_day").is_null() | (pl.col("until_day") > day))
    parties = [name for name in table.key if name != "day"]
    alike = [pl.col(name) == key[name] for name in parties]
    read = spans.filter(standing, *alike)
    days = pl.DataFrame({"day": [day]}, schema={"day": pl.Date})
    if parties:
        found = aggregate_by(days, {metric.rows: read}, parties[0], [metric])
        again = found[metric.name].item() if found.height else None
    else:
        again = aggregate(days, {metric.rows: read}, [metric], {})[metric.name].item()
    about = [name for name in ("deal_id", "company", "provider", "source_url", *SPAN) if name in read.columns]
    return read.select(list(dict.fromkeys([*about, *metric.reads]))), again
