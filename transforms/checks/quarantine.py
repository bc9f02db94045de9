"""What is in the quarantine: rows of sources that are held, and figures that rest on rows which a person let in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

import polars as pl

from schemas.check import Check, CheckFacts
from schemas.quarantine import LIMIT, Status
from transforms.derive import UNOBSERVED

HELD: Final = CheckFacts(
    name="no row is held in quarantine",
    severity="warning",
    window="all days",
    reason=(
        f"A source of which up to {LIMIT} fail is sound in the rest, so that these are set aside and their days are "
        "NULL or as stated before. They do not stop: the other days are as good as ever."
    ),
    fault="a price of -5 on one day",
)
ACCEPTED: Final = CheckFacts(
    name="accepted from the quarantine",
    severity="notice",
    window="all days",
    reason="A person let a row in that breaks its rule: stated with the row, who, when and why, not judged.",
    fault="none",
)
CATALOGUE: Final = (HELD, ACCEPTED)

BECAUSE_HELD: Final = "; its row is held in quarantine"
_SERIES: Final = pl.col("row_key").str.json_path_match("$.series")
ONE_DAY: Final = timedelta(days=1)
MOST_NAMED: Final = 5
"""Series that a message names."""


def check_quarantine(entries: pl.DataFrame) -> Iterator[Check]:
    """One result a source that ever had a row in the quarantine, and one for each decision to let rows in.

    `entries`: rows of the quarantine as the working database has them.
    """
    named = entries.with_columns(_SERIES.alias("series"))
    for (source,), rows in named.group_by("source", maintain_order=True):
        held = rows.filter(status=Status.HELD)
        yield Check(
            check_name=HELD.of(str(source)),
            severity=HELD.severity,
            passed=held.is_empty(),
            value=float(held.height),
            expected="0 rows",
            detail=_held(held) if held.height else "0 rows",
        )
    decided = named.filter(status=Status.ACCEPTED)
    alike = ["source", "observed_table", "series", "rule", "decided_by", "decided_at", "note"]
    for _, rows in decided.group_by(alike, maintain_order=True):
        first = rows.row(0, named=True)
        yield Check(
            check_name=ACCEPTED.of(first["source"]),
            severity=ACCEPTED.severity,
            passed=True,
            value=float(rows.height),
            expected="",
            detail=(
                f"{first['observed_table']} {_days(rows)} broke the rule '{first['rule']}' ({first['reason']}); "
                f"accepted by {first['decided_by']} on {first['decided_at']:%Y-%m-%d %H:%M} UTC: {first['note']}"
            ),
        )


def naming_held(nulls: pl.DataFrame, entries: pl.DataFrame, chosen: Mapping[str, str]) -> pl.DataFrame:
    """Rows of `meta.nulls` in which a day without an observation has the quarantine in its reason where that is why.

    `chosen`: the supplier of each series; only what is held of it leaves a day NULL. Shape: as `nulls`, of which a row
    becomes one for each part of its days.
    """
    held = entries.filter(pl.col("status") == Status.HELD, pl.col("day").is_not_null()).with_columns(
        _SERIES.alias("series")
    )
    days: dict[str, set[date]] = {}
    for source, series, day in held.select("source", "series", "day").iter_rows():
        if series is not None and chosen.get(series) == source:
            days.setdefault(f"{UNOBSERVED}{series}", set()).add(day)
    if not days:
        return nulls
    concerned = nulls["reason"].is_in(list(days))
    parts = [
        part
        for row in nulls.filter(concerned).iter_rows(named=True)
        for part in _parts(row, sorted(days[row["reason"]]))
    ]
    divided = pl.DataFrame(parts, schema=nulls.schema, orient="row")
    return pl.concat([nulls.filter(~concerned), divided]).sort("table_name", "column_name", "first_day")


def _parts(row: dict[str, Any], held: Sequence[date]) -> Iterator[dict[str, Any]]:
    """The row for each stretch of its days that are held or not; whole where it counts other rows than one a day."""
    first, last = row["first_day"], row["last_day"]
    if first is None or row["row_count"] != (last - first).days + 1:
        is_one = first == last and first in held
        yield {**row, "reason": f"{row['reason']}{BECAUSE_HELD}"} if is_one else row
        return
    begins = first
    for held_from, held_until in _stretches([each for each in held if first <= each <= last]):
        if begins < held_from:
            yield _of_days(row, begins, held_from - ONE_DAY, row["reason"])
        yield _of_days(row, held_from, held_until, f"{row['reason']}{BECAUSE_HELD}")
        begins = held_until + ONE_DAY
    if begins <= last:
        yield _of_days(row, begins, last, row["reason"])


def _stretches(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """First and last day of each stretch of `days`, which ascend, without a day between."""
    for _, stretch in groupby(enumerate(days), lambda each: each[1] - each[0] * ONE_DAY):
        found = [day for _, day in stretch]
        yield found[0], found[-1]


def _of_days(row: dict[str, Any], first: date, last: date, reason: str) -> dict[str, Any]:
    return {**row, "first_day": first, "last_day": last, "row_count": (last - first).days + 1, "reason": reason}


def _held(held: pl.DataFrame) -> str:
    first = held.row(0, named=True)
    by_series = [
        f"{table} {_days(rows)}" for (table, _), rows in held.group_by("observed_table", "series", maintain_order=True)
    ]
    more = f" and {len(by_series) - MOST_NAMED} more series" if len(by_series) > MOST_NAMED else ""
    rows = f"{held.height:,} row{'s' if held.height > 1 else ''}"
    return (
        f"{rows} held: {', '.join(by_series[:MOST_NAMED])}{more}; first: {first['origin']}, {first['place']}: "
        f"{first['reason']}; decide by `hashpivot quarantine list`"
    )


def _days(rows: pl.DataFrame) -> str:
    """Series and days of rows of one series, as a part of a sentence."""
    series = rows["series"][0] or ""
    days = rows["day"].drop_nulls().unique().sort().to_list()
    if not days:
        return f"{series} of no day".strip()
    if len(days) == 1:
        return f"{series} {days[0]}".strip()
    return f"{series} on {len(days):,} days from {days[0]} to {days[-1]}".strip()
