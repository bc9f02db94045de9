"""What reports, alerts and the scheduler read of a publication: one function a question.

Each takes an open publication (`warehouse.reading.open_publication`), so that several of them read the same version,
or the folder of publications where there may be none yet.
A row is a mapping of column names to values, an empty one where there is no such row. Times are UTC without a zone, as
published.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl

from schemas.errors import HashpivotError
from warehouse.reading import OpenPublication, Rows, fetch, fetch_frame, open_publication
from warehouse.statements import frame, quoted, without_zone

Row: TypeAlias = Mapping[str, Any]

EXAMPLE: Final = "select day, capitulation_state, capitulation_score from capitulation_daily order by day desc limit 10"
"""For people who see a publication for the first time."""
TABLE_LIST: Final = "select table_name, row_count, first_day, last_day, sources from meta.tables order by table_name"
TABLE_SIZES: Final = "select table_name, row_count, first_day, last_day from meta.tables order by table_name"
PUBLISHED: Final = "published"
"""Source, in `meta.revisions`, of rows about published values, which are no observations."""
_BY_AGE: Final = ("day", "known_at")
"""Columns that say how old a row is."""


def newest_run(publication: OpenPublication) -> Row:
    """The run that made the publication: a row of `meta.runs`, which has it last, whatever the clock showed."""
    return _row(publication, "select * from meta.runs where status = 'published' order by rowid desc limit 1")


def newest_day(published: Path, profile: str, now: datetime) -> date | None:
    """The last day that `profile` has fetched and published under `published` by `now`; None before its first.

    Days and runs after that are those of a clock that was ahead, and count for nothing.
    """
    try:
        with open_publication(published) as publication:
            return newest_day_of(publication, profile, now)
    except HashpivotError:
        return None


def newest_day_of(publication: OpenPublication, profile: str, now: datetime) -> date | None:
    """The same of an open publication."""
    sql = (
        "select max(fetched_until) as day from meta.runs "
        "where status = 'published' and profile = ? and fetched_until < ?::date and started_at <= ?"
    )
    day: date | None = _row(publication, sql, profile, *[_naive(now)] * 2)["day"]
    return day


def run_that_published(published: Path, profile: str, day: date, since: datetime, now: datetime) -> str | None:
    """A run of `profile`, started from `since` to `now` (UTC), that fetched and published `day`; None without any.

    A day that is not over at `now` was published by a clock that was ahead, and counts for nothing.
    """
    sql = (
        "select run_id from meta.runs where status = 'published' and profile = ? and fetched_until >= ? "
        "and fetched_until < ?::date and started_at between ? and ? limit 1"
    )
    try:
        with open_publication(published) as publication:
            return _row(publication, sql, profile, day, _naive(now), _naive(since), _naive(now)).get("run_id")
    except HashpivotError:
        return None


def _naive(moment: datetime) -> datetime:
    """As times are published: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def freshness(publication: OpenPublication) -> list[Row]:
    """Rows of `meta.freshness` about tables and series; none in a publication of a version that did not state them."""
    named = "select 1 from duckdb_tables() where schema_name = 'meta' and table_name = 'freshness'"
    sql = "select * from meta.freshness where subject in ('table', 'series') order by subject, source, series"
    return _rows(publication, sql) if _rows(publication, named) else []


def newest_scored_day(publication: OpenPublication) -> Row:
    """The newest final row of `capitulation_daily` that has a score; the newest of all where there is none.

    A day that is not described yet may have a score, from means of a week that it is the last day of, and little else.
    """
    last = "capitulation_score is null or is_final is not true, day desc"
    return _row(publication, f"select * from capitulation_daily order by {last} limit 1")


def capitulation_day(publication: OpenPublication, day: date) -> Row:
    """The row of `capitulation_daily` for `day`."""
    return _row(publication, "select * from capitulation_daily where day = ?", day)


def last_day(publication: OpenPublication) -> date | None:
    """The last day of `capitulation_daily`, with a score or without."""
    day: date | None = _row(publication, "select max(day) as day from capitulation_daily")["day"]
    return day


def newest_conversion_day(publication: OpenPublication) -> Row:
    """The newest row of `conversion_daily`."""
    return _row(publication, "select * from conversion_daily order by day desc limit 1")


def newest_state(publication: OpenPublication) -> Row:
    """`day` and `capitulation_state` of the newest day that has a state."""
    return _row(
        publication,
        "select day, capitulation_state from capitulation_daily where capitulation_state is not null "
        "order by day desc limit 1",
    )


def newest_episode(publication: OpenPublication) -> Row:
    """The newest row of `capitulation_episode`; of a publication of a version that had none, an empty one."""
    if "peaked_on" not in columns_of(publication, "capitulation_episode"):
        return {}
    return _row(publication, "select * from capitulation_episode order by started_on desc limit 1")


def missed_stress(publication: OpenPublication) -> list[Row]:
    """Rows of `answers.stress_without_capitulation`; none in a publication of a version that had no such view."""
    view = "answers.stress_without_capitulation"
    return _rows(publication, f"select * from {view} order by core_start_on") if columns_of(publication, view) else []


def bursts_after(publication: OpenPublication, day: date) -> list[date]:
    """Days after `day` with a burst of coins from miners to exchanges, in order."""
    sql = "select day from capitulation_daily where miner_to_exchange_burst and day > ? order by day"
    return [row["day"] for row in _rows(publication, sql, day)]


def standing_deals(publication: OpenPublication) -> list[Row]:
    """The deals that stand, in the order of their identifiers: rows of `deal_current`."""
    return _rows(publication, "select * from deal_current order by deal_id")


def claims(publication: OpenPublication) -> list[Row]:
    """Rows of `claim`, in its order; none in a publication of a version that did not judge them."""
    return _rows(publication, "select * from claim order by rowid") if columns_of(publication, "claim") else []


def checks(publication: OpenPublication) -> list[Row]:
    """Rows of `meta.quality`."""
    return _rows(publication, "select * from meta.quality order by severity, table_name, check_name")


def revision_total(publication: OpenPublication) -> tuple[int, datetime | None]:
    """How many observations were revised so far, and when the newest of these revisions was observed."""
    row = _row(
        publication,
        "select count(*) as revision_count, max(observed_at) as observed_at from meta.revisions "
        "where source <> 'published'",
    )
    return row["revision_count"], row["observed_at"]


def newest_revisions(publication: OpenPublication, until: datetime, limit: int) -> list[Row]:
    """The `limit` newest rows of `meta.revisions` up to `until`, of those observed together the largest first.

    Of what sources changed: what is published differently for it is left out.
    """
    return _rows(
        publication,
        "select * from meta.revisions where observed_at <= ? and source <> 'published' "
        "order by observed_at desc, abs(difference_pct) desc nulls last, source, item, day limit ?",
        until,
        limit,
    )


def revisions_between(publication: OpenPublication, first: datetime, last: datetime) -> list[Row]:
    """By source `revised_count`, `first_day` and `last_day` of what it revised from `first` to `last`."""
    return _rows(
        publication,
        "select source, count(*) as revised_count, min(day) as first_day, max(day) as last_day "
        "from meta.revisions where observed_at between ? and ? and source <> 'published' "
        "group by source order by source",
        first,
        last,
    )


def revisions_of(publication: OpenPublication, items: Sequence[str], day: date) -> list[Row]:
    """Rows of `meta.revisions` for any of `items` on `day`, the oldest first."""
    sql = "select * from meta.revisions where list_contains(?, item) and day = ? order by observed_at, source, revision"
    return _rows(publication, sql, list(items), day)


def revisions_of_value(
    publication: OpenPublication, table: str, column: str, day: date | None, row_key: str
) -> list[Row]:
    """Rows of `meta.revisions` that state how a published value changed, the oldest first; none by older versions.

    `row_key`: the key of the row beside the day, as `name=value, name=value`.
    """
    if "row_key" not in columns_of(publication, "meta.revisions"):
        return []
    return _rows(
        publication,
        "select * from meta.revisions where table_name = ? and column_name = ? and day is not distinct from ? "
        "and row_key = ? order by observed_at",
        table,
        column,
        day,
        row_key,
    )


def checks_on(publication: OpenPublication, table: str, column: str) -> list[Row]:
    """Rows of `meta.quality` for a table that failed, or that name the column."""
    sql = (
        "select * from meta.quality where table_name = ? "
        "and (not passed or contains(check_name, ?) or contains(detail, ?)) order by passed, check_name"
    )
    return _rows(publication, sql, table, column, column)


def null_reasons(publication: OpenPublication, table: str, column: str, day: date | None) -> list[str]:
    """Why a column is NULL, by `meta.nulls`: on `day` where the rows have one."""
    sql = (
        "select distinct reason from meta.nulls where table_name = ? and column_name = ? "
        "and (first_day is null or ?::date is null or ?::date between first_day and last_day) order by reason"
    )
    return [str(row["reason"]) for row in _rows(publication, sql, table, column, day, day)]


def used_sources(publication: OpenPublication) -> list[Row]:
    """Rows of `meta.sources` for those from which values were published."""
    return _rows(publication, "select * from meta.sources where used_for <> '' order by source")


def tables_with_rows(publication: OpenPublication) -> list[Row]:
    """Rows of `meta.tables` for tables that are not empty."""
    return _rows(publication, "select * from meta.tables where row_count > 0 order by table_name")


def table_list(publication: OpenPublication) -> Rows:
    """Name, size, days and sources of every table, by name."""
    return fetch(publication, TABLE_LIST)


def columns_of(publication: OpenPublication, table: str) -> list[str]:
    """Names of the columns of `table` in their order, of one in another schema such as `meta.runs`; none without it."""
    schema, name = _parted(table)
    sql = "select column_name from duckdb_columns() where schema_name = ? and table_name = ? order by column_index"
    return [row["column_name"] for row in _rows(publication, sql, schema, name)]


def units_of(publication: OpenPublication, table: str) -> dict[str, str]:
    """Unit of each column of a published table."""
    sql = "select column_name, unit from meta.columns where table_name = ? order by position"
    return {row["column_name"]: row["unit"] for row in _rows(publication, sql, table)}


def column_facts(publication: OpenPublication, table: str) -> list[Row]:
    """Rows of `meta.columns` for a published table, in the order of its columns."""
    return _rows(publication, "select * from meta.columns where table_name = ? order by position", table)


def keys_of(publication: OpenPublication, table: str) -> list[str]:
    """Columns of the key of a published table."""
    sql = "select key_columns from meta.tables where table_name = ?"
    return str(_row(publication, sql, table).get("key_columns") or "").split(", ")


def row_count(publication: OpenPublication, table: str) -> int:
    """How many rows `table` has."""
    count: int = _row(publication, f"select count(*) as row_count from {_quoted(table)}")["row_count"]
    return count


def newest_rows(publication: OpenPublication, table: str, columns: Sequence[str], limit: int) -> Rows:
    """`columns` of the `limit` newest rows of `table`, the newest last."""
    names, rows = fetch(publication, f"{_newest_first(publication, table, columns)} limit ?", [limit])
    return names, rows[::-1]


def newest_frame(
    publication: OpenPublication, table: str, columns: Sequence[str], limit: int | None
) -> tuple[pl.DataFrame, bool]:
    """The same rows with the types of the columns, all where `limit` is None, and whether there are more."""
    rows, is_cut = fetch_frame(publication, _newest_first(publication, table, columns), limit=limit)
    return rows.reverse(), is_cut


def _newest_first(publication: OpenPublication, table: str, columns: Sequence[str]) -> str:
    """A query of the rows of `table` by their day, else by when they became known, else in the order of the table."""
    dated = [name for name in _BY_AGE if name in columns_of(publication, table)][:1]
    order = ", ".join(f"{name} desc" for name in (*dated, "rowid"))
    picked = ", ".join(quoted(name) for name in columns)
    schema, name = _parted(table)
    is_view = _rows(publication, "select 1 from duckdb_views() where schema_name = ? and view_name = ?", schema, name)
    rows = _quoted(table)
    if is_view:
        rows = f"(select *, row_number() over () as rowid from {rows})"
    return f"select {picked} from {rows} order by {order}"


def _parted(table: str) -> tuple[str, str]:
    """Schema and name of a table, which may be called by its name alone."""
    schema, _, name = table.rpartition(".")
    return schema or "main", name


def _quoted(table: str) -> str:
    return ".".join(quoted(part) for part in _parted(table))


def table_rows(publication: OpenPublication, table: str, key: Row) -> list[Row]:
    """The rows of `table` that have the values of `key`."""
    return _named(fetch(publication, f"select * from {quoted(table)} where {_matched(key)}", dict(key)))


def daily_values(publication: OpenPublication, column: str, first: date, last: date) -> dict[date, float]:
    """The known values of a column of `capitulation_daily`, by day, from `first` to `last`."""
    name = quoted(column)
    sql = f"select day, {name} as value from capitulation_daily where {name} is not null and day between ? and ?"
    return {row["day"]: row["value"] for row in _rows(publication, sql, first, last)}


def sources_of_column(publication: OpenPublication, table: str, column: str) -> str:
    """The suppliers of a column, comma-separated; empty where there are none."""
    sql = "select sources from meta.columns where table_name = ? and column_name = ?"
    return _row(publication, sql, table, column).get("sources") or ""


def transfers_behind(publication: OpenPublication, first: date, last: date, hop: int | None, parts: Row) -> list[Row]:
    """The transfers that daily figures count from `first` to `last`, in the order of the chain.

    `hop`: one layer of miners, None for both. `parts`: `exchange`, `pool`, `txid`, some of them or none.
    """
    bound = {"first": first, "last": last, **parts, **({} if hop is None else {"hop_count": hop})}
    matched = "".join(f" and {quoted(name)} = ${name}" for name in bound if name not in ("first", "last"))
    sql = (
        "select day, height, block_hash, txid, exchange, pool, hop_count, transfer_sat, fresh_sat, miner_input_sat, "
        "total_input_sat, quality, label_set from miner_transfer "
        f"where day between $first and $last{matched} order by height, txid, exchange, hop_count"
    )
    return _named(fetch(publication, sql, bound))


def table_frame(publication: OpenPublication, schema: str, table: str) -> pl.DataFrame:
    """Every row of a table of the schema `main` or `meta`, in the order in which they were written."""
    return without_zone(frame(publication.sql(f"from {quoted(schema)}.{quoted(table)}")))


def whole_table(publication: OpenPublication, table: str) -> Rows:
    """Every row of the published `table`, in the order of its first column."""
    return fetch(publication, f"select * from {quoted(table)} order by 1")


def _rows(publication: OpenPublication, sql: str, *values: Any) -> list[Row]:
    return _named(fetch(publication, sql, list(values)))


def _row(publication: OpenPublication, sql: str, *values: Any) -> Row:
    return _first(fetch(publication, sql, list(values)))


def _matched(key: Row) -> str:
    return " and ".join(["true", *(f"{quoted(name)} = ${name}" for name in key)])


def _named(found: Rows) -> list[Row]:
    names, rows = found
    return [dict(zip(names, row, strict=True)) for row in rows]


def _first(found: Rows) -> Row:
    names, rows = found
    return dict(zip(names, rows[0], strict=True)) if rows else {}
