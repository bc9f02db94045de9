"""Flows by day: those that are kept from earlier runs, and those of days that changed, summed and kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final

import polars as pl

from flows.settings import Settings
from schemas.check import Check
from transforms.attribution import blocks as attribution
from transforms.attribution import transfers
from transforms.calendar import dated, whole_days
from transforms.inputs import exchange_flows, transfer_days
from transforms.inputs.transfer_days import FlowDays, flow_days, no_flow_days, seen_days
from warehouse import journal
from warehouse.folds import (
    KEY,
    Comparison,
    attributed_heights,
    flows_between,
    forget_comparisons,
    keep_flows,
    kept_flows,
    last_comparison,
    note_comparison,
)
from warehouse.working import Connection, open_working

COMPARED_EVERY: Final = timedelta(days=7)
PART_BLOCKS: Final = 60_000
"""Blocks whose flows and transfers are read at once: those of a year."""
NAME: Final = "kept days equal a full computation"
SUMMED_BY: Final[tuple[ModuleType, ...]] = (attribution, exchange_flows, transfer_days, transfers)
"""The modules of ours that decide what the sums of a day are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Flows by day, and the key of each day: what its flows are made from. Both sorted by day."""

    flows: FlowDays
    keys: pl.DataFrame


@cache
def code_digest(modules: tuple[ModuleType, ...]) -> str:
    """Digest of code: another version of it must not use what this one kept."""
    digest = sha256(pl.__version__.encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def made_by() -> str:
    """Digest of the code that sums flows."""
    return code_digest(SUMMED_BY)


def folded_flows(
    connection: Connection, source: str | None, blocks: pl.DataFrame, through: date, now: datetime
) -> Folded:
    """Flows of all days up to `through` that `source` has attributed whole; `blocks` are those that days are made of.

    Days whose key is kept are read, the others are summed and kept. Where the last full computation is a week old, all
    of them are summed, compared with what was kept, and kept where they differ.
    """
    if source is None:
        return Folded(flows=no_flow_days(), keys=pl.DataFrame(schema=dict.fromkeys(KEY, pl.Int64) | {"day": pl.Date}))
    ordered = dated(blocks)
    keys = seen_days(attributed_heights(connection, source), ordered, whole_days(ordered))
    keys = keys.filter(pl.col("day") <= through)
    kept_sums, kept_transfers = kept_flows(connection, source, made_by(), keys)
    last = last_comparison(connection)
    is_full = last is None or now - last.compared_at >= COMPARED_EVERY
    summed, different_count = [], 0
    for part in _parts(keys if is_full else keys.join(kept_sums, on="day", how="anti", maintain_order="left")):
        heights = ordered.select("height", "day").join(part, on="day", how="semi", maintain_order="left")
        first, last_height = part["first_height"][0], part["last_height"][-1]
        fresh = flow_days(*flows_between(connection, source, first, last_height), heights)
        old = FlowDays(sums=kept_sums.drop(KEY[1:]), transfers=kept_transfers).of(part)
        changed = _different(fresh, old)
        different_count += changed.join(old.sums, on="day", how="semi").height
        if changed.height:
            stored = fresh.of(changed)
            keep_flows(connection, source, made_by(), part.join(stored.sums, on="day"), stored.transfers)
        summed.append(fresh)
    if is_full:
        made = Comparison(compared_at=now, day_count=kept_sums.height, different_count=different_count)
        note_comparison(connection, made)
    else:
        summed.append(FlowDays(sums=kept_sums.drop(KEY[1:]), transfers=kept_transfers))
    return Folded(flows=FlowDays.joined(summed), keys=keys)


def sum_all_next(settings: Settings) -> None:
    """Make the next run under these settings sum the flows of all days and compare them with what is kept.

    Raises `WarehouseBusyError` while a run goes on.
    """
    with journal.one_run_at_a_time(settings.lock_file), open_working(settings.working_database) as connection:
        forget_comparisons(connection)


def _parts(keys: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut `keys` of days, which are sorted, where `PART_BLOCKS` heights are full."""
    part = (pl.col("last_height") - pl.col("first_height").first()) // PART_BLOCKS
    yield from keys.with_columns(part.alias("part")).partition_by("part", maintain_order=True, include_key=False)


def _different(fresh: FlowDays, old: FlowDays) -> pl.DataFrame:
    """Days of `fresh` that are not among the `old` ones, or not the same there."""
    days = [
        one.join(other, on=one.columns, how="anti", nulls_equal=True).select("day")
        for ours, theirs in ((fresh.sums, old.sums), (fresh.transfers, old.transfers))
        for one, other in ((ours, theirs.select(ours.columns)), (theirs.select(ours.columns), ours))
    ]
    return pl.concat(days).unique().sort("day")


def comparison_check(connection: Connection, now: datetime) -> Iterator[Check]:
    """Whether a full computation equals what was kept; a warning, as what is published then is what was computed."""
    last = last_comparison(connection)
    if last is None:
        return
    is_new = last.compared_at >= now
    found = f"{last.different_count} of {last.day_count} days differ"
    yield Check(
        check_name=NAME,
        severity="warning",
        passed=last.different_count == 0 or not is_new,
        value=float(last.different_count),
        expected="equal, compared every 7 days and by `daily --full`",
        detail=found if is_new else f"as of {last.compared_at:%Y-%m-%d %H:%M} UTC: {found}",
    )
