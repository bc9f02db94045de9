"""Who receives alerts: the channels that the settings name, or that a server has. Imports nothing of Prefect."""

from collections.abc import Mapping
from typing import Final

from flows.reports.alerts import AlertEvent
from flows.scheduled.server import responded
from flows.settings import Settings

AUTOMATION: Final = "hashpivot alerts by {channel}"
"""Name of the automation that passes alerts on by a channel."""
VARIABLES: Final[Mapping[str, str]] = {
    "webhook": "HASHPIVOT_ALERT_WEBHOOK_URL",
    "slack": "HASHPIVOT_ALERT_SLACK_URL",
    "mail": "HASHPIVOT_ALERT_MAIL_URL",
}
"""By channel, the variable that names its receiver."""
CHANNELS: Final = tuple(VARIABLES)
ALERTS: Final = ", ".join(event.words for event in AlertEvent)
SET_RECEIVER: Final = f"set {' or '.join(VARIABLES.values())} where hashpivot serve runs, and start that again"


def named_by(settings: Settings) -> tuple[str, ...]:
    """Channels that have a receiver by the settings."""
    given = {
        "webhook": settings.alert_webhook_url,
        "slack": settings.alert_slack_url,
        "mail": settings.alert_mail_url,
    }
    return tuple(channel for channel in CHANNELS if given[channel])


def channels(settings: Settings) -> tuple[str, ...]:
    """Channels that the server of this home passes alerts on by; where none responds to us, those of the settings."""
    automations = responded(settings.scheduler_home, "/automations/filter", {"limit": 200})
    if not isinstance(automations, list):
        return named_by(settings)
    names = {automation.get("name") for automation in automations}
    return tuple(channel for channel in CHANNELS if AUTOMATION.format(channel=channel) in names)
