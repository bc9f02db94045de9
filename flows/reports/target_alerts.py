"""Which alerts the targets of a run call for: one that does not have the version, once, and its recovery."""

from collections.abc import Iterator, Mapping

from flows.reports.alert_state import AlertState
from flows.reports.alerts import Alert, AlertEvent

AtTargets = Mapping[str, str | None]
"""By address of the targets of a run what kept each from the version; None of one that has it."""


def target_alerts(state: AlertState, reached: AtTargets, version: str, profile: str) -> Iterator[Alert]:
    """What is to be sent of the targets that `version` was published to; a failure that lasts is not sent again."""
    for address, why in reached.items():
        if why is not None and address not in state.failed_targets:
            yield Alert(
                event=AlertEvent.TARGET_FAILED,
                severity="alarm",
                subject=f"{profile} {version} {address}",
                title="A target has not got the publication",
                text=f"{why}. The home has version {version}. Profile {profile}.",
            )
        elif why is None and address in state.failed_targets:
            yield Alert(
                event=AlertEvent.TARGET_RECOVERED,
                severity="recovery",
                subject=f"{profile} {version} {address}",
                title="A target has caught up",
                text=f"Target {address} shows version {version}. Profile {profile}.",
            )


def state_after_targets(state: AlertState, reached: AtTargets) -> AlertState:
    """The state once `target_alerts` has been sent. A target that is no longer configured is forgotten."""
    return state.model_copy(update={"failed_targets": tuple(each for each, why in reached.items() if why is not None)})
