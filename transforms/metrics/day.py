"""What a row is: its day, who it comes from, whether it may still move."""

import polars as pl

from schemas.metric import metric
from schemas.units import Unit


@metric(unit=Unit.DAY, error="Exact.", null_rule=None)
def day() -> pl.Expr:
    """UTC day from 00:00:00 to 23:59:59, by the running maximum of block header times where blocks are known."""
    return pl.col("day")


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def sources() -> pl.Expr:
    """Sources whose observations the row rests on, comma-separated; empty on a day that nobody describes."""
    return pl.col("sources")


@metric(
    unit=Unit.YES_NO,
    error="A re-organisation deeper than six blocks, or a vendor's revision, may still move a final day.",
    null_rule="NULL on a day that nobody describes.",
)
def is_final() -> pl.Expr:
    """Whether the day is over by two hours, has every main figure, and, where blocks are known, six later ones."""
    return pl.col("is_final")
