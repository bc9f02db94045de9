"""A whole run in plain Python: ask the sources, keep what is new, compute, check, publish. No scheduler needed."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from flows.coverage import Coverage, Missing, coverage
from flows.settings import Profile, Settings
from flows.sources.choose import HOSTED, SHARDED, SHARDS_AT_ONCE, outside_of, source_named
from flows.sources.protocol import Estimate, Known, Planned, Request, Shard, Sharded
from flows.tables import PUBLISHED, column_sources
from schemas.errors import (
    HashpivotError,
    NothingToPublishError,
    QualityError,
    SettingsError,
    WarehouseBusyError,
    WarehouseError,
)
from schemas.observations import Batch, Notice
from schemas.series import Group
from schemas.suppliers import SIMULATED, SUPPLIERS
from transforms.build import Built, Inputs, build
from transforms.calendar import FINALITY_DELAY
from transforms.capex import capex_quarters
from transforms.catalog import TABLES
from transforms.quality import Check, as_frame, failed, from_notices
from warehouse import journal, vintages
from warehouse.dictionary import columns_frame
from warehouse.known import filings, heard_at, newest_days, newest_filing_days, newest_heights
from warehouse.metadata import notices_of, revisions, run_history, source_facts
from warehouse.past import known_by, open_past
from warehouse.publish import Publication, Published, publish
from warehouse.registry import load_registry
from warehouse.working import Connection, open_working

if TYPE_CHECKING:
    from flows.sources.web.outside import Outside
    from flows.sources.web.usage import Used

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Told one line about each thing that was done, for people who wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, fixed before it starts: nothing below reads the clock or the environment."""

    run_id: str
    settings: Settings
    profile: Profile
    since: date | None
    through: date
    now: datetime
    outside: Outside | None
    """What its hosted sources share: count of requests, queues, kept answers. None where it has no such source."""
    over: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set at the end of the run, whatever ended it, so that readers in other threads do not outlive it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What one source added and what it cost. `missing` says why it was not heard to its end, where it was not."""

    source: str
    row_count: int
    new_count: int
    revised_count: int
    notices: tuple[str, ...]
    missing: Missing | None = None
    used: Used | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run that published."""

    run: Run
    published: Published
    warnings: tuple[str, ...]
    ingested: tuple[Ingested, ...] = ()
    coverage: tuple[Coverage, ...] = field(default=())


def plan(
    settings: Settings,
    profile: Profile,
    *,
    day: date | None = None,
    since: date | None = None,
    now: datetime | None = None,
) -> Run:
    """Fix what a run will do: `day` is the last one to publish, by default the last that is over by two hours.

    Raises `SettingsError` for a day that is not over, or a range that ends before it begins.
    """
    now = now or datetime.now(UTC)
    last = (now - FINALITY_DELAY).date() - timedelta(days=1)
    through = day or last
    if through >= now.date():
        raise SettingsError("day", str(through), f"a UTC day that is over, up to {last}", "ask for an earlier day")
    if since is not None and since > through:
        raise SettingsError("from", str(since), f"a day up to {through}", "swap or correct the range")
    run_id = f"{now:%Y%m%dT%H%M%S%f}Z-{uuid.uuid4().hex[:6]}"
    return Run(
        run_id=run_id,
        settings=settings,
        profile=profile,
        since=since,
        through=through,
        now=now,
        outside=outside_of(settings) if any(name in HOSTED for name in profile.sources) else None,
    )


def plan_past(settings: Settings, profile: Profile, moment: datetime, *, day: date | None = None) -> Run:
    """Fix what `rebuild` will do: publish what was known at `moment`, up to `day` or the last that was over by then.

    Raises `SettingsError` for a moment that has not come, and for a day that was not over.
    """
    if moment > datetime.now(UTC):
        raise SettingsError("as of", moment.isoformat(), "a moment in the past", "ask for an earlier one")
    return plan(settings, profile, day=day, now=moment)


def begin(run: Run) -> None:
    """Note the run in the working database."""
    with open_working(run.settings.working_database) as connection:
        journal.start(
            connection,
            journal.RunStart(
                run_id=run.run_id,
                profile=run.profile.name,
                day=run.through,
                version=version("hashpivot"),
                started_at=run.now,
            ),
        )


def foresee(run: Run, say: Say = lambda _: None) -> dict[str, Estimate]:
    """Say what each source that can tell will cost, before any is asked, and whether the run may spend that much."""
    if run.outside is None:
        return {}
    with open_working(run.settings.working_database) as connection:
        request = Request(since=run.since, through=run.through, now=run.now, known=known(connection))
    estimates = {}
    for name in run.profile.sources:
        if name not in HOSTED:
            continue
        try:
            source = source_named(name, run.settings, run.outside)
            if isinstance(source, Planned):
                estimates[name] = source.plan(request)
                say(f"plan: {name}: {_cost(estimates[name])}")
        except HashpivotError as error:
            say(f"plan: {name}: cannot be asked: {error}")
    whole = Estimate(
        requests_count=sum(each.requests_count for each in estimates.values()),
        seconds=sum(each.seconds for each in estimates.values()),
    )
    allowed = run.settings.max_requests
    enough = "allowed" if whole.requests_count <= allowed else "allowed, so that a later run has to go on"
    say(f"plan: {_cost(whole)} in all; {allowed:,} {enough}")
    return estimates


def _cost(estimate: Estimate) -> str:
    return f"{estimate.requests_count:,} requests, {estimate.seconds:,.0f} s at least"


def ingest(run: Run, source_name: str, say: Say = lambda _: None) -> Ingested:
    """Ask one source for the days of the run and keep what it says that is new.

    Each batch is stored whole or not at all, so a run that dies here loses the batch in hand and nothing else. In a
    profile that degrades, an error of the source ends this source and not the run.
    """
    rows = new = revised = 0
    notices = []
    missing = None
    before = run.outside.usage.by_site if run.outside else {}
    with open_working(run.settings.working_database) as connection:
        request = Request(since=run.since, through=run.through, now=run.now, known=known(connection))
        for item in _said(run, source_name, request):
            if isinstance(item, Missing):
                missing = item
                say(f"{source_name}: goes on without it: {item.why}")
                continue
            if isinstance(item, Notice):
                journal.note(connection, run.run_id, item)
                notices.append(f"{item.origin}: {item.message}")
                continue
            added = vintages.append(connection, item, run.run_id)
            journal.count(connection, run.run_id, added)
            rows, new, revised = rows + added.row_count, new + added.new_count, revised + added.revised_count
            say(
                f"{item.source} {item.origin}: {added.row_count:,} {item.table} rows, "
                f"{added.new_count:,} new, {added.revised_count:,} revised"
            )
    used = _used(run, before) if source_name in HOSTED else None
    logger.info(
        "ingested source=%s rows=%d new=%d revised=%d notices=%d", source_name, rows, new, revised, len(notices)
    )
    if used is not None:
        logger.info(
            "asked source=%s requests=%d bytes=%d waited_seconds=%.1f retries=%d unchanged=%d",
            source_name,
            used.requests_count,
            used.received_bytes,
            used.waited_seconds,
            used.retries_count,
            used.unchanged_count,
        )
    return Ingested(
        source=source_name,
        row_count=rows,
        new_count=new,
        revised_count=revised,
        notices=tuple(notices),
        missing=missing,
        used=used,
    )


def _said(run: Run, source_name: str, request: Request) -> Iterator[Batch | Notice | Missing]:
    """What the source says; last, where the profile lets the run go on, why there is no more of it."""
    try:
        yield from source_named(source_name, run.settings, run.outside).observe(request)
    except (WarehouseError, WarehouseBusyError):
        raise  # our own disk, without which no other source can be kept either
    except HashpivotError as error:
        if not run.profile.degrades:
            raise
        yield Missing.because(source_name, error)


def _used(run: Run, before: Mapping[str, Used]) -> Used | None:
    """What hosted sources have cost since `before`."""
    from flows.sources.web.usage import total

    return total(run.outside.usage.by_site, before) if run.outside else None


def shards_of(run: Run, source_name: str) -> list[Shard]:
    """What one source can read at once and in any order before it is asked; nothing for most sources and runs."""
    if source_name not in SHARDED:
        return []
    request = Request(since=run.since, through=run.through, now=run.now)
    try:
        source = source_named(source_name, run.settings)
        return list(source.shards(request)) if isinstance(source, Sharded) else []
    except HashpivotError as error:
        if not run.profile.degrades:
            raise
        logger.info("not read ahead source=%s: %s", source_name, error)  # asked next, it says so again and is told
        return []


def read_shard(run: Run, source_name: str, shard: Shard) -> Shard:
    """Read one of `shards_of`, again if need be. As many as `SHARDS_AT_ONCE` may be read at once."""
    try:
        source = source_named(source_name, run.settings, readers_count=SHARDS_AT_ONCE, over=run.over)
        if isinstance(source, Sharded):
            source.read(shard)
    except HashpivotError as error:
        if not run.profile.degrades:
            raise
        logger.info("not read ahead source=%s blocks=%d..%d: %s", source_name, shard.first, shard.last, error)
        return shard
    logger.info("read source=%s blocks=%d..%d", source_name, shard.first, shard.last)
    return shard


def known(connection: Connection) -> Known:
    """What is stored, as sources want to know it."""
    return Known(
        newest_day=newest_days(connection),
        newest_height=newest_heights(connection),
        heard_at=heard_at(connection),
        filings=filings(connection),
        newest_filing_day=newest_filing_days(connection),
    )


def observed(run: Run, connection: Connection) -> Inputs:
    """The newest observations and the reference tables, as this run sees them."""
    ranked = run.profile.precedence
    block_source, blocks = vintages.latest_blocks(connection, ranked.get(Group.BLOCKS, ()))
    flow_source, flows = vintages.latest_flows(connection, ranked.get(Group.MINER_FLOWS, ()))
    _, facts = vintages.latest_filing_facts(connection, ranked.get(Group.FILINGS, ()))
    filing_source, filings = vintages.latest_filings(connection, ranked.get(Group.FILINGS, ()))
    registry = load_registry()
    transfer_source, transfers, block_flows = vintages.latest_transfers(connection, ranked.get(Group.MINER_FLOWS, ()))
    return Inputs(
        blocks=blocks,
        block_source=block_source,
        values=vintages.latest_values(connection),
        flows=flows,
        flow_source=flow_source,
        transfers=transfers,
        block_flows=block_flows,
        transfer_source=transfer_source,
        other_blocks=vintages.other_blocks(connection, ranked.get(Group.BLOCKS, ()), block_source),
        filings=filings,
        filing_source=filing_source,
        reference=registry | {"capex_quarter": capex_quarters(registry["capex_quarter"], facts)},
        precedence=ranked,
        through=run.through,
        now=run.now,
    )


def _was_heard(ingested: Ingested) -> bool:
    """Whether the source said anything. A hosted one that asked nothing, because it was heard lately, did not."""
    asked = ingested.used is None or ingested.used.requests_count > 0
    return ingested.row_count > 0 or (ingested.missing is None and asked)


def compute(run: Run) -> tuple[Built, Inputs]:
    """Read the newest observations and compute every table; writes nothing."""
    with open_working(run.settings.working_database) as connection:
        inputs = observed(run, connection)
    return build(inputs), inputs


def release(run: Run, ingested: Sequence[Ingested] = (), say: Say = lambda _: None) -> Outcome:
    """Compute, check and publish.

    Raises `QualityError` when a check stops the publication, `NothingToPublishError` when there is no day to publish
    or no source was heard.
    """
    missing = [each.missing for each in ingested if each.missing]
    if missing and not any(map(_was_heard, ingested)):
        raise NothingToPublishError(_nothing("sources of the profile: found none that could be heard", missing))
    with open_working(run.settings.working_database) as connection:
        inputs = observed(run, connection)
        try:
            built = build(inputs)
        except NothingToPublishError as error:
            if not missing:
                raise
            nothing = f"days up to {run.through}: found none in the sources that could be heard"
            raise NothingToPublishError(_nothing(nothing, missing)) from error
        refuse_failed(built.checks)
        uncovered = (
            coverage(missing, run.profile.precedence, built.tables, built.nulls, known(connection)) if missing else []
        )
        told = (*built.checks, *from_notices(notices_of(connection, run.run_id)))
        checks = (*told, *(each.check() for each in uncovered))
        ended = datetime.now(UTC)
        # The run is told as published inside the publication, and in the working database only once that has happened.
        connection.begin()
        journal.end(connection, run.run_id, status="published", ended_at=ended, publication=run.run_id)
        costs = {each.source: _cost_of(each.used) for each in ingested if each.used}
        meta = _meta(connection, built, inputs, checks, costs)
        published = publish(
            run.settings.published,
            _publication(run, built, inputs, meta),
            keep=run.settings.keep_publications,
            created_at=ended,
        )
        connection.commit()
    logger.info("published version=%s %s pruned=%d", published.version, _counts(published), len(published.pruned))
    say(f"published {sum(published.rows.values()):,} rows in {len(published.rows)} tables as {published.version}")
    warnings = tuple(f"{c.table_name}: {c.check_name}: {c.detail}" for c in told if not c.passed)
    return Outcome(run=run, published=published, warnings=warnings, ingested=tuple(ingested), coverage=tuple(uncovered))


def _counts(published: Published) -> str:
    """Rows for a log line: of each derived table that has any, and of the registry."""
    rows = published.rows
    derived = [f"{name}={rows[name]}" for name in rows if name in TABLES and rows[name]]
    return " ".join([*derived, f"registry={sum(rows[name] for name in rows if name not in TABLES)}"])


def refuse_failed(checks: Sequence[Check]) -> None:
    """Raise `QualityError` where a check stops the publication."""
    if stopped := failed(checks):
        raise QualityError(stopped, [check.name for check in checks if check.stops])


def _nothing(found: str, missing: Sequence[Missing]) -> str:
    reasons = "; ".join(f"{each.source}: {each.why}" for each in missing)
    return f"{found}, expected at least one; the last publication stays; {reasons}"


def _cost_of(used: Used) -> dict[str, Any]:
    """What `meta.sources` tells of a source's cost in this run."""
    return {
        "request_count": used.requests_count,
        "received_bytes": used.received_bytes,
        "waited_seconds": round(used.waited_seconds, 1),
    }


def rebuild(run: Run, say: Say = lambda _: None) -> Outcome:
    """Publish, in a folder of its own, what could be known at `run.now`; the publication of today stays as it is.

    `plan` has fixed both with `now` set to the moment in the past. Raises as `release`; of the working database
    nothing is changed.
    """
    with open_past(run.settings.working_database, run.now) as connection:
        seen = observed(run, connection)
        inputs = replace(seen, reference=known_by(seen.reference, run.now.date()))
        built = build(inputs)
        refuse_failed(built.checks)
        meta = _meta(connection, built, inputs, built.checks)
    published = publish(
        run.settings.rebuilt / f"{run.now:%Y%m%dT%H%M%SZ}",
        _publication(run, built, inputs, meta),
        keep=1,
        created_at=datetime.now(UTC),
    )
    logger.info("rebuilt as_of=%s %s", run.now.isoformat(), _counts(published))
    say(f"rebuilt {sum(published.rows.values()):,} rows as of {run.now:%Y-%m-%d %H:%M} UTC")
    warnings = tuple(check.told() for check in built.checks if not check.passed)
    return Outcome(run=run, published=published, warnings=warnings)


def fail(run: Run, error: BaseException) -> None:
    """Note in the working database how the run failed, so that the next publication can tell."""
    if isinstance(error, HashpivotError):
        told = str(error)
    elif isinstance(error, Exception):
        told = f"{type(error).__name__}: {error}"
    else:
        told = f"stopped from outside ({type(error).__name__})"
    # Where the database itself is what failed, the first error is the one to tell.
    with suppress(HashpivotError), open_working(run.settings.working_database) as connection:
        journal.end(connection, run.run_id, status="failed", ended_at=datetime.now(UTC), error=told)


@contextmanager
def on_its_way(run: Run) -> Iterator[None]:
    """Note the beginning of a run and its failure, and let go of all it held outside. The lock is the caller's."""
    try:
        begin(run)
        yield
    except BaseException as error:
        fail(run, error)
        raise
    finally:
        run.over.set()
        if run.outside is not None:
            run.outside.close()


def run_all(run: Run, say: Say = lambda _: None) -> Outcome:
    """The whole run, one at a time on this machine."""
    if run.outside is not None:
        run.outside.listener = say
    with journal.one_run_at_a_time(run.settings.lock_file), on_its_way(run):
        foresee(run, say)
        ingested = []
        for name in run.profile.sources:
            _read_shards(run, name, say)
            ingested.append(ingest(run, name, say))
        return release(run, ingested, say)


def _read_shards(run: Run, source_name: str, say: Say) -> None:
    shards = shards_of(run, source_name)
    with ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shard") as executor:
        reading = [executor.submit(read_shard, run, source_name, shard) for shard in shards]
        try:
            for number, done in enumerate(as_completed(reading), 1):
                shard = done.result()
                say(f"{source_name}: read blocks {shard.first:,} to {shard.last:,}, {number} of {len(shards)} shards")
        except BaseException:
            run.over.set()
            executor.shutdown(cancel_futures=True)
            raise


def _meta(
    connection: Connection,
    built: Built,
    inputs: Inputs,
    checks: Sequence[Check],
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, pl.DataFrame]:
    """The tables of `meta` that do not describe columns; `costs` as in `source_facts`."""
    return {
        "quality": as_frame(checks),
        "nulls": built.nulls,
        "runs": run_history(connection),
        "sources": source_facts(connection, built.chosen, inputs.block_source, built.flow_source, costs),
        "revisions": revisions(connection),
    }


def _publication(run: Run, built: Built, inputs: Inputs, meta: dict[str, pl.DataFrame]) -> Publication:
    tables = {
        **built.tables,
        **{facts.name: inputs.reference[facts.name] for facts in PUBLISHED if facts.name in inputs.reference},
    }
    by_column = column_sources(
        built.chosen, inputs.block_source, built.flow_source, built.transfer_source, inputs.filing_source
    )
    columns = columns_frame(PUBLISHED, {name: rows.schema for name, rows in tables.items()}, by_column)
    return Publication(
        version=run.run_id,
        tables=tables,
        facts=PUBLISHED,
        meta=meta | {"columns": columns, "tables": _tables_frame(tables, by_column)},
        about={
            "run_id": run.run_id,
            "profile": run.profile.name,
            "day": run.through.isoformat(),
            "simulated": SIMULATED.name in set(built.chosen.values()),
            "hashpivot_version": version("hashpivot"),
        },
    )


def _tables_frame(tables: dict[str, pl.DataFrame], by_column: dict[tuple[str, str], str]) -> pl.DataFrame:
    """Rows of `meta.tables`; a table inherits the terms of everybody whose data is in it."""
    rows = []
    for facts in PUBLISHED:
        frame = tables[facts.name]
        suppliers = sorted({s for (t, _), names in by_column.items() if t == facts.name for s in names.split(",") if s})
        days = frame["day"] if "day" in frame.columns else pl.Series([], dtype=pl.Date)
        rows.append(
            {
                "table_name": facts.name,
                "description": facts.description,
                "key_columns": ", ".join(facts.key),
                "row_count": frame.height,
                "first_day": days.min(),
                "last_day": days.max(),
                "sources": ",".join(suppliers),
                "licence": "; ".join(f"{s}: {SUPPLIERS[s].licence}" for s in suppliers),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"first_day": pl.Date, "last_day": pl.Date}, infer_schema_length=None)


def about(outcome: Outcome) -> dict[str, Any]:
    """What a program may want to know of a run that published."""
    uncovered = {each.missing.source: each for each in outcome.coverage}
    return {
        "run_id": outcome.run.run_id,
        "profile": outcome.run.profile.name,
        "day": outcome.run.through.isoformat(),
        "database": str(Path(outcome.published.database)),
        "version": outcome.published.version,
        "rows": dict(outcome.published.rows),
        "warnings": list(outcome.warnings),
        "sources": {
            each.source: _source_facts(each) | (uncovered[each.source].facts() if each.source in uncovered else {})
            for each in outcome.ingested
        },
    }


def _source_facts(ingested: Ingested) -> dict[str, Any]:
    return {
        "row_count": ingested.row_count,
        "new_count": ingested.new_count,
        "revised_count": ingested.revised_count,
        "notices": list(ingested.notices),
        "missing": None,
        **({"used": asdict(ingested.used)} if ingested.used else {}),
    }
