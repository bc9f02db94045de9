"""What is current never ends earlier than it did: a range is fetched again, a past day goes beside what is current."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.run import pipeline, plan
from flows.run.publish import Outcome
from flows.scheduled.parameters import BackfillParameters, DailyParameters, PublishParameters
from flows.settings import Settings, read_profile
from schemas.errors import SettingsError
from warehouse.publication_queries import newest_day
from warehouse.reading import query
from warehouse.targets.files import published_day

LAST = date(2026, 11, 18)
NOW = datetime(2026, 11, 19, 12, tzinfo=UTC)
PAST = date(2026, 1, 16)


def planned(home: Path, **days: Any) -> plan.Run:
    return plan.plan(Settings(home=home), read_profile("demo"), **{"now": NOW} | days)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all days up to the last that was over are published."""
    home = tmp_path_factory.mktemp("past")
    pipeline.run_all(planned(home))
    return home


def days_of(outcome: Outcome) -> tuple[int, date]:
    """How many days have a row, and the last of them."""
    (days,) = query(outcome.database.parent, "select count(*), max(day) from capitulation_daily")[1]
    return days


def test_range_that_is_fetched_again_leaves_every_day_in_the_publication(home: Path) -> None:
    (before,) = query(home / "published", "select count(*), max(day) from capitulation_daily")[1]
    assert before[1] == LAST
    outcome = pipeline.run_all(planned(home, since=date(2026, 1, 1), through=date(2026, 1, 31)))
    assert outcome.run.is_current
    assert days_of(outcome) == before
    runs = query(home / "published", "select day, fetched_until from meta.runs order by started_at, ended_at")[1]
    assert runs == [(LAST, LAST), (LAST, date(2026, 1, 31))]
    assert newest_day(home / "published", "demo", NOW) == LAST


def test_in_an_empty_home_days_after_the_range_are_published_where_they_are_known_and_still_count_as_missed(
    tmp_path: Path,
) -> None:
    outcome = pipeline.run_all(planned(tmp_path, since=date(2026, 1, 1), through=date(2026, 1, 31)))
    (known,) = query(outcome.database.parent, "select max(day) from capitulation_daily where price_usd > 0")[1]
    assert known == (date(2026, 1, 31),)
    # The source states blocks beyond the range, and nothing of what it has stated is left out.
    assert days_of(outcome)[1] == LAST
    assert newest_day(tmp_path / "published", "demo", NOW) == date(2026, 1, 31)


def test_past_day_goes_beside_later_ones_unless_it_replaces_them(home: Path) -> None:
    current = (home / "published" / "current").readlink()
    beside = pipeline.run_all(planned(home, day=PAST))
    assert beside.database == home / "rebuilt" / "2026-01-16" / "hashpivot.duckdb"
    assert days_of(beside)[1] == PAST
    assert not beside.run.is_current
    assert (home / "published" / "current").readlink() == current
    assert published_day(home / "published") == LAST

    replacing = pipeline.run_all(planned(home, day=PAST, replaces=True))
    assert replacing.database == home / "published" / "hashpivot.duckdb"
    assert days_of(replacing)[1] == published_day(home / "published") == PAST
    # The next run has all days again, and the past one is no obstacle to it.
    assert days_of(pipeline.run_all(planned(home)))[1] == LAST


def test_first_publication_of_a_home_is_current_whatever_its_day(tmp_path: Path) -> None:
    run = plan.placed(planned(tmp_path, day=PAST))
    assert (run.day, run.folder) == (PAST, tmp_path / "published")


def test_run_without_a_day_keeps_the_last_day_that_is_published(home: Path) -> None:
    early = datetime(2026, 11, 19, 1, tzinfo=UTC)
    assert planned(home, now=early).day == LAST - timedelta(days=1)
    run = plan.placed(planned(home, now=early))
    assert (run.day, run.through, run.is_current) == (LAST, LAST - timedelta(days=1), True)


def test_forms_plan_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHPIVOT_HOME", str(tmp_path))
    range_only = BackfillParameters(since=date(2026, 1, 1), through=date(2026, 1, 31)).plan()
    assert (range_only.through, range_only.day) == (date(2026, 1, 31), plan.last_finished_day(range_only.now))
    assert not range_only.day_is_chosen
    for replaces in (False, True):
        (daily,) = DailyParameters(day=PAST, replace=replaces).runs()
        for run in (daily, PublishParameters(day=PAST, replace=replaces).plan()):
            assert (run.day, run.day_is_chosen, run.replaces) == (PAST, True, replaces)


def test_day_that_is_not_over_was_published_by_a_wrong_clock_and_does_not_count(home: Path) -> None:
    before = datetime(2026, 11, 15, 12, tzinfo=UTC)
    for run in (planned(home, now=before), planned(home, day=PAST, now=before)):
        assert plan.placed(run) == run
    with pytest.raises(SettingsError, match=r"to: found '2026-11-15', expected a UTC day that is over"):
        planned(home, since=PAST, through=date(2026, 11, 15), now=before)
