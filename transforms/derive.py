"""From a finished input frame to a published table: metrics in the order of what they read, and why a value is NULL."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Final

import polars as pl

from schemas.metric import Metric

NULLS: Final = pl.Schema(
    {
        "column_name": pl.String,
        "reason": pl.String,
        "first_day": pl.Date,
        "last_day": pl.Date,
        "row_count": pl.Int64,
    }
)

UNOBSERVED: Final = "no observation of "
"""Begins the reason of a NULL that rests on something no source states."""


def layers(metrics: Sequence[Metric]) -> Iterator[list[Metric]]:
    """Group metrics so that each group reads only columns of earlier groups or of the input frame."""
    named = {m.name: m for m in metrics}
    graph = TopologicalSorter({m.name: [i for i in m.inputs if i in named] for m in metrics})
    graph.prepare()
    while graph.is_active():
        ready = graph.get_ready()
        yield [named[name] for name in ready]
        graph.done(*ready)


def derive(frame: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """Add every metric to `frame`, which is sorted by its key and holds all their inputs.

    Shape: the rows of `frame`; its columns, then the metrics not among them. A metric of the same name as a column
    replaces it.
    """
    for layer in layers(metrics):
        frame = frame.with_columns(m.expr.cast(m.dtype).alias(m.name) for m in layer)
    return frame


def published(frame: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """Keep the published columns, in the order of the catalogue."""
    return frame.select(m.name for m in metrics)


def explain_nulls(frame: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """Say why values are NULL, as ranges of days.

    `frame` is what `derive` returned, one row a day. Shape: one row a column, reason and unbroken run of days,
    columns as in `NULLS`, sorted. The reason is the root: a NULL that follows from another NULL names the input that
    was missing first.
    """
    named = {m.name: m for m in metrics}
    reasons: dict[str, pl.Expr] = {}
    # A column without a NULL needs no reason, and is the reason of nothing.
    missing = frame.null_count().row(0, named=True)
    for layer in layers(metrics):
        for m in layer:
            if m.nullable and missing[m.name]:
                reasons[m.name] = _reason(m, named, reasons)
    if not reasons:
        return pl.DataFrame(schema=NULLS)
    for layer in layers(metrics):
        frame = frame.with_columns(reasons[m.name].alias(_reason_column(m.name)) for m in layer if m.name in reasons)
    # In the order it comes, column after column and day after day: sorting half a million reasons costs more.
    told = (
        frame.select("day", *(pl.col(_reason_column(name)).alias(name) for name in reasons))
        .unpivot(index="day", variable_name="column_name", value_name="reason")
        .drop_nulls("reason")
    )
    broken = (
        (pl.col("day").diff().dt.total_days() != 1)
        | (pl.col("reason") != pl.col("reason").shift())
        | (pl.col("column_name") != pl.col("column_name").shift())
    )
    return (
        told.with_columns(broken.fill_null(True).cum_sum().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("column_name").first(),
            pl.col("reason").first(),
            pl.col("day").first().alias("first_day"),
            pl.col("day").last().alias("last_day"),
            pl.len().cast(pl.Int64).alias("row_count"),
        )
        .select(*NULLS)
        .sort("column_name", "first_day")
    )


def _reason_column(name: str) -> str:
    return f"{name}?"


def _reason(m: Metric, named: Mapping[str, Metric], known: Mapping[str, pl.Expr]) -> pl.Expr:
    """Why `m` is NULL on a day, NULL where it is not."""
    if m.is_given:
        cause = pl.lit(f"{UNOBSERVED}{m.name}")
    else:
        missing = [
            pl.when(pl.col(name).is_null()).then(
                pl.col(_reason_column(name)) if name in known else pl.lit(f"{UNOBSERVED}{name}")
            )
            for name in m.inputs
            if name not in named or name in known
        ]
        if "is_final" in m.inputs:
            missing.insert(0, pl.when(~pl.col("is_final")).then(pl.lit("day is not final")))
        own = (
            f"too few of {m.history_days} days of {', '.join(m.inputs)}"
            if m.history_days > 1
            else f"not defined for {', '.join(m.inputs)}"
        )
        cause = pl.coalesce(*missing, pl.lit(own))
    return pl.when(pl.col(m.name).is_null()).then(cause)
