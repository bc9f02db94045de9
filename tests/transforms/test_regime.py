"""The state: bands of the score with hysteresis against a slow machine that remembers everything."""

import statistics
from collections.abc import Sequence
from datetime import date
from itertools import chain
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.capitulation import STATES
from transforms.derive import derive
from transforms.inputs.outages import covering_event
from transforms.metrics import hashrate, regime

STORM = "Winter Storm Fern"


class Day(NamedTuple):
    """Points of both sides of a day, the event that covers it, and whether it is known."""

    economic: float = 0
    hashrate: float = 0
    event: str | None = None
    is_final: bool = True
    has_score: bool = True

    @property
    def is_known(self) -> bool:
        return self.is_final and self.has_score

    @property
    def points(self) -> float:
        return self.economic + self.hashrate


CALM = Day()
BOTH = Day(20, 45)
DEEP = Day(45, 45)
SQUEEZED = Day(45, 0)
SHUT = Day(0, 50)
UNKNOWN = Day(has_score=False)


def states(days: Sequence[Day]) -> list[str | None]:
    frame = pl.DataFrame(
        {
            "is_final": [d.is_final for d in days],
            "score_income_level": [d.economic if d.has_score else None for d in days],
            "score_income_per_hash": [0.0] * len(days),
            "score_hashrate": [d.hashrate for d in days],
            "outage_event": [d.event for d in days],
        },
        schema_overrides={
            "score_income_level": pl.Float64,
            "score_hashrate": pl.Float64,
            "outage_event": pl.String,
            "is_final": pl.Boolean,
        },
    )
    return frame.select(regime.capitulation_state.expr.alias("state"))["state"].to_list()


def states_slowly(days: Sequence[Day]) -> list[str | None]:
    """Look the whole past up again on each day: bands from the first day on, then the days since the capitulation."""
    bands: list[int] = []
    actual: list[str | None] = []
    for today, day in enumerate(days):
        before = bands[-1] if bands else 0
        if not day.is_known:
            bands.append(before)
            actual.append(None)
            continue
        up = sum(day.points >= limit for limit in (30, 60, 80))
        down = sum(day.points > limit - 10 for limit in (30, 60, 80))
        bands.append(max(up, min(before, down)))
        actual.append(_named(days[: today + 1], bands))
    return actual


def _named(days: Sequence[Day], bands: Sequence[int]) -> str:
    *_, day = days
    if bands[-1] >= 2:
        return ("capitulation", "deep_capitulation")[bands[-1] - 2]
    if bands[-1] == 1:
        if day.economic >= day.hashrate:
            return "squeeze"
        return "outage" if day.event else "hashrate_decline"
    capitulated = [n for n, d in enumerate(days) if d.is_known and bands[n] >= 2]
    if not capitulated or len(days) - 1 - capitulated[-1] > 365:
        return "normal"
    since = range(capitulated[-1] + 1, len(days) - 1)
    return "recovery" if sum(bands[n] == 0 for n in since) < 60 else "normal"


DAY = st.builds(
    Day,
    economic=st.sampled_from([0, 1, 9.9, 10, 20, 20.1, 30, 45, 50]),
    hashrate=st.sampled_from([0, 0.1, 10, 20, 29.9, 30, 40, 50]),
    event=st.sampled_from([None, STORM]),
    is_final=st.sampled_from([True] * 9 + [False]),
    has_score=st.sampled_from([True] * 9 + [False]),
)
SPELL = st.tuples(
    st.one_of(DAY, st.sampled_from([CALM, SQUEEZED, SHUT, BOTH, DEEP, UNKNOWN])),
    st.sampled_from([1, 1, 2, 3, 30, 59, 60, 61, 300]),
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
def test_event_can_name_only_a_decline_of_hash_rate(days: list[Day]) -> None:
    """So that no hindsight can hide a capitulation."""
    without = states([day._replace(event=None) for day in days])
    expected = [
        "outage" if state == "hashrate_decline" and day.event else state
        for state, day in zip(without, days, strict=True)
    ]
    assert states(days) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([(30, 0), (21, 0), (20, 0)], ["squeeze", "squeeze", "normal"]),
        ([(50, 10), (50, 1), (50, 0)], ["capitulation", "capitulation", "squeeze"]),
        ([(0, 50)], ["hashrate_decline"]),
        ([(10, 50)], ["capitulation"]),
        ([(30, 50), (21, 50), (20, 50), (10, 50)], ["deep_capitulation"] * 2 + ["capitulation"] * 2),
        ([(15, 15)], ["squeeze"]),
        ([(29.9, 0)], ["normal"]),
    ],
)
def test_bands_are_entered_at_their_limit_and_left_ten_points_lower(
    days: list[tuple[float, float]], expected: list[str]
) -> None:
    assert states([Day(*day) for day in days]) == expected


def test_decline_of_hash_rate_that_an_event_covers_is_an_outage() -> None:
    assert states([Day(0, 50, STORM)]) == ["outage"]
    assert states([Day(30, 20, STORM)]) == ["squeeze"]


def test_recovery_lasts_sixty_days_to_the_day() -> None:
    assert states([BOTH] + [CALM] * 61) == ["capitulation"] + ["recovery"] * 60 + ["normal"]


def test_squeeze_puts_the_recovery_off_and_takes_no_day_of_it() -> None:
    actual = states([BOTH] + [CALM] * 5 + [SQUEEZED] * 100 + [CALM] * 60)
    assert actual[1:6] == ["recovery"] * 5
    assert actual[106:] == ["recovery"] * 55 + ["normal"] * 5


def test_recovery_is_over_a_year_after_the_capitulation() -> None:
    actual = states([BOTH] + [SQUEEZED] * 360 + [CALM] * 10)
    assert actual[361:] == ["recovery"] * 5 + ["normal"] * 5


@pytest.mark.parametrize("unknown", [UNKNOWN, Day(is_final=False)], ids=["score", "not final"])
def test_unknown_day_has_no_state_and_keeps_the_band(unknown: Day) -> None:
    assert states([BOTH, unknown, Day(50, 1)]) == ["capitulation", None, "capitulation"]
    assert states([CALM, unknown, Day(21, 0)]) == ["normal", None, "normal"]


def test_days_of_a_recovery_are_counted_on_the_calendar() -> None:
    """A missing day makes two months of ribbon unknown, which must not stretch the recovery to four."""
    assert states([BOTH] + [CALM] * 10 + [UNKNOWN] * 49 + [CALM] * 2)[60:] == ["recovery", "normal"]
    assert states([BOTH] + [SQUEEZED] + [UNKNOWN] * 364 + [CALM])[-1] == "normal"


def test_every_state_can_be_reached() -> None:
    days = [CALM, SQUEEZED, SHUT, Day(0, 50, STORM), BOTH, DEEP, CALM]
    assert {state for day in ([d] for d in days) for state in states(day)} | set(states(days)) == set(STATES)


EVENTS = pl.DataFrame(
    {
        "event": ["inspections", "ban"],
        "start_on": [date(2021, 4, 16), date(2021, 5, 21)],
        "end_on": [date(2021, 5, 10), date(2021, 8, 31)],
        "known_at": [date(2021, 4, 17), date(2021, 6, 19)],
    }
)


def test_event_covers_its_days_and_sixty_more_once_it_is_known_and_the_latest_counts() -> None:
    days = pl.select(pl.date_range(date(2021, 4, 15), date(2021, 10, 31)).alias("day"))
    named = days.with_columns(covering_event(EVENTS))
    spans = {
        name: (rows["day"].min(), rows["day"].max())
        for (name,), rows in named.with_columns(pl.col("covering_event").rle_id().alias("run")).group_by(
            "covering_event"
        )
    }
    assert spans["inspections"] == (date(2021, 4, 17), date(2021, 6, 18))
    assert spans["ban"] == (date(2021, 6, 19), date(2021, 10, 30))
    assert named.filter(pl.col("day") == date(2021, 10, 31))["covering_event"].item() == ""


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ((12.5, 12.5, 25.0), "income_level+income_per_hash+hashrate"),
        ((12.4, 12.4, 24.9), "none"),
        ((0.0, 0.0, 50.0), "hashrate"),
    ],
)
def test_reason_names_the_parts_that_stand_at_half_of_their_points(
    points: tuple[float, float, float], reason: str
) -> None:
    parts = dict(zip(("score_income_level", "score_income_per_hash", "score_hashrate"), points, strict=True))
    frame = pl.DataFrame({"capitulation_state": ["squeeze"]} | {name: [value] for name, value in parts.items()})
    assert frame.select(regime.capitulation_state_reason.expr).item() == reason


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
