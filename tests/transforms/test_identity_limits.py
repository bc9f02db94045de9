"""How far figures of one identity may lie apart: just inside of a limit passes, just outside does not."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import polars as pl
import pytest

from transforms.checks import identities
from transforms.checks.identities import check_fees, check_identities

FIRST: Final = date(2020, 1, 1)
DAYS: Final = 500
CHANGED: Final = DAYS - 100
"""The day from the beginning on which one figure is another."""
SAT: Final = 10**8
SOUND: Final[Mapping[str, float]] = {
    "issuance_sat": 900 * SAT,
    "fees_sat": 100 * SAT,
    "reward_sat": 1_000 * SAT,
    "miner_to_exchange_sat": 600 * SAT,
    "miner_to_exchange_count": 300,
    "miner_to_exchange_mean_sat": 2 * SAT,
    "miner_outflow_sat": 1_000 * SAT,
    "miner_outflow_top10_sat": 1_000 * SAT,
    "miner_inflow_sat": 1_000 * SAT,
    "miner_netflow_sat": 0,
    "exchange_outflow_sat": 5_000 * SAT,
    "exchange_inflow_sat": 5_000 * SAT,
}


def days(changes: Mapping[str, float], *, until_end: bool = False) -> pl.DataFrame:
    """Every day alike, but for `changes` on one day, or from that day on; supply and reserves follow from the flows."""
    frame = pl.DataFrame({"day": [FIRST + timedelta(days=n) for n in range(DAYS)]}).with_row_index("n")
    here = pl.col("n") >= CHANGED if until_end else pl.col("n") == CHANGED
    values = {name: pl.lit(float(value)) for name, value in SOUND.items()}
    for name, value in changes.items():
        if name in values:
            values[name] = pl.when(here).then(pl.lit(float(value))).otherwise(values[name])
    growth = pl.when(here).then(changes.get("supply_growth_sat", 900 * SAT)).otherwise(900 * SAT)
    error = pl.when(here).then(changes.get("reserve_error_sat", 0)).otherwise(0)
    return (
        frame.with_columns(expression.alias(name) for name, expression in values.items())
        .with_columns((19_000_000 * SAT + growth.cum_sum()).cast(pl.Float64).alias("supply_sat"))
        .with_columns(
            (1_000_000 * SAT + (pl.col(f"{who}_inflow_sat") - pl.col(f"{who}_outflow_sat") + error).cum_sum()).alias(
                f"{who}_reserve_sat"
            )
            for who in ("miner", "exchange")
        )
        .drop("n")
    )


def broken(frame: pl.DataFrame) -> set[str]:
    checks = list(check_identities(frame, dict.fromkeys(frame.columns[1:], "one vendor")))
    assert len({check.name for check in checks}) == len(checks) == 13
    return {check.check_name for check in checks if not check.passed}


def test_figures_that_agree_break_no_identity() -> None:
    assert broken(days({})) == set()


MEAN = identities.MEAN.of("miner_to_exchange")
LARGEST = identities.LARGEST.of("miner_outflow_sat")
NETFLOW = identities.NETFLOW.of("miners")
LIMITS: Final = [
    ("supply_growth_sat", 900 * SAT * 1.19, 900 * SAT * 1.21, identities.SUPPLY_IS_ISSUANCE.name),
    ("supply_growth_sat", 900 * SAT * 0.81, 900 * SAT * 0.79, identities.SUPPLY_IS_ISSUANCE.name),
    ("miner_to_exchange_mean_sat", 2 * SAT * 1.0009, 2 * SAT * 1.0011, MEAN),
    ("miner_to_exchange_mean_sat", 2 * SAT * 0.9991, 2 * SAT * 0.9989, MEAN),
    ("miner_outflow_top10_sat", 1_000 * SAT + 90_000, 1_000 * SAT + 110_000, LARGEST),
    ("miner_netflow_sat", 19.9 * SAT, 20.1 * SAT, NETFLOW),
    ("miner_netflow_sat", -19.9 * SAT, -20.1 * SAT, NETFLOW),
    ("reserve_error_sat", 0.9 * SAT, 1.1 * SAT, identities.RESERVE.of("exchanges")),
    ("reserve_error_sat", 0.9 * SAT, 1.1 * SAT, identities.MINER_RESERVE.of("miners")),
]


@pytest.mark.parametrize(("name", "inside", "outside", "check"), LIMITS)
def test_one_day_just_outside_of_a_limit_is_found(name: str, inside: float, outside: float, check: str) -> None:
    assert check not in broken(days({name: inside}))
    assert check in broken(days({name: outside}))


@pytest.mark.parametrize(
    ("outflow_over_inflow", "severities"),
    [(5.1, 2), (4.9, 1), (2.6, 1), (2.4, 0), (0.51, 0), (0.49, 1), (0.21, 1), (0.19, 2)],
)
def test_flows_out_of_balance_warn_first_and_stop_later(outflow_over_inflow: float, severities: int) -> None:
    outflow_sat = 1_000 * SAT * outflow_over_inflow
    found = broken(
        days({"miner_outflow_sat": outflow_sat, "miner_netflow_sat": 1_000 * SAT - outflow_sat}, until_end=True)
    )
    names = [identities.RECENT_BALANCE.of("miners"), identities.BALANCE.of("miners")]
    assert found & set(names) == set(names[:severities])


@pytest.mark.parametrize(("fees_over_stated", "is_found"), [(1.49, False), (1.51, True), (0.671, False), (0.66, True)])
def test_fees_may_be_half_as_much_again_over_a_week(fees_over_stated: float, is_found: bool) -> None:
    frame = days({"reward_sat": 900 * SAT + 100 * SAT * fees_over_stated}, until_end=True)
    assert (identities.FEES.name in broken(frame)) == is_found
    theirs = frame.select(
        pl.lit("other").alias("source"),
        pl.lit("fees_sat").alias("series"),
        "day",
        (pl.col("reward_sat") - pl.col("issuance_sat")).alias("value"),
    )
    (check,) = check_fees(theirs, ["other"], frame)
    assert check.passed != is_found


@pytest.mark.parametrize(("stated_sat", "passed"), [(0.0, True), (1.0, False)])
def test_weeks_without_a_fee_agree_where_the_source_states_none_either(stated_sat: float, passed: bool) -> None:
    frame = days({}).with_columns(pl.lit(0.0).alias("fees_sat"))
    theirs = frame.select(
        pl.lit("other").alias("source"), pl.lit("fees_sat").alias("series"), "day", pl.lit(stated_sat).alias("value")
    )
    (check,) = check_fees(theirs, ["other"], frame)
    assert check.passed == passed


def test_one_day_of_other_fees_is_weighed_with_its_week() -> None:
    for times, is_found in ((4.4, False), (4.6, True)):
        frame = days({"reward_sat": 900 * SAT + 100 * SAT * times})
        assert (identities.FEES.name in broken(frame)) == is_found


def test_a_reserve_that_hardly_ever_follows_its_flows_is_of_other_wallets_and_not_judged() -> None:
    frame, check = days({}), identities.RESERVE.of("exchanges")
    assert check in broken(days({"reserve_error_sat": 10 * SAT}))
    drift = pl.when(pl.int_range(pl.len()) % 8 == 0).then(10 * SAT).otherwise(0).cum_sum()
    apart = frame.with_columns(pl.col("exchange_reserve_sat") + drift)
    checks = check_identities(apart, dict.fromkeys(frame.columns[1:], "one vendor"))
    assert check not in {each.check_name for each in checks}
