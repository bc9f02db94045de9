"""Rules judged by episodes, against a slow look at every day."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from transforms.rules import compared, judged_days

FIRST = date(2020, 1, 1)
DAYS = 420


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


CORES = {"P1": (120, 130), "P2": (380, 500), "N1": (230, 240), "P3": (900, 910)}
EPISODES = pl.DataFrame(
    {
        "episode": list(CORES),
        "episode_class": [name[0] for name in CORES],
        "core_start_on": [day(first) for first, _ in CORES.values()],
        "core_end_on": [day(last) for _, last in CORES.values()],
    }
)


def judged(holds: Sequence[bool | None]) -> dict[str, object]:
    days = pl.DataFrame({"day": [day(n) for n in range(DAYS)], "holds": holds}, schema_overrides={"holds": pl.Boolean})
    frame = judged_days(days, EPISODES, FIRST, day(DAYS - 1))
    return compared(frame, EPISODES, {"sample": pl.col("holds")}).row(0, named=True)


def judged_slowly(holds: Sequence[bool | None]) -> dict[str, object]:
    on = [n for n, value in enumerate(holds) if value]

    def within(n: int, name: str, before: int = 0, after: int = 0) -> bool:
        first, last = CORES[name]
        return first - before <= n <= last + after

    def near(n: int) -> bool:
        return any(within(n, name, 90, 60) for name in ("P1", "P2"))

    def ambiguous(n: int) -> bool:
        return within(n, "N1", 30, 30) and not near(n)

    runs: list[list[int]] = []
    for n in on:
        if runs and n - runs[-1][-1] <= 14:
            runs[-1].append(n)
        else:
            runs.append([n])
    hit = {name: [n for n in on if within(n, name)] for name in ("P1", "P2")}
    lags = []
    for name, days in hit.items():
        if days:
            begun = days[0]
            while begun - 1 in on:
                begun -= 1
            lags.append(begun - CORES[name][0])
    apart = [run for run in runs if not any(map(near, run))]
    return {
        "rule": "sample",
        "first_day": FIRST,
        "last_day": day(DAYS - 1),
        "day_count": len(on),
        "known_day_count": sum(value is not None for value in holds),
        "core_day_count": 11 + 40,
        "hit_day_count": sum(map(len, hit.values())),
        "false_day_count": sum(not near(n) and not ambiguous(n) for n in on),
        "ambiguous_day_count": sum(map(ambiguous, on)),
        "episode_count": 2,
        "episode_hit_count": len(lags),
        "episode_missed": " ".join(name for name, days in hit.items() if not days) or "none",
        "false_run_count": sum(not any(map(ambiguous, run)) for run in apart),
        "ambiguous_run_count": sum(any(map(ambiguous, run)) for run in apart),
        "lag_median_days": max(lags) if lags else None,
        "change_count": sum(bool(a) != bool(b) for a, b in pairwise(holds)),
    }


SPELLS = st.lists(st.tuples(st.sampled_from([True, False, False, None]), st.integers(1, 40)), min_size=1, max_size=40)


@given(spells=SPELLS)
def test_rule_is_judged_as_by_a_slow_look_at_every_day(spells: list[tuple[bool | None, int]]) -> None:
    holds = [value for value, days in spells for _ in range(days)][:DAYS]
    holds += [False] * (DAYS - len(holds))
    assert judged(holds) == judged_slowly(holds)


def test_rule_that_never_holds_misses_every_episode_that_was_seen() -> None:
    row = judged([False] * DAYS)
    assert (row["episode_missed"], row["lag_median_days"], row["false_run_count"]) == ("P1 P2", None, 0)
