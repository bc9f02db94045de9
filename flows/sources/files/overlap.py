"""A folder may hold an older and a newer export of one metric; the rows of the newer one are used."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import polars as pl

from flows.sources.files.reading import Reading
from schemas.errors import BadInputError
from schemas.observations import KEYS, ObservedTable
from schemas.quarantine import FailedRow

FEWEST_SHARED_COUNT: Final = 30
"""Shared days or heights that are needed to conclude that two files are not about the same thing."""
UNRELATED_RATIO: Final = 0.5
"""Vendors revise history by some percent. Where the middle value is off by half, or half of the block times differ,
one of the files is about another asset, another entity or another chain."""


def newest_wins(readings: Sequence[Reading]) -> list[Reading]:
    """The readings without rows that a newer file of the same source states too; dropped rows add a notice.

    The newer file is the one with the later last day, then the one with the later origin. It wins with a row that
    failed, too: a correction that cannot be believed does not make the older value true again. Raises
    `BadInputError` where two files state the same series or heights but cannot be about the same thing.
    """
    kept: list[Reading] = []
    for reading in sorted(readings, key=lambda each: (each.last_day, each.origin), reverse=True):
        rows, failed, notices = reading.rows, reading.failed, list(reading.notices)
        for newer in kept:
            if (newer.source, newer.table) != (reading.source, reading.table):
                continue
            keys = list(KEYS[reading.table])
            rows = _without(rows, newer.failed, keys)
            failed = _not_stated(failed, newer, keys)
            shared = reading.rows.join(newer.rows, on=keys, suffix="_newer")
            if shared.is_empty():
                continue
            _reject_unrelated(reading, newer, shared)
            values = [name for name in reading.rows.columns if name not in keys]
            differ = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_newer")) for name in values)
            count = shared.filter(differ).height
            notices.append(
                f"{shared.height} of its rows are also in {newer.origin}, which is newer and wins; {count} differ"
            )
            rows = rows.join(newer.rows, on=keys, how="anti", maintain_order="left")
        kept.append(replace(reading, rows=rows, failed=failed, notices=tuple(notices)))
    return kept


def _without(rows: pl.DataFrame, failed: Sequence[FailedRow], keys: list[str]) -> pl.DataFrame:
    """`rows` without those of a key that is among the `failed`."""
    taken = [each.key for each in failed if isinstance(each.key.get("day"), date)]
    if not taken:
        return rows
    return rows.join(pl.DataFrame(taken, schema={key: rows.schema[key] for key in keys}), on=keys, how="anti")


def _not_stated(failed: tuple[FailedRow, ...], newer: Reading, keys: list[str]) -> tuple[FailedRow, ...]:
    """Those of the `failed` whose key the newer file does not state, soundly or not."""
    if not failed:
        return failed
    stated = set(newer.rows.select(keys).iter_rows()) | {tuple(each.key.values()) for each in newer.failed}
    return tuple(each for each in failed if tuple(each.key.values()) not in stated)


def _reject_unrelated(reading: Reading, newer: Reading, shared: pl.DataFrame) -> None:
    if reading.table is ObservedTable.BLOCK:
        subject, gap = pl.lit("block"), (pl.col("block_at") != pl.col("block_at_newer")).cast(pl.Float64).mean()
    else:
        value, other = pl.col("value"), pl.col("value_newer")
        apart = (
            pl.when(value != other)
            .then((value - other).abs() / pl.max_horizontal(value.abs(), other.abs()))
            .otherwise(0.0)
        )
        subject, gap = pl.col("series"), apart.median()
    unrelated = (
        shared.group_by(subject.alias("subject"))
        .agg(gap.alias("gap"), pl.len().alias("shared"))
        .filter((pl.col("gap") > UNRELATED_RATIO) & (pl.col("shared") >= FEWEST_SHARED_COUNT))
        .sort("subject")
    )
    if not unrelated.is_empty():
        found = f"{unrelated['subject'][0]} unlike that in {newer.origin}"
        expected = "two exports of the same thing to agree in most rows"
        raise BadInputError(reading.origin, found, expected, "take the file out that is not about all of Bitcoin")
