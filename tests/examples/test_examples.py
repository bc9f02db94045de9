"""Every worked example of every published column, and that the examples are about the column they stand beside."""

from collections.abc import Sequence

import polars as pl
import polars.selectors as cs
import pytest

from schemas.metric import Example, Metric
from transforms.catalog import TABLES

EXAMPLES = [
    pytest.param(m, example, id=f"{table.name}.{m.name}[{n}]")
    for table in TABLES.values()
    for m in table.metrics
    for n, example in enumerate(m.examples)
]
TYPES = {m.name: m.dtype for table in TABLES.values() for m in table.metrics}


def frame_of(example: Example) -> pl.DataFrame:
    """Lay the `given` of an example out as a frame, one row a consecutive day from 2024-06-01 on."""
    lengths = {len(v) for v in example.given.values() if isinstance(v, Sequence) and not isinstance(v, str)}
    if len(lengths) > 1:
        raise ValueError(f"columns of one example have different lengths: {sorted(lengths)}")
    days = lengths.pop() if lengths else 1
    columns = {
        name: values if isinstance(values, Sequence) and not isinstance(values, str) else [values] * days
        for name, values in example.given.items()
    }
    start = pl.date(2024, 6, 1)
    frame = pl.DataFrame(columns, strict=False)
    if "day" in frame.columns:
        return frame
    return frame.select(pl.date_range(start, start + pl.duration(days=days - 1), "1d").alias("day"), pl.all())


def days_of(example: Example) -> pl.DataFrame:
    """The days of an example; a column that is unknown on all of them still has a type, as in a real frame."""
    frame = frame_of(example)
    unknown = frame.select(cs.by_dtype(pl.Null)).columns
    return frame.with_columns(pl.col(name).cast(TYPES.get(name, pl.Float64())) for name in unknown)


@pytest.mark.parametrize(("m", "example"), EXAMPLES)
def test_metric_gives_its_worked_example(m: Metric, example: Example) -> None:
    last = days_of(example).select(m.expr.cast(m.dtype).alias(m.name))[m.name][-1]
    if isinstance(example.gives, float) and last is not None:
        assert last == pytest.approx(example.gives, rel=0, abs=example.within)
    else:
        assert last == example.gives
        assert type(last) is type(example.gives)
    assert_gives_what_is_read(m, example)
    assert_fits_the_schema(m, example)


def assert_gives_what_is_read(m: Metric, example: Example) -> None:
    """The columns that the metric reads, and no other."""
    own = set() if m.rows else {m.name}
    assert set(example.given) - {"day"} == set(m.reads) - {"day"} - own


def assert_fits_the_schema(m: Metric, example: Example) -> None:
    if example.gives is None:
        assert m.nullable
    elif m.labels is not None:
        assert example.gives in m.labels
    else:
        assert m.ge is None or example.gives >= m.ge
        assert m.le is None or example.gives <= m.le


def test_no_example_is_trivially_wide() -> None:
    """A tolerance is the rounding of a printed figure, so it is small beside the figure."""
    wide = [
        f"{m.name} {example.gives} +- {example.within}"
        for table in TABLES.values()
        for m in table.metrics
        for example in m.examples
        if isinstance(example.gives, float) and example.gives and example.within > abs(example.gives) / 50
    ]
    assert not wide


def test_every_metric_that_may_be_null_has_a_rule_that_starts_with_null() -> None:
    rules = {m.null_rule for table in TABLES.values() for m in table.metrics if m.null_rule is not None}
    assert all(rule.startswith("NULL ") and rule.endswith(".") for rule in rules)


def test_frames_of_examples_have_one_row_a_day() -> None:
    frame = frame_of(Example(given={"a": [1.0, 2.0, 3.0], "b": 5.0}, gives=1.0))
    assert frame["day"].diff().drop_nulls().dt.total_days().to_list() == [1, 1]
    assert frame["b"].to_list() == [5.0, 5.0, 5.0]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different lengths: \[2, 3\]"):
        frame_of(Example(given={"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0]}, gives=1.0))


def test_scalars_alone_are_one_day() -> None:
    assert frame_of(Example(given={"a": 1.0}, gives=1.0)).select(pl.len()).item() == 1
