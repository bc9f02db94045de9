"""Columns of `claim`: what an article states, and what the tables of the same publication hold."""

import polars as pl

from schemas.metric import metric
from schemas.units import Unit
from transforms.claims.evidence import VERDICTS

TYPED = "In our words."
JUDGED = "Tolerances are our judgement; as good as the columns that are named."
UNLESS_MEASURED = "NULL when the statement is not measurable."


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def claim() -> pl.Expr:
    """Short name of the statement."""
    return pl.col("claim")


@metric(unit=Unit.LABEL, error=TYPED, null_rule=None)
def statement() -> pl.Expr:
    """What the article of February 2026 states."""
    return pl.col("statement")


@metric(unit=Unit.FIGURE, error="As the article rounds it.", null_rule="NULL when the article gives no figure.")
def article_figure() -> pl.Expr:
    """Figure that the article gives, in `figure_unit`."""
    return pl.col("article_figure")


@metric(unit=Unit.FIGURE, error=JUDGED, null_rule=UNLESS_MEASURED)
def figure() -> pl.Expr:
    """Figure that the first of `column_names` has, in `figure_unit`."""
    return pl.col("figure")


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def figure_unit() -> pl.Expr:
    """Unit of both figures."""
    return pl.col("figure_unit")


@metric(unit=Unit.DAY, error="The article was written a day or two later.", null_rule=None)
def judged_on() -> pl.Expr:
    """Last day that the statement is about."""
    return pl.col("judged_on")


@metric(unit=Unit.LABEL, error=JUDGED, null_rule=None, labels=VERDICTS)
def verdict() -> pl.Expr:
    """Reproduced, direction only, not reproduced, or not measurable with the data of the publication."""
    return pl.col("verdict")


@metric(unit=Unit.LABEL, error=JUDGED, null_rule=None)
def finding() -> pl.Expr:
    """What the tables hold; where the statement is not measurable, why."""
    return pl.col("finding")


@metric(unit=Unit.LABEL, error=JUDGED, null_rule=UNLESS_MEASURED)
def left_out() -> pl.Expr:
    """Comparison that the article leaves out."""
    return pl.col("left_out")


@metric(unit=Unit.LABEL, error="Exact.", null_rule=None)
def column_names() -> pl.Expr:
    """Columns that were read, comma-separated, each as table.column."""
    return pl.col("column_names")


METRICS = (
    claim,
    statement,
    verdict,
    article_figure,
    figure,
    figure_unit,
    judged_on,
    finding,
    left_out,
    column_names,
)
