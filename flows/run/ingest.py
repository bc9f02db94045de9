"""From a source to the working database: estimate what it will cost, fetch it, store what is new."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.run.applied import record_labels
from flows.run.coverage import Missing
from flows.run.plan import Progress, Run, no_progress
from flows.sources.kinds import kind_of, suppliers_of
from flows.sources.protocol import Estimate, Known, Planned, Request, Shard, Sharded
from schemas.errors import HashpivotError, WarehouseBusyError, WarehouseError
from schemas.observations import Batch, Notice, Retraction
from warehouse import journal, vintages
from warehouse.known import block_hashes, filings, newest_days, newest_filing_days, newest_heights, received_at
from warehouse.quarantine import SetAside
from warehouse.quarantine_decisions import PASSES, replay
from warehouse.working import Connection, open_working

if TYPE_CHECKING:
    from flows.sources.web.usage import Used

logger = logging.getLogger(__name__)

MOST_NAMED_ORIGINS: Final = 3
LISTED: Final = "listed by `hashpivot quarantine list`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What one source added and what it cost. `missing`: why it was not fetched to its end, where it was not.

    `in_short`: the `notices` with a line for each reason.
    """

    source: str
    row_count: int
    new_count: int
    revised_count: int
    notices: tuple[str, ...]
    in_short: tuple[str, ...] = ()
    missing: Missing | None = None
    used: Used | None = None


def estimate(run: Run, progress: Progress = no_progress) -> dict[str, Estimate]:
    """What hosted sources will cost, where they can estimate it; reports also whether the request budget allows it."""
    if run.sources.web is None:
        return {}
    with open_working(run.settings.working_database) as connection:
        request = run.request(known(connection, run.now))

    def report(line: str) -> None:
        logger.info(line)
        progress(line)

    estimates = {}
    for name in run.profile.sources:
        if not kind_of(name).hosted:
            continue
        try:
            source = run.sources[name]
            if isinstance(source, Planned):
                estimates[name] = source.plan(request)
                report(f"estimate: {name}: {_cost(estimates[name])}")
        except HashpivotError as error:
            report(f"estimate: {name}: none, the source cannot be used: {error}")
    counted = [each for each in estimates.values() if not each.own_budget]
    whole = Estimate(
        requests_count=sum(each.requests_count for each in counted), seconds=sum(each.seconds for each in counted)
    )
    allowed = run.settings.max_requests
    enough = "allowed" if whole.requests_count <= allowed else "allowed, so that a later run has to go on"
    others = "in all" if len(counted) == len(estimates) else "of all others"
    report(f"estimate: {_cost(whole)} {others}; {allowed:,} {enough}")
    return estimates


def _cost(estimate: Estimate) -> str:
    size = f", {estimate.received_bytes / 1e9:,.2f} GB" if estimate.received_bytes else ""
    return f"{estimate.requests_count:,} requests{size}, {estimate.seconds:,.0f} s at least"


class Stored:
    """What one source gave to a run so far; each batch and notice is recorded as the run's and reported."""

    def __init__(self, run: Run, source_name: str, connection: Connection, progress: Progress) -> None:
        self._run, self._source_name, self._connection, self._progress = run, source_name, connection, progress
        self._row_count = self._new_count = self._revised_count = 0
        self.notices: list[Notice] = []

    def note(self, notice: Notice) -> None:
        """Record a notice."""
        journal.note(self._connection, self._run.run_id, notice)
        self.notices.append(notice)

    def count(self, batch: Batch, added: vintages.Appended) -> None:
        """Record what a batch that was stored has added, and report it."""
        journal.count(self._connection, self._run.run_id, added)
        self._row_count += added.row_count
        self._new_count += added.new_count
        self._revised_count += added.revised_count
        self._progress(
            f"{batch.source} {batch.origin}: {added.row_count:,} {batch.table} rows, "
            f"{added.new_count:,} new, {added.revised_count:,} revised"
        )
        for message in about_set_aside(added.set_aside):
            self.note(Notice(source=batch.source, origin=batch.origin, message=message))
            self._progress(f"{batch.source}: {message}")

    def replay(self, suppliers: Sequence[str]) -> None:
        """Let in what was held and passes the rules of this version, and report it."""
        for source, count in replay(self._connection, suppliers, self._run.now):
            message = f"{_rows(count)} that {'was' if count == 1 else 'were'} held in quarantine: {PASSES}, now stored"
            self.note(Notice(source=source, origin="quarantine", message=message))
            self._progress(f"{source}: {message}")

    def __str__(self) -> str:
        return f"rows={self._row_count} new={self._new_count} revised={self._revised_count}"

    def ingested(self, *, missing: Missing | None = None, used: Used | None = None) -> Ingested:
        """The same as the result of the source."""
        return Ingested(
            source=self._source_name,
            row_count=self._row_count,
            new_count=self._new_count,
            revised_count=self._revised_count,
            notices=tuple(f"{notice.origin}: {notice.message}" for notice in self.notices),
            in_short=tuple(in_short(self.notices)),
            missing=missing,
            used=used,
        )


def ingest(run: Run, source_name: str, progress: Progress = no_progress) -> Ingested:
    """Fetch the days of the run from one source and store what is new.

    Each batch is stored whole or not at all, so a run that is killed loses the batch in hand and nothing else. Where
    the profile can miss the source, an error ends this source and not the run.
    """
    missing = None
    before = run.sources.web.usage.by_site if run.sources.web else {}
    suppliers = [supplier.name for supplier in suppliers_of(source_name)]
    with open_working(run.settings.working_database) as connection:
        stored = Stored(run, source_name, connection, progress)
        request = run.request(known(connection, run.now))
        stored.replay(suppliers)
        for item in _fetched(run, source_name, request):
            if isinstance(item, Missing):
                missing = item
                progress(f"{source_name}: missing, the run goes on without it: {item.why}")
                continue
            if isinstance(item, Notice):
                stored.note(item)
                continue
            if item.source not in suppliers:
                raise ValueError(
                    f"{source_name} states values of {item.source!r}, expected one of {', '.join(suppliers)}"
                )
            if isinstance(item, Retraction):
                if (gone := vintages.retract(connection, item, run.run_id)) is not None:
                    notice = reorganisation(item, gone)
                    stored.note(notice)
                    progress(f"{item.source} {item.origin}: {notice.message}")
                continue
            stored.count(item, vintages.append(connection, item, run.run_id))
        if missing is None:
            record_labels(run, connection, source_name)
    used = _used(run, before) if kind_of(source_name).hosted else None
    logger.info("ingested source=%s %s notices=%d", source_name, stored, len(stored.notices))
    if used is not None:
        logger.info(
            "requested source=%s requests=%d bytes=%d waited_seconds=%.1f retries=%d unchanged=%d",
            source_name,
            used.requests_count,
            used.received_bytes,
            used.waited_seconds,
            used.retries_count,
            used.unchanged_count,
        )
    return stored.ingested(missing=missing, used=used)


def in_short(notices: Sequence[Notice]) -> Iterator[str]:
    """One line for each supplier and reason, which is what follows the last colon of a message."""
    alike: dict[tuple[str, str], list[Notice]] = {}
    for notice in notices:
        alike.setdefault((notice.source, notice.message.rpartition(": ")[2]), []).append(notice)
    for (source, reason), same in alike.items():
        origins = list(dict.fromkeys(notice.origin for notice in same))
        named = ", ".join(origins[:MOST_NAMED_ORIGINS])
        more = len(origins) - MOST_NAMED_ORIGINS
        what = same[0].message if len(same) == 1 else reason
        yield f"{source}: {named}{f' and {more:,} more' if more > 0 else ''}: {what}"


def about_set_aside(set_aside: SetAside) -> Iterator[str]:
    """What became of the rows of a batch that failed, and of those held before, in a line for each outcome."""
    if set_aside.held_count:
        more = f", and {set_aside.held_count - 1:,} more" if set_aside.held_count > 1 else ""
        yield f"{set_aside.first}{more}: held in quarantine, {LISTED}"
    if set_aside.accepted_count:
        yield f"{_failing(set_aside.accepted_count)}: accepted before and in use"
    if set_aside.rejected_count:
        yield f"{_failing(set_aside.rejected_count)}: rejected before and left out"
    if set_aside.released_count:
        yield f"{_rows(set_aside.released_count)} that failed before: the source sent others in their place"


def _failing(count: int) -> str:
    return f"{_rows(count)} that {'fail' if count > 1 else 'fails'}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"


def reorganisation(retraction: Retraction, gone: vintages.Retracted) -> Notice:
    """What a re-organisation of the chain did to blocks that were stored before."""
    depth = gone.last_height - retraction.above_height
    days = f"{gone.first_day}" if gone.first_day == gone.last_day else f"{gone.first_day} to {gone.last_day}"
    return Notice(
        source=retraction.source,
        origin=retraction.origin,
        message=(
            f"the chain was re-organised above block {retraction.above_height:,}, {depth:,} deep; {gone.block_count:,} "
            f"blocks stored before, {gone.first_height:,} to {gone.last_height:,} of {days}, count no longer"
        ),
    )


def _fetched(run: Run, source_name: str, request: Request) -> Iterator[Batch | Notice | Retraction | Missing]:
    """What the source yields; last, where the profile lets the run go on, why there is no more of it."""
    try:
        yield from run.sources[source_name].observe(request)
    except (WarehouseError, WarehouseBusyError):
        raise  # our own disk, without which no other source can be stored either
    except HashpivotError as error:
        if not run.profile.can_miss(source_name):
            raise
        yield Missing.because(source_name, error)


def _used(run: Run, before: Mapping[str, Used]) -> Used | None:
    """What hosted sources have cost since `before`."""
    from flows.sources.web.usage import total

    return total(run.sources.web.usage.by_site, before) if run.sources.web else None


def shards_of(run: Run, source_name: str) -> list[Shard]:
    """What can be read of a source in any order before it is fetched; nothing for most sources and runs."""
    try:
        source = run.sources[source_name]
        return list(source.shards(run.request())) if isinstance(source, Sharded) else []
    except HashpivotError as error:
        if not run.profile.can_miss(source_name):
            raise
        logger.info("no shards source=%s: %s", source_name, error)  # `ingest` meets the same error and reports it
        return []


def read_shard(run: Run, source_name: str, shard: Shard, read: Callable[[Shard], None] | None = None) -> Shard:
    """Read one of `shards_of`, again if need be. As many as `SHARDS_AT_ONCE` may be read at once.

    `read`: how, where the source of this process is not to do it.
    """
    try:
        if read is not None:
            read(shard)
        elif isinstance(source := run.sources[source_name], Sharded):
            source.read(shard)
    except HashpivotError as error:
        if not run.profile.can_miss(source_name):
            raise
        logger.info("shard not read source=%s %s: %s", source_name, shard.title, error)
        return shard
    logger.info("read source=%s %s", source_name, shard.title)
    return shard


def known(connection: Connection, now: datetime) -> Known:
    """What is stored, in the form that sources need; what is dated after `now`, by a clock that was ahead, left out."""
    return Known(
        newest_day=newest_days(connection, now),
        newest_height=newest_heights(connection, now),
        received_at=received_at(connection, now),
        filings=filings(connection),
        newest_filing_day=newest_filing_days(connection),
        block_hashes=block_hashes(connection),
    )
