"""What an article states, judged by what the tables hold: figure, comparison that the article leaves out, verdict."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from schemas.suppliers import REGISTRY
from schemas.table import Tables

REPRODUCED: Final = "reproduced"
DIRECTION_ONLY: Final = "direction only"
NOT_REPRODUCED: Final = "not reproduced"
NOT_MEASURABLE: Final = "not measurable"
VERDICTS: Final = (REPRODUCED, DIRECTION_ONLY, NOT_REPRODUCED, NOT_MEASURABLE)

DAY: Final = date(2026, 2, 5)
"""The last whole day before the article."""
YEAR: Final = timedelta(days=365)

JUDGED: Final = pl.Schema(
    {
        "claim": pl.String,
        "statement": pl.String,
        "article_figure": pl.Float64,
        "figure": pl.Float64,
        "figure_unit": pl.String,
        "judged_on": pl.Date,
        "verdict": pl.String,
        "finding": pl.String,
        "left_out": pl.String,
        "column_names": pl.String,
        "sources": pl.String,
    }
)


class NotMeasurableError(Exception):
    """The tables do not hold what a statement is about; the message says why, as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the tables hold: the figure that the article's is set against, the verdict, and two texts for people."""

    figure: float
    verdict: str
    finding: str
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of the article.

    `columns`: every column that `judge` may read, as table.column, that of the figure first. `article_figure`: the
    figure that the article gives, in the unit of that column. `day`: the last day that the statement is about.
    """

    name: str
    statement: str
    day: date
    columns: tuple[str, ...]
    judge: Callable[["Evidence"], Finding]
    article_figure: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The columns of a claim, read by day."""

    tables: Tables
    columns: tuple[str, ...]

    def on(self, name: str, day: date) -> Any:
        """The value of the column on the day. Raises `NotMeasurableError` where there is none."""
        return self.over(name, day, day)[0]

    def of(self, name: str, key: str, value: str) -> Any:
        """The value of the column in the one row whose `key` is `value`. Raises `NotMeasurableError` without one."""
        table, column = self._column(name)
        found = self.tables[table].filter(pl.col(key) == value)[column].drop_nulls()
        if found.is_empty():
            raise NotMeasurableError(f"{column} is unknown for the {key} {value}.")
        return found[0]

    def over(self, name: str, first: date, last: date) -> pl.Series:
        """The values of the column on each day from `first` to `last`. Raises `NotMeasurableError` at a gap."""
        values = self.days(name, first, last)
        known = values.drop_nulls("value")
        if known.height == (last - first).days + 1:
            return values["value"]
        missing = "is unknown" if values.height else "is not in the data"
        span = f"{first}" if first == last else f"{first} to {last}"
        raise NotMeasurableError(f"{self._column(name)[1]} {missing} on {span}: {self._reach(name)}.")

    def total(self, name: str, first: date, last: date) -> float:
        """The sum of the column over the days from `first` to `last`. Raises as `over`."""
        return float(sum(self.over(name, first, last).to_list()))

    def mean(self, name: str, first: date, last: date) -> float:
        """The mean of the column over the days from `first` to `last`. Raises as `over`."""
        return self.total(name, first, last) / ((last - first).days + 1)

    def days(self, name: str, first: date = date.min, last: date = date.max) -> pl.DataFrame:
        """(`day`, `value`) of the column from `first` to `last`, sorted, NULL included."""
        table, column = self._column(name)
        rows = self.tables[table].select("day", pl.col(column).alias("value"))
        return rows.filter(pl.col("day").is_between(first, last))

    def _column(self, name: str) -> tuple[str, str]:
        """Table and column of the one declared column with that `name`."""
        (found,) = (each for each in self.columns if each.rsplit(".", 1)[1] == name)
        table, column = found.split(".")
        return table, column

    def _reach(self, name: str) -> str:
        known = self.days(name).drop_nulls("value")["day"].to_list()
        return f"it goes from {known[0]} to {known[-1]}" if known else "no source of the profile states it"


def graded(reproduced: bool, direction: bool) -> str:
    """The verdict: whether the statement is reproduced, or at least its direction."""
    return REPRODUCED if reproduced else DIRECTION_ONLY if direction else NOT_REPRODUCED


def judged(
    claims: Iterable[Claim],
    tables: Tables,
    units: Mapping[str, str],
    sources: Mapping[str, str],
    *,
    is_main_network: bool,
) -> pl.DataFrame:
    """Judge every claim. Shape: one row a claim, in their order, columns as in `JUDGED`.

    `units` and `sources`: unit and comma-separated suppliers of each table.column. Days of an invented or a test chain
    say nothing about the real one: of them nothing is measurable but what only the registry states.
    """
    rows = []
    for each in claims:
        suppliers = sorted({name for column in each.columns for name in sources[column].split(",") if name})
        try:
            if not is_main_network and suppliers != [REGISTRY.name]:
                raise NotMeasurableError("The profile is of an invented or a test chain, not of the real one.")
            found: Finding | None = each.judge(Evidence(tables, each.columns))
            reason = ""
        except NotMeasurableError as error:
            found, reason = None, str(error)
        rows.append(
            {
                "claim": each.name,
                "statement": each.statement,
                "article_figure": each.article_figure,
                "figure": found.figure if found else None,
                "figure_unit": units[each.columns[0]],
                "judged_on": each.day,
                "verdict": found.verdict if found else NOT_MEASURABLE,
                "finding": found.finding if found else reason,
                "left_out": found.left_out if found else None,
                "column_names": ", ".join(each.columns),
                "sources": ",".join(suppliers),
            }
        )
    return pl.DataFrame(rows, schema=JUDGED)
