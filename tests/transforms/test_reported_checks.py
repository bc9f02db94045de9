"""Our figures are held against those of vendors: the distance is shown, and a claim is made only where it is fair."""

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
import pytest

from schemas.check import Check
from schemas.series import SERIES
from transforms.checks.reported import REPORTED, check_reported
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY

DAYS = [date(2024, 6, 1) + timedelta(days=n) for n in range(5)]
CHOSEN = {
    "reported_mpi_zscore": "cryptoquant",
    "miner_outflow_sat": "cryptoquant",
    "reported_puell_ratio": "glassnode",
    "issuance_sat": "coinmetrics",
}


def checked(mpi: list[float | None], puell: list[float | None], chosen: Mapping[str, str] = CHOSEN) -> dict[str, Check]:
    """Ours are 0.5 standard deviations and a multiple of 0.8, every day."""
    resolved = pl.DataFrame(
        {"day": DAYS, "reported_mpi_zscore": mpi, "reported_puell_ratio": puell},
        schema_overrides=dict.fromkeys(["reported_mpi_zscore", "reported_puell_ratio"], pl.Float64),
    )
    ours = pl.DataFrame({"day": DAYS}).with_columns(
        mpi_zscore=pl.lit(0.5), puell_issuance_ratio=pl.lit(0.8), puell_revenue_ratio=pl.lit(0.9)
    )
    return {check.check_name: check for check in check_reported(resolved, ours, chosen)}


@pytest.mark.parametrize(("theirs", "passed"), [(0.5, True), (0.549, True), (0.451, True), (0.56, False)])
def test_index_may_be_a_twentieth_of_a_deviation_off(theirs: float, passed: bool) -> None:
    (check,) = checked([theirs] * 5, [None] * 5).values()
    assert check.check_name == "Miners' Position Index agrees with that of cryptoquant"
    assert check.passed is passed
    assert check.severity == "warning"
    assert check.value == pytest.approx(abs(0.5 - theirs))


@pytest.mark.parametrize(("theirs", "passed"), [(0.8, True), (0.815, True), (0.82, False), (0.78, False)])
def test_multiple_may_be_two_percent_off(theirs: float, passed: bool) -> None:
    (check,) = checked([None] * 5, [theirs] * 5).values()
    assert check.check_name == "Puell Multiple agrees with that of glassnode"
    assert check.passed is passed
    assert check.value == pytest.approx(abs(0.8 / theirs - 1) * 100)


@pytest.mark.parametrize("supplier", ["cryptoquant", "cryptoquant_export"])
def test_multiple_of_cryptoquant_is_compared_with_the_one_of_revenue(supplier: str) -> None:
    (check,) = checked([None] * 5, [0.9] * 5, CHOSEN | {"reported_puell_ratio": supplier}).values()
    assert (check.passed, check.value) == (True, pytest.approx(0))


def test_one_odd_day_is_shown_and_does_not_fail() -> None:
    (check,) = checked([0.5, 0.5, 0.5, 0.5, 3.0], [None] * 5).values()
    assert check.passed
    assert check.detail == "median difference 0.0000, one day in twenty beyond 2.5000, over 5 days"


def test_index_made_of_another_suppliers_flows_is_shown_without_a_claim() -> None:
    (check,) = checked([9.0] * 5, [None] * 5, CHOSEN | {"miner_outflow_sat": "node"}).values()
    assert (check.passed, check.severity, check.value) == (True, "notice", 8.5)
    assert check.detail.endswith("ours is made of another supplier's miner_outflow_sat")


def test_nothing_is_checked_where_nobody_reports() -> None:
    assert checked([None] * 5, [None] * 5) == {}


def test_multiple_of_zero_is_no_yardstick() -> None:
    (check,) = checked([None] * 5, [0.0, 0.8, 0.8, 0.8, None]).values()
    assert check.passed
    assert check.detail.endswith("over 3 days")


def test_every_figure_is_a_column_and_a_series_of_one_unit() -> None:
    units = {m.name: m.unit for m in CAPITULATION_DAILY.metrics}
    for each in REPORTED:
        assert units[each.column] is SERIES[each.series].unit


def test_only_the_index_which_may_be_negative_is_compared_as_it_is() -> None:
    """A share of what is near zero, or below it, says nothing; of every other figure it does."""
    assert {each.series for each in REPORTED if not each.relative} == {"reported_mpi_zscore"}
