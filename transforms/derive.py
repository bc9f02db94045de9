"""From rows and input frames to a published table: metrics in the order of what they read, and why a value is NULL."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
NOT_FINAL: Final = "day is not final"


def layers(metrics: Sequence[Metric]) -> Iterator[list[Metric]]:
    """Group metrics so that each group reads only columns of earlier groups or of the input frame."""
    named = {m.name: m for m in metrics}
    graph = TopologicalSorter({m.name: [i for i in m.inputs if i in named] for m in metrics})
    graph.prepare()
    while graph.is_active():
        ready = graph.get_ready()
        yield [named[name] for name in ready]
        graph.done(*ready)


def aggregate(
    days: pl.DataFrame,
    rows: Mapping[str, pl.DataFrame],
    metrics: Sequence[Metric],
    sums: Mapping[str, Mapping[str, pl.Expr]],
) -> pl.DataFrame:
    """Add to each of `days`, sorted by `day`, the metrics over `rows`, taken over those that stand on it.

    `rows` by name, each with `from_day`, the first day a row stands, and `until_day`, the first on which it no longer
    does, or NULL. `sums` are further expressions over the rows, by name of the rows and of the column they become.
    Shape: the rows of `days`; its columns, then the sums and the metrics. On a day without rows an expression is taken
    over none.
    """
    for name, spans in rows.items():
        totals = {m.name: m.expr.cast(m.dtype) for m in metrics if m.rows == name} | dict(sums.get(name, {}))
        days = _held(days, spans, [expression.alias(column) for column, expression in totals.items()])
    return days


def aggregate_by(
    days: pl.DataFrame, rows: Mapping[str, pl.DataFrame], by: str, metrics: Sequence[Metric]
) -> pl.DataFrame:
    """The metrics over `rows`, taken for each day and value of their column `by` over those that stand on the day.

    `days` and `rows` as in `aggregate`. Shape: one row a day of `days` and value of which a row of the first of `rows`
    stands, sorted by `by` and `day`: the columns of `days`, `by`, then the metrics. Without rows of the others a
    metric is NULL.
    """
    turns = _turns(days, rows.values())
    sums: pl.DataFrame | None = None
    for name, spans in rows.items():
        totals = [m.expr.cast(m.dtype).alias(m.name) for m in metrics if m.rows == name]
        found = _standing(turns, spans).group_by("turn", by, maintain_order=True).agg(totals)
        sums = (
            found
            if sums is None
            else sums.join(found, on=["turn", by], how="left", validate="1:1", maintain_order="left")
        )
    if sums is None:
        raise ValueError("rows: found no kind of rows, expected at least one")
    return (
        days.join_asof(turns, left_on="day", right_on="turn", strategy="backward", coalesce=False)
        .join(sums, on="turn", how="inner", validate="m:m", maintain_order="left")
        .drop("turn")
        .sort(by, "day")
    )


def _turns(days: pl.DataFrame, spans: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Days on which a span begins or ends, and the first of `days`, in column `turn`, sorted."""
    ends = (each[name] for each in spans for name in ("from_day", "until_day"))
    return pl.concat([days["day"].head(1), *ends]).drop_nulls().unique().sort().alias("turn").to_frame()


def _standing(turns: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Each of `turns` beside the `spans` that stand on it."""
    from_day, until_day = pl.col("from_day"), pl.col("until_day")
    standing = (from_day <= pl.col("turn")) & (until_day.is_null() | (pl.col("turn") < until_day))
    return turns.join(spans, how="cross", maintain_order="left_right").filter(standing)


def _held(days: pl.DataFrame, spans: pl.DataFrame, totals: Sequence[pl.Expr]) -> pl.DataFrame:
    """`days` with each of `totals` taken over the `spans` that stand on the day.

    Spans that name a `party` are summed by it first. The totals are taken afresh on each day a span begins or ends and
    held until the next one. Adding and subtracting amounts day by day would leave remainders of float arithmetic where
    everything has ended.
    """
    turns = _turns(days, [spans])
    rows = _standing(turns, spans)
    if "party" in spans.columns:
        rows = rows.group_by("turn", "party", maintain_order=True).agg(pl.col("amount").sum())
    steps = rows.group_by("turn", maintain_order=True).agg(totals)
    empty = turns.join(steps, on="turn", how="anti").join(rows.clear().select(totals), how="cross")
    return days.join_asof(
        pl.concat([steps, empty]).sort("turn"), left_on="day", right_on="turn", strategy="backward"
    ).drop("turn")


def derive(frame: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """Add every metric to `frame`, which is sorted by its key and holds all their inputs.

    Shape: the rows of `frame`; its columns, then the metrics not among them. A metric of the same name as a column
    replaces it; those over rows are there already, from `aggregate`.
    """
    for layer in layers(metrics):
        frame = frame.with_columns(m.expr.cast(m.dtype).alias(m.name) for m in layer if m.rows is None)
    return frame


def published(frame: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """Keep the published columns, in the order of the catalogue."""
    return frame.select(m.name for m in metrics)


def explain_nulls(frame: pl.DataFrame, metrics: Sequence[Metric], *, is_daily: bool = True) -> pl.DataFrame:
    """Explain why values are NULL, as ranges of days.

    `frame` is what `derive` returned, sorted by its key; `is_daily`: whether that is the day alone. Shape: one row a
    column, reason and unbroken run of days with such a NULL, columns as in `NULLS`, sorted; one row a column and
    reason, without days, where the rows have no day. The reason is the root: a NULL that follows from another NULL
    names the input that was missing first.
    """
    named = {m.name: m for m in metrics}
    texts = _Texts()
    reasons: dict[str, pl.Expr] = {}
    # A column without a NULL needs no reason, and is the reason of nothing.
    missing = frame.null_count().row(0, named=True)
    for layer in layers(metrics):
        for m in layer:
            if m.nullable and missing[m.name]:
                reasons[m.name] = _reason(m, named, reasons, texts, is_daily=is_daily)
    if not reasons:
        return pl.DataFrame(schema=NULLS)
    for layer in layers(metrics):
        frame = frame.with_columns(reasons[m.name].alias(_reason_column(m.name)) for m in layer if m.name in reasons)
    columns = {_reason_column(name): name for name in reasons}
    ranges = _ranges_of_days(frame, columns, len(texts)) if is_daily else _ranges_of_rows(frame, columns)
    return (
        ranges.with_columns(pl.col("reason").replace_strict(texts.by_number(), return_dtype=pl.String))
        .select(*NULLS)
        .sort("column_name", "first_day", "reason")
    )


def explain_stated(rows: pl.DataFrame, rules: Mapping[str, str]) -> pl.DataFrame:
    """Explain the NULLs of a table that is published as it was stated; `rules`: by column when it is NULL.

    Shape: one row a column with a NULL, columns as in `NULLS`, without days.
    """
    counts = rows.null_count().row(0, named=True)
    explained = [(name, _in_words(rules[name]), None, None, counts[name]) for name in counts]
    return pl.DataFrame(explained, schema=NULLS, orient="row").filter(pl.col("row_count") > 0).sort("column_name")


class _Texts(dict[str, int]):
    """Numbers of the reasons: half a million cells hold a number each, and only what is published holds its words."""

    def number(self, text: str) -> pl.Expr:
        """The number of `text`, a new one at its first use."""
        return pl.lit(self.setdefault(text, len(self)), pl.UInt32)

    def by_number(self) -> dict[int, str]:
        """Each text by its number."""
        return {number: text for text, number in self.items()}


def _ranges_of_days(frame: pl.DataFrame, columns: Mapping[str, str], count: int) -> pl.DataFrame:
    """Unbroken runs of days with the same of `count` reasons, in a `frame` with one row a day.

    `columns`: by column of reasons the name it stands for. Shape: as `NULLS`, with the numbers of the reasons.
    """
    # Where days are missing from the frame another stretch begins, and a number of another stretch is another run.
    stretch = (pl.col("day").diff().dt.total_days() != 1).fill_null(value=False).cum_sum()
    runs = (
        frame.select((stretch * count + pl.col(reason)).rle().implode().alias(name) for reason, name in columns.items())
        .unpivot(variable_name="column_name", value_name="run")
        .explode("run")
        .unnest("run")
        .select("column_name", "value", pl.col("len").cast(pl.Int64).alias("row_count"))
        .with_columns(((pl.col("row_count").cum_sum() - pl.col("row_count")) % frame.height).alias("first"))
        .drop_nulls("value")
    )
    return runs.select(
        "column_name",
        (pl.col("value") % count).alias("reason"),
        frame["day"].gather(runs["first"]).alias("first_day"),
        frame["day"].gather(runs["first"] + runs["row_count"] - 1).alias("last_day"),
        "row_count",
    )


def _ranges_of_rows(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """The same of a `frame` with several rows a day, which are counted, or of one without days."""
    day = pl.col("day") if "day" in frame.columns else pl.lit(None, pl.Date).alias("day")
    keys = ["column_name", "reason", "day"]
    explained = (
        frame.select(day, *(pl.col(reason).alias(name) for reason, name in columns.items()))
        .unpivot(index="day", variable_name="column_name", value_name="reason")
        .drop_nulls("reason")
        .group_by(keys)
        .agg(pl.len().cast(pl.Int64).alias("row_count"))
        .sort(keys)
    )
    broken = (
        (pl.col("day").diff().dt.total_days() != 1)
        | (pl.col("reason") != pl.col("reason").shift())
        | (pl.col("column_name") != pl.col("column_name").shift())
    )
    return (
        explained.with_columns(broken.fill_null(True).cum_sum().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("column_name").first(),
            pl.col("reason").first(),
            pl.col("day").first().alias("first_day"),
            pl.col("day").last().alias("last_day"),
            pl.col("row_count").sum(),
        )
    )


def _in_words(null_rule: str) -> str:
    """A NULL rule as a reason: 'NULL until a day is over.' is 'until a day is over'."""
    return re.sub(r"^NULL:? (means )?", "", null_rule).removesuffix(".")


def _reason_column(name: str) -> str:
    return f"{name}?"


def _reason(
    m: Metric, named: Mapping[str, Metric], known: Mapping[str, pl.Expr], texts: _Texts, *, is_daily: bool
) -> pl.Expr:
    """Why `m` is NULL in a row, as the number in `texts`, NULL where it is not.

    What passes through is an observed series where `is_daily`; elsewhere it is laid out for the table, and its rule
    says when it is NULL.
    """
    if m.is_given and not is_daily:
        cause = texts.number(_in_words(m.null_rule or ""))
    elif m.is_given:
        cause = texts.number(f"{UNOBSERVED}{m.name}")
    elif m.rows:
        cause = texts.number(f"no row of {m.rows} that stands on the day states it")
    else:
        missing = [
            pl.when(pl.col(name).is_null()).then(
                pl.col(_reason_column(name)) if name in known else texts.number(f"{UNOBSERVED}{name}")
            )
            for name in m.inputs
            if name not in named or name in known
        ]
        if "is_final" in m.inputs:
            missing.insert(0, pl.when(~pl.col("is_final")).then(texts.number(NOT_FINAL)))
        own = (
            f"too few of {m.history_days} days of {', '.join(m.inputs)}"
            if m.history_days > 1
            else f"not defined for {', '.join(m.inputs)}"
        )
        cause = pl.coalesce(*missing, texts.number(own))
    return pl.when(pl.col(m.name).is_null()).then(cause)
