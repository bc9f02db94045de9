"""UTC days as sources write them: the Unix time at which one begins."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.units import SECONDS_PER_DAY

_EPOCH: Final = date(1970, 1, 1)
_LAST_DAY_NUMBER: Final = (date.max - _EPOCH).days


def midnight_seconds(day: date) -> int:
    """Unix time at which the UTC day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def day_text(begins_at: int, *, per_second: int = 1) -> str:
    """The UTC day that begins at `begins_at` as YYYY-MM-DD; a time that is not a midnight stays the number it is."""
    number, rest = divmod(begins_at, SECONDS_PER_DAY * per_second)
    is_day = rest == 0 and 0 <= number <= _LAST_DAY_NUMBER
    return str(_EPOCH + timedelta(days=number)) if is_day else str(begins_at)
