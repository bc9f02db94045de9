"""Turns cells of text, one row a day, into daily values: a single cell that is not a plain number rejects the input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import polars as pl

from schemas.errors import BadInputError
from schemas.series import SERIES
from schemas.units import (
    GIGAHASH_PER_EXAHASH,
    SAT_PER_BTC,
    TERAHASH_PER_EXAHASH,
    Unit,
)

FIRST_DAY: Final = date(2009, 1, 1)
"""No source reaches back further; an earlier day is a zero read as a time, or a typing error."""
LONGEST_QUOTE_CHARACTERS: Final = 60
"""A bad cell is quoted up to here, so that a message stays one readable line."""

_NUMBER: Final = r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"
_DAY: Final = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00:00(?:\.0+)?(?:Z|\+00:00)?)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One invalid cell; its row is counted from 1, as a text editor counts lines."""

    row: int
    column: str
    value: object
    expected: str
    remedy: str = "download the file again or correct the cell"


def raise_first(origin: str, faults: list[Fault], remedy: str | None = None) -> None:
    """Raise `BadInputError` for the topmost fault, with `remedy` instead of its own; nothing where there is none."""
    if faults:
        first = min(faults, key=lambda fault: fault.row)
        place = f"{origin} row {first.row}, column {first.column}"
        raise BadInputError(place, shortened(first.value), first.expected, remedy or first.remedy)


def shortened(value: object) -> object:
    """`value` as it is, or its beginning where it is a long text."""
    if isinstance(value, str) and len(value) > LONGEST_QUOTE_CHARACTERS:
        return value[:LONGEST_QUOTE_CHARACTERS] + "..."
    return value


@dataclass(frozen=True, slots=True)
class CellUnit:
    """The unit of a cell, and the factor `times / per` to the unit of storage."""

    label: str
    times: int = 1
    per: int = 1


AS_STORED: Final = CellUnit("")
BTC: Final = CellUnit("BTC", times=SAT_PER_BTC)
TERAHASH_PER_SECOND: Final = CellUnit("TH/s", per=TERAHASH_PER_EXAHASH)
GIGAHASH_PER_SECOND: Final = CellUnit("GH/s", per=GIGAHASH_PER_EXAHASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a file and the series it states.

    `zero_before_start`: zeros ahead of the first value above zero mean that the series has not begun (no market yet, no
    exchange tagged yet), so they are gaps. Any later zero is a value, which the bounds of the series may reject.
    """

    header: str
    series: str
    unit: CellUnit = AS_STORED
    zero_before_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyCells:
    """How to read one kind of file or response.

    `partial` gives the reason why the last day, whose cells it gets, is not complete, or None; such a day is dropped.
    `only` names columns that may hold one value only, such as the asset.
    `remedy` is what to do about any bad cell, where that is not to correct a file.
    """

    day_header: str
    columns: Sequence[Column]
    partial: Callable[[pl.DataFrame], str | None]
    only: Mapping[str, str] = field(default_factory=dict)
    remedy: str | None = None


def daily_values(
    origin: str, cells: pl.DataFrame, kind: DailyCells, today: date, *, cut_short: bool = False
) -> tuple[pl.DataFrame, date, list[str]]:
    """One row a series and day of what `cells` state, sorted by both; the last day they name; what was dropped.

    `cells`, one row a day: row, its number in the file or response, then text in the columns that `kind` names;
    `cut_short`: the last row may be incomplete.

    Shape: series, day, value, as in `schemas.observations.DAILY_VALUE`. An empty cell has no row. Values are in the
    unit of the series; a BTC amount up to the supply limit becomes its exact count of satoshi. Dropped, each with a
    notice: repeated rows, an incomplete last day, a last line cut short, zeros before a series begins. Raises
    `BadInputError` at the topmost invalid row.
    """
    rows = _with_day(origin, cells, kind, today)
    _reject_other_values(origin, rows, kind)
    stated = pl.concat(_stated(rows, column) for column in kind.columns)
    last_day: date = rows.select(pl.col("day").max()).item()
    notices = []
    repeated = rows.height - rows["day"].n_unique()
    if repeated:
        notices.append(f"{repeated} row(s) repeated another row of the same day and were dropped")
    dropped_days = {}
    if cut_short:
        dropped_days[rows["day"][-1]] = "the file ends inside this line, so its last cell may be cut short"
    why = "the day is not over" if last_day == today else kind.partial(rows.filter(pl.col("day") == last_day))
    if why:
        dropped_days[last_day] = why
    notices += [f"day {day} dropped ({_cells_of(stated, day)}): {why}" for day, why in dropped_days.items()]
    kept = stated.filter(~pl.col("day").is_in(list(dropped_days)))
    for column in kind.columns:
        if column.zero_before_start:
            kept, notice = _from_first_above_zero(kept, column)
            notices += notice

    # All faults at once, so that the topmost is reported whatever its kind.
    raise_first(
        origin,
        _bad_numbers(stated, kind.columns) + _contradictions(stated) + _out_of_bounds(kept, kind.columns),
        kind.remedy,
    )
    values = kept.unique(["series", "day"]).select("series", "day", "value").sort("series", "day")
    return values, last_day, notices


def _with_day(origin: str, rows: pl.DataFrame, kind: DailyCells, today: date) -> pl.DataFrame:
    """`rows` with their day as a date. Raises `BadInputError` on a day outside `FIRST_DAY` to `today`."""
    day = pl.col(kind.day_header).str.extract(_DAY).str.to_date("%Y-%m-%d", strict=False)
    dated = rows.with_columns(day.alias("day"))
    outside = dated.filter(~pl.col("day").is_between(FIRST_DAY, today).fill_null(False))
    if not outside.is_empty():
        row, found = outside.select("row", kind.day_header).row(0)
        expected = f"a UTC day as YYYY-MM-DD, from {FIRST_DAY} to {today}"
        remedy = "correct the cell, and check the clock of this machine where the day looks right"
        raise_first(
            origin, [Fault(row=row, column=kind.day_header, value=found, expected=expected, remedy=remedy)], kind.remedy
        )
    return dated


def _reject_other_values(origin: str, rows: pl.DataFrame, kind: DailyCells) -> None:
    faults = []
    for header, value in kind.only.items():
        other = rows.filter(pl.col(header).ne_missing(value)).select("row", header)
        faults += [
            Fault(row=row, column=header, value=found, expected=f"{value} only", remedy="take the other rows out")
            for row, found in other.head(1).iter_rows()
        ]
    raise_first(origin, faults, kind.remedy)


def _stated(rows: pl.DataFrame, column: Column) -> pl.DataFrame:
    """One row a filled cell of `column`: row, header, series, day, cell as text, number in its unit, stored value."""
    cell = pl.col(column.header)
    number = pl.when(cell.str.contains(_NUMBER)).then(cell).cast(pl.Float64, strict=False)
    value = number * column.unit.times / column.unit.per
    series = SERIES[column.series]
    return rows.filter(cell.is_not_null()).select(
        "row",
        header=pl.lit(column.header),
        series=pl.lit(column.series),
        day="day",
        cell=cell,
        number=number,
        value=value.round(0) if series.unit is Unit.SAT else value,
    )


def _bad_numbers(stated: pl.DataFrame, columns: Sequence[Column]) -> list[Fault]:
    counts = [column.series for column in columns if SERIES[column.series].unit is Unit.COUNT]
    finite = pl.col("number").is_finite().fill_null(False)
    broken = pl.col("series").is_in(counts) & (pl.col("number") != pl.col("number").round(0))
    bad = stated.filter(~finite | broken).sort("row", maintain_order=True).head(1)
    return [
        Fault(
            row=each["row"],
            column=each["header"],
            value=each["cell"],
            expected="a whole number" if each["series"] in counts else "a plain finite number such as 1234.5",
            remedy="remove separators and units, empty a cell that has no value, or download the file again",
        )
        for each in bad.iter_rows(named=True)
    ]


def _contradictions(stated: pl.DataFrame) -> list[Fault]:
    """The first cell that states another value for a day than a row above it."""
    again = stated.filter(pl.len().over("series", "day") > 1).sort("row")
    first = again.unique(["series", "day"], keep="first", maintain_order=True)
    other = again.join(first, on=["series", "day"], how="inner", maintain_order="left", suffix="_first")
    other = other.filter(pl.col("value") != pl.col("value_first"))
    return [
        Fault(
            row=each["row"],
            column=each["header"],
            value=each["cell"],
            expected=f"{each['cell_first']} for {each['day']}, as in row {each['row_first']}",
            remedy="keep one of the two rows",
        )
        for each in other.head(1).iter_rows(named=True)
    ]


def _cells_of(stated: pl.DataFrame, day: date) -> str:
    """The cells of `day` as text, for a notice."""
    cells = stated.filter(pl.col("day") == day).unique("header", maintain_order=True).select("header", "cell")
    return ", ".join(f"{header} {cell}" for header, cell in cells.iter_rows()) or "no known cell filled"


def _from_first_above_zero(stated: pl.DataFrame, column: Column) -> tuple[pl.DataFrame, list[str]]:
    of_column = pl.col("series") == column.series
    begins = stated.filter(of_column & (pl.col("value") > 0))["day"].min()
    leading = of_column & (pl.col("value") == 0)
    if begins is not None:
        leading &= pl.col("day") < begins
    dropped = stated.filter(leading)
    if dropped.is_empty():
        return stated, []
    upto = dropped.select(pl.col("day").max()).item()
    notice = (
        f"{dropped.height} leading zero(s) of {column.header}, up to {upto}: dropped, since the series had not begun"
    )
    return stated.filter(~leading), [notice]


def _out_of_bounds(stated: pl.DataFrame, columns: Sequence[Column]) -> list[Fault]:
    faults = []
    for column in columns:
        series, unit = SERIES[column.series], column.unit
        value = pl.col("value")
        inside = (value > series.ge) if series.above else (value >= series.ge)
        if series.le is not None:
            inside &= value <= series.le
        outside = stated.filter((pl.col("series") == column.series) & ~inside).sort("row").head(1)
        least = f"{'above' if series.above else 'at least'} {series.ge * unit.per / unit.times:.15g}"
        most = "" if series.le is None else f" and at most {series.le * unit.per / unit.times:.15g}"
        faults += [
            Fault(row=row, column=column.header, value=cell, expected=f"{least}{most} {unit.label}".rstrip())
            for row, cell in outside.select("row", "cell").iter_rows()
        ]
    return faults
