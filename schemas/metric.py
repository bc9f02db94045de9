"""What a published column is written with: Metric, Example, and the decorator that builds one from a function."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from inspect import cleandoc
from typing import TypeAlias

import polars as pl

from schemas.units import AMOUNTS, Aggregation, Unit

Scalar: TypeAlias = float | int | str | bool | date | None
Given: TypeAlias = Mapping[str, Sequence[Scalar | Sequence[float]] | Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A worked example: what the columns hold over consecutive days, and what the metric is on the last of them.

    `given` maps a column to one value a day, oldest first; a single scalar stands for the same value on every day. A
    value may be a list, for the few columns that hold one. For a metric over `rows` it holds one value a row instead.
    `within` is the absolute tolerance, needed where the source of the example printed a rounded figure.
    """

    given: Given
    gives: Scalar
    within: float = 1e-9
    source: str = "worked by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """When the formula of a column was changed, and why, in a sentence for readers of the data."""

    on: date
    reason: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One published column: its expression and everything that is stated about it.

    `rows` names the rows, of those that stand on the day, that the expression sums up; None where it reads the day.
    `group` is the topic of the column: the name of the module that it is written in. `changes`: those of its formula,
    the oldest first; the first definition is version 1.
    """

    name: str
    group: str
    rows: str | None
    unit: Unit
    expr: pl.Expr
    description: str
    error: str
    null_rule: str | None
    examples: tuple[Example, ...]
    ge: float | None
    le: float | None
    labels: tuple[str, ...] | None
    history_days: int
    aggregation: Aggregation
    changes: tuple[Change, ...] = ()
    function: Callable[[], pl.Expr] | None = None
    """What the expression is written in, so that its formula can be shown; None of a column that is taken over."""

    @property
    def dtype(self) -> pl.DataType:
        """Type of the column, which follows from its unit."""
        return self.unit.dtype()

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Columns the expression reads, so lineage is never typed by hand."""
        return tuple(dict.fromkeys(self.expr.meta.root_names()))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """What the expression reads: columns beside its own, those of `rows` with the name of the rows before them."""
        if self.rows:
            return tuple(f"{self.rows}.{name}" for name in self.reads)
        return tuple(name for name in self.reads if name != self.name)

    @property
    def is_given(self) -> bool:
        """Whether the column is an observed fact that passes through, not something derived."""
        return not self.inputs

    @property
    def nullable(self) -> bool:
        """A metric may be NULL if and only if its null rule states when."""
        return self.null_rule is not None


def metric(
    *examples: Example,
    rows: str | None = None,
    unit: Unit,
    error: str,
    null_rule: str | None,
    ge: float | None = None,
    le: float | None = None,
    labels: tuple[str, ...] | None = None,
    history_days: int = 1,
    aggregation: Aggregation = Aggregation.NONE,
    changes: Sequence[Change] = (),
) -> Callable[[Callable[[], pl.Expr]], Metric]:
    """Turn a function that returns an expression into the Metric of the same name.

    `examples` are worked examples, which a derived column needs. The docstring becomes the published description.
    `rows` names the rows that stand on a day which the expression sums up, None means that it reads the finished day.
    `null_rule` states when the value is NULL, None means never. `history_days` is how many days, the present one
    included, the expression looks at. `aggregation`: how its values may be added up. `changes`: those of the formula so
    far, the oldest first. Raises `TypeError` when a fact is missing or contradicts another: the description, the unit
    in the name, the worked example of a derived column, a sum of what is no amount or overlaps with the day before,
    changes that are not in order.
    """

    def build(function: Callable[[], pl.Expr]) -> Metric:
        name = function.__name__
        if not function.__doc__:
            raise TypeError(f"metric {name} has no docstring, so its column would have no description")
        if null_rule is not None and not null_rule.startswith("NULL "):
            raise TypeError(f"metric {name} has the NULL rule {null_rule!r}: say when it is NULL, or None for never")
        if not unit.fits(name):
            raise TypeError(f"metric {name} is in {unit.label}, so its name must end in {' or '.join(unit.endings)}")
        if aggregation is not Aggregation.NONE and unit not in AMOUNTS:
            raise TypeError(f"metric {name} is in {unit.label}, whose values have no sum: state none")
        if aggregation is Aggregation.SUM and history_days > 1:
            raise TypeError(f"metric {name} looks at {history_days} days, which overlap: state a sum of a day, or none")
        if [change.on for change in changes] != sorted({change.on for change in changes}):
            raise TypeError(f"metric {name} has changes out of order: state each once, the oldest first")
        built = Metric(
            name=name,
            group=function.__module__.rpartition(".")[2].replace("_", " "),
            rows=rows,
            unit=unit,
            expr=function(),
            description=" ".join(cleandoc(function.__doc__).split()),
            error=error.strip(),
            null_rule=null_rule,
            examples=examples,
            ge=ge,
            le=le,
            labels=labels,
            history_days=history_days,
            aggregation=aggregation,
            changes=tuple(changes),
            function=function,
        )
        if not built.is_given and not built.examples:
            raise TypeError(f"metric {name} is derived from {', '.join(built.inputs)} but has no worked example")
        return built

    return build


def taken_over(m: Metric, null_rule: str | None = None) -> Metric:
    """The column `m` of a finished table in another of one row that takes it over as it is.

    `null_rule`: when it is NULL there, of a column that is never NULL in its own table.
    """
    return replace(
        m,
        rows=None,
        expr=pl.col(m.name),
        examples=(),
        aggregation=Aggregation.NONE,
        null_rule=m.null_rule or null_rule,
        function=None,
    )
