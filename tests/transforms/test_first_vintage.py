"""The back-test on what was first published of each day, against walks over these days."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from schemas.first_published import FIRST_PUBLISHED, KEPT
from tests.transforms.invented_days import DAYS, FIRST, invented_days
from transforms.derive import derive
from transforms.inputs.signals import READ, SIGNALS
from transforms.inputs.vintages import backtest_of_vintage, first_vintage
from transforms.metrics.backtest import METRICS
from transforms.metrics.vintages import COVERAGE

SINCE = 600
"""The day on which publishing began, with all days before."""
PAUSE = range(900, 930)
"""Days without a run, published on the last of them."""
OF_RULE = ("capitulation", "deep_capitulation")


def moment(place: int, hours: float = 27) -> datetime:
    """So many hours after the start of a day: by default three hours after its end."""
    return datetime.combine(FIRST, datetime.min.time()) + timedelta(days=place, hours=hours)


def published_at(place: int) -> datetime:
    return moment(PAUSE[-1] if place in PAUSE else max(place, SINCE))


@pytest.fixture(scope="module")
def days() -> pl.DataFrame:
    return invented_days()


@pytest.fixture(scope="module")
def kept(days: pl.DataFrame) -> pl.DataFrame:
    """What was published first: some capitulations had not been seen, some days were one, prices lower."""
    place, state = pl.int_range(pl.len()), pl.col("capitulation_state")
    unseen = state.is_in(OF_RULE) & (place % 60 < 15)
    then = days.with_columns(
        pl.when(unseen)
        .then(pl.lit("normal"))
        .when(state.is_not_null() & (place % 211 == 0))
        .then(pl.lit("capitulation"))
        .otherwise(state)
        .alias("capitulation_state"),
        0.99 * pl.col("price_usd"),
        pl.Series("published_at", map(published_at, range(DAYS))),
    )
    return then.drop_nulls("capitulation_state").select(KEPT.names()).cast(KEPT)


@pytest.fixture(scope="module")
def first(days: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    return first_vintage(days, kept, publishing_at=None)


def starts(states: list[str | None], begin: int, end: int) -> list[int]:
    """First days of episodes of our rule, going through the days one by one."""
    found, seen = [], -100
    for place, state in enumerate(states[: end + 1]):
        if state in OF_RULE:
            if place - seen > 14 and place >= begin:
                found.append(place)
            seen = place
    return found


def test_what_is_kept_is_what_signals_and_prices_read() -> None:
    assert set(FIRST_PUBLISHED) == {"day", "price_usd", *READ}


def test_days_that_were_published_late_are_not_covered(first: pl.DataFrame) -> None:
    stated = first.drop_nulls("capitulation_state")["day"]
    places = {(day - FIRST).days for day in stated}
    late = {place for place in range(DAYS) if published_at(place) >= moment(place, hours=48)}
    assert {PAUSE[0], PAUSE[-2], SINCE - 1} <= late
    assert {PAUSE[-1], SINCE, DAYS - 2}.isdisjoint(late)
    covered = {(day - FIRST).days for day in first.filter("is_timely")["day"]}
    assert covered == places - late


def test_figures_are_those_of_the_days_as_they_were(
    days: pl.DataFrame, kept: pl.DataFrame, first: pl.DataFrame
) -> None:
    row = derive(backtest_of_vintage(days, first), (*METRICS, *COVERAGE))
    (found,) = row.filter(rule="capitulation", entry="start", horizon_days=30).iter_rows(named=True)
    timely = {(day - FIRST).days for day in first.filter("is_timely")["day"]}
    begin, end = min(timely), max(timely)
    then, now = (frame["capitulation_state"].to_list() for frame in (first, days))
    prices = first["price_usd"].to_list()
    of_then = [place for place in starts(then, begin, end) if place in timely]
    of_now = [place for place in starts(now, begin, end) if place in timely]
    returns = [
        100 * (prices[place + 31] / prices[place + 1] - 1)
        for place in of_then
        if place + 31 < DAYS and None not in (prices[place + 1], prices[place + 31])
    ]
    expected: dict[str, Any] = {
        "first_covered_on": FIRST + timedelta(begin),
        "last_covered_on": FIRST + timedelta(end),
        "covered_day_count": len(timely),
        "differing_day_count": sum((then[n] in OF_RULE) != (now[n] in OF_RULE) for n in timely),
        "episode_count": len(starts(then, begin, end)),
        "entry_count": len(of_then),
        "entry_now_count": len(of_now),
        "entry_same_count": len({*of_then} & {*of_now}),
        "observation_count": len(returns),
        "rose_count": sum(each > 0 for each in returns),
        "return_min_pct": pytest.approx(min(returns)),
        "return_max_pct": pytest.approx(max(returns)),
    }
    assert {name: found[name] for name in expected} == expected
    assert 0 < expected["entry_same_count"] < expected["entry_now_count"]
    assert expected["entry_count"] < expected["episode_count"]


def test_nothing_is_filled_where_no_day_was_published_in_time(days: pl.DataFrame, kept: pl.DataFrame) -> None:
    late = kept.with_columns(pl.lit(moment(DAYS + 30)).cast(KEPT["published_at"]).alias("published_at"))
    rows = derive(backtest_of_vintage(days, first_vintage(days, late, publishing_at=None)), (*METRICS, *COVERAGE))
    assert rows["rule"].unique(maintain_order=True).to_list() == list(SIGNALS)
    counts = [name for name in rows.columns if name.endswith("_count") and name != "tried_count"]
    assert rows.select(pl.sum(*counts)).row(0) == (0,) * len(counts)
    assert rows.select("first_covered_on", "return_median_pct", "all_return_median_pct").null_count().row(0) == (
        rows.height,
        rows.height,
        rows.height,
    )


@pytest.mark.parametrize(("hours", "count"), [(26, 1), (47.9, 1), (48, 0)])
def test_run_adds_the_days_that_have_a_state_for_the_first_time(
    days: pl.DataFrame, kept: pl.DataFrame, hours: float, count: int
) -> None:
    """The last day of all has none yet; what is kept of the others stays as it was."""
    earlier = kept.filter(pl.col("day") < FIRST + timedelta(DAYS - 2))
    found = first_vintage(days, earlier, publishing_at=moment(DAYS - 2, hours=hours))
    before = first_vintage(days, earlier, publishing_at=None)
    changed = found.filter(pl.Series(found["published_at"].is_not_null() & before["published_at"].is_null()))
    assert days["capitulation_state"][-1] is None
    added = changed.filter(pl.col("day") == FIRST + timedelta(DAYS - 2))
    assert (
        added.select("price_usd", "capitulation_state").rows()
        == days.select("price_usd", "capitulation_state").rows()[-2:-1]
    )
    assert found["is_timely"].sum() - before["is_timely"].sum() == count
    kept_days = found.join(earlier, on="day", how="semi").select(KEPT.names())
    assert kept_days.equals(earlier.sort("day"))
