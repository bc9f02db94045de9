"""Alerts by way of the scheduler: events that runs send, and automations that pass them on to people."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, cast
from urllib.parse import urlsplit
from uuid import UUID

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import DoNothing, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import Event, RelatedResource, Resource
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.reports import alert_state, alerts
from flows.reports.alert_state import AlertState
from flows.reports.alerts import Alert
from flows.reports.target_alerts import state_after_targets, target_alerts
from flows.run.targets import TargetResult
from flows.scheduled.mail_block import SmtpMail
from flows.scheduled.receivers import ALERTS, AUTOMATION, CHANNELS, SET_RECEIVER, VARIABLES
from flows.settings import Settings, read_profile
from schemas.errors import QualityError, SettingsError
from warehouse.journal import one_run_at_a_time

logger = logging.getLogger(__name__)

BLOCK: Final = "hashpivot-alerts-{channel}"
NO_RECEIVER: Final = "hashpivot alerts without a receiver"
"""Name of the automation that stands for those of `AUTOMATION` while there are none."""
KEPT: Final = "Kept by hashpivot serve: edits are lost."
SUBJECT: Final = "[{{ event.payload.severity }}] hashpivot: {{ event.payload.title }}"
BODY: Final = "{{ event.payload.text }}"
SLACK_BODY: Final = "{{ event.payload.text | replace('<', '(') | replace('>', ')') }}"
"""Slack takes what is between these signs for a link, or for a mention of everybody."""


def deliver_changes(settings: Settings, flow_run_id: UUID | None) -> list[Alert]:
    """Send what the current publication shows that was not sent before; return that."""
    snapshot = alert_state.read_snapshot(settings.published)
    with alert_state.state_lock(settings):
        state = _state(settings, snapshot.profile, datetime.now(UTC))
        found = alerts.changes(state, snapshot)
        send(found, flow_run_id)
        # Only what reached the scheduler counts as sent. A kill in between sends it once more, as the same event.
        alert_state.write_state(settings, snapshot.profile, alerts.state_after(state, snapshot))
    return found


def deliver_targets(
    settings: Settings, profile: str, results: Sequence[TargetResult], flow_run_id: UUID | None
) -> list[Alert]:
    """Send which targets have not got the current version, and which have it again, once; return that."""
    reached = {result.address: None if result.error is None else str(result.error) for result in results}
    with alert_state.state_lock(settings):
        state = _state(settings, profile, datetime.now(UTC))
        version = state.seen.version if state.seen else "none"
        found = list(target_alerts(state, reached, version, profile))
        send(found, flow_run_id)
        after = state_after_targets(state, reached)
        if after != state:
            alert_state.write_state(settings, profile, after)
    return found


def deliver_stopped(
    settings: Settings, error: QualityError, profile: str, run_day: date, flow_run_id: UUID | None
) -> list[Alert]:
    """Send that checks have stopped a publication, unless the same ones did before; return that."""
    with alert_state.state_lock(settings):
        state = _state(settings, profile, datetime.now(UTC))
        found = alerts.stopped(state, error, profile, run_day)
        send(found, flow_run_id)
        alert_state.write_state(settings, profile, alerts.state_after_stop(state, error, run_day))
    return found


def deliver_late(settings: Settings, now: datetime) -> list[Alert]:
    """Send that the publication of the profile of the settings, or a supplier in it, is late, once; return that.

    Raises `WarehouseBusyError` during a run.
    """
    profile, limit = read_profile(settings.profile).name, timedelta(hours=settings.late_after_hours)
    if not _late(settings, profile, now, limit)[0]:
        return []
    with one_run_at_a_time(settings.lock_file):
        pass  # nobody is at work who may catch up; held no longer, or a run that starts now would be refused
    with alert_state.state_lock(settings):
        found, after = _late(settings, profile, now, limit)
        send(found, None)
        if found:
            alert_state.write_state(settings, profile, after)
    return found


def _state(settings: Settings, profile: str, now: datetime) -> AlertState:
    return alert_state.by_now(alert_state.read_state(settings, profile), now)


def _late(settings: Settings, profile: str, now: datetime, limit: timedelta) -> tuple[list[Alert], AlertState]:
    """What is to be sent, and the state once it is."""
    state, reached = _state(settings, profile, now), alert_state.read_reached(settings.published, profile, now)
    if reached is None:
        return [], state
    return alerts.late(state, reached, now, limit), alerts.state_after_late(state, reached, now, limit)


def send(found: Sequence[Alert], flow_run_id: UUID | None) -> None:
    """Hand events to the server and return when it has them; raises what the client raises where it has not."""
    if not found:
        return
    related = [] if flow_run_id is None else [_role(f"prefect.flow-run.{flow_run_id}", "flow-run")]
    events = [
        Event(
            id=alert.event_id,
            event=alert.event,
            resource=Resource({"prefect.resource.id": "hashpivot.publication", "prefect.resource.name": "hashpivot"}),
            related=related,
            payload=alert.model_dump(mode="json"),
        )
        for alert in found
    ]
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json") for event in events]).raise_for_status()
    for alert in found:
        logger.info("alert event=%s severity=%s: %s", alert.event, alert.severity, alert.title)


def _role(resource: str, role: str) -> RelatedResource:
    return RelatedResource({"prefect.resource.id": resource, "prefect.resource.role": role})


def apply_automations(settings: Settings) -> list[str]:
    """Make the automations of the server those that the settings define; return the channels that are served.

    Where nobody receives alerts, one that does nothing lists them, so that people find out on the page of automations.
    """
    blocks = dict(_blocks(settings))
    with get_client(sync_client=True) as client:
        for channel in CHANNELS:
            wanted = _passing_on(channel, blocks[channel]) if channel in blocks else None
            _apply(client, AUTOMATION.format(channel=channel), wanted)
        _apply(client, NO_RECEIVER, None if blocks else _without_receiver())
    return list(blocks)


def receivers() -> list[str]:
    """Channels that the server of this run passes alerts on by."""
    with get_client(sync_client=True) as client:
        return [channel for channel in CHANNELS if client.read_automations_by_name(AUTOMATION.format(channel=channel))]


def _blocks(settings: Settings) -> Iterator[tuple[str, NotificationBlock]]:
    """By channel, the block that knows its address. Blocks are stored encrypted, and their secrets are not shown."""
    if settings.alert_webhook_url:
        address = _address(VARIABLES["webhook"], settings.alert_webhook_url, ("http", "https"))
        yield (
            "webhook",
            CustomWebhookNotificationBlock(
                name="hashpivot",
                url="{{address}}",
                json_data={"subject": "{{subject}}", "text": "{{body}}"},
                headers=None,
                cookies=None,
                secrets=SecretDict({"address": address}),
            ),
        )
    if settings.alert_slack_url:
        address = _address(VARIABLES["slack"], settings.alert_slack_url, ("https",))
        yield "slack", SlackWebhook(url=SecretStr(address))
    if settings.alert_mail_url:
        address = _address(VARIABLES["mail"], settings.alert_mail_url, ("mailto", "mailtos"))
        yield "mail", SmtpMail(url=SecretStr(address))


def _address(setting: str, given: SecretStr, schemes: Sequence[str]) -> str:
    """The secret as text, once it is an address of a kind that the channel can use; the message does not contain it."""
    address = given.get_secret_value()
    if urlsplit(address).scheme not in schemes:
        expected = f"an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
        raise SettingsError(setting, "another kind of address", expected, "correct it or unset it")
    return address


def _passing_on(channel: str, block: NotificationBlock) -> AutomationCore:
    block_id = cast(UUID, block.save(BLOCK.format(channel=channel), overwrite=True))
    return AutomationCore(
        name=AUTOMATION.format(channel=channel),
        description=f"Passes on what runs of hashpivot find, by {channel}. {KEPT}",
        trigger=_every_alert(),
        actions=[
            SendNotification(
                block_document_id=block_id, subject=SUBJECT, body=SLACK_BODY if channel == "slack" else BODY
            )
        ],
    )


def _without_receiver() -> AutomationCore:
    return AutomationCore(
        name=NO_RECEIVER,
        description=f"No receiver yet, these reach nobody: {ALERTS}. To receive them, {SET_RECEIVER}. {KEPT}",
        trigger=_every_alert(),
        actions=[DoNothing()],
    )


def _every_alert() -> EventTrigger:
    return EventTrigger(
        expect=set(alerts.AlertEvent),
        match={"prefect.resource.id": "hashpivot.publication"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _apply(client: SyncPrefectClient, name: str, wanted: AutomationCore | None) -> None:
    """Make the server have the automation once, or not at all."""
    present = client.read_automations_by_name(name)
    for automation in present if wanted is None else present[1:]:
        client.delete_automation(automation.id)
    if wanted is None:
        return
    if present:
        client.update_automation(present[0].id, wanted)
    else:
        client.create_automation(wanted)
