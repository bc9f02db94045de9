"""What the current publication states about the runs that have published into its folder."""

from datetime import UTC, date, datetime
from pathlib import Path

from schemas.errors import HashpivotError
from warehouse.reading import query


def newest_day(published: Path, profile: str) -> date | None:
    """The last day that was published by `profile`; None before the first."""
    try:
        _, rows = query(
            published, "select max(day) from meta.runs where status = 'published' and profile = ?", [profile]
        )
    except HashpivotError:
        return None
    day: date | None = rows[0][0]
    return day


def run_that_published(published: Path, profile: str, day: date, since: datetime) -> str | None:
    """A run of `profile`, started at `since` (UTC) or later, that published `day` or a later one; None without any."""
    try:
        _, rows = query(
            published,
            "select run_id from meta.runs "
            "where status = 'published' and profile = ? and day >= ? and started_at >= ? limit 1",
            [profile, day, since.astimezone(UTC).replace(tzinfo=None)],
        )
    except HashpivotError:
        return None
    return str(rows[0][0]) if rows else None
