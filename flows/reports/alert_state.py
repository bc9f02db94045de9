"""What alerts compare, read from a publication, and what was sent of each profile, kept in a file of the home."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.settings import Settings
from schemas.errors import HashpivotError, WarehouseError
from schemas.freshness import Freshness, freshness_of
from warehouse import publication_queries
from warehouse.atomic_files import write_whole
from warehouse.publication_queries import Row
from warehouse.reading import open_publication

logger = logging.getLogger(__name__)

MOST_NAMED: Final = 5
BILLION: Final = 1e9
LONGEST_BURST_DAYS: Final = 30
"""Bursts before that are history, even where they are new to us."""


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
    days = counted(episode["day_count"], "day")
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


def counted(count: int, what: str) -> str:
    """A number of things in words: `1 deal`, `2 deals`."""
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
