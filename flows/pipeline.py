"""A whole run in plain Python: ask the sources, keep what is new, compute, check, publish. No scheduler needed."""

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from flows.settings import Profile, Settings
from flows.sources.choose import source_named
from flows.sources.protocol import Request
from flows.tables import PUBLISHED, column_sources
from schemas.errors import HashpivotError, QualityError, SettingsError
from schemas.observations import Notice
from schemas.series import Group
from schemas.suppliers import SIMULATED, SUPPLIERS
from transforms.build import Built, Inputs, build
from transforms.calendar import FINALITY_DELAY
from transforms.capex import capex_quarters
from transforms.quality import as_frame, failed, from_notices
from warehouse import journal, vintages
from warehouse.dictionary import columns_frame
from warehouse.metadata import notices_of, revisions, run_history, source_facts
from warehouse.publish import Publication, Published, publish
from warehouse.registry import load_registry
from warehouse.working import Connection, open_working

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What one source added."""

    source: str
    row_count: int
    new_count: int
    revised_count: int
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run that published."""

    run: Run
    published: Published
    warnings: tuple[str, ...]


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
    return Run(run_id=run_id, settings=settings, profile=profile, since=since, through=through, now=now)


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


def ingest(run: Run, source_name: str, say: Say = lambda _: None) -> Ingested:
    """Ask one source for the days of the run and keep what it says that is new.

    Each batch is stored whole or not at all, so a run that dies here loses the batch in hand and nothing else.
    """
    source = source_named(source_name, run.settings)
    request = Request(since=run.since, through=run.through, now=run.now)
    rows = new = revised = 0
    notices = []
    with open_working(run.settings.working_database) as connection:
        for item in source.observe(request):
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
    logger.info(
        "ingested source=%s rows=%d new=%d revised=%d notices=%d", source_name, rows, new, revised, len(notices)
    )
    return Ingested(source=source_name, row_count=rows, new_count=new, revised_count=revised, notices=tuple(notices))


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
        filings=filings,
        filing_source=filing_source,
        reference=registry | {"capex_quarter": capex_quarters(registry["capex_quarter"], facts)},
        precedence=ranked,
        through=run.through,
        now=run.now,
    )


def compute(run: Run) -> tuple[Built, Inputs]:
    """Read the newest observations and compute every table; writes nothing."""
    with open_working(run.settings.working_database) as connection:
        inputs = observed(run, connection)
    return build(inputs), inputs


def release(run: Run, say: Say = lambda _: None) -> Outcome:
    """Compute, check and publish. Raises `QualityError` when a check stops the publication."""
    with open_working(run.settings.working_database) as connection:
        inputs = observed(run, connection)
        built = build(inputs)
        if stopped := failed(built.checks):
            raise QualityError(stopped)
        checks = (*built.checks, *from_notices(notices_of(connection, run.run_id)))
        ended = datetime.now(UTC)
        # The run is told as published inside the publication, and in the working database only once that has happened.
        connection.begin()
        journal.end(connection, run.run_id, status="published", ended_at=ended, publication=run.run_id)
        meta = {
            "quality": as_frame(checks),
            "nulls": built.nulls,
            "runs": run_history(connection),
            "sources": source_facts(connection, built.chosen, inputs.block_source, built.flow_source),
            "revisions": revisions(connection),
        }
        published = publish(
            run.settings.published,
            _publication(run, built, inputs, meta),
            keep=run.settings.keep_publications,
            created_at=ended,
        )
        connection.commit()
    logger.info(
        "published version=%s rows=%s pruned=%d", published.version, dict(published.rows), len(published.pruned)
    )
    say(f"published {sum(published.rows.values()):,} rows in {len(published.rows)} tables as {published.version}")
    warnings = tuple(f"{c.table_name}: {c.check_name}: {c.detail}" for c in checks if not c.passed)
    return Outcome(run=run, published=published, warnings=warnings)


def fail(run: Run, error: BaseException) -> None:
    """Note in the working database how the run failed, so that the next publication can tell."""
    told = str(error) if isinstance(error, HashpivotError) else f"{type(error).__name__}: {error}"
    # Where the database itself is what failed, the first error is the one to tell.
    with suppress(HashpivotError), open_working(run.settings.working_database) as connection:
        journal.end(connection, run.run_id, status="failed", ended_at=datetime.now(UTC), error=told)


def run_all(run: Run, say: Say = lambda _: None) -> Outcome:
    """The whole run, one at a time on this machine."""
    with journal.one_run_at_a_time(run.settings.lock_file):
        begin(run)
        try:
            for name in run.profile.sources:
                ingest(run, name, say)
            return release(run, say)
        except BaseException as error:
            fail(run, error)
            raise


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
    return {
        "run_id": outcome.run.run_id,
        "profile": outcome.run.profile.name,
        "day": outcome.run.through.isoformat(),
        "database": str(Path(outcome.published.database)),
        "version": outcome.published.version,
        "rows": dict(outcome.published.rows),
        "warnings": list(outcome.warnings),
    }
