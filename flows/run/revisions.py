"""What a run publishes differently than the publication before, of every table, and which changed input is why."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from flows.run.applied import named
from flows.run.plan import Run
from schemas.partition import Partitions
from schemas.series import SERIES, Group
from schemas.table import Origin, Table
from transforms.build import Built
from transforms.catalog import PUBLISHED
from transforms.changed_values import CELLS, changed_cells, relative_pct
from transforms.lineage import columns_behind, roots
from transforms.metrics import day as day_metrics
from transforms.prepare import Inputs
from transforms.tables.miner_flow_daily import TABLE as FLOWS
from transforms.tables.miner_transfer import TABLE as TRANSFERS
from transforms.tables.pool_daily import TABLE as POOLS
from warehouse import applied_sets
from warehouse.targets.files import manifest, published_rows, years_as_before
from warehouse.targets.protocol import PublishedRows
from warehouse.value_revisions import PublishedRun, Received, keep_value_revisions, received_since, run_of
from warehouse.working import Connection

logger = logging.getLogger(__name__)

MOST_LISTED: Final = 50
"""Values of a column, of one run and reason, that are kept one by one; all are counted."""
NEW_DAYS: Final = "new days"
"""No input changed that the column rests on: it moved because days were added, as an age does. Counted, not listed."""
DEFINITION: Final = "definition"
REGISTRY: Final = "registry"
LABELS: Final = "labels"
REORGANISATION: Final = "re-organisation"
STATED: Final = "source"
CODE: Final = "code"
REASONS: Final = (DEFINITION, REGISTRY, LABELS, REORGANISATION, STATED, CODE)
"""Where several inputs changed that may be the reason, the first of these counts, and all are named."""
_OF_BLOCKS: Final = (Group.BLOCKS, Group.CHAIN)


@dataclass(frozen=True, slots=True)
class Fact:
    """An input that changed: the reason it is, its name, and the first day that it may change; None for any."""

    reason: str
    name: str
    first_day: date | None = None


@dataclass(frozen=True, kw_only=True)
class Changed:
    """All inputs that changed since the publication before, and what the tables of this run are made from.

    `last_flow_day`: the last day of which it published flows.
    """

    before: PublishedRun
    received: Received
    built: Built
    blocks: pl.DataFrame
    last_flow_day: date | None

    @cached_property
    def flows(self) -> dict[tuple[str, str], tuple[int, int, date | None]]:
        """What was received of flows with the first day it may change; new ones only where they are late."""
        day, height = pl.col("block_at").dt.date(), pl.col("height")
        found = {}
        for name, (first, last) in self.received.flows.items():
            # No block from a height on is before this day; header times run backwards a little.
            since: date | None = self.blocks.select(day.filter(height >= first).min()).item()
            is_late = self.last_flow_day is not None and since is not None and since <= self.last_flow_day
            if name[1] != "new" or is_late:
                found[name] = (first, last, since)
        return found

    @cached_property
    def observed(self) -> dict[str | Origin, tuple[Fact, ...]]:
        """What sources have stated anew of each series and origin."""
        return {root: tuple(self._observed(root)) for root in (*SERIES, *Origin)}

    def facts(self, table: Table, column: str | None) -> list[Fact]:
        """Those that the column rests on, in the order of `REASONS`; for a whole row those of any column."""
        # The column `sources` names the suppliers of all others, which the registry does not decide.
        of_suppliers = column == day_metrics.sources.name
        names = [each.name for each in table.columns] if of_suppliers or column is None else [column]
        rests_on = {root for name in names for root in roots(table, name)} - {Origin.REGISTRY if of_suppliers else None}
        found = {
            *self._definitions(table, names),
            *self._registry(table, rests_on),
            *(fact for root in rests_on for fact in self.observed[root]),
            *self._code(),
        }
        return sorted(found, key=lambda fact: (REASONS.index(fact.reason), fact.name, fact.first_day or date.min))

    def _definitions(self, table: Table, names: Iterable[str]) -> Iterator[Fact]:
        changed = set(named(self.received.sets.get(applied_sets.DEFINITIONS, ())))
        if changed:
            behind = {f"{of}.{name}" for each in names for of, name in columns_behind(table, each)}
            yield from (Fact(DEFINITION, f"definition of {name}") for name in sorted(changed & behind))

    def _registry(self, table: Table, rests_on: Iterable[str | Origin]) -> Iterator[Fact]:
        changed = {json.loads(row)[0] for row in self.received.sets.get(applied_sets.REGISTRY, ())}
        if table.reference is not None:
            changed &= {table.name}
        elif Origin.REGISTRY not in rests_on:
            return
        yield from (Fact(REGISTRY, f"registry {name}") for name in changed)

    def _observed(self, root: str | Origin) -> Iterator[Fact]:
        """What sources have stated anew of a series or an origin."""
        if isinstance(root, str):
            source = self.built.chosen.get(root)
            group: Group | None = SERIES[root].group
            if source is not None and (first := self.received.series.get((source, root))):
                yield Fact(STATED, f"{source} {root}", first)
        else:
            source, group = self.built.origins.get(root), root.group
        if source is None or group is None:
            return
        if self.received.sets.get(applied_sets.PRECEDENCE):
            yield Fact(STATED, applied_sets.PRECEDENCE)
        if group in _OF_BLOCKS:
            yield from self._of_blocks(source)
        if group is Group.MINER_FLOWS:
            yield from self._of_flows(source)
        tables = ("filing", "filing_fact") if group is Group.FILINGS else ("exchange_flow",)
        for table in tables:
            if group in (Group.FILINGS, Group.MINER_FLOWS) and (source, table) in self.received.tables:
                yield Fact(STATED, f"{source} {table}")

    def _of_blocks(self, source: str) -> Iterator[Fact]:
        for (of, what), first in self.received.blocks.items():
            if of == source:
                is_ours = what == "pool" and applied_sets.POOLS in self.received.sets
                reason = LABELS if is_ours else REORGANISATION if what == REORGANISATION else STATED
                yield Fact(reason, f"{source} blocks, {what}", first)

    def _of_flows(self, source: str) -> Iterator[Fact]:
        for (of, what), (_, _, day) in self.flows.items():
            if of == source:
                yield Fact(what if what in (LABELS, REORGANISATION) else STATED, f"{source} flows, {what}", day)

    def _code(self) -> Iterator[Fact]:
        modules = named(self.received.sets.get(applied_sets.CODE, ()))
        if not self.received.code_is_known:
            yield Fact(CODE, "code of a version that did not record it")
        elif modules:
            yield Fact(CODE, f"code of {', '.join(modules[:3])}{' and others' if len(modules) > 3 else ''}")

    def heights(self, source: str) -> list[tuple[int, int]] | None:
        """Ranges of heights whose transfers may be others now; None for all of them."""
        if next(self._code(), None) or self.received.sets.get(applied_sets.DEFINITIONS):
            return None
        return [(first, last) for (of, _), (first, last, _) in self.flows.items() if of == source]


def note_revisions(
    run: Run, connection: Connection, built: Built, inputs: Inputs, tables: Mapping[str, PublishedRows]
) -> int:
    """Keep by how much the `tables` of a run differ from the current publication of its profile.

    Returns how many values differ. New days are no difference, nor are columns that move with the clock. The caller has
    the transaction, in which this run's sets are recorded already. Without a publication before, or a record of its
    run, there is nothing to compare.
    """
    published = run.settings.published
    stated = manifest(published)
    before = run_of(connection, str(stated.get("version"))) if run.is_current else None
    if before is None or stated.get("profile") != run.profile.name:
        return 0
    changed = Changed(
        before=before,
        received=received_since(connection, before, _last_day(published, POOLS.name)),
        built=built,
        blocks=inputs.blocks,
        last_flow_day=_last_day(published, FLOWS.name),
    )
    listed, counted = [], []
    for table in PUBLISHED:
        cells = _cells(published, table, tables[table.name], changed, inputs.transfer_source)
        if not cells.is_empty():
            few, count = _with_reasons(table, cells, changed)
            listed.append(few)
            counted.append(count)
    if not counted:
        return 0
    counts = pl.concat(counted)
    keep_value_revisions(connection, run.run_id, run.now, pl.concat(listed), counts)
    found = int(counts["value_count"].sum())
    logger.info("revised published values=%d tables=%d", found, len(counted))
    return found


def _last_day(published: Path, table: str) -> date | None:
    days = published_rows(published, table, columns=["day"])
    return None if days is None or days.is_empty() else days["day"].to_list()[-1]


def _cells(
    published: Path, table: Table, now: PublishedRows, changed: Changed, transfer_source: str | None
) -> pl.DataFrame:
    """What differs of one table; of one in years only those are read that are made from something else than before."""
    if not isinstance(now, Partitions):
        old = published_rows(published, table.name)
        return (
            CELLS.to_frame()
            if old is None or not {*table.key} <= {*old.columns}
            else changed_cells(old, now, table.key)
        )
    wanted, years = pl.lit(True), {part.key for part in now.parts}
    if table.name == TRANSFERS.name:
        # Two years of transfers are more than all other tables: only heights that were revised are compared.
        ranges = [] if transfer_source is None else changed.heights(transfer_source)
        if ranges == []:
            return CELLS.to_frame()
        if ranges is not None:
            wanted = pl.any_horizontal(pl.col("height").is_between(*ends) for ends in ranges)
            years = set(changed.blocks.filter(wanted)["block_at"].dt.year().cast(pl.String).unique())
    found, same = [], years_as_before(published, table.name, now)
    for part in now.parts:
        old = published_rows(published, table.name, part.key) if part.key in years - same else None
        if old is not None:
            # Of a year that is over, also days that the publication before did not have are late.
            is_over = int(part.key) < changed.before.day.year
            until = date(int(part.key), 12, 31) if is_over else None if old.is_empty() else old["day"].to_list()[-1]
            found.append(changed_cells(old.filter(wanted), part.rows().filter(wanted), table.key, until=until))
    return pl.concat([CELLS.to_frame(), *found])


def _with_reasons(table: Table, cells: pl.DataFrame, changed: Changed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The values that are kept one by one, and the counts by column and reason."""
    listed, counted = [], []
    for of_column in cells.partition_by("column_name", maintain_order=True):
        name = of_column["column_name"][0]
        facts = changed.facts(table, name)
        day = pl.col("day")
        reason = pl.lit(NEW_DAYS)
        for fact in reversed(facts):
            applies = pl.lit(True) if fact.first_day is None else day.is_null() | (day >= fact.first_day)
            reason = pl.when(applies).then(pl.lit(fact.reason)).otherwise(reason)
        rows = of_column.with_columns(
            pl.lit(table.name).alias("table_name"),
            reason.alias("reason"),
            relative_pct(pl.col("value_before"), pl.col("value_after")).abs().alias("largest_difference_pct"),
        )
        few = (
            rows.filter(pl.col("reason") != NEW_DAYS)
            .sort("largest_difference_pct", descending=True, nulls_last=True, maintain_order=True)
            .group_by("reason", maintain_order=True)
            .head(MOST_LISTED)
        )
        listed.append(few.select("table_name", *CELLS, "reason"))
        kept = few.group_by("reason").agg(pl.len().cast(pl.Int64).alias("listed_count"))
        counted.append(
            rows.group_by("table_name", "column_name", "reason")
            .agg(
                pl.len().cast(pl.Int64).alias("value_count"),
                pl.col("day").min().alias("first_day"),
                pl.col("day").max().alias("last_day"),
                pl.col("largest_difference_pct").max(),
            )
            .join(kept, on="reason", how="left")
            .with_columns(
                pl.col("listed_count").fill_null(0),
                pl.lit("; ".join(dict.fromkeys(fact.name for fact in facts))).alias("inputs"),
            )
            .sort("reason")
        )
    return pl.concat(listed), pl.concat(counted)
