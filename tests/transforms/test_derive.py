"""Metrics in the order of what they read, and the reason of every NULL down to the input that was missing."""

from datetime import date, timedelta
from graphlib import CycleError

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.metric import Example, Metric, metric
from schemas.table import NEVER
from schemas.units import Unit
from transforms.catalog import TABLES
from transforms.derive import NULLS, derive, explain_nulls, explain_stated, layers, published
from transforms.windows import mean_over, ratio

FIRST = date(2024, 6, 1)


@metric(unit=Unit.USD, error="None.", null_rule="NULL when not observed.")
def given_usd() -> pl.Expr:
    """An observed amount."""
    return pl.col("given_usd")


@metric(
    Example(given={"given_usd": 1.0}, gives=2.0),
    unit=Unit.USD,
    error="None.",
    null_rule="NULL when its input is.",
)
def twice_usd() -> pl.Expr:
    """Twice the observed amount."""
    return 2 * pl.col("given_usd")


@metric(
    Example(given={"twice_usd": 2.0}, gives=0.5),
    unit=Unit.RATIO,
    error="None.",
    null_rule="NULL when its input is, or zero.",
)
def inverse_ratio() -> pl.Expr:
    """One over twice the amount."""
    return ratio(pl.lit(1.0), pl.col("twice_usd"))


@metric(
    Example(given={"twice_usd": [1.0, 2.0, 3.0]}, gives=2.0),
    unit=Unit.USD,
    error="None.",
    null_rule="NULL with fewer than 3 of 3 days.",
    history_days=3,
)
def mean_usd() -> pl.Expr:
    """Mean of twice the amount over three days."""
    return mean_over(pl.col("twice_usd"), 3)


@metric(
    Example(given={"twice_usd": 1.0}, gives=True),
    unit=Unit.YES_NO,
    error="None.",
    null_rule=None,
)
def stated() -> pl.Expr:
    """Whether there is an amount."""
    return pl.col("twice_usd").is_not_null()


BACKWARD = (stated, mean_usd, inverse_ratio, twice_usd, given_usd)


def amounts(*cells: float | None) -> pl.DataFrame:
    days = [FIRST + timedelta(days=n) for n in range(len(cells))]
    return pl.DataFrame({"day": days, "given_usd": cells}, schema={"day": pl.Date, "given_usd": pl.Float64})


def reasons(column: str, *cells: float | None) -> list[tuple[str, int, int, int]]:
    """Reason, first and last day after the first one, and number of rows."""
    actual = explain_nulls(derive(amounts(*cells), BACKWARD), BACKWARD).filter(column_name=column)
    return [
        (reason, (first - FIRST).days, (last - FIRST).days, rows)
        for reason, first, last, rows in actual.select("reason", "first_day", "last_day", "row_count").iter_rows()
    ]


def names(group: list[Metric]) -> set[str]:
    return {m.name for m in group}


def test_metric_comes_after_what_it_reads_whatever_the_order_of_the_list() -> None:
    assert [names(group) for group in layers(BACKWARD)] == [
        {"given_usd"},
        {"twice_usd"},
        {"inverse_ratio", "mean_usd", "stated"},
    ]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_computes_each_metric_once_and_after_its_inputs(table) -> None:
    done: set[str] = set()
    named = {m.name for m in table.metrics}
    for group in layers(table.metrics):
        assert all(set(m.inputs) & named <= done for m in group)
        assert not names(group) & done
        done |= names(group)
    assert done == named


def test_metrics_that_read_each_other_are_refused() -> None:
    @metric(
        Example(given={}, gives=1.0),
        unit=Unit.USD,
        error="",
        null_rule=None,
    )
    def hen_usd() -> pl.Expr:
        """A hen."""
        return pl.col("egg_usd")

    @metric(
        Example(given={}, gives=1.0),
        unit=Unit.USD,
        error="",
        null_rule=None,
    )
    def egg_usd() -> pl.Expr:
        """An egg."""
        return pl.col("hen_usd")

    with pytest.raises(CycleError):
        list(layers([hen_usd, egg_usd]))


def test_derived_frame_keeps_its_rows_and_casts_each_metric() -> None:
    frame = derive(amounts(3.0, None), BACKWARD)
    assert frame["twice_usd"].to_list() == [6.0, None]
    assert frame["stated"].to_list() == [True, False]
    assert {m.name: frame.schema[m.name] for m in BACKWARD} == {m.name: m.dtype for m in BACKWARD}


def test_metric_replaces_the_input_column_of_its_name() -> None:
    @metric(unit=Unit.COUNT, error="", null_rule=None)
    def block_count() -> pl.Expr:
        """Blocks."""
        return pl.col("block_count")

    frame = derive(pl.DataFrame({"day": [FIRST], "block_count": [144.0]}), [block_count])
    assert frame["block_count"].to_list() == [144]
    assert frame.schema["block_count"] == pl.Int64


def test_published_columns_stand_in_the_order_of_the_list() -> None:
    assert published(derive(amounts(1.0), BACKWARD), BACKWARD).columns == [m.name for m in BACKWARD]


def test_nothing_is_explained_where_nothing_is_null() -> None:
    assert explain_nulls(derive(amounts(1.0, 2.0), [twice_usd]), [twice_usd]).is_empty()


def test_metrics_that_are_never_null_need_no_reason() -> None:
    actual = explain_nulls(pl.DataFrame({"day": [FIRST], "stated": [True]}), [stated])
    assert actual.schema == NULLS
    assert actual.is_empty()


def test_missing_observation_is_named_by_every_column_that_follows_from_it() -> None:
    missing = [("no observation of given_usd", 1, 1, 1)]
    for column in ("given_usd", "twice_usd", "inverse_ratio"):
        assert reasons(column, 1.0, None, 3.0) == missing


def test_days_with_the_same_reason_in_a_row_are_one_range() -> None:
    assert reasons("twice_usd", None, None, 1.0, None, 1.0, None, None, None) == [
        ("no observation of given_usd", 0, 1, 2),
        ("no observation of given_usd", 3, 3, 1),
        ("no observation of given_usd", 5, 7, 3),
    ]


def test_window_that_is_too_empty_gives_its_reason_and_where_the_reason_changes_a_range_ends() -> None:
    few = "too few of 3 days of twice_usd"
    assert reasons("mean_usd", 1.0, 1.0, 1.0, None, 1.0, 1.0, 1.0) == [
        (few, 0, 1, 2),
        ("no observation of given_usd", 3, 3, 1),
        (few, 4, 5, 2),
    ]


def test_value_that_has_no_meaning_names_its_inputs() -> None:
    assert reasons("inverse_ratio", 1.0, 0.0) == [("not defined for twice_usd", 1, 1, 1)]


def test_input_that_is_no_metric_of_the_table_is_named_too() -> None:
    frame = derive(amounts(None), [twice_usd])
    assert explain_nulls(frame, [twice_usd])["reason"].to_list() == ["no observation of given_usd"]


def test_rows_of_one_day_are_counted_in_the_range_of_their_reason() -> None:
    """Days 0 and 1 have two rows each, day 3 one; a range ends where a day has no such NULL."""
    days = [FIRST + timedelta(days=n) for n in (0, 0, 1, 1, 2, 3)]
    cells = [None, 0.0, None, None, 1.0, None]
    frame = pl.DataFrame({"day": days, "given_usd": cells}, schema={"day": pl.Date, "given_usd": pl.Float64})
    metrics = [inverse_ratio, twice_usd, given_usd]
    actual = explain_nulls(derive(frame, metrics), metrics, is_daily=False)
    assert actual.filter(column_name="inverse_ratio").drop("column_name").rows() == [
        ("not defined for twice_usd", FIRST, FIRST, 1),
        ("when not observed", FIRST, FIRST + timedelta(days=1), 3),
        ("when not observed", FIRST + timedelta(days=3), FIRST + timedelta(days=3), 1),
    ]


def test_rows_without_a_day_have_one_row_a_column_and_reason() -> None:
    frame = derive(pl.DataFrame({"given_usd": [None, 1.0, None]}), [twice_usd, given_usd])
    assert explain_nulls(frame, [twice_usd, given_usd], is_daily=False).rows() == [
        ("given_usd", "when not observed", None, None, 2),
        ("twice_usd", "when not observed", None, None, 2),
    ]


def test_stated_rows_are_explained_by_the_rules_of_their_columns() -> None:
    rows = pl.DataFrame({"ticker": ["MARA", None], "company": ["MARA", "Crusoe"]})
    rules = {"ticker": "NULL for a company that is not listed.", "company": NEVER}
    assert explain_stated(rows, rules).rows() == [("ticker", "for a company that is not listed", None, None, 1)]


def test_rows_are_sorted_by_column_and_then_by_day() -> None:
    actual = explain_nulls(derive(amounts(None, 1.0, None), BACKWARD), BACKWARD)
    keys = actual.select("column_name", "first_day").rows()
    assert keys == sorted(keys)
    assert len(set(actual["column_name"])) > 2


@given(cells=st.lists(st.none() | st.sampled_from([0.0, 1.0]), min_size=1, max_size=30))
def test_every_null_has_exactly_one_reason_and_nothing_else_has(cells: list[float | None]) -> None:
    frame = derive(amounts(*cells), BACKWARD)
    actual = explain_nulls(frame, BACKWARD)
    for m in BACKWARD:
        explained = [
            first + timedelta(days=n)
            for first, last in actual.filter(column_name=m.name).select("first_day", "last_day").iter_rows()
            for n in range((last - first).days + 1)
        ]
        assert explained == frame.filter(pl.col(m.name).is_null())["day"].to_list()
    assert (actual["row_count"] == (actual["last_day"] - actual["first_day"]).dt.total_days() + 1).all()
