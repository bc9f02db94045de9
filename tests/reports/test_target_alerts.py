"""A target that has not got the publication is one alert, however long it lasts, and its recovery another."""

from collections.abc import Mapping

from flows.reports.alert_state import AlertState, Snapshot
from flows.reports.alerts import AlertEvent, state_after
from flows.reports.target_alerts import state_after_targets, target_alerts
from tests.reports.test_alerts import DAY, days_later, seen

ADDRESS, OTHER = "s3://bucket/x", "s3://other"
WHY = f"target {ADDRESS}: found no response, expected a response; wait"


def sent(state: AlertState, reached: Mapping[str, str | None], version: str) -> tuple[list[AlertEvent], AlertState]:
    found = list(target_alerts(state, reached, version, "demo"))
    return [alert.event for alert in found], state_after_targets(state, reached)


def next_day(state: AlertState, snapshot: Snapshot) -> AlertState:
    return AlertState.model_validate_json(state_after(state, snapshot).model_dump_json())


def test_failure_is_sent_once_and_so_is_its_end() -> None:
    events, state = sent(AlertState(), {ADDRESS: WHY, OTHER: None}, "v1")
    assert events == [AlertEvent.TARGET_FAILED]
    state = next_day(state, seen(DAY))
    events, state = sent(state, {ADDRESS: "another reason", OTHER: None}, "v2")
    assert events == []
    state = next_day(state, seen(days_later(1)))
    events, state = sent(state, {ADDRESS: None, OTHER: None}, "v3")
    assert events == [AlertEvent.TARGET_RECOVERED]
    events, state = sent(state, {ADDRESS: WHY, OTHER: WHY}, "v4")
    assert events == [AlertEvent.TARGET_FAILED, AlertEvent.TARGET_FAILED]


def test_target_that_is_no_longer_set_is_forgotten() -> None:
    _, state = sent(AlertState(), {ADDRESS: WHY}, "v1")
    events, state = sent(state, {}, "v2")
    assert (events, state.failed_targets) == ([], ())


def test_alert_states_why_and_which_version_others_have() -> None:
    (alert,) = target_alerts(AlertState(), {ADDRESS: WHY, OTHER: None}, "v1", "demo")
    assert alert.severity == "alarm"
    assert alert.text == f"{WHY}. The home has version v1. Profile demo."
    (again,) = target_alerts(AlertState(), {ADDRESS: "other words"}, "v1", "demo")
    assert again.event_id == alert.event_id, "the same thing is the same event, whoever sends it"
