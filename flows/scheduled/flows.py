"""The five flows. No arithmetic, no SQL: when to run, under which lock and limits; the work is that of `flows.run`."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, TypeVar

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.reports.brief import Delivery
from flows.run.pipeline import fetch, fetch_and_publish
from flows.run.plan import Run, last_finished_day
from flows.run.publish import Outcome, outcome_facts
from flows.run.targets import with_targets
from flows.scheduled.forms import sign, sign_form
from flows.scheduled.parameters import (
    BackfillParameters,
    DailyParameters,
    PublishParameters,
    RebuildParameters,
    RefreshParameters,
    RunParameters,
    checked,
    run_label,
)
from flows.scheduled.tasks import (
    LOCK_TIMEOUT_SECONDS,
    PUBLISH_TIMEOUT_SECONDS,
    has_standing_server,
    locked,
    locked_and_recorded,
    publish,
    publish_to,
    rebuild,
    steps,
    task_threads,
    this_flow_run,
)
from schemas.errors import HashpivotError
from schemas.text import visible
from transforms.checks.freshness import IN_TIME
from warehouse.publication_queries import run_that_published

logger = logging.getLogger(__name__)

Parameters = TypeVar("Parameters", bound=RunParameters)

FLOW_TIMEOUT_SECONDS: Final = 24 * 3600.0
"""A first run of an own node may take most of a day."""
BACKFILL_TIMEOUT_SECONDS: Final = 7 * 24 * 3600.0
PUBLISH_FLOW_TIMEOUT_SECONDS: Final = LOCK_TIMEOUT_SECONDS + 2 * PUBLISH_TIMEOUT_SECONDS
"""To the home, then to targets beside it."""
MOST_NAMED: Final = 3
"""Warnings that the message of a state has."""
LONGEST_WARNING: Final = 200
"""Characters of each."""
FILING_SOURCES: Final = ("edgar",)
"""Sources of the registry: filings, which change by the week and not by the day."""


def _flow(
    name: str, kind: type[Parameters], timeout_seconds: float, **options: Any
) -> Callable[[Callable[[Parameters], Any]], Flow[..., Any]]:
    """Make a flow whose parameters are the fields of `kind`, from a function that takes them as one object.

    After an error of ours it ends as failed with its one line as the message of the state. The scheduler would put its
    own words around that line, and several lines for a form that does not fit `kind`, which therefore is checked here.
    """

    def label() -> str:
        return run_label(name, kind, flow_run.get_parameters(), datetime.now(UTC))

    def decorated(body: Callable[[Parameters], Any]) -> Flow[..., Any]:
        @wraps(body)
        def reported(**given: Any) -> Any:
            try:
                return body(checked(kind, given))
            except HashpivotError as error:
                return Failed(message=str(error), data=error)

        sign(reported, kind)
        made = flow(
            name=name,
            flow_run_name=label,
            validate_parameters=False,
            timeout_seconds=timeout_seconds,
            persist_result=False,
            **options,
        )(reported)
        sign_form(made, kind)
        return made

    return decorated


@_flow("daily", DailyParameters, FLOW_TIMEOUT_SECONDS, task_runner=task_threads())
def daily(parameters: DailyParameters) -> Any:
    """Fetch every source of the profile, store what is new, recompute all tables, check them and publish."""
    _show_logs()
    if parameters.catch_up and (done := _published_since_due(parameters)):
        return Completed(message=done)
    result: State[dict[str, Any]] | None = None
    for planned in parameters.runs():
        with locked_and_recorded(planned) as run:
            result = _described(run, fetch_and_publish(run, steps=steps()))
    return result


@_flow("backfill", BackfillParameters, BACKFILL_TIMEOUT_SECONDS, task_runner=task_threads())
def backfill(parameters: BackfillParameters) -> Any:
    """Fetch a range of days from the sources again, part by part, then publish all that is known."""
    from flows.scheduled import artifacts

    _show_logs()
    with locked_and_recorded(parameters.plan()) as run:
        bar = artifacts.progress_bar() if has_standing_server() else None
        return _described(run, fetch_and_publish(run, part_count=parameters.shards, steps=steps(), part_progress=bar))


@_flow("registry-refresh", RefreshParameters, FLOW_TIMEOUT_SECONDS, task_runner=task_threads())
def registry_refresh(parameters: RefreshParameters) -> Any:
    """Check the registry, fetch new filings where the profile has a source of them, and publish."""
    _show_logs()
    with locked_and_recorded(parameters.plan()) as run:
        for name in run.profile.sources:
            if name in FILING_SOURCES:
                fetch(run, name, steps())
        return _described(run, with_targets(run, publish(run), publish_to))


@_flow("publish-only", PublishParameters, PUBLISH_FLOW_TIMEOUT_SECONDS)
def publish_only(parameters: PublishParameters) -> Any:
    """Recompute, check and publish from what is stored; nothing is fetched."""
    _show_logs()
    with locked_and_recorded(parameters.plan()) as run:
        return _described(run, with_targets(run, publish(run), publish_to))


@_flow("rebuild-as-of", RebuildParameters, PUBLISH_FLOW_TIMEOUT_SECONDS)
def rebuild_as_of(parameters: RebuildParameters) -> Any:
    """Publish, beside the publication of today, what could be known at a moment in the past."""
    from flows.scheduled import artifacts

    _show_logs()
    run = parameters.plan()
    with locked(run):
        outcome = rebuild(run)
        _log_warnings(outcome)
        as_of = f"as of {run.now:%Y-%m-%d %H:%M}"
        artifacts.leave_beside(outcome.database, f"publication {as_of} UTC", "What could be known at that moment")
        return Completed(message=f"{as_of}: {_message(outcome)}", data=outcome_facts(outcome))


def _show_logs() -> None:
    """The scheduler shows and keeps what these loggers record, but leaves their level at the root's, which hides it."""
    for name in ("flows", "warehouse"):
        logging.getLogger(name).setLevel(logging.INFO)


def _described(run: Run, outcome: Outcome) -> State[dict[str, Any]]:
    """Leave artifacts and send alerts where somebody can see them; return how the run ended, with its facts as data."""
    _log_warnings(outcome)
    if has_standing_server() and not run.is_current:
        from flows.scheduled import artifacts

        artifacts.leave_beside(
            outcome.database, f"publication up to {run.day}", "The current publication has later days"
        )
    elif has_standing_server():
        from flows.scheduled import artifacts

        artifacts.leave(run.settings.published, run.settings.published_url, _delivered(run, outcome))
    beside = "" if run.is_current else f"; beside the current publication, in {run.folder}"
    behind = "".join(f"; {each.error}" for each in outcome.targets if each.error)
    return Completed(message=f"{_message(outcome)}{beside}{behind}", data=outcome_facts(outcome))


def _delivered(run: Run, outcome: Outcome) -> Delivery | None:
    """Send the alerts of the run; return them with who receives them, None where they wait for the next run."""
    from flows.scheduled.alert_delivery import deliver_changes, deliver_targets, receivers

    try:
        found = deliver_changes(run.settings, this_flow_run().id)
        found += deliver_targets(run.settings, run.profile.name, outcome.targets, this_flow_run().id)
    except Exception as error:
        logger.warning("alerts wait for the next run: %s: %s", type(error).__name__, error)
        return None
    try:
        return Delivery(found=found, channels=receivers())
    except Exception as error:
        logger.warning("not known who receives alerts: %s: %s", type(error).__name__, error)
        return None


def _log_warnings(outcome: Outcome) -> None:
    for warning in _of_run(outcome):
        logger.warning("%s", warning)


def _of_run(outcome: Outcome) -> list[str]:
    """The warnings but for those of targets, which are logged where they arise and stand in the message whole."""
    of_targets = {str(each.error) for each in outcome.targets if each.error}
    return [warning for warning in outcome.warnings if warning not in of_targets]


def _message(outcome: Outcome) -> str:
    """What the run came to, in one line: the day, what is late or missing, the first warnings."""
    parts = [outcome.freshness.message()]
    if missing := [each.missing.source for each in outcome.coverage]:
        parts.append(f"without {', '.join(missing)}")
    # Suppliers that are late are named by the freshness.
    warnings = [visible(warning) for warning in _of_run(outcome) if f": {IN_TIME}: " not in warning]
    for warning in warnings[:MOST_NAMED]:
        parts.append(f"warning: {warning[:LONGEST_WARNING]}{' ...' if len(warning) > LONGEST_WARNING else ''}")
    if (more := len(warnings) - MOST_NAMED) > 0:
        parts.append(f"{more} more in the log")
    return "; ".join(parts)


def _published_since_due(parameters: DailyParameters) -> str | None:
    """Why a run that is late by its schedule has nothing left to do, or None where it has.

    After an outage the schedule's old runs all start; the first of them catches up for the others.
    """
    this = this_flow_run()
    if not this.auto_scheduled or this.expected_start_time is None:
        return None
    settings, profile = parameters.read()
    due = this.expected_start_time.astimezone(UTC)
    day = last_finished_day(due)
    run_id = run_that_published(settings.published, profile.name, day, due, datetime.now(UTC))
    return None if run_id is None else f"nothing left to do: {day} was published by run {run_id}"
