"""Single transfers by year: a year that changed is read, checked and explained, of the others it is known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, partial
from hashlib import sha256
from threading import Lock
from types import ModuleType
from typing import Any, Final

import polars as pl

from flows.run.folds import Folded, code_digest
from schemas.partition import Partition, Partitions
from transforms import calendar, derive, detail
from transforms.calendar import dated, is_final, whole_days
from transforms.derive import NULLS
from transforms.detail import Detail, built_rows
from transforms.metrics import day as day_metrics
from transforms.metrics import transfers as transfer_metrics
from transforms.tables import miner_transfer
from transforms.tables.miner_transfer import TABLE, marked
from warehouse.folds import keep_year, kept_years, transfers_between
from warehouse.working import Connection

BUILT_BY: Final[tuple[ModuleType, ...]] = (*(calendar, derive, detail, day_metrics, transfer_metrics, miner_transfer),)
"""The modules of ours that decide what the published rows of given transfers are."""

SCHEMA: Final = pl.Schema({metric.name: metric.dtype for metric in TABLE.metrics})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferYears:
    """All transfers of whole days, as they are published: `detail` is what there is to know of them without them."""

    rows: Partitions
    detail: Detail


def transfer_years(
    connection: Connection, source: str | None, blocks: pl.DataFrame, folded: Folded, now: datetime
) -> TransferYears:
    """The transfers of the days of `folded`, by year; `blocks` are those that days are made of.

    Rows of a year are read while `connection` is open, by any thread. Raises `ContractError` where they break the
    schema.
    """
    ordered = dated(blocks)
    whole = whole_days(ordered)
    days = (
        folded.keys.join(folded.flows.sums.select("day", "transfer_row_count"), on="day", validate="1:1")
        .with_columns(is_final(whole, now).alias("is_final"))
        .filter(pl.col("transfer_row_count") > 0)
        .sort("day")
    )
    numbered = days.with_columns(pl.col("day").dt.year().alias("year"))
    by_year = numbered.partition_by("year", maintain_order=True, include_key=False)

    if source is None:
        return TransferYears(rows=Partitions(schema=SCHEMA, parts=()), detail=detail.joined([]))

    @lru_cache(maxsize=1)
    def built(first: int, last: int) -> tuple[pl.DataFrame, Detail]:
        heights = ordered.select("height", "day").join(days, on="day", how="semi")
        rows = transfers_between(connection, source, first, last).join(heights, on="height", validate="m:1")
        return built_rows(TABLE, marked(rows, whole, now, source))

    reading = Lock()

    def rows_of(first: int, last: int) -> pl.DataFrame:
        # The writers of a target fetch rows in threads of their own, and a connection serves one statement at a time.
        with reading:
            return built(first, last)[0]

    kept = kept_years(connection, source)
    parts, found = [], []
    for of_year in by_year:
        first_day, last_day = of_year["day"][0], of_year["day"][-1]
        ends = of_year["first_height"][0], of_year["last_height"][-1]
        digest = _digest(source, of_year)
        known = kept.get(first_day.year)
        if known is None or known[0] != digest:
            one = built(*ends)[1]
            keep_year(connection, source, first_day.year, digest, _to_json(one))
        else:
            one = _from_json(known[1])
        found.append(one)
        parts.append(
            Partition(
                key=f"{first_day.year:04d}",
                digest=digest,
                row_count=int(of_year["transfer_row_count"].sum()),
                first_day=first_day,
                last_day=last_day,
                rows=partial(rows_of, *ends),
            )
        )
    return TransferYears(rows=Partitions(schema=SCHEMA, parts=tuple(parts)), detail=detail.joined(found))


def _digest(source: str, days: pl.DataFrame) -> str:
    digest = sha256(f"{code_digest(BUILT_BY)} {source} {days.columns}".encode())
    for row in days.iter_rows():
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _to_json(found: Detail) -> str:
    nulls = [[*row] for row in found.nulls.iter_rows()]
    return json.dumps({"nulls": nulls, "last_days": dict(found.last_days)}, default=date.isoformat)


def _from_json(text: str) -> Detail:
    stated: Mapping[str, Any] = json.loads(text)
    nulls: Sequence[Sequence[Any]] = [
        [name, reason, _day(first), _day(last), count] for name, reason, first, last, count in stated["nulls"]
    ]
    return Detail(
        nulls=pl.DataFrame(nulls, schema=NULLS, orient="row"),
        last_days={name: _day(last) for name, last in stated["last_days"].items()},
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
