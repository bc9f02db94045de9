"""One published table as one object: key, columns, rules, the frame it is derived from, who its figures come from."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, partial
from typing import Any, Final, TypeAlias

import pandera.polars as pa
import polars as pl

from schemas.check import Check
from schemas.enforce import contract, row_check
from schemas.metric import Change, Metric
from schemas.series import Group
from schemas.units import Aggregation, Unit
from schemas.verbose import verbose_name

Tables: TypeAlias = Mapping[str, pl.DataFrame]
"""Frames by the name of their table."""
Frame: TypeAlias = Callable[[Any, Tables], pl.DataFrame]
"""From `transforms.prepare.Prepared` and the derived tables that are read, to the frame that the metrics are added to.

Shape of the result: one row a row of the table, sorted by its key, with every column that the metrics read.
"""
Spans: TypeAlias = Callable[[Any], Tables]
"""From `transforms.prepare.Prepared` to the rows of the registry that metrics sum up, with the days they stand on."""
Checks: TypeAlias = Callable[[Any, Tables], Iterable[Check]]
"""From `transforms.prepare.Prepared` and all finished tables to the results of the checks of one table."""


MOST_STARTERS: Final = 15
"""Columns that a reader can take in at once."""
NEVER: Final = "Never NULL."
"""The NULL rule of a column that always has a value; a NULL in it stops a publication."""


class Origin(Enum):
    """A kind of observations with one supplier at a time: its name, and the group that a profile ranks its sources in.

    The registry is no source of a profile, so it has no group.
    """

    BLOCKS = ("blocks", Group.BLOCKS)
    FLOWS = ("exchange flows", Group.MINER_FLOWS)
    TRANSFERS = ("transfers", Group.MINER_FLOWS)
    FILINGS = ("filings", Group.FILINGS)
    REGISTRY = ("registry", None)

    def __init__(self, label: str, group: Group | None) -> None:
        self.label = label
        self.group = group


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Who the figures of a table come from.

    Without `by_column` everything comes from the supplier of `origin`. With it each column comes from whoever states
    the series that its metric reads in the end; an input that is no series and no column of a table that is read rests
    on the columns that `rests_on` names for it, and else on `origin`. `raw.block.pool` is a column of the blocks.
    """

    origin: Origin
    by_column: bool = False
    rests_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What is stated about one published column, in the comment, in `meta.columns` and in the dictionary."""

    name: str
    unit: str
    description: str
    error: str
    null_rule: str
    inputs: tuple[str, ...]
    aggregation: Aggregation
    group: str
    starter_rank: int | None = None
    """Place among the columns to begin with, from 1 on; None of any other."""
    changes: tuple[Change, ...] = ()
    """Of its formula, the oldest first."""

    @property
    def definition_version(self) -> int:
        """Version of the formula: 1 until it is changed."""
        return 1 + len(self.changes)

    @property
    def verbose_name(self) -> str:
        """The name as a label of a chart: in words, with the unit."""
        return verbose_name(self.name, self.unit)

    def comment(self) -> str:
        """All of it in one paragraph."""
        return f"{self.description} [{self.unit}] {self.error} {self.null_rule}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """One published table, built from metrics or kept as a table of the registry.

    `main`: columns without which a row is of little use; the table is described until the last day that has all of
    them, those left out that nobody states on any day. `truths`: named expressions over the published columns that
    hold in every row; NULL counts as holding.
    `reads`: derived tables that `frame` needs; they are built before this one. `lineage`: who the figures come from; a
    table without it is refused when it is published. `reference`: the schema of a registry table, which has no metrics.
    `spans`: by name the rows that metrics with `rows` sum up, those of one key where the table has one beside the day.
    `is_by_year`: a long table, published in parts, one for each year of its `day`. `starter_count`: how many of its
    first columns are those to begin with, as `starting_with` puts them there; 0 of a table that is not wide.
    """

    name: str
    description: str
    key: tuple[str, ...]
    metrics: tuple[Metric, ...] = ()
    main: tuple[str, ...] = ()
    truths: Mapping[str, pl.Expr] = field(default_factory=dict)
    frame: Frame | None = None
    spans: Spans | None = None
    reads: tuple["Table", ...] = ()
    checks: Checks | None = None
    lineage: Lineage | None = None
    reference: pa.DataFrameSchema | None = None
    is_by_year: bool = False
    starter_count: int = 0

    def __post_init__(self) -> None:
        if self.starter_count > MOST_STARTERS:
            found = f"found {self.starter_count} columns to begin with, expected at most {MOST_STARTERS}"
            raise TypeError(f"table {self.name}: {found}; state fewer")

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Facts of the columns, in the order in which they are published."""
        if self.reference is not None:
            return tuple(_reference_columns(self.reference))
        return tuple(
            Column(
                name=m.name,
                unit=m.unit.label,
                description=m.description,
                error=m.error,
                null_rule=m.null_rule or NEVER,
                inputs=m.inputs,
                aggregation=m.aggregation,
                group=m.group,
                starter_rank=rank if rank <= self.starter_count else None,
                changes=m.changes,
            )
            for rank, m in enumerate(self.metrics, start=1)
        )

    @cached_property
    def schema(self) -> pa.DataFrameSchema:
        """The Pandera schema that the published table must pass.

        Limits of the columns are checked as one expression, because a check of its own for each of a hundred columns
        takes longer than computing them. The schema's metadata keeps them one by one, `limits`, for the message about
        a value that breaks one, and `holds`: all of them and all `truths`, for a look before Pandera's.
        """
        if self.reference is not None:
            return self.reference
        limits = {f"{m.name} {rule}": holds(pl.col(m.name)) for m in self.metrics for rule, holds in _limits(m)}
        everything = pl.all_horizontal(holds.fill_null(True) for holds in limits.values())
        checks = [
            row_check("every value within the limits of its column", everything),
            *(row_check(sentence, expression) for sentence, expression in self.truths.items()),
        ]
        columns = {m.name: pa.Column(m.dtype, nullable=True, description=m.description) for m in self.metrics}
        return contract(self.name, columns, checks, self.key, limits=limits)


def starting_with(starter: Sequence[Metric], metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The `metrics` of a table, those of `starter` first and in its order."""
    names = {m.name for m in starter}
    return (*starter, *(m for m in metrics if m.name not in names))


def registry_table(schema: pa.DataFrameSchema) -> Table:
    """The published table of a registry schema, whose name, description and key are those of the schema."""
    return Table(
        name=str(schema.name),
        description=" ".join(str(schema.description).split()),
        key=tuple(schema.unique or ()),
        lineage=Lineage(origin=Origin.REGISTRY),
        reference=schema,
    )


def _reference_columns(schema: pa.DataFrameSchema) -> Iterator[Column]:
    for name, column in schema.columns.items():
        yield Column(
            name=name,
            unit=str((column.metadata or {}).get("unit", Unit.LABEL.label)),
            description=str(column.description),
            error="As good as the source named in the row.",
            null_rule=_null_rule_of(column),
            inputs=(),
            aggregation=(column.metadata or {}).get("aggregation", Aggregation.NONE),
            group="registry",
        )


def _null_rule_of(column: pa.Column) -> str:
    """What a NULL of a registry column means: what its description says of it, else that nothing is stated."""
    if not column.nullable:
        return NEVER
    stated = re.search(r"\bNULL(?= (?:for|means|where)\b|:)[^;]*", str(column.description))
    return f"{stated.group()}." if stated else "NULL when the source does not say."


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
