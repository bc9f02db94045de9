"""How far a publication can be believed: checks, freshness, sources with their terms, figures that are unknown."""

from typing import Any, Final

import polars as pl

from flows.reports.brief import USUALLY_NULL
from flows.reports.page.given import Given
from transforms.catalog import PUBLISHED

MOST_LISTED: Final = 25


def checks(given: Given) -> dict[str, Any]:
    """How many checks held, and those that did not, with the notices of sources."""
    rows = given.meta["quality"]
    notices = rows.filter(pl.col("severity") == "notice")
    failed = rows.filter(~pl.col("passed") & (pl.col("severity") != "notice")).sort("table_name", "check_name")
    return {
        "held_count": rows.height - notices.height - failed.height,
        "failed_count": failed.height,
        "notice_count": notices.height,
        "failed": failed.head(MOST_LISTED).to_dicts(),
        "notices": notices.head(MOST_LISTED).to_dicts(),
        "more_count": max(0, failed.height - MOST_LISTED) + max(0, notices.height - MOST_LISTED),
    }


def sources(given: Given) -> list[dict[str, Any]]:
    """Suppliers that values were published from, with what they say of themselves and how far they are behind."""
    late = given.meta["freshness"].filter(pl.col("subject") == "series")
    behind = dict(late.group_by("source").agg(pl.col("days_behind").max()).iter_rows())
    is_late = set(late.filter(pl.col("is_late").fill_null(False))["source"])
    used = given.meta["sources"].filter(pl.col("used_for") != "").sort("source")
    return [
        row | {"days_behind": behind.get(row["source"]), "is_late": row["source"] in is_late}
        for row in used.iter_rows(named=True)
    ]


def tables(given: Given) -> list[dict[str, Any]]:
    """Published tables that have rows: name, sentence, rows, days, terms, and the one Parquet file, if it is one."""
    rows = given.meta["tables"].filter(pl.col("row_count") > 0).sort("table_name")
    by_year = {table.name for table in PUBLISHED if table.is_by_year}
    return [
        row | {"parquet": None if row["table_name"] in by_year else f"parquet/{row['table_name']}.parquet"}
        for row in rows.iter_rows(named=True)
    ]


def unknown(given: Given) -> list[dict[str, str]]:
    """Columns of the newest day with a score that are NULL, each with the reason; by reason and name."""
    newest = given.newest_scored()
    names = [name for name, value in newest.items() if value is None and name not in USUALLY_NULL]
    nulls = given.meta["nulls"].filter(
        (pl.col("table_name") == "capitulation_daily")
        & (pl.col("first_day") <= newest["day"])
        & (pl.col("last_day") >= newest["day"])
    )
    reasons = dict(nulls.select("column_name", "reason").iter_rows())
    found = [{"name": name, "reason": reasons.get(name) or "not stated"} for name in names]
    return sorted(found, key=lambda row: (row["reason"], row["name"]))
