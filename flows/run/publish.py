"""From the working database to a publication: compute, check, publish; of today or as of an earlier moment."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from flows.reports.page.given import of_publication, shown_before
from flows.reports.page.pages import pages
from flows.run.applied import record_computed
from flows.run.clock import clock_check, reading
from flows.run.coverage import Coverage, Missing, coverage, unstated
from flows.run.family import family_of, is_test_chain
from flows.run.folds import comparison_check, folded_flows
from flows.run.held_rows import quarantined, with_accepted
from flows.run.history import history_check
from flows.run.ingest import Ingested, known
from flows.run.origin import trace_days
from flows.run.plan import Progress, Run, no_progress
from flows.run.revisions import note_revisions
from flows.run.tables import column_licences, tables_frame
from flows.run.targets import TargetResult
from flows.run.transfers import transfer_years
from flows.sources.kinds import MAIN, kind_of, supplier_named
from flows.sources.protocol import Labelled
from flows.sources.simulated.kind import SIMULATED
from schemas.check import Check, as_frame, failed, from_notices
from schemas.errors import ContractError, HashpivotError, NothingToPublishError, QualityError
from schemas.freshness import Freshness, freshness_of
from schemas.observations import ObservedTable
from schemas.partition import Partitions, by_year
from schemas.series import Group
from schemas.suppliers import REGISTRY
from transforms.build import Built, build
from transforms.catalog import PUBLISHED, TABLES
from transforms.checks.label_sets import check_label_sets
from transforms.checks.last_publication import COLUMNS as COMPARED
from transforms.checks.quarantine import check_quarantine, naming_held
from transforms.inputs.capex import capex_quarters
from transforms.lineage import column_sources
from transforms.prepare import Inputs
from transforms.tables.capitulation_daily import TABLE as DAILY_TABLE
from transforms.tables.miner_flow_daily import TABLE as FLOW_TABLE
from transforms.tables.miner_transfer import TABLE as TRANSFERS
from warehouse import journal, vintages
from warehouse.dictionary import columns_frame
from warehouse.first_published import add_first_published, first_published, recover_first_published
from warehouse.flow_revisions import add_flow_revisions
from warehouse.metadata import notices_of, revisions, run_history, source_facts
from warehouse.publish import Published, publish
from warehouse.registry import load_registry
from warehouse.targets.files import DATABASE_NAME, FileTarget, published_columns
from warehouse.targets.protocol import Publication, PublishedRows
from warehouse.value_revisions import revision_counts
from warehouse.views import views
from warehouse.working import Connection, open_working

if TYPE_CHECKING:
    from flows.sources.web.usage import Used

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run that published.

    `rebuilt_of`: of a rebuild the publication that stood at its moment, None where there was none; `differences`: what
    of that could not be made again, also among the `warnings`. `unstated`: by series that nobody states the columns
    that are NULL for it; `computed`: how others that nobody states follow from what one supplier states.
    """

    run: Run
    published: Published
    database: Path
    """The stable name of the published file."""
    freshness: Freshness
    warnings: tuple[str, ...]
    targets: tuple[TargetResult, ...] = ()
    ingested: tuple[Ingested, ...] = ()
    coverage: tuple[Coverage, ...] = field(default=())
    unstated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)
    rebuilt_of: str | None = None
    differences: tuple[str, ...] = ()


def observed(
    run: Run, connection: Connection, registry: dict[str, pl.DataFrame] | None = None
) -> tuple[Inputs, Mapping[str, Partitions]]:
    """The newest observations and the reference tables, as this run sees them; sums of days are kept for the next.

    `registry`: another one than the present one. Beside them the tables that are built by year; their rows are read
    while `connection` is open.
    """
    ranked = run.profile.precedence
    block_source, blocks = vintages.latest(connection, ObservedTable.BLOCK, ranked.get(Group.BLOCKS, ()))
    flow_source, flows = vintages.latest(connection, ObservedTable.EXCHANGE_FLOW, ranked.get(Group.MINER_FLOWS, ()))
    _, facts = vintages.latest(connection, ObservedTable.FILING_FACT, ranked.get(Group.FILINGS, ()))
    filing_source, filings = vintages.latest(connection, ObservedTable.FILING, ranked.get(Group.FILINGS, ()))
    registry = load_registry() if registry is None else registry
    transfer_source = vintages.first_with_rows(
        connection, ObservedTable.MINER_BLOCK_FLOW, ranked.get(Group.MINER_FLOWS, ())
    )
    folded = folded_flows(connection, transfer_source, blocks, run.day, run.now)
    years = transfer_years(connection, transfer_source, blocks, folded, run.now)
    inputs = Inputs(
        blocks=blocks,
        block_source=block_source,
        values=vintages.latest_values(connection),
        flows=flows,
        flow_source=flow_source,
        detail={TRANSFERS.name: years.detail},
        first_published=first_published(connection, family_of(run.settings, run.profile), run.now),
        flow_days=folded.flows,
        transfer_source=transfer_source,
        other_blocks=vintages.other_blocks(connection, ranked.get(Group.BLOCKS, ()), block_source),
        filings=filings,
        filing_source=filing_source,
        reference=registry | {"capex_quarter": capex_quarters(registry["capex_quarter"], facts, registry["company"])},
        precedence=ranked,
        through=run.day,
        now=run.now,
        allowed_lag_days=_allowed_lag_days(ranked),
        is_main_network=family_of(run.settings, run.profile) == MAIN,
        is_test_chain=is_test_chain(run.settings, run.profile),
    )
    return inputs, {TRANSFERS.name: years.rows}


def _allowed_lag_days(ranked: Mapping[Group, Sequence[str]]) -> dict[str, int]:
    """By supplier that the profile ranks, and the registry, how far behind it may be."""
    named = map(supplier_named, sorted({name for names in ranked.values() for name in names}))
    return {supplier.name: supplier.allowed_lag_days for supplier in (*named, REGISTRY) if supplier is not None}


def compute(run: Run) -> tuple[Built, Inputs]:
    """Read the newest observations and compute every table; publishes nothing."""
    with open_working(run.settings.working_database) as connection:
        inputs, _ = observed(run, connection)
    return build(inputs), inputs


def publish_run(run: Run, ingested: Sequence[Ingested] = (), progress: Progress = no_progress) -> Outcome:
    """Compute, check and publish in `run.folder`.

    Raises `QualityError` when a check stops the publication, `NothingToPublishError` when there is no day to publish
    or no source could be fetched.
    """
    missing = [each.missing for each in ingested if each.missing]
    if missing and not any(map(_was_fetched, ingested)):
        raise NothingToPublishError(_nothing("sources of the profile: found none that could be fetched", missing))
    with open_working(run.settings.working_database) as connection:
        add_flow_revisions(connection)
        family = family_of(run.settings, run.profile)
        recover_first_published(connection, run.settings.published, family=family, now=run.now)
        inputs, parts = observed(run, connection)
        inputs = replace(inputs, published=_published(run), is_current=run.is_current)
        try:
            built = build(inputs)
        except ContractError as error:
            raise with_accepted(error, run, connection) from error
        except NothingToPublishError as error:
            if not missing:
                raise
            nothing = f"days up to {run.day}: found none in the sources that could be fetched"
            raise NothingToPublishError(_nothing(nothing, missing)) from error
        built = replace(built, checks=judged(built.checks, run.settings.accepted))
        uncovered = (
            coverage(missing, run.profile.precedence, built.tables, built.nulls, known(connection, run.now))
            if missing
            else []
        )
        history = history_check(run.settings.published, connection)
        clock = clock_check(run.settings.home, reading(run.run_id, run.now))
        compared = comparison_check(connection, run.now)
        of_data = (
            *check_quarantine(
                quarantined(run, connection)
            ),  # first, as the message of a run names only the first warnings
            *built.checks,
            *_label_checks(run, built),
            history,
            clock,
            *compared,
            *from_notices(notices_of(connection, run.run_id)),
        )
        checks = (*of_data, *(each.check() for each in uncovered))
        ended = datetime.now(UTC)
        # The publication states the run as published; the working database does so only once that has happened.
        connection.begin()
        record_computed(run, connection)
        tables = published_tables(built, inputs, parts)
        note_revisions(run, connection, built, inputs, tables)
        journal.end(connection, run.run_id, status="published", ended_at=ended, publication=run.run_id)
        if run.is_current:
            days = built.tables[DAILY_TABLE.name]
            add_first_published(connection, days, family=family, published_at=run.now, run_id=run.run_id)
        costs = {each.source: _cost_of(each.used) for each in ingested if each.used}
        meta = meta_of(run, connection, built, checks, costs)
        target = FileTarget(folder=run.folder, keep=run.settings.keep_publications if run.is_current else 1)
        published = publish(publication_of(run, connection, built, inputs, tables, meta, created_at=ended), [target])
        connection.commit()
    reached = freshness_of(built.freshness.iter_rows(named=True), run.day)
    logger.info(
        "published version=%s %s%s pruned=%d",
        published.version,
        "" if run.is_current else f"beside=current day={run.day} ",
        counts_of(published),
        sum(map(len, published.pruned.values())),
    )
    logger.log(logging.WARNING if reached.late else logging.INFO, "%s", reached.message())
    beside = "" if run.is_current else ", beside the current publication"
    rows = f"{sum(published.rows.values()):,} rows in {len(published.rows)} tables"
    progress(f"published {rows} as {published.version}{beside}")
    warnings = tuple(f"{check.name}: {check.detail}" for check in of_data if not check.passed)
    return Outcome(
        run=run,
        published=published,
        database=target.folder / DATABASE_NAME,
        freshness=reached,
        warnings=(*warnings, *(f"target {name}: {error}" for name, error in published.failed.items())),
        ingested=tuple(ingested),
        coverage=tuple(uncovered),
        unstated=unstated(built.chosen, uncovered, built.tables, built.nulls),
        computed={series: f"{how}, of {built.chosen[series]}" for series, how in built.computed.items()},
    )


def judged(checks: Sequence[Check], accepted: Sequence[str]) -> tuple[Check, ...]:
    """The checks, each that would stop the publication and is `accepted` by its name turned into a warning.

    Raises `QualityError` where another one stops it.
    """
    kept = tuple(
        replace(check, severity="warning", detail=f"{check.detail}; accepted by HASHPIVOT_ACCEPT")
        if check.stops and {check.name, check.check_name} & set(accepted)
        else check
        for check in checks
    )
    if stopped := failed(kept):
        raise QualityError(stopped, [check.name for check in kept if check.stops])
    return kept


def _published(run: Run) -> pl.DataFrame | None:
    """What readers have of the daily table; None for a view of a past day, which is no successor of it."""
    if not run.is_current:
        return None
    return published_columns(run.settings.published, run.profile.name, DAILY_TABLE.name, COMPARED)


def _label_checks(run: Run, built: Built) -> Iterator[Check]:
    """Whether attributed flows have the labels that their source has now."""
    for name in run.profile.sources:
        if not kind_of(name).labelled:
            continue
        days = built.tables[FLOW_TABLE.name].select("day", "label_set")
        with suppress(HashpivotError):  # a source that cannot be used has no labels to compare with
            source = run.sources[name]
            if isinstance(source, Labelled) and not days.is_empty():
                yield check_label_sets(days, source.label_set)


def _was_fetched(ingested: Ingested) -> bool:
    """Whether the source responded. Of a hosted one without any request, because it was fetched lately, none knows."""
    was_requested = ingested.used is None or ingested.used.requests_count > 0
    return ingested.row_count > 0 or (ingested.missing is None and was_requested)


def _nothing(found: str, missing: Sequence[Missing]) -> str:
    reasons = "; ".join(f"{each.source}: {each.why}" for each in missing)
    return f"{found}, expected at least one; the last publication stays; {reasons}"


def _cost_of(used: Used) -> dict[str, Any]:
    """What `meta.sources` states of a source's cost in this run."""
    return {
        "request_count": used.requests_count,
        "received_bytes": used.received_bytes,
        "waited_seconds": round(used.waited_seconds, 1),
    }


def counts_of(published: Published) -> str:
    """Rows for a log line: of each derived table that has any, and of the registry."""
    rows = published.rows
    derived = [f"{name}={rows[name]}" for name in rows if name in TABLES and rows[name]]
    return " ".join([*derived, f"registry={sum(rows[name] for name in rows if name not in TABLES)}"])


def meta_of(
    run: Run,
    connection: Connection,
    built: Built,
    checks: Sequence[Check],
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, pl.DataFrame]:
    """The tables of `meta` that do not describe columns; `costs` as in `source_facts`."""
    return {
        "quality": as_frame(checks),
        "nulls": naming_held(built.nulls, quarantined(run, connection), built.chosen),
        "freshness": built.freshness,
        "runs": run_history(connection, run.run_id),
        "sources": source_facts(connection, supplier_named, built.chosen, built.origins, run.now, costs),
        "revisions": revisions(connection),
        "revision_counts": revision_counts(connection),
    }


def published_tables(built: Built, inputs: Inputs, parts: Mapping[str, Partitions]) -> dict[str, PublishedRows]:
    """Every published table by its name, long ones in years; `parts` are those that were built by year."""
    return {
        **{name: by_year(rows) if TABLES[name].is_by_year else rows for name, rows in built.tables.items()},
        **parts,
        **{table.name: inputs.reference[table.name] for table in PUBLISHED if table.reference},
    }


def publication_of(
    run: Run,
    connection: Connection,
    built: Built,
    inputs: Inputs,
    tables: Mapping[str, PublishedRows],
    meta: dict[str, pl.DataFrame],
    *,
    created_at: datetime,
) -> Publication:
    """All that a target needs of the tables of a run, with what is stated about them and the pages of the report.

    The pages are made by whoever calls for them first, from `connection` too, which nothing else may use meanwhile.
    """
    ends = built.freshness.filter(pl.col("subject") == "table")
    described = dict(ends.select("table_name", "last_day").iter_rows())
    by_column = column_sources(PUBLISHED, built.chosen, built.origins)
    about = {
        "columns": columns_frame(
            PUBLISHED,
            {name: rows.schema for name, rows in tables.items()},
            by_column,
            column_licences(by_column, supplier_named),
        ),
        "tables": tables_frame(PUBLISHED, tables, by_column, supplier_named, described),
    }
    publication = Publication(
        version=run.run_id,
        created_at=created_at,
        tables=tables,
        facts=PUBLISHED,
        meta=meta | about,
        views=views(),
        about={
            "run_id": run.run_id,
            "profile": run.profile.name,
            "family": family_of(run.settings, run.profile),
            "sources": sorted({*built.chosen.values(), *built.origins.values()}),
            "day": run.day.isoformat(),
            "simulated": SIMULATED.name in set(built.chosen.values()),
            "hashpivot_version": version("hashpivot"),
        },
    )
    before = shown_before(run.settings.published, run.profile.name) if run.is_current else None
    given, trace = of_publication(publication, before), partial(trace_days, connection, built.frames)
    return replace(publication, pages=cache(partial(pages, given, trace)))


def outcome_facts(outcome: Outcome) -> dict[str, Any]:
    """What a program may need to know of a run that published."""
    uncovered = {each.missing.source: each for each in outcome.coverage}
    return {
        "run_id": outcome.run.run_id,
        "profile": outcome.run.profile.name,
        "day": outcome.run.day.isoformat(),
        "database": str(outcome.database),
        "is_current": outcome.run.is_current,
        "version": outcome.published.version,
        "rows": dict(outcome.published.rows),
        "freshness": outcome.freshness.facts(),
        "warnings": list(outcome.warnings),
        "targets": {each.address: each.facts() for each in outcome.targets},
        "unstated": {series: list(columns) for series, columns in outcome.unstated.items()},
        "computed": dict(outcome.computed),
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
        "in_short": list(ingested.in_short),
        "missing": None,
        **({"used": asdict(ingested.used)} if ingested.used else {}),
    }
