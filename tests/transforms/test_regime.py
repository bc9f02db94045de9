"""The state machine against a slow one that remembers everything, and the stress conditions that feed it."""

import statistics
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import chain
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.metric import Metric
from transforms.derive import derive
from transforms.metrics import hashrate, regime, score
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY

FIRST = date(2024, 6, 1)


class Day(NamedTuple):
    """Conditions of a day."""

    hashrate: bool | None = False
    income: bool | None = False
    margin: bool | None = False
    signs: int = 0
    is_final: bool = True

    @property
    def is_known(self) -> bool:
        return self.is_final and self.hashrate is not None and (self.income, self.margin) != (None, None)

    @property
    def is_stressed(self) -> bool:
        return True in (self.income, self.margin)


CALM = Day()
SQUEEZED = Day(income=True)
SHUT = Day(hashrate=True)
BOTH = Day(hashrate=True, income=True)
DEEP = Day(hashrate=True, income=True, signs=2)
UNKNOWN = Day(hashrate=None)


def states(days: Sequence[Day]) -> list[str | None]:
    frame = pl.DataFrame(
        {
            "is_final": [d.is_final for d in days],
            "stress_hashrate": [d.hashrate for d in days],
            "stress_income": [d.income for d in days],
            "stress_margin": [d.margin for d in days],
            "deep_sign_count": [d.signs for d in days],
        },
        schema_overrides=dict.fromkeys(("stress_hashrate", "stress_income", "stress_margin"), pl.Boolean),
    )
    return frame.select(regime.capitulation_state.expr.alias("state"))["state"].to_list()


def states_slowly(days: Sequence[Day]) -> list[str | None]:
    """Look the whole past up again on each day, with no memory but the states that were given."""
    actual: list[str | None] = []
    for today, day in enumerate(days):
        actual.append(_state_slowly(days[: today + 1], actual) if day.is_known else None)
    return actual


def _state_slowly(days: Sequence[Day], actual: Sequence[str | None]) -> str | None:
    *_, day = days
    before = [state for state in actual if state is not None]
    current = before[-1] if before else None

    if day.hashrate:
        three = [d.is_known and d.hashrate and d.is_stressed for d in days[-3:]]
        if three == [True] * 3:
            target = "deep_capitulation" if day.signs >= 2 else "capitulation"
        else:
            target = current if day.is_stressed else "outage"
    else:
        target = "squeeze" if day.is_stressed else "normal"
        shut = [n for n, d in enumerate(days) if d.is_known and d.hashrate]
        open_again = [n for n, d in enumerate(days) if d.is_known and not d.hashrate]
        if shut:
            ended = min(n for n in open_again if n > shut[-1])
            spell = [n for n in shut if not any(n < m < shut[-1] for m in open_again)]
            capitulated = any(actual[n] in ("capitulation", "deep_capitulation") for n in spell)
            if capitulated and len(days) - 1 - ended < 60:
                target = "recovery"

    if current is None or target == current:
        return target
    lasted = 0
    for state in reversed(before):
        if state != current:
            break
        lasted += 1
    return target if lasted >= 3 else current


DAY = st.builds(
    Day,
    hashrate=st.sampled_from([True, True, False, False, None]),
    income=st.sampled_from([True, False, None]),
    margin=st.sampled_from([True, False, None]),
    signs=st.integers(0, 4),
    is_final=st.sampled_from([True] * 9 + [False]),
)
SPELL = st.tuples(
    st.one_of(DAY, st.sampled_from([CALM, SQUEEZED, SHUT, BOTH, DEEP, UNKNOWN])),
    st.sampled_from([1, 1, 2, 3, 4, 30, 59, 60, 61]),
)
SPELLS = st.lists(SPELL, max_size=14).map(lambda spells: list(chain.from_iterable([day] * n for day, n in spells)))


@given(days=SPELLS)
def test_states_are_those_of_a_slow_machine(days: list[Day]) -> None:
    assert states(days) == states_slowly(days)


@given(days=st.lists(DAY, max_size=60))
def test_states_of_restless_days_are_those_of_a_slow_machine(days: list[Day]) -> None:
    assert states(days) == states_slowly(days)


@given(days=SPELLS, more=SPELLS)
def test_later_days_do_not_change_earlier_states(days: list[Day], more: list[Day]) -> None:
    assert states(days + more)[: len(days)] == states(days)


@given(days=SPELLS)
def test_state_lasts_three_known_days_at_least(days: list[Day]) -> None:
    actual = [state for state in states(days) if state is not None]
    runs: list[list[str]] = []
    for state in actual:
        if runs and runs[-1][0] == state:
            runs[-1].append(state)
        else:
            runs.append([state])
    assert all(len(run) >= 3 for run in runs[:-1])


def test_capitulation_wants_the_third_day_in_a_row() -> None:
    assert states([CALM] * 3 + [BOTH] * 3) == ["normal"] * 5 + ["capitulation"]
    assert states([CALM] * 3 + [BOTH, BOTH, SHUT, BOTH, BOTH]) == ["normal"] * 5 + ["outage"] * 3


def test_unknown_day_has_no_state_and_breaks_the_streak() -> None:
    days = [CALM] * 3 + [BOTH, BOTH, UNKNOWN, BOTH, BOTH, BOTH]
    assert states(days) == ["normal"] * 5 + [None] + ["normal"] * 2 + ["capitulation"]


def test_unknown_days_do_not_end_a_capitulation() -> None:
    assert states([BOTH] * 6 + [UNKNOWN] * 70 + [BOTH]) == (
        [None] * 2 + ["capitulation"] * 4 + [None] * 70 + ["capitulation"]
    )


@pytest.mark.parametrize(
    "unknown",
    [UNKNOWN, Day(income=None, margin=None), Day(is_final=False)],
    ids=["hash rate", "income and margin", "not final"],
)
def test_day_has_no_state_without(unknown: Day) -> None:
    assert states([CALM, unknown, CALM]) == ["normal", None, "normal"]


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (Day(income=None), "normal"),
        (Day(margin=None), "normal"),
        (Day(income=None, margin=True), "squeeze"),
        (Day(income=True, margin=None), "squeeze"),
        (Day(margin=True), "squeeze"),
        (Day(hashrate=True, income=None), "outage"),
    ],
)
def test_one_unknown_condition_leaves_the_state_to_the_others(day: Day, state: str) -> None:
    assert states([day] * 3)[-1] == state


def test_recovery_lasts_sixty_days_to_the_day() -> None:
    actual = states([BOTH] * 6 + [CALM] * 61)
    assert actual[6:66] == ["recovery"] * 60
    assert actual[66] == "normal"


def test_recovery_that_waits_for_the_capitulation_to_last_is_not_longer_for_it() -> None:
    actual = states([BOTH] * 3 + [CALM] * 61)
    assert actual[2:6] == ["capitulation"] * 3 + ["recovery"]
    assert actual[62:] == ["recovery", "normal"]


def test_days_of_a_recovery_are_counted_on_the_calendar() -> None:
    """A missing day makes two months of ribbon unknown, which must not stretch the recovery to four."""
    actual = states([BOTH] * 6 + [CALM] * 10 + [UNKNOWN] * 49 + [CALM] * 2)
    assert actual[6:16] == ["recovery"] * 10
    assert actual[65:] == ["recovery", "normal"]


def test_shut_down_without_stress_is_followed_by_no_recovery() -> None:
    assert set(states([SHUT] * 10 + [CALM] * 5)[10:]) == {"normal"}


def test_capitulation_that_fades_into_an_outage_still_recovers() -> None:
    actual = states([BOTH] * 6 + [SHUT] * 5 + [CALM] * 3)
    assert actual[6:11] == ["outage"] * 5
    assert actual[11:] == ["recovery"] * 3


def test_new_shut_down_ends_the_recovery() -> None:
    actual = states([BOTH] * 6 + [CALM] * 5 + [SHUT] * 4 + [CALM] * 5)
    assert actual[11:15] == ["outage"] * 4
    assert actual[15:] == ["normal"] * 5


def test_state_gives_way_after_three_days_and_not_before() -> None:
    assert states([SQUEEZED, CALM, CALM, CALM]) == ["squeeze"] * 3 + ["normal"]


def test_capitulation_becomes_deep_with_the_second_sign() -> None:
    one_sign = Day(hashrate=True, income=True, signs=1)
    assert states([one_sign] * 6 + [DEEP])[-2:] == ["capitulation", "deep_capitulation"]


@pytest.mark.parametrize("state", ["normal", "squeeze", "outage", "capitulation", "deep_capitulation", "recovery"])
def test_every_state_can_be_reached(state: str) -> None:
    days = [CALM] * 3 + [SQUEEZED] * 3 + [SHUT] * 3 + [BOTH] * 6 + [DEEP] * 3 + [CALM] * 3
    assert state in states(days)


INPUTS = {
    "puell_issuance_ratio": 1.2,
    "revenue_change_30d_pct": 0.0,
    "cost_coverage_ratio": 1.5,
    "hash_ribbon_state": "normal",
    "hash_ribbon_spread_pct": 1.0,
    "mpi_zscore": 0.0,
    "miner_to_exchange_burst": False,
    "miner_to_exchange_recycling_suspected": False,
    "difficulty_ribbon_compression_ratio": 0.03,
    "is_final": True,
}


def actual(days: int = 14, metrics: Sequence[Metric] = regime.METRICS, **changes: object) -> dict[str, object]:
    """Last of some days that are alike; a list is laid out from the end."""
    cells = {
        name: [None] * (days - len(cell)) + list(cell) if isinstance(cell, list) else [cell] * days
        for name, cell in (INPUTS | changes).items()
    }
    types = {m.name: m.dtype for m in CAPITULATION_DAILY.metrics}
    frame = pl.DataFrame(cells, schema={name: types[name] for name in cells})
    calendar = [FIRST + timedelta(days=n) for n in range(days)]
    return derive(frame.insert_column(0, pl.Series("day", calendar)), metrics).row(-1, named=True)


def test_quiet_day_is_normal_and_fully_known() -> None:
    row = actual()
    assert row["capitulation_state"] == "normal"
    assert row["capitulation_state_reason"] == "none"
    assert row["capitulation_coverage_ratio"] == 1.0


SEED_DAY = {
    "puell_issuance_ratio": 0.69,
    "revenue_change_30d_pct": -30.0,
    "cost_coverage_ratio": 0.887,
    "hash_ribbon_spread_pct": -4.0,
    "hash_ribbon_state": "capitulation",
    "mpi_zscore": 2.5,
}


def test_worked_day_is_a_deep_capitulation_by_a_hair() -> None:
    """Ribbon, income and margin are stressed; of the four extra signs exactly selling and coverage hold."""
    row = actual(metrics=(*regime.METRICS, *score.METRICS), **SEED_DAY)
    assert row["capitulation_state"] == "deep_capitulation"
    assert row["capitulation_state_reason"] == "income+margin+hashrate+selling"
    assert row["deep_sign_count"] == 2
    assert row["rule_glassnode_risk"] is False
    assert row["capitulation_score"] == pytest.approx(74.9, abs=1e-9)


@pytest.mark.parametrize("change", [{"cost_coverage_ratio": 0.91}, {"mpi_zscore": 1.9}], ids=str)
def test_worked_day_is_not_deep_with_one_sign_less(change: dict[str, float]) -> None:
    assert actual(**(SEED_DAY | change))["capitulation_state"] == "capitulation"


def test_a_puell_of_0_69_is_above_the_other_houses_limit_whatever_the_ribbon() -> None:
    assert actual(puell_issuance_ratio=0.69, difficulty_ribbon_compression_ratio=0.0)["rule_glassnode_risk"] is False


@pytest.mark.parametrize(
    ("column", "at", "beyond", "stress"),
    [
        ("puell_issuance_ratio", 0.80, 0.8001, "stress_income"),
        ("revenue_change_30d_pct", -20.0, -19.99, "stress_income"),
        ("cost_coverage_ratio", 1.0, 1.0001, "stress_margin"),
        ("mpi_zscore", 2.0, 1.9999, "stress_selling"),
    ],
)
def test_limit_belongs_to_the_stressed_side(column: str, at: float, beyond: float, stress: str) -> None:
    assert actual(**{column: at})[stress] is True
    assert actual(**{column: beyond})[stress] is False


@pytest.mark.parametrize(
    ("column", "at", "beyond"), [("cost_coverage_ratio", 0.9, 0.9001), ("puell_issuance_ratio", 0.6, 0.6001)]
)
def test_limit_of_a_deep_sign_belongs_to_the_deep_side(column: str, at: float, beyond: float) -> None:
    wide = {"difficulty_ribbon_compression_ratio": 0.2}
    assert actual(**{column: at}, **wide)["deep_sign_count"] == 1
    assert actual(**{column: beyond}, **wide)["deep_sign_count"] == 0


def test_income_stress_looks_at_the_week_and_not_at_the_day() -> None:
    assert actual(puell_issuance_ratio=[0.9] * 6 + [0.1])["stress_income"] is True  # the week's mean is 0.786
    assert actual(puell_issuance_ratio=[0.9] * 6 + [0.3])["stress_income"] is False


@pytest.mark.parametrize(
    ("bursts", "stressed"),
    [
        ([True] + [False] * 12 + [True], True),
        ([False] * 13 + [True], False),
        ([True] * 2 + [False] * 12, False),
        ([True] + [False] * 2 + [True] + [False] * 10, False),
        ([True] + [False] * 3 + [True] + [False] * 9, True),
        ([None] + [True] + [False] * 11 + [True], True),
        ([None] * 2 + [True] + [False] * 10 + [True], None),
        ([False] * 14, False),
    ],
)
def test_two_burst_events_in_fourteen_days_are_selling_stress(bursts: list[bool | None], stressed: bool | None) -> None:
    assert actual(miner_to_exchange_burst=bursts)["stress_selling"] is stressed


def test_recycled_coins_are_no_selling_stress_but_the_index_still_is() -> None:
    recycled = {"miner_to_exchange_burst": True, "miner_to_exchange_recycling_suspected": True}
    assert actual(**recycled)["stress_selling"] is False
    assert actual(**recycled, mpi_zscore=2.0)["stress_selling"] is True


def test_difficulty_ribbon_has_the_eight_lines_of_its_author() -> None:
    days = [100.0 + 17 * n % 23 + n / 3 for n in range(220)]
    lines = [statistics.fmean(days[-length:]) for length in (9, 14, 25, 40, 60, 90, 128, 200)]
    frame = derive(pl.DataFrame({"difficulty": days}), [hashrate.difficulty_ribbon_compression_ratio])
    width = statistics.pstdev(lines) / statistics.fmean(lines)
    assert frame["difficulty_ribbon_compression_ratio"][-1] == pytest.approx(width, rel=1e-12)
    assert frame["difficulty_ribbon_compression_ratio"].null_count() == 199


RIBBON = [hashrate.hash_ribbon_state]


def ribbon(spreads: Sequence[float | None]) -> list[str | None]:
    frame = pl.DataFrame({"hash_ribbon_spread_pct": spreads}, schema={"hash_ribbon_spread_pct": pl.Float64})
    return derive(frame, RIBBON)["hash_ribbon_state"].to_list()


@given(spreads=st.lists(st.none() | st.sampled_from([-2.0, -1.0, -0.99, -0.01, 0.0, 1.0]), max_size=60))
def test_ribbon_turns_on_the_third_day_beyond_its_dead_band(spreads: list[float | None]) -> None:
    expected: list[str | None] = []
    state = "normal"
    for today, spread in enumerate(spreads):
        three = [s for s in spreads[max(0, today - 2) : today + 1] if s is not None]
        if len(three) == 3 and all(s <= -1 for s in three):
            state = "capitulation"
        if len(three) == 3 and all(s >= 0 for s in three):
            state = "normal"
        expected.append(None if spread is None else state)
    assert ribbon(spreads) == expected
