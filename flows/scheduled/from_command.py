"""A run that a person starts from the command line, as a flow."""

from typing import Any

from flows.scheduled import temporary_server
from flows.scheduled.server import prepare
from flows.settings import Settings, export, read_profile
from flows.startup import importing
from warehouse.private import make_private_home


def run_flow(settings: Settings, name: str, **parameters: Any) -> dict[str, Any]:
    """One run of the flow `name`: under the server that is configured or kept for this home, else a temporary one."""
    read_profile(settings.profile)  # a wrong name should not cost a server's start
    # Where a run writes is not for a form to choose, so the flow reads it where every run does.
    export(settings)
    make_private_home(settings.home)
    server = temporary_server.start() if prepare(settings.scheduler_home) else None
    with importing():
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from flows.scheduled import flows

    if server is not None:
        server.wait()
    started: Any = {"daily": flows.daily, "backfill": flows.backfill}[name]
    # A run that a person watches needs no heartbeat, and its thread sleeps up to a second after the end.
    with temporary_settings(updates={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return dict(started(parameters))
