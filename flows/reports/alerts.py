"""Which alerts a publication calls for, compared with those that were sent before. Sends nothing itself."""

import fcntl
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flows.settings import Settings
from schemas.errors import HashpivotError, QualityError, WarehouseError
from schemas.freshness import Freshness, freshness_of
from schemas.text import visible
from transforms.calendar import FINALITY_DELAY
from transforms.capitulation import CAPITULATIONS
from warehouse import publication_queries
from warehouse.atomic_files import write_whole
from warehouse.publication_queries import Row
from warehouse.reading import open_publication

logger = logging.getLogger(__name__)

Severity = Literal["alarm", "news", "recovery"]

MOST_NAMED: Final = 5
BILLION: Final = 1e9
LONGEST_BURST_DAYS: Final = 30
"""Bursts before that are history, even where they are new to us."""
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


class Snapshot(BaseModel):
    """What of a publication the alerts compare. `state_day` is the newest day that has a state.

    Texts of deals and revisions are only for the messages, and not stored.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    profile: str
    last_day: date
    state_day: date | None
    state: str | None
    bursts: tuple[date, ...]
    deals: tuple[str, ...]
    revision_count: int
    revised_at: datetime | None = None
    """When the newest revision was received."""
    late: tuple[str, ...] = ()
    """Suppliers that are further behind the run than each is allowed."""
    deal_texts: dict[str, str] = Field(default_factory=dict, exclude=True)
    """By deal, in its last version, what it is about."""
    episode_text: str = Field("", exclude=True)
    """The newest capitulation in a sentence, '' where there is none."""
    revision_texts: tuple[str, ...] = Field((), exclude=True)
    """What the newest revisions changed, the largest of them first."""


class Stopped(BaseModel):
    """Checks that have stopped publications of a profile, and the last day that was not published for it."""

    model_config = ConfigDict(frozen=True)

    day: date
    checks: tuple[str, ...]

    def ends_with(self, snapshot: Snapshot) -> bool:
        """Whether that publication is one that this had stopped; one of an earlier day proves nothing."""
        return snapshot.last_day >= self.day


class AlertState(BaseModel):
    """What was sent so far of a profile: the publication that was compared last, and what is still wrong.

    Each profile has its own, so that a run of one, by hand perhaps, hides nothing of another.
    """

    model_config = ConfigDict(frozen=True)

    seen: Snapshot | None = None
    stopped: Stopped | None = None
    late: date | None = None
    """The day whose lateness was sent."""
    late_sources: tuple[str, ...] = ()
    """Suppliers whose lateness was sent."""
    failed_targets: tuple[str, ...] = ()
    """Addresses of targets whose failure was sent."""


class Memory(BaseModel):
    """The file that keeps the state by profile."""

    model_config = ConfigDict(frozen=True)

    profiles: dict[str, AlertState]


def read_snapshot(published: Path) -> Snapshot:
    """What the current publication under `published` shows. Raises `WarehouseError` where there is none."""
    with open_publication(published) as publication:
        run = publication_queries.newest_run(publication)
        state = publication_queries.newest_state(publication)
        bursts_from = run["day"] - timedelta(days=LONGEST_BURST_DAYS)
        deals = publication_queries.standing_deals(publication)
        revision_count, revised_at = publication_queries.revision_total(publication)
        revisions = publication_queries.newest_revisions(publication, run["ended_at"], MOST_NAMED)
        reached = freshness_of(publication_queries.freshness(publication), run["day"])
        return Snapshot(
            version=run["publication"],
            profile=run["profile"],
            last_day=run["day"],
            state_day=state.get("day"),
            state=state.get("capitulation_state"),
            bursts=tuple(publication_queries.bursts_after(publication, bursts_from)),
            deals=tuple(deal["deal_id"] for deal in deals),
            revision_count=revision_count,
            revised_at=revised_at,
            late=tuple(each.source for each in reached.late),
            deal_texts={deal["deal_id"]: deal_text(deal) for deal in deals},
            episode_text=episode_text(publication_queries.newest_episode(publication)),
            revision_texts=tuple(revision_text(revision) for revision in revisions),
        )


def by_now(state: AlertState, now: datetime) -> AlertState:
    """`state` without days after the last that is over at `now`, which a clock that was ahead has left.

    They become that day. If they stayed, nothing would be sent until they have come.
    """
    last = now.date() - timedelta(days=1)
    seen, stopped_, late_ = state.seen, state.stopped, state.late
    if seen is not None and seen.last_day > last:
        days = {"last_day": last, "state_day": min(seen.state_day, last) if seen.state_day else None}
        seen = seen.model_copy(update=days)
    if stopped_ is not None and stopped_.day > last:
        stopped_ = stopped_.model_copy(update={"day": last})
    if late_ is not None and late_ > last:
        late_ = last
    return state.model_copy(update={"seen": seen, "stopped": stopped_, "late": late_})


def read_reached(published: Path, profile: str, now: datetime) -> Freshness | None:
    """What the newest publication of `profile` by `now` reaches; None before its first.

    How far its suppliers are behind is known only while it is the current one.
    """
    try:
        with open_publication(published) as publication:
            day = publication_queries.newest_day_of(publication, profile, now)
            run = publication_queries.newest_run(publication)
            rows = publication_queries.freshness(publication) if run["profile"] == profile else []
    except HashpivotError:
        return None
    return None if day is None else freshness_of(rows, day)


def deal_text(deal: Row) -> str:
    """What a row of `deal_current` is about, in part of a sentence; unknown amounts are left out."""
    mw, usd, tenant = (
        deal["critical_it_mw"],
        deal["contract_value_usd"],
        deal["tenant_name"] or deal["tenant_as_stated"],
    )
    amounts = [f"{mw:g} MW of critical IT load"] if mw is not None else []
    amounts += [f"{usd / BILLION:g} bn USD"] if usd is not None else []
    parties = [deal["miner_name"], f"tenant {tenant}"] if tenant else [deal["miner_name"]]
    return ", ".join([*parties, *amounts, f"announced on {deal['announced_on']}", deal["confidence"]])


def episode_text(episode: Row) -> str:
    """A row of `capitulation_episode` in a sentence, '' for an empty one."""
    if not episode:
        return ""
    fall_pct = episode["hashrate_drawdown_min_pct"]
    fallen = "" if fall_pct is None else f", hash rate at its lowest {-fall_pct:.0f} % below its year's high"
    days = _counted(episode["day_count"], "day")
    highest = f"highest score {episode['capitulation_max_score']:.1f} on {episode['peaked_on']}"
    return f"The episode began on {episode['started_on']}: {days} in capitulation so far, {highest}{fallen}."


def revision_text(revision: Row) -> str:
    """What a row of `meta.revisions` changed, in part of a sentence. A block has no value, only a detail."""
    before, after, detail = revision["value_before"], revision["value_after"], revision["detail"]
    difference_pct = revision["difference_pct"]
    changes = [] if before is None or after is None else [f"{before:,.15g} to {after:,.15g}"]
    if difference_pct is not None:
        changes.append(f"{difference_pct:+.2g} %" if abs(difference_pct) < 1 else f"{difference_pct:+,.1f} %")
    if revision.get("reason", "source") != "source":  # older publications state none
        changes.append(f"for {revision['reason']}")
    changes += [detail] if detail else []
    return f"{revision['source']}, {revision['item']} of {revision['day']}: {', '.join(changes)}"


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
            title=f"{_counted(len(deals), 'deal')} added to the registry",
            text=f"{_listed([f'{deal}: {snapshot.deal_texts[deal]}' for deal in deals], '; ')}. Source and notes are "
            "in the table conversion_deal.",
        )
    if (count := snapshot.revision_count - before.revision_count) > 0:
        yield Alert(
            event=AlertEvent.REVISION,
            severity="news",
            subject=f"{snapshot.profile} {snapshot.revised_at} {snapshot.revision_count}",
            title=f"{_counted(count, 'observation')} revised",
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


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@contextmanager
def state_lock(settings: Settings) -> Iterator[None]:
    """Hold the state while it is read, sent and written: a run and the watch for lateness both do that."""
    with settings.alert_state.with_suffix(".lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_state(settings: Settings, profile: str) -> AlertState:
    """What was sent so far of `profile`; nothing where there is no such file, or none that can be read."""
    return _memory(settings).profiles.get(profile, AlertState())


def _memory(settings: Settings) -> Memory:
    try:
        return Memory.model_validate_json(settings.alert_state.read_bytes())
    except FileNotFoundError:
        return Memory(profiles={})
    except (OSError, ValidationError) as error:
        logger.warning("alerts start anew: %s cannot be read (%s)", settings.alert_state, type(error).__name__)
        return Memory(profiles={})


def write_state(settings: Settings, profile: str, state: AlertState) -> None:
    """Store what was sent of `profile`, in one step."""
    path = settings.alert_state
    memory = Memory(profiles=_memory(settings).profiles | {profile: state})
    try:
        write_whole(path, memory.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise WarehouseError(
            f"{path}: found {error.strerror!r}, expected to write what was sent; free space or fix permissions"
        ) from error
