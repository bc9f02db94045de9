"""Alerts by what two publications show: each thing once, nothing about history, recovery where there was trouble."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import alerts
from flows.alerts import Seen, Told, changes, due_day, late, look, remembered, stopped
from flows.settings import Settings
from schemas.errors import QualityError
from transforms.metrics.regime import STATES

DAY = date(2026, 2, 3)
LIMIT = timedelta(hours=6)


def seen(day: date = DAY, state: str | None = "normal", **changed: object) -> Seen:
    shown = {
        "version": f"v{day}",
        "profile": "demo",
        "last_day": day,
        "state_day": day,
        "state": state,
        "bursts": (),
        "deals": ("a",),
        "revision_count": 0,
        "heard_at": None,
    }
    return Seen.model_validate(shown | changed)


def told_of(before: Seen, now: Seen) -> list[str]:
    return [alert.event for alert in changes(Told(seen=before), now)]


def days_later(count: int) -> date:
    return DAY + timedelta(days=count)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        ("squeeze", "capitulation", [alerts.ENTERED]),
        ("squeeze", "deep_capitulation", [alerts.ENTERED]),
        ("capitulation", "deep_capitulation", []),
        ("deep_capitulation", "recovery", [alerts.LEFT]),
        ("normal", "squeeze", []),
        (None, "capitulation", []),
        ("capitulation", None, []),
    ],
)
def test_capitulation_is_told_when_it_begins_and_ends(before: str | None, after: str | None, events: list[str]) -> None:
    assert told_of(seen(state=before), seen(days_later(1), after)) == events


def test_first_publication_and_another_profile_tell_nothing() -> None:
    now = seen(state="capitulation", bursts=(DAY,), revision_count=5)
    assert changes(Told(), now) == []
    assert told_of(seen(state="normal", profile="live"), now) == []


def test_bursts_since_the_last_publication_are_one_alert() -> None:
    (alert,) = changes(Told(seen=seen(bursts=(DAY,))), seen(days_later(3), bursts=(DAY, days_later(1), days_later(3))))
    assert alert.event == alerts.BURST
    assert "2026-02-04, 2026-02-06" in alert.text
    assert "2026-02-03" not in alert.text


def test_new_deals_and_revisions_are_told_with_their_names_and_number() -> None:
    deal, revision = changes(Told(seen=seen()), seen(deals=("a", "b", "c"), revision_count=1234))
    assert (deal.event, deal.text) == (alerts.DEAL_ADDED, "New in conversion_deal: b, c.")
    assert (revision.event, revision.title) == (alerts.REVISION, "1,234 observation(s) revised")


def test_run_for_an_earlier_day_neither_tells_nor_makes_forget() -> None:
    told = Told(seen=seen(days_later(5), "normal"))
    earlier = seen(DAY, "capitulation", bursts=(DAY,))
    assert changes(told, earlier) == []
    after = remembered(told, earlier)
    assert [alert.event for alert in changes(after, seen(days_later(6), "capitulation"))] == [alerts.ENTERED]


def test_failed_check_is_told_once_and_so_is_that_it_holds_again() -> None:
    error = QualityError(["capitulation_daily: calendar has no gap"])
    (alert,) = stopped(Told(seen=seen()), error, DAY)
    assert (alert.event, alert.severity) == (alerts.QUALITY_FAILED, "alarm")
    failed = Told(seen=seen(), failed="; ".join(error.failed))
    assert stopped(failed, error, days_later(1)) == []
    assert len(stopped(failed, QualityError(["another"]), DAY)) == 1
    (recovered,) = changes(failed, seen(days_later(1)))
    assert (recovered.event, recovered.severity) == (alerts.QUALITY_RECOVERED, "recovery")
    assert changes(remembered(failed, seen(days_later(1))), seen(days_later(1))) == []


def test_day_is_late_six_hours_after_it_is_over() -> None:
    assert due_day(datetime(2026, 2, 5, 5, 59, tzinfo=UTC), LIMIT) == date(2026, 2, 3)
    assert due_day(datetime(2026, 2, 5, 6, 0, tzinfo=UTC), LIMIT) == date(2026, 2, 4)


def test_late_publication_is_told_once_until_it_has_caught_up() -> None:
    now = datetime(2026, 2, 5, 7, tzinfo=UTC)
    assert late(Told(), date(2026, 2, 4), now, LIMIT) == []
    (alert,) = late(Told(), DAY, now, LIMIT)
    assert (alert.event, alert.severity) == (alerts.LATE, "alarm")
    told = Told(seen=seen(), late=date(2026, 2, 4))
    assert late(told, DAY, now + timedelta(days=3), LIMIT) == []
    assert changes(told, seen(DAY)) == []
    caught_up = seen(date(2026, 2, 4))
    assert [alert.event for alert in changes(told, caught_up)] == [alerts.ON_TIME]
    assert remembered(told, caught_up).late is None
    assert remembered(told, seen(DAY)).late == date(2026, 2, 4)


publications = st.lists(
    st.builds(
        seen,
        st.integers(0, 6).map(days_later),
        st.sampled_from((*STATES, None)),
        bursts=st.lists(st.integers(0, 6).map(days_later), max_size=3).map(sorted).map(tuple),
        deals=st.sampled_from((("a",), ("a", "b"), ("a", "b", "c"))),
        revision_count=st.integers(0, 3),
    ),
    max_size=8,
)


@given(publications)
def test_publication_that_is_looked_at_again_tells_nothing(shown: list[Seen]) -> None:
    told = Told()
    for publication in shown:
        changes(told, publication)
        told = remembered(told, publication)
        assert changes(told, publication) == []


@given(publications)
def test_entering_and_leaving_take_turns(shown: list[Seen]) -> None:
    told, events = Told(), []
    for publication in shown:
        events += [a.event for a in changes(told, publication) if a.event in (alerts.ENTERED, alerts.LEFT)]
        told = remembered(told, publication)
    if None not in {publication.state for publication in shown}:
        assert all(first != second for first, second in pairwise(events))


def test_same_thing_is_the_same_event_whoever_tells_it() -> None:
    now = seen(days_later(1), "capitulation")
    (first,), (second,) = changes(Told(seen=seen()), now), changes(Told(seen=seen()), now)
    assert first.event_id == second.event_id
    assert first.event_id != changes(Told(seen=seen()), seen(days_later(2), "capitulation"))[0].event_id


def test_what_was_told_is_kept_and_a_broken_file_starts_anew(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert alerts.read_told(settings) == Told()
    told = Told(seen=seen(bursts=(DAY,), heard_at=datetime(2026, 2, 3, 1, tzinfo=UTC)), failed="x", late=DAY)
    alerts.write_told(settings, told)
    assert alerts.read_told(settings) == told
    settings.told_alerts.write_text("{", encoding="utf-8")
    assert alerts.read_told(settings) == Told()
    assert [entry.name for entry in tmp_path.iterdir()] == ["alerts.json"]


def test_publication_is_looked_at_as_it_is(published_demo: Path) -> None:
    shown = look(published_demo)
    assert (shown.profile, shown.last_day, shown.state) == ("demo", date(2026, 11, 7), "deep_capitulation")
    assert shown.bursts[-1] == date(2026, 11, 7)
    assert len(shown.deals) == len(set(shown.deals)) > 40
