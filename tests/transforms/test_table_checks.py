"""Each check of the finished tables passes on sound ones and fails, alone, on one broken for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from schemas.check import QUALITY, Check, as_frame, failed, from_notices
from transforms.checks.between_sources import check_conflicts
from transforms.checks.reported import check_reported_hashrate
from transforms.inputs.resolve import CONFLICTS
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY
from transforms.tables.capitulation_daily import check_days
from transforms.tables.exchange_flow_total_daily import check_flows
from transforms.tables.pool_daily import check_pools

FIRST = date(2024, 6, 1)
DAYS = 12
FIFTH = FIRST + timedelta(days=4)

Break = Callable[[pl.DataFrame], pl.DataFrame]


def sound() -> pl.DataFrame:
    return pl.DataFrame({"day": [FIRST + timedelta(days=n) for n in range(DAYS)]}).with_columns(
        block_count=pl.lit(144),
        difficulty=pl.lit(1e14),
        halving_count=pl.lit(4),
        issuance_btc=pl.lit(450.0),
        puell_issuance_ratio=pl.lit(0.9),
        revenue_change_30d_pct=pl.lit(-3.0),
        mpi_zscore=pl.lit(0.1),
        miner_outflow_btc=pl.lit(500.0),
        miner_to_exchange_btc=pl.lit(100.0),
        hashprice_usd_per_phs_day=pl.lit(50.0),
        hashprice_realised_usd_per_phs_day=pl.lit(50.0),
        hashrate_ehs=pl.lit(600.0),
        fleet_efficiency_j_per_th=pl.lit(30.0),
        is_final=pl.lit(True),
    )


def on(day: date, column: str, value: Any) -> Break:
    """Set one cell, keeping the type of the column."""
    return lambda days: days.with_columns(
        pl.when(pl.col("day") == day).then(pl.lit(value)).otherwise(column).cast(days.schema[column]).alias(column)
    )


def whole(column: str, value: Any) -> Break:
    return lambda days: days.with_columns(pl.lit(value).cast(days.schema[column]).alias(column))


def stepped(factor: float) -> Break:
    """Difficulty changes once and stays."""
    return lambda days: days.with_columns(
        pl.when(pl.col("day") >= FIFTH).then(1e14 * factor).otherwise(1e14).alias("difficulty")
    )


BROKEN: list[tuple[str, str, list[str], Break]] = [
    ("a missing day", "error", ["calendar has no gap"], lambda days: days.filter(pl.col("day") != FIFTH)),
    (
        "a day twice",
        "error",
        ["calendar has no gap"],
        lambda days: pl.concat([days, days.filter(pl.col("day") == FIFTH)]).sort("day"),
    ),
    ("a day that is not final", "error", ["no final day after one that is not"], on(FIFTH, "is_final", False)),
    ("39 blocks", "error", ["blocks of a day", "issuance is no more than allowed"], on(FIFTH, "block_count", 39)),
    ("261 blocks", "error", ["blocks of a day"], on(FIFTH, "block_count", 261)),
    ("more than four times as hard", "error", ["difficulty moves within one retarget a day"], stepped(4.01)),
    ("less than a quarter as hard", "error", ["difficulty moves within one retarget a day"], stepped(0.249)),
    ("a step of 1 %", "error", ["fleet efficiency has no step"], on(FIFTH, "fleet_efficiency_j_per_th", 30.3)),
    ("a satoshi too much", "error", ["issuance is no more than allowed"], on(FIFTH, "issuance_btc", 450.000001)),
    ("a puell of 20", "warning", ["puell_issuance_ratio is usual"], on(FIFTH, "puell_issuance_ratio", 20.0)),
    ("a puell of 0", "warning", ["puell_issuance_ratio is usual"], on(FIFTH, "puell_issuance_ratio", 0.0)),
    ("revenue gone", "warning", ["revenue_change_30d_pct is usual"], on(FIFTH, "revenue_change_30d_pct", -95.0)),
    ("revenue times five", "warning", ["revenue_change_30d_pct is usual"], on(FIFTH, "revenue_change_30d_pct", 400.0)),
    (
        "more to exchanges than out",
        "warning",
        ["no more goes to exchanges than leaves the miners"],
        on(FIFTH, "miner_to_exchange_btc", 501.0),
    ),
    ("an index of -5", "warning", ["mpi_zscore is usual"], on(FIFTH, "mpi_zscore", -5.0)),
    ("an index of 30", "warning", ["mpi_zscore is usual"], on(FIFTH, "mpi_zscore", 30.0)),
    (
        "a hashprice 16 % too high",
        "warning",
        ["both forms of hashprice agree over a week"],
        whole("hashprice_usd_per_phs_day", 58.0),
    ),
    (
        "a hashprice 16 % too low",
        "warning",
        ["both forms of hashprice agree over a week"],
        whole("hashprice_usd_per_phs_day", 42.0),
    ),
]


def broken(checks: list[Check], severity: str) -> list[str]:
    return [check.check_name for check in checks if not check.passed and check.severity == severity]


def test_sound_days_break_nothing() -> None:
    checks = list(check_days(sound()))
    assert [check.detail for check in checks if not check.passed] == []
    assert all(check.value == 0 for check in checks)


@pytest.mark.parametrize(("severity", "names", "by"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_check_fails_on_days_broken_for_it_and_no_other_does(severity: str, names: list[str], by: Break) -> None:
    checks = list(check_days(by(sound())))
    assert broken(checks, severity) == names
    other = {"error": "warning", "warning": "error"}[severity]
    assert [name for name in broken(checks, other) if name != "blocks of a day"] == []


@pytest.mark.parametrize(("blocks", "warns"), [(99, True), (100, False), (200, False), (201, True)])
def test_unusual_number_of_blocks_is_a_warning_and_no_error(blocks: int, warns: bool) -> None:
    checks = list(check_days(on(FIFTH, "block_count", blocks)(whole("issuance_btc", 1.0)(sound()))))
    assert broken(checks, "error") == []
    assert broken(checks, "warning") == (["blocks of a day"] if warns else [])


@pytest.mark.parametrize("blocks", [40, 260])
def test_hard_limits_of_blocks_are_themselves_allowed(blocks: int) -> None:
    checks = list(check_days(on(FIFTH, "block_count", blocks)(whole("issuance_btc", 1.0)(sound()))))
    assert broken(checks, "error") == []


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_retarget_by_exactly_four_is_allowed(factor: float) -> None:
    assert broken(list(check_days(stepped(factor)(sound()))), "error") == []


def test_early_days_may_have_any_number_of_blocks() -> None:
    early = sound().with_columns(pl.col("day").dt.offset_by("-14y"), block_count=pl.lit(300))
    assert broken(list(check_days(early)), "error") == []
    assert broken(list(check_days(early)), "warning") == []


def test_halving_day_may_still_pay_the_old_subsidy() -> None:
    """Allowed is what the day began with: 30 blocks of 6.25 BTC, then 114 of 3.125 BTC."""
    halving = sound().with_columns(
        halving_count=pl.when(pl.col("day") < FIFTH).then(3).otherwise(4),
        issuance_btc=pl.when(pl.col("day") < FIFTH)
        .then(900.0)
        .when(pl.col("day") == FIFTH)
        .then(30 * 6.25 + 114 * 3.125)
        .otherwise(450.0),
    )
    assert broken(list(check_days(halving)), "error") == []
    late = on(FIFTH + timedelta(days=1), "issuance_btc", 460.0)(halving)
    assert broken(list(check_days(late)), "error") == ["issuance is no more than allowed"]


def test_unknown_values_break_nothing() -> None:
    unknown = sound().with_columns(
        pl.lit(None).cast(dtype).alias(n) for n, dtype in sound().schema.items() if n != "day"
    )
    assert [check.check_name for check in check_days(unknown) if not check.passed] == []


def test_broken_days_are_named_three_at_most() -> None:
    (gap, *_) = check_days(sound().filter(pl.col("day").dt.day() % 2 == 1))
    assert not gap.passed
    assert gap.value == 5
    assert gap.detail == "5 of 6 days broken: 2024-06-03, 2024-06-05, 2024-06-07 and 2 more"


def test_what_was_judged_is_named_with_the_day() -> None:
    (judged,) = [check for check in check_days(on(FIFTH, "issuance_btc", 451.5)(sound())) if not check.passed]
    assert judged.detail.endswith(": 2024-06-05 issuance_btc=451.5 halving_count=4 block_count=144")


def pools(*counts: int) -> pl.DataFrame:
    return pl.DataFrame({"day": [FIRST] * len(counts), "pool": list("ABCDE")[: len(counts)], "block_count": counts})


@pytest.mark.parametrize(
    ("counts", "same_source", "passed"),
    [
        ((100, 44), True, True),
        ((100, 43), True, False),
        ((100, 45), True, False),
        ((100, 43), False, True),
        ((100, 42), False, False),
    ],
)
def test_blocks_of_pools_are_those_of_the_day(counts: tuple[int, ...], same_source: bool, passed: bool) -> None:
    (check,) = check_pools(pools(*counts), sound(), same_source=same_source)
    assert check.passed is passed
    assert check.severity == ("error" if same_source else "warning")


def flows(all_btc: float) -> pl.DataFrame:
    return pl.DataFrame([(FIRST, all_btc)], schema=["day", "miner_to_exchange_btc"], orient="row")


@pytest.mark.parametrize(("all_btc", "passed"), [(100.0, True), (100.00000001, True), (100.0000001, False)])
def test_flow_to_all_exchanges_is_the_flow_of_the_day_to_the_satoshi(all_btc: float, passed: bool) -> None:
    (check,) = check_flows(flows(all_btc), sound(), same_source=True)
    assert check.passed is passed
    assert check.stops is not passed


def test_flows_of_another_source_are_not_compared() -> None:
    assert list(check_flows(flows(5.0), sound(), same_source=False)) == []


@pytest.mark.parametrize(("conflicts", "passed"), [(0, True), (5, True), (6, False)])
def test_second_source_may_differ_on_a_twentieth_of_the_days(conflicts: int, passed: bool) -> None:
    row = ("issuance_sat", "a", "b", 100, conflicts, 0.2, 3.0)
    (check,) = check_conflicts(pl.DataFrame([row], schema=CONFLICTS, orient="row"))
    assert check.passed is passed
    assert check.severity == "warning"
    assert check.check_name == "issuance_sat: b agrees with a"


@pytest.mark.parametrize(("reported", "passed"), [(600.0, True), (600.05, True), (600.07, False)])
def test_hash_rate_follows_the_reported_one_within_a_hundredth_of_a_percent(reported: float, passed: bool) -> None:
    resolved = sound().select("day", reported_hashrate_ehs=pl.lit(reported))
    check, lately = check_reported_hashrate(resolved, sound())
    assert lately.passed
    assert check.passed is passed
    assert check.severity == "warning"


def test_hash_rate_that_is_wrong_in_the_last_month_is_not_hidden_by_years() -> None:
    years = pl.DataFrame({"day": pl.date_range(FIRST, FIRST + timedelta(days=699), eager=True)})
    wrong = pl.when(pl.col("day") > FIRST + timedelta(days=679)).then(900.0).otherwise(600.0)
    reported = years.with_columns(reported_hashrate_ehs=wrong)
    ours = years.with_columns(hashrate_ehs=pl.lit(600.0), block_count=pl.lit(144), difficulty=pl.lit(8e13))
    check, lately = check_reported_hashrate(reported, ours)
    assert (check.passed, lately.passed) == (True, False)
    assert list(check_reported_hashrate(reported, ours.with_columns(difficulty=pl.lit(None)))) == []


def test_hash_rate_is_not_compared_where_nobody_reports_one() -> None:
    resolved = sound().select("day", reported_hashrate_ehs=pl.lit(None, pl.Float64))
    assert list(check_reported_hashrate(resolved, sound())) == []


def test_notices_of_sources_never_fail() -> None:
    (check,) = from_notices([("files", "a.csv", "last row dropped")])
    assert check.passed
    assert not check.stops
    assert (check.check_name, check.severity, check.detail) == ("files: a.csv", "notice", "last row dropped")


def test_only_failed_errors_stop_a_publication() -> None:
    warned = list(check_days(on(FIFTH, "mpi_zscore", 99.0)(sound())))
    assert failed(warned) == []
    stopped = check_days(on(FIFTH, "block_count", 300)(sound()))
    assert failed([replace(check, table_name=CAPITULATION_DAILY.name) for check in stopped]) == [
        "capitulation_daily: blocks of a day "
        "(1 of 12 days broken: 2024-06-05 block_count=300; expected 40 to 260 since 2013)"
    ]


def test_checks_become_one_row_each() -> None:
    checks = list(check_days(sound()))
    frame = as_frame(checks)
    assert frame.schema == QUALITY
    assert frame["check_name"].to_list() == [check.check_name for check in checks]
    assert as_frame([]).schema == QUALITY
