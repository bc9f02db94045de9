"""A run that a person starts from the command line, as a flow."""

import logging
from typing import Any, Final

from flows.scheduled import temporary_server
from flows.scheduled.server import prepare
from flows.settings import Settings, export, read_profile
from flows.startup import importing
from warehouse.private import make_private_home

LOGGERS_OF_RUNS: Final = ("prefect.flow_runs", "prefect.task_runs")
FAILED_STATES: Final = ("Finished in state Failed", "Finished in state Crashed")


def run_flow(settings: Settings, name: str, *, verbose: bool, **parameters: Any) -> dict[str, Any]:
    """One run of the flow `name`: under the server that is configured or kept for this home, else a temporary one.

    Unless `verbose`, what the scheduler says of a failure goes to its server only, for the command reports it too.
    """
    read_profile(settings.profile)  # a wrong name should not cost a server's start
    # Where a run writes is not for a form to choose, so the flow reads it where every run does.
    export(settings)
    make_private_home(settings.home)
    server = temporary_server.start() if prepare(settings.scheduler_home) else None
    with importing():
        from prefect.flow_engine import run_flow as start
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from flows.scheduled import flows

    if not verbose:
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_no_failure)
    if server is not None:
        server.wait()
    given = {name: value for name, value in parameters.items() if value is not None}
    flow = {"daily": flows.daily, "backfill": flows.backfill}[name]
    # A run that a person watches needs no heartbeat, and its thread sleeps up to a second after the end.
    with temporary_settings(updates={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        # Called as a function, it would state each field that nobody has filled in.
        result: Any = start(flow, parameters=given)
        return dict(result)


def _is_no_failure(record: logging.LogRecord) -> bool:
    failed = record.levelno >= logging.ERROR or record.getMessage().startswith(FAILED_STATES)
    return not (failed and record.name in LOGGERS_OF_RUNS)
