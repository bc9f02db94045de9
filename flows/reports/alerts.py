"""Which alerts a publication calls for, compared with those that were sent before. Sends nothing itself."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, ConfigDict

from flows.reports.alert_state import MOST_NAMED, AlertState, Snapshot, Stopped, counted
from schemas.errors import QualityError
from schemas.freshness import Freshness
from schemas.text import visible
from transforms.calendar import FINALITY_DELAY
from transforms.capitulation import CAPITULATIONS

Severity = Literal["alarm", "news", "recovery"]

NAMESPACE: Final = UUID("6e0a7c4c-2f0b-5b0e-9f5a-3f6f3d0d8a51")
"""Turns what an alert is about into the identifier of its event."""


class AlertEvent(StrEnum):
    """What alerts are about; automations of the scheduler pass on all of these."""

    ENTERED = "hashpivot.capitulation.entered"
    LEFT = "hashpivot.capitulation.left"
    BURST = "hashpivot.burst"
    REVISION = "hashpivot.revision"
    DEAL_ADDED = "hashpivot.deal.added"
    QUALITY_FAILED = "hashpivot.data-quality.failed"
    QUALITY_RECOVERED = "hashpivot.data-quality.recovered"
    LATE = "hashpivot.publication.late"
    ON_TIME = "hashpivot.publication.recovered"
    TARGET_FAILED = "hashpivot.target.failed"
    TARGET_RECOVERED = "hashpivot.target.recovered"

    @property
    def words(self) -> str:
        """What it is about, for people."""
        return self.removeprefix("hashpivot.").replace(".", " ").replace("-", " ")


Line = Annotated[str, AfterValidator(visible)]
"""What others wrote may be part of it."""


class Alert(BaseModel):
    """One message, sent once. `subject` names what it is about, so that the same thing has the same `event_id`."""

    model_config = ConfigDict(frozen=True)

    event: AlertEvent
    severity: Severity
    subject: str
    title: Line
    text: Line

    @property
    def event_id(self) -> UUID:
        """The same for the same thing, whoever sends it and however often."""
        return uuid5(NAMESPACE, f"{self.event} {self.subject}")


def changes(state: AlertState, snapshot: Snapshot) -> list[Alert]:
    """What `snapshot` shows that was not sent yet. The first publication of a profile has nothing to compare with."""
    before = state.seen
    found = list(_recovered(state, snapshot))
    if before is None:
        return found
    found += _added(before, snapshot)
    # A run for an earlier day shows nothing new about the state.
    if snapshot.last_day >= before.last_day:
        found += _state(before, snapshot)
        found += _bursts(before, snapshot)
    return found


def state_after(state: AlertState, snapshot: Snapshot) -> AlertState:
    """The state once `changes` has been sent; a run for an earlier day does not replace the later one."""
    before, shown = state.seen, snapshot
    if before is not None and snapshot.last_day < before.last_day:
        later = {name: getattr(before, name) for name in ("last_day", "state_day", "state", "bursts")}
        snapshot = snapshot.model_copy(update=later)
    return AlertState(
        seen=snapshot,
        stopped=None if state.stopped is None or state.stopped.ends_with(shown) else state.stopped,
        late=None if state.late is None or snapshot.last_day >= state.late else state.late,
        late_sources=tuple(source for source in state.late_sources if source in shown.late),
        failed_targets=state.failed_targets,
    )


def _recovered(state: AlertState, snapshot: Snapshot) -> Iterator[Alert]:
    if state.stopped and state.stopped.ends_with(snapshot):
        yield Alert(
            event=AlertEvent.QUALITY_RECOVERED,
            severity="recovery",
            subject=snapshot.version,
            title="Checks hold again",
            text=f"The day {snapshot.last_day} is published, profile {snapshot.profile}. What had stopped it holds "
            f"again: {_listed(state.stopped.checks)}. Nothing to do.",
        )
    if state.late and snapshot.last_day >= state.late:
        yield Alert(
            event=AlertEvent.ON_TIME,
            severity="recovery",
            subject=str(state.late),
            title="The publication has caught up",
            text=f"The day {state.late}, which was late, is published.",
        )
    if caught_up := [source for source in state.late_sources if source not in snapshot.late]:
        yield Alert(
            event=AlertEvent.ON_TIME,
            severity="recovery",
            subject=f"{snapshot.version} {' '.join(caught_up)}",
            title="Data has caught up",
            text=f"In the publication of {snapshot.last_day} these are late no longer: {_listed(caught_up)}. "
            f"Profile {snapshot.profile}.",
        )


def _state(before: Snapshot, snapshot: Snapshot) -> Iterator[Alert]:
    was, now = before.state in CAPITULATIONS, snapshot.state in CAPITULATIONS
    if snapshot.state is None or before.state is None or was == now:
        return
    states = f"On {snapshot.state_day} the state is {snapshot.state}; at {before.state_day} it was {before.state}."
    sentences = states.replace("_", " "), snapshot.episode_text, f"Profile {snapshot.profile}."
    yield Alert(
        event=AlertEvent.ENTERED if now else AlertEvent.LEFT,
        severity="alarm" if now else "recovery",
        # A revision may undo the state of a day, and another restore it.
        subject=f"{snapshot.profile} {snapshot.state_day} after {before.version}",
        title=f"Miners {'entered' if now else 'left'} capitulation",
        text=" ".join(filter(None, sentences)),
    )


def _bursts(before: Snapshot, snapshot: Snapshot) -> Iterator[Alert]:
    new = sorted(set(snapshot.bursts) - set(before.bursts))
    if new:
        yield Alert(
            event=AlertEvent.BURST,
            severity="news",
            subject=f"{snapshot.profile} {new[-1]}",
            title="Burst of coins from miners to exchanges",
            text=f"On {_listed([str(day) for day in new])} far more than usual went from miners to exchanges. "
            f"Profile {snapshot.profile}.",
        )


def _added(before: Snapshot, snapshot: Snapshot) -> Iterator[Alert]:
    if deals := sorted(set(snapshot.deals) - set(before.deals)):
        yield Alert(
            event=AlertEvent.DEAL_ADDED,
            severity="news",
            subject=" ".join(deals),
            title=f"{counted(len(deals), 'deal')} added to the registry",
            text=f"{_listed([f'{deal}: {snapshot.deal_texts[deal]}' for deal in deals], '; ')}. Source and notes are "
            "in the table conversion_deal.",
        )
    if (count := snapshot.revision_count - before.revision_count) > 0:
        yield Alert(
            event=AlertEvent.REVISION,
            severity="news",
            subject=f"{snapshot.profile} {snapshot.revised_at} {snapshot.revision_count}",
            title=f"{counted(count, 'observation')} revised",
            text=f"{_listed(snapshot.revision_texts[:count], '; ', count)}. The tables are computed from the new "
            f"values; all that were changed are in the table meta.revisions. Profile {snapshot.profile}.",
        )


def stopped(state: AlertState, error: QualityError, profile: str, day: date) -> list[Alert]:
    """The alert about a publication that checks have stopped, unless one about these checks was sent.

    A check that fails on one more day is no new alert, another check is.
    """
    before, snapshot = state.stopped, state.seen
    if before and set(error.names) <= set(before.checks):
        return []
    return [
        Alert(
            event=AlertEvent.QUALITY_FAILED,
            severity="alarm",
            # What comes back after it had ended is sent again, though day and check are the same.
            subject=f"{profile} {day} after {snapshot.version if snapshot else 'none'}: {'; '.join(error.names)}",
            title="Checks stopped a publication",
            text=f"The day {day} is not published; readers keep the last publication. "
            f"Failed: {_listed(error.failed, '; ')}. Compare the days that are named with another source; once the "
            f"input is corrected, by its source or by you, run `daily` again. Profile {profile}.",
        )
    ]


def state_after_stop(state: AlertState, error: QualityError, day: date) -> AlertState:
    """The state once `stopped` has been sent."""
    last = max(day, state.stopped.day) if state.stopped else day
    return state.model_copy(update={"stopped": Stopped(day=last, checks=error.names)})


def due_day(now: datetime, late_after: timedelta) -> date:
    """The last day that must be published by `now`: over, final, and `late_after` hours ago."""
    return (now - max(late_after, FINALITY_DELAY)).date() - timedelta(days=1)


def late(state: AlertState, reached: Freshness, now: datetime, late_after: timedelta) -> list[Alert]:
    """The alerts about a publication that is late, and about suppliers that are late in it, unless they were sent.

    `reached`: what the newest publication reaches. It may have been made in time, and its data be old.
    """
    due = due_day(now, late_after)
    found = []
    if reached.through < due and state.late is None:
        found.append(
            Alert(
                event=AlertEvent.LATE,
                severity="alarm",
                subject=str(reached.through),
                title="The publication is late",
                text=f"The newest published day is {reached.through}, expected {due}. "
                "Look at the runs, or at `hashpivot doctor`.",
            )
        )
    if new := [each for each in reached.late if each.source not in state.late_sources]:
        found.append(
            Alert(
                event=AlertEvent.LATE,
                severity="alarm",
                subject=" ".join(f"{each.source} {each.last_day}" for each in new),
                title="Data is late",
                text=f"The publication of {reached.through} has data up to {reached.reached()}. "
                f"Late: {_listed([str(each) for each in new])}. The table meta.freshness names the columns.",
            )
        )
    return found


def state_after_late(state: AlertState, reached: Freshness, now: datetime, late_after: timedelta) -> AlertState:
    """The state once what `late` gives has been sent."""
    due = due_day(now, late_after)
    sources = dict.fromkeys((*state.late_sources, *(each.source for each in reached.late)))
    is_new = state.late is None and reached.through < due
    return state.model_copy(update={"late": due if is_new else state.late, "late_sources": tuple(sources)})


def _listed(names: Sequence[str], between: str = ", ", count: int | None = None) -> str:
    """The first of the names, and how many there are besides; `count` is how many there are of them in all."""
    more = (len(names) if count is None else count) - len(names[:MOST_NAMED])
    return between.join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
