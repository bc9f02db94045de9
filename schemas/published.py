"""What goes out: published schemas and column facts, built from metrics or reference schemas, never listed twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandera.polars as pa
import polars as pl

from schemas.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What is said about one published column, in the comment, in `meta.columns` and in the dictionary."""

    name: str
    unit: str
    description: str
    error: str
    null_rule: str | None
    inputs: tuple[str, ...]

    def comment(self) -> str:
        """All of it in one paragraph."""
        null = f" {self.null_rule}" if self.null_rule else " Never NULL."
        return f"{self.description} [{self.unit}] {self.error}{null}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What is said about one published table. `source` names its supplier where it is one for the whole table."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    source: str | None = None


def schema_of(
    name: str, key: Sequence[str], metrics: Sequence[Metric], truths: Mapping[str, pl.Expr]
) -> pa.DataFrameSchema:
    """Build the Pandera schema that the published table of these metrics must pass.

    `truths`: named expressions that must be true, or NULL, in every row. Limits of the columns are checked the same way
    and all at once, because a check of its own for each of a hundred columns takes longer than computing them; the
    schema's metadata keeps them one by one, for the message about a value that breaks one.
    """
    limits = {f"{m.name} {says}": holds(pl.col(m.name)) for m in metrics for says, holds in _limits(m)}
    everything = pl.all_horizontal(holds.fill_null(True) for holds in limits.values())
    return pa.DataFrameSchema(
        {m.name: pa.Column(m.dtype, nullable=True, description=m.description) for m in metrics},
        checks=[
            _truth("every value within the limits of its column", everything),
            *(_truth(sentence, expression) for sentence, expression in truths.items()),
        ],
        strict=True,
        ordered=True,
        unique=list(key),
        name=name,
        metadata={"limits": limits},
    )


def _limits(m: Metric) -> Iterator[tuple[str, Callable[[pl.Expr], pl.Expr]]]:
    """What the values of a metric must be, in words and as an expression of the column."""
    if not m.nullable:
        yield "is known", pl.Expr.is_not_null
    if m.dtype.is_float():
        yield "is finite", pl.Expr.is_finite
    if m.ge is not None:
        yield f"is at least {m.ge}", partial(pl.Expr.ge, other=m.ge)
    if m.le is not None:
        yield f"is at most {m.le}", partial(pl.Expr.le, other=m.le)
    if m.labels is not None:
        yield f"is one of {', '.join(m.labels)}", partial(pl.Expr.is_in, other=list(m.labels))


def _truth(sentence: str, expression: pl.Expr) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(expression.fill_null(True)), name=sentence)


def columns_of(metrics: Sequence[Metric]) -> tuple[Column, ...]:
    """Facts of the columns that metrics make."""
    return tuple(
        Column(
            name=m.name,
            unit=m.unit.label,
            description=m.description,
            error=m.error,
            null_rule=m.null_rule,
            inputs=m.inputs,
        )
        for m in metrics
    )


def reference_columns(schema: pa.DataFrameSchema) -> tuple[Column, ...]:
    """Facts of the columns of a hand-written reference schema, whose `metadata` holds the unit."""
    return tuple(
        Column(
            name=name,
            unit=str((column.metadata or {}).get("unit", "label")),
            description=str(column.description),
            error="As good as the source named in the row.",
            null_rule="NULL when the source does not say." if column.nullable else None,
            inputs=(),
        )
        for name, column in schema.columns.items()
    )
