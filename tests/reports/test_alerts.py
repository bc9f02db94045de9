"""Alerts by what two publications show: each thing once, nothing about history, recovery where there was trouble."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.reports import alert_state
from flows.reports.alert_state import AlertState, Snapshot, episode_text, read_snapshot
from flows.reports.alerts import (
    AlertEvent,
    changes,
    due_day,
    late,
    state_after,
    state_after_late,
    state_after_stop,
    stopped,
)
from flows.settings import Settings
from schemas.errors import QualityError
from schemas.freshness import Freshness, Late
from transforms.capitulation import STATES

DAY = date(2026, 2, 3)
LIMIT = timedelta(hours=6)


def seen(day: date = DAY, state: str | None = "normal", **changed: object) -> Snapshot:
    shown: dict[str, Any] = {
        "version": f"v{day}",
        "profile": "demo",
        "last_day": day,
        "state_day": day,
        "state": state,
        "bursts": (),
        "deals": ("a",),
        "revision_count": 0,
        "revised_at": None,
    } | changed
    return Snapshot.model_validate({"deal_texts": {deal: f"about {deal}" for deal in shown["deals"]}} | shown)


def events_of(before: Snapshot, now: Snapshot) -> list[str]:
    return [alert.event for alert in changes(AlertState(seen=before), now)]


def reached(day: date, *late_sources: str) -> Freshness:
    """Of a publication of `day`, in which these suppliers end 60 days before it and may end two."""
    last_day = day - timedelta(days=60)
    ends = [Late(source=name, last_day=last_day, days_behind=60, allowed_lag_days=2) for name in late_sources]
    return Freshness(through=day, described_until=last_day if ends else day, late=tuple(ends))


def days_later(count: int) -> date:
    return DAY + timedelta(days=count)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        ("squeeze", "capitulation", [AlertEvent.ENTERED]),
        ("squeeze", "deep_capitulation", [AlertEvent.ENTERED]),
        ("capitulation", "deep_capitulation", []),
        ("deep_capitulation", "recovery", [AlertEvent.LEFT]),
        ("normal", "squeeze", []),
        (None, "capitulation", []),
        ("capitulation", None, []),
    ],
)
def test_capitulation_is_sent_when_it_begins_and_ends(before: str | None, after: str | None, events: list[str]) -> None:
    assert events_of(seen(state=before), seen(days_later(1), after)) == events


def test_alert_names_the_episode() -> None:
    row = {"started_on": DAY, "day_count": 3, "capitulation_max_score": 71.25, "peaked_on": DAY}
    text = episode_text(row | {"hashrate_drawdown_min_pct": -12.4})
    assert text == (
        f"The episode began on {DAY}: 3 days in capitulation so far, highest score 71.2 on {DAY}, hash rate at its "
        "lowest 12 % below its year's high."
    )
    assert episode_text(row | {"hashrate_drawdown_min_pct": None}).endswith(f"score 71.2 on {DAY}.")
    after = seen(days_later(1), "capitulation").model_copy(update={"episode_text": text})
    (alert,) = changes(AlertState(seen=seen(state="squeeze")), after)
    assert f"was squeeze. {text} Profile demo." in alert.text
    (unnamed,) = changes(AlertState(seen=seen(state="squeeze")), seen(days_later(1), "capitulation"))
    assert "was squeeze. Profile demo." in unnamed.text


def test_first_publication_of_a_profile_sends_nothing(tmp_path: Path) -> None:
    now = seen(state="capitulation", bursts=(DAY,), revision_count=5)
    assert changes(AlertState(), now) == []
    settings = Settings(home=tmp_path)
    alert_state.write_state(settings, "live", AlertState(seen=seen(state="normal", profile="live")))
    assert changes(alert_state.read_state(settings, "demo"), now) == []


def test_bursts_since_the_last_publication_are_one_alert() -> None:
    (alert,) = changes(
        AlertState(seen=seen(bursts=(DAY,))), seen(days_later(3), bursts=(DAY, days_later(1), days_later(3)))
    )
    assert alert.event == AlertEvent.BURST
    assert "2026-02-04, 2026-02-06" in alert.text
    assert "2026-02-03" not in alert.text


def test_alerts_of_new_deals_and_revisions_state_what_they_are_about_and_how_many() -> None:
    texts = tuple(f"revision {n}" for n in range(alert_state.MOST_NAMED))
    now = seen(deals=("a", "b", "c"), revision_count=1235, revision_texts=texts)
    deal, revision = changes(AlertState(seen=seen(revision_count=1)), now)
    assert (deal.event, deal.title) == (AlertEvent.DEAL_ADDED, "2 deals added to the registry")
    assert deal.text.startswith("b: about b; c: about c. Source and notes")
    assert (revision.event, revision.title) == (AlertEvent.REVISION, "1,234 observations revised")
    assert revision.text.startswith("revision 0; revision 1; revision 2; revision 3; revision 4 and 1,229 more.")
    (one,) = changes(AlertState(seen=seen(revision_count=1)), seen(revision_count=2, revision_texts=texts))
    assert one.title == "1 observation revised"
    assert one.text.startswith("revision 0. ")


def test_run_for_an_earlier_day_sends_nothing_and_keeps_the_state() -> None:
    state = AlertState(seen=seen(days_later(5), "normal"))
    earlier = seen(DAY, "capitulation", bursts=(DAY,))
    assert changes(state, earlier) == []
    after = state_after(state, earlier)
    assert [alert.event for alert in changes(after, seen(days_later(6), "capitulation"))] == [AlertEvent.ENTERED]


def test_failed_check_is_sent_once_and_so_is_its_recovery() -> None:
    error = QualityError(["blocks of a day (1 day broken)"], ["blocks of a day"])
    (alert,) = stopped(AlertState(seen=seen()), error, "demo", days_later(1))
    assert (alert.event, alert.severity) == (AlertEvent.QUALITY_FAILED, "alarm")
    assert "blocks of a day (1 day broken)" in alert.text
    failed = state_after_stop(AlertState(seen=seen()), error, days_later(1))
    assert stopped(failed, error, "demo", days_later(1)) == []
    assert stopped(failed, QualityError(["blocks of a day (2 days broken)"], error.names), "demo", days_later(2)) == []
    assert len(stopped(failed, QualityError(["x", "y"], [*error.names, "another"]), "demo", days_later(1))) == 1
    (recovered,) = changes(failed, seen(days_later(1)))
    assert (recovered.event, recovered.severity) == (AlertEvent.QUALITY_RECOVERED, "recovery")
    assert "blocks of a day" in recovered.text
    held = state_after(failed, seen(days_later(1)))
    assert changes(held, seen(days_later(1))) == []
    (again,) = stopped(held, error, "demo", days_later(1))
    assert again.event_id != alert.event_id


def test_publication_that_was_not_stopped_does_not_end_the_trouble() -> None:
    error = QualityError(["blocks of a day"])
    failed = state_after_stop(AlertState(seen=seen()), error, days_later(2))
    other = seen(days_later(1))
    assert changes(failed, other) == []
    assert state_after(failed, other).stopped == failed.stopped
    # The day that was stopped may be one that was published before, when its input was still good.
    again = state_after_stop(AlertState(seen=seen(days_later(2))), error, days_later(2))
    assert state_after(again, seen(days_later(1))).stopped == again.stopped
    sooner = state_after_stop(failed, error, DAY)
    assert changes(sooner, seen(days_later(1))) == []


def test_day_is_late_six_hours_after_it_is_over() -> None:
    assert due_day(datetime(2026, 2, 5, 5, 59, tzinfo=UTC), LIMIT) == date(2026, 2, 3)
    assert due_day(datetime(2026, 2, 5, 6, 0, tzinfo=UTC), LIMIT) == date(2026, 2, 4)


def test_late_publication_is_sent_once_until_it_has_caught_up() -> None:
    now = datetime(2026, 2, 5, 7, tzinfo=UTC)
    assert late(AlertState(), reached(date(2026, 2, 4)), now, LIMIT) == []
    (alert,) = late(AlertState(), reached(DAY), now, LIMIT)
    assert (alert.event, alert.severity) == (AlertEvent.LATE, "alarm")
    state = state_after_late(AlertState(seen=seen()), reached(DAY), now, LIMIT)
    assert state.late == date(2026, 2, 4)
    assert late(state, reached(DAY), now + timedelta(days=3), LIMIT) == []
    assert changes(state, seen(DAY)) == []
    caught_up = seen(date(2026, 2, 4))
    assert [alert.event for alert in changes(state, caught_up)] == [AlertEvent.ON_TIME]
    assert state_after(state, caught_up).late is None
    assert state_after(state, seen(DAY)).late == date(2026, 2, 4)


def test_state_of_a_clock_that_was_ahead_holds_nothing_back() -> None:
    now = datetime(2026, 2, 5, 7, tzinfo=UTC)
    ahead = date(2026, 12, 30)
    error = QualityError(["blocks of a day"])
    left = state_after_stop(AlertState(seen=seen(ahead), late=ahead), error, ahead)
    today = seen(date(2026, 2, 4), "capitulation")
    assert changes(left, today) == []
    state = alert_state.by_now(left, now)
    events = {alert.event for alert in changes(state, today)}
    assert events == {AlertEvent.ENTERED, AlertEvent.ON_TIME, AlertEvent.QUALITY_RECOVERED}
    after = state_after(state, today)
    assert (after.seen and after.seen.last_day, after.stopped, after.late) == (date(2026, 2, 4), None, None)
    assert alert_state.by_now(after, now) == after


def test_supplier_that_stopped_is_sent_once_though_every_day_is_published_in_time() -> None:
    now = datetime(2026, 2, 4, 7, tzinfo=UTC)
    old = reached(DAY, "coinmetrics")
    (alert,) = late(AlertState(), old, now, LIMIT)
    assert (alert.event, alert.severity, alert.title) == (AlertEvent.LATE, "alarm", "Data is late")
    assert "data up to 2025-12-05, 60 days behind" in alert.text
    assert "coinmetrics 60 days (2 allowed)" in alert.text
    state = state_after_late(AlertState(seen=seen()), old, now, LIMIT)
    assert (state.late, state.late_sources) == (None, ("coinmetrics",))
    assert late(state, old, now, LIMIT) == []

    (another,) = late(state, reached(DAY, "coinmetrics", "edgar"), now, LIMIT)
    assert "edgar" in another.text
    assert "coinmetrics" not in another.text

    still = seen(days_later(1), late=("coinmetrics",))
    assert changes(state, still) == []
    assert state_after(state, still).late_sources == ("coinmetrics",)
    (recovered,) = changes(state, seen(days_later(1)))
    assert (recovered.event, recovered.severity) == (AlertEvent.ON_TIME, "recovery")
    assert "coinmetrics" in recovered.text
    assert state_after(state, seen(days_later(1))).late_sources == ()


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
def test_publication_that_is_compared_again_sends_nothing(shown: list[Snapshot]) -> None:
    state = AlertState()
    for publication in shown:
        changes(state, publication)
        state = state_after(state, publication)
        assert changes(state, publication) == []


@given(publications)
def test_entering_and_leaving_alternate(shown: list[Snapshot]) -> None:
    state, events = AlertState(), []
    for publication in shown:
        events += [a.event for a in changes(state, publication) if a.event in (AlertEvent.ENTERED, AlertEvent.LEFT)]
        state = state_after(state, publication)
    if None not in {publication.state for publication in shown}:
        assert all(first != second for first, second in pairwise(events))


def test_same_thing_is_the_same_event_whoever_sends_it() -> None:
    now = seen(days_later(1), "capitulation")
    (first,), (second,) = changes(AlertState(seen=seen()), now), changes(AlertState(seen=seen()), now)
    assert first.event_id == second.event_id
    assert first.event_id != changes(AlertState(seen=seen()), seen(days_later(2), "capitulation"))[0].event_id


def test_state_is_stored_and_a_broken_file_starts_anew(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert alert_state.read_state(settings, "demo") == AlertState()
    shown = seen(bursts=(DAY,), revised_at=datetime(2026, 2, 3, 1, tzinfo=UTC))
    state = state_after_stop(AlertState(seen=shown, late=DAY), QualityError(["x"]), DAY)
    alert_state.write_state(settings, "demo", state)
    without_texts = state.model_copy(update={"seen": shown.model_copy(update={"deal_texts": {}})})
    assert alert_state.read_state(settings, "demo") == without_texts
    settings.alert_state.write_text("{", encoding="utf-8")
    assert alert_state.read_state(settings, "demo") == AlertState()
    assert [entry.name for entry in tmp_path.iterdir()] == ["alerts.json"]


def test_run_of_another_profile_hides_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    error = QualityError(["blocks of a day"])
    failed = state_after_stop(AlertState(seen=seen()), error, days_later(2))
    alert_state.write_state(settings, "stopped", failed)
    live = seen(days_later(2), profile="live")
    assert changes(alert_state.read_state(settings, "live"), live) == []
    assert len(stopped(alert_state.read_state(settings, "live"), error, "live", days_later(2))) == 1
    alert_state.write_state(settings, "live", state_after(alert_state.read_state(settings, "live"), live))
    assert alert_state.read_state(settings, "stopped").stopped == failed.stopped
    for profile in ("demo", "files"):
        shown = seen().model_copy(update={"profile": profile})
        alert_state.write_state(settings, profile, state_after(alert_state.read_state(settings, profile), shown))
    now = seen(days_later(1), "capitulation")
    assert [alert.event for alert in changes(alert_state.read_state(settings, "demo"), now)] == [AlertEvent.ENTERED]


def test_snapshot_shows_the_publication(published_demo: Path) -> None:
    shown = read_snapshot(published_demo)
    assert (shown.profile, shown.last_day, shown.state) == ("demo", date(2026, 11, 7), "squeeze")
    assert shown.bursts[-1] == date(2026, 11, 7)
    assert len(shown.deals) == len(set(shown.deals)) > 40


def test_deals_are_described_without_unknown_amounts(published_demo: Path) -> None:
    shown = read_snapshot(published_demo)
    assert set(shown.deal_texts) == set(shown.deals)
    assert shown.deal_texts["WULF-ANTH-2026-07"] == (
        "TeraWulf, tenant Anthropic, 401 MW of critical IT load, 19 bn USD, announced on 2026-07-06, confirmed"
    )
    assert not [text for text in shown.deal_texts.values() if re.search(r"None(?! yet)|\bnan\b|, ,", text)]


@pytest.mark.parametrize(
    ("before", "after", "difference_pct", "detail", "text"),
    [
        (45_000_000_000.0, 45_000_000_001.0, 2.2e-9, None, "45,000,000,000 to 45,000,000,001, +2.2e-09 %"),
        (0.0, 1.5, None, None, "0 to 1.5"),
        (None, None, None, "pool: A to B", "pool: A to B"),
        (1.0, 3.0, 200.0, "transfer_count: 1 to 2", "1 to 3, +200.0 %, transfer_count: 1 to 2"),
    ],
)
def test_revision_is_described_in_one_line(
    before: float | None, after: float | None, difference_pct: float | None, detail: str | None, text: str
) -> None:
    revision = {"source": "x", "item": "item", "day": DAY, "value_before": before, "value_after": after}
    described = alert_state.revision_text(revision | {"difference_pct": difference_pct, "detail": detail})
    assert described == f"x, item of {DAY}: {text}"
