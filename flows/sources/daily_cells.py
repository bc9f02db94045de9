"""Turns cells of text, one row a day, into daily values; cells that cannot be believed are set aside one by one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple

import polars as pl

from schemas.errors import BadInputError
from schemas.quarantine import FailedRow, Rule, is_broken, received_cell, too_many
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
    `sets_aside`: a few bad cells are set aside; without it the first one rejects the input, where values are parts of a
    sum.
    """

    day_header: str
    columns: Sequence[Column]
    partial: Callable[[pl.DataFrame], str | None]
    only: Mapping[str, str] = field(default_factory=dict)
    remedy: str | None = None
    sets_aside: bool = True


class DailyValues(NamedTuple):
    """Values in the shape of `schemas.observations.DAILY_VALUE`, the last day, what was dropped, and what failed."""

    values: pl.DataFrame
    last_day: date
    notices: list[str]
    failed: tuple[FailedRow, ...]


def daily_values(
    origin: str, cells: pl.DataFrame, kind: DailyCells, today: date, *, cut_short: bool = False
) -> DailyValues:
    """One row a series and day of what `cells` state, sorted by both; the last day they name; what was dropped.

    `cells`, one row a day: row, its number in the file or response, then text in the columns that `kind` names;
    `cut_short`: the last row may be incomplete.

    Shape: series, day, value, as in `schemas.observations.DAILY_VALUE`. An empty cell has no row. Values are in the
    unit of the series; a BTC amount up to the supply limit becomes its exact count of satoshi. Dropped, each with a
    notice: repeated rows, an incomplete last day, a last line cut short, zeros before a series begins. A cell that is
    not a plain number, lies outside its bounds or contradicts another row fails, as do all cells of a row whose day
    cannot be. Raises `BadInputError` at the topmost one where so many fail that the input is broken.
    """
    rows, undated = _with_day(origin, cells, kind, today)
    _reject_other_values(origin, rows, kind)
    if rows.is_empty():
        raise_first(origin, undated.faults[:1], kind.remedy)
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

    sound, failing = _judged(kept, kind.columns)
    count = failing.height + undated.count
    if count and (not kind.sets_aside or is_broken(count, kept.height + undated.count)):
        # The topmost of all faults is reported, whatever its kind.
        faults = [*undated.faults[:1], *(_fault(each) for each in failing.sort("row").head(1).iter_rows(named=True))]
        remedy = min(faults, key=lambda fault: fault.row).remedy if kind.remedy is None else kind.remedy
        why = f"{too_many(count, kept.height + undated.count)}; " if kind.sets_aside else ""
        raise_first(origin, faults, f"{why}{remedy}")
    failed = [*undated.rows(kind), *(_failed(each, kind) for each in failing.iter_rows(named=True))]
    values = sound.unique(["series", "day"]).select("series", "day", "value").sort("series", "day")
    return DailyValues(values, last_day, notices, tuple(failed))


@dataclass(frozen=True, slots=True)
class _Undated:
    """Filled cells of rows whose day is none that a row may have, with what is expected of the day."""

    cells: pl.DataFrame
    expected: str

    @property
    def count(self) -> int:
        return self.cells.height

    @property
    def faults(self) -> list[Fault]:
        remedy = "correct the cell, and check the clock of this machine where the day looks right"
        return [
            Fault(row=row, column=header, value=found, expected=self.expected, remedy=remedy)
            for row, header, found in self.cells.select("row", "day_header", "day_cell").iter_rows()
        ]

    def rows(self, kind: DailyCells) -> list[FailedRow]:
        return [
            FailedRow(
                key={"series": each["series"], "day": received_cell(each["day_cell"])},
                received={
                    kind.day_header: received_cell(each["day_cell"]),
                    each["header"]: received_cell(each["cell"]),
                },
                row=None,
                rule=Rule.DAY,
                reason=f"found {shortened(each['day_cell'])!r}, expected {self.expected}",
                place=f"row {each['row']}, column {each['day_header']}",
            )
            for each in self.cells.iter_rows(named=True)
        ]


def _with_day(origin: str, rows: pl.DataFrame, kind: DailyCells, today: date) -> tuple[pl.DataFrame, _Undated]:
    """`rows` with their day as a date; and the cells of those with a day outside `FIRST_DAY` to `today`.

    Raises `BadInputError` for such a row without any cell, of which nothing could be set aside.
    """
    text = pl.col(kind.day_header)
    day = text.str.extract(_DAY).str.to_date("%Y-%m-%d", strict=False)
    dated = rows.with_columns(day.alias("day"))
    inside = pl.col("day").is_between(FIRST_DAY, today).fill_null(False)
    outside = dated.filter(~inside)
    cells = [
        outside.filter(pl.col(column.header).is_not_null()).select(
            "row", header=pl.lit(column.header), series=pl.lit(column.series), cell=pl.col(column.header), day_cell=text
        )
        for column in kind.columns
    ]
    filled = pl.concat(cells).with_columns(day_header=pl.lit(kind.day_header)).sort("row", maintain_order=True)
    expected = f"a UTC day as YYYY-MM-DD, from {FIRST_DAY} to {today}"
    bare = outside.filter(pl.all_horizontal(pl.col(column.header).is_null() for column in kind.columns))
    faults = [
        Fault(row=row, column=kind.day_header, value=found, expected=expected)
        for row, found in bare.select("row", text).head(1).iter_rows()
    ]
    raise_first(origin, faults, kind.remedy)
    return dated.filter(inside), _Undated(filled, expected)


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
        times=pl.lit(column.unit.times, pl.Int64),
        per=pl.lit(column.unit.per, pl.Int64),
        label=pl.lit(column.unit.label),
    )


def _judged(stated: pl.DataFrame, columns: Sequence[Column]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cells that can be believed; and the others, each with the `rule` that it breaks.

    Those that contradict another row of the day have of the first such row its number and cell in `row_other` and
    `cell_other`.
    """
    counts = [column.series for column in columns if SERIES[column.series].unit is Unit.COUNT]
    bounds = pl.DataFrame(
        [(name, SERIES[name].ge, SERIES[name].le, SERIES[name].above) for name in {each.series for each in columns}],
        schema={"series": pl.String, "ge": pl.Float64, "le": pl.Float64, "above": pl.Boolean},
        orient="row",
    )
    value, number = pl.col("value"), pl.col("number")
    is_readable = number.is_finite().fill_null(False) & ~(
        pl.col("series").is_in(counts) & (number != number.round(0)).fill_null(True)
    )
    inside = pl.when(pl.col("above")).then(value > pl.col("ge")).otherwise(value >= pl.col("ge"))
    inside &= (value <= pl.col("le")).fill_null(True)
    many = stated.filter(pl.len().over("series", "day") > 1)
    pairs = many.join(many.select("series", "day", "row", "cell", "value"), on=["series", "day"], suffix="_other")
    others = (
        pairs.filter(value.ne_missing(pl.col("value_other")))
        .sort("row_other")
        .unique(["series", "day", "row"], keep="first", maintain_order=True)
        .select("series", "day", "row", "row_other", "cell_other")
    )
    judged = (
        stated.join(bounds, on="series", how="left", validate="m:1", maintain_order="left")
        .join(others, on=["series", "day", "row"], how="left", maintain_order="left")
        .with_columns(
            rule=pl.when(~is_readable)
            .then(pl.lit(Rule.UNREADABLE.value))
            .when(~inside)
            .then(pl.lit(Rule.VALUE.value))
            .when(pl.col("row_other").is_not_null())
            .then(pl.lit(Rule.REPEATED.value))
        )
    )
    return judged.filter(pl.col("rule").is_null()), judged.filter(pl.col("rule").is_not_null())


def _fault(cell: dict[str, Any]) -> Fault:
    """A cell that fails, in words."""
    if cell["rule"] == Rule.REPEATED:
        expected = f"{cell['cell_other']} for {cell['day']}, as in row {cell['row_other']}"
        remedy = "keep one of the two rows"
        return Fault(row=cell["row"], column=cell["header"], value=cell["cell"], expected=expected, remedy=remedy)
    if cell["rule"] == Rule.UNREADABLE:
        is_count = SERIES[cell["series"]].unit is Unit.COUNT
        return Fault(
            row=cell["row"],
            column=cell["header"],
            value=cell["cell"],
            expected="a whole number" if is_count else "a plain finite number such as 1234.5",
            remedy="remove separators and units, empty a cell that has no value, or download the file again",
        )
    return Fault(row=cell["row"], column=cell["header"], value=cell["cell"], expected=_bounds(cell))


def _bounds(cell: dict[str, Any]) -> str:
    """The bounds of the series in the unit of the cell."""
    times, per, label = cell["times"], cell["per"], cell["label"]
    least = f"{'above' if cell['above'] else 'at least'} {cell['ge'] * per / times:.15g}"
    most = "" if cell["le"] is None else f" and at most {cell['le'] * per / times:.15g}"
    return f"{least}{most} {label}".rstrip()


def _failed(cell: dict[str, Any], kind: DailyCells) -> FailedRow:
    """The same as a row to set aside."""
    fault, rule = _fault(cell), Rule(cell["rule"])
    key = {"series": cell["series"], "day": cell["day"]}
    return FailedRow(
        key=key,
        received={kind.day_header: str(cell["day"]), cell["header"]: received_cell(cell["cell"])},
        row={**key, "value": cell["value"]} if rule.is_acceptable else None,
        rule=rule,
        reason=f"found {shortened(fault.value)!r}, expected {fault.expected}",
        place=f"row {fault.row}, column {fault.column}",
    )


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
