"""How far behind the run its data is: by supplier, series, column and table, and which days are then not final."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from schemas.check import Check
from schemas.freshness import freshness_of
from schemas.series import Group
from transforms.build import Built, build
from transforms.prepare import Inputs

Builder = Callable[..., pl.DataFrame]
FIRST = date(2024, 1, 1)
DAYS = 100
THROUGH = FIRST + timedelta(days=DAYS - 1)
NOW = datetime(2024, 4, 11, 12, tzinfo=UTC)
ALLOWED_DAYS = 2
MAIN = ("price_usd", "block_count", "issuance_sat", "fees_sat", "difficulty")


def stopped(values: pl.DataFrame, series: tuple[str, ...], days_behind: int) -> pl.DataFrame:
    """Without the last days of the series, which the supplier has not stated."""
    last = THROUGH - timedelta(days=days_behind)
    return values.filter(~pl.col("series").is_in(series) | (pl.col("day") <= last))


@pytest.fixture(scope="module")
def inputs(inputs_of: Callable[..., Inputs], values_of: Builder, market: Callable[..., dict[str, list[Any]]]) -> Inputs:
    """A hundred days of one supplier that may be two days behind; prices are also stated by another one."""
    values = values_of(FIRST, market(DAYS))
    second = values.filter(pl.col("series") == "price_usd").with_columns(pl.lit("second").alias("source"))
    return inputs_of(
        values=pl.concat([values, second]),
        precedence={group: ["simulated", "second"] for group in Group},
        through=THROUGH,
        now=NOW,
        allowed_lag_days={"simulated": ALLOWED_DAYS, "second": ALLOWED_DAYS, "registry": 10_000},
    )


def build_without(inputs: Inputs, series: tuple[str, ...], days_behind: int, source: str = "simulated") -> Built:
    of_source = pl.col("source") == source
    rest = inputs.values.filter(~of_source)
    values = pl.concat([stopped(inputs.values.filter(of_source), series, days_behind), rest])
    return build(replace(inputs, values=values))


def checks_of(built: Built) -> dict[str, Check]:
    ending = ": newest day is in time"
    return {c.check_name.removesuffix(ending): c for c in built.checks if c.check_name.endswith(ending)}


def rows(built: Built, subject: str, **values: str) -> list[dict[str, Any]]:
    return built.freshness.filter(subject=subject, **values).to_dicts()


def test_what_reaches_the_day_of_the_run_is_not_behind(inputs: Inputs) -> None:
    built = build(inputs)
    assert {name: (check.passed, check.severity) for name, check in checks_of(built).items()} == {
        "simulated": (True, "warning"),
        "second": (True, "warning"),
        "registry": (True, "warning"),
    }
    (table,) = rows(built, "table", table_name="capitulation_daily")
    assert (table["last_day"], table["days_behind"], table["is_late"]) == (THROUGH, 0, False)
    assert built.freshness.filter("is_late").to_dicts() == []
    assert built.tables["capitulation_daily"]["is_final"].all()


@pytest.mark.parametrize(("days_behind", "late"), [(ALLOWED_DAYS, False), (ALLOWED_DAYS + 1, True), (60, True)])
def test_series_that_ends_early_is_late_beyond_what_its_supplier_is_allowed(
    inputs: Inputs, days_behind: int, late: bool
) -> None:
    built = build_without(inputs, ("price_usd",), days_behind)
    last = THROUGH - timedelta(days=days_behind)
    (series,) = rows(built, "series", source="simulated", series="price_usd")
    assert (series["last_day"], series["days_behind"], series["allowed_lag_days"], series["is_late"]) == (
        last,
        days_behind,
        ALLOWED_DAYS,
        late,
    )
    check = checks_of(built)["simulated"]
    assert (check.passed, check.stops) == (not late, False)
    assert check.detail == f"price_usd up to {last}, {days_behind} days behind"
    assert checks_of(built)["second"].passed


def test_every_column_that_waits_for_the_series_names_it_and_others_go_on(inputs: Inputs) -> None:
    built = build_without(inputs, ("price_usd",), 60)
    columns = {row["column_name"]: row for row in rows(built, "column", table_name="capitulation_daily")}
    last = THROUGH - timedelta(days=60)
    for name in ("price_usd", "miner_revenue_usd", "hashprice_usd_per_phs_day", "miner_outflow_usd"):
        assert (columns[name]["last_day"], columns[name]["series"], columns[name]["is_late"]) == (
            last,
            "price_usd",
            True,
        ), name
    for name in ("block_count", "miner_outflow_btc", "hashrate_ehs"):
        assert (columns[name]["last_day"], columns[name]["is_late"]) == (THROUGH, False), name
    # A rule by a window that has just begun to fill is NULL for a reason of its own, and waits for nobody.
    assert columns["hash_ribbon_state"]["last_day"] == THROUGH


@pytest.mark.parametrize("series", [("price_usd",), ("fees_sat",), MAIN], ids=lambda names: names[0])
def test_days_without_a_main_figure_are_not_final_and_the_table_states_where_they_begin(
    inputs: Inputs, series: tuple[str, ...]
) -> None:
    built = build_without(inputs, series, 60)
    last = THROUGH - timedelta(days=60)
    for name in ("capitulation_daily", "conversion_daily", "security_daily"):
        days = built.tables[name]
        assert days["day"].max() == THROUGH
        assert days.filter(pl.col("day") <= last)["is_final"].all(), name
        assert not days.filter(pl.col("day") > last)["is_final"].any(), name
    (table,) = rows(built, "table", table_name="capitulation_daily")
    assert (table["last_day"], table["days_behind"], table["source"], table["is_late"]) == (last, 60, "simulated", True)


def test_column_of_the_registry_waits_for_the_days_of_its_table_and_not_for_the_registry(inputs: Inputs) -> None:
    series = tuple(inputs.values["series"].unique())
    columns = {row["column_name"]: row for row in rows(build_without(inputs, series, 60), "column")}
    assert columns["fleet_efficiency_j_per_th"]["source"] == "simulated"
    assert columns["deal_count"]["source"] == "registry"


def test_day_that_nobody_describes_is_neither_final_nor_not(inputs: Inputs) -> None:
    hole = FIRST + timedelta(days=40)
    built = build(replace(inputs, values=inputs.values.filter(pl.col("day") != hole)))
    final = dict(built.tables["capitulation_daily"].select("day", "is_final").iter_rows())
    assert final.pop(hole) is None
    assert all(final.values())
    assert built.freshness.filter("is_late").to_dicts() == []


def test_second_supplier_that_stopped_is_late_though_nothing_is_taken_from_it(inputs: Inputs) -> None:
    built = build_without(inputs, ("price_usd",), 30, source="second")
    assert not checks_of(built)["second"].passed
    assert checks_of(built)["simulated"].passed
    assert rows(built, "table", table_name="capitulation_daily")[0]["days_behind"] == 0


def test_only_some_days_of_long_ago_are_thousands_of_days_behind(inputs: Inputs) -> None:
    """As of a supplier that responds with the beginning of its history and calls that all."""
    early = inputs.values.filter(pl.col("series").is_in(MAIN) & (pl.col("source") == "simulated")).with_columns(
        pl.col("day").dt.offset_by("-5478d")
    )
    later = inputs.values.filter(~pl.col("series").is_in(MAIN))
    built = build(replace(inputs, values=pl.concat([early, later])))
    check = checks_of(built)["simulated"]
    assert not check.passed
    assert check.value is not None
    assert check.value > 5_000
    assert rows(built, "table", table_name="capitulation_daily")[0]["days_behind"] == check.value


def test_registry_that_nobody_keeps_up_is_a_notice_as_no_run_can_get_a_newer_one(inputs: Inputs) -> None:
    built = build(replace(inputs, allowed_lag_days={"registry": 100}))
    check = checks_of(built)["registry"]
    assert (check.severity, check.passed) == ("notice", True)
    assert "days behind" in check.detail
    assert rows(built, "source", source="registry")[0]["is_late"]
    assert freshness_of(built.freshness.iter_rows(named=True), THROUGH).late == ()


def test_supplier_of_whom_no_lag_is_known_is_listed_and_not_judged(inputs: Inputs) -> None:
    built = build(replace(inputs, allowed_lag_days={}))
    assert checks_of(built) == {}
    assert rows(built, "source", source="simulated")[0]["is_late"] is None
