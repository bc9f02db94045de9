"""Daily difficulty of the whole history from mempool's list of adjustments, which is one small response."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Final, NamedTuple

import msgspec
import polars as pl

from flows.sources.hosted_blocks.block import Height, Word
from schemas.errors import BadInputError
from schemas.observations import DAILY_VALUE
from transforms.chain import BLOCKS_PER_RETARGET, RETARGET_LIMIT_FACTOR

SERIES: Final = "difficulty"
RATIO_TOLERANCE: Final = 1e-4
"""Relative; the server prints six digits."""
_SECONDS_A_DAY: Final = 86_400
_REMEDY: Final = "nothing of the response is used; try again tomorrow, or take mempool out of the profile"

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e20)]
Ratio = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class Adjustment(NamedTuple):
    """One row of the list: from the block at `height`, whose time is `time`, on. The first block has the ratio 0."""

    time: Word
    height: Height
    difficulty: Positive
    ratio: Ratio


def difficulty_days(place: str, newest_first: Sequence[Adjustment], since: date | None, through: date) -> pl.DataFrame:
    """Mean difficulty of each day from `since` (None: the day of the oldest adjustment) to `through`.

    Exact but on days of an adjustment, where both difficulties count by their share of the time of the day and not
    of its blocks. The oldest adjustment gives no value before its day is over. Shape: series, day, value, sorted.
    Raises `BadInputError` for a list that no chain gives.
    """
    steps = list(reversed(newest_first))
    for earlier, later in pairwise(steps):
        _check_step(place, earlier, later)
    if steps and steps[0].height % BLOCKS_PER_RETARGET:
        raise BadInputError(place, f"an adjustment at block {steps[0].height:,}", "a multiple of 2,016", _REMEDY)
    days, means = _means(steps, since, through) if steps else ([], [])
    return pl.DataFrame(
        {"series": [SERIES] * len(days), "day": days, "value": means},
        schema={name: column.dtype.type for name, column in DAILY_VALUE.columns.items()},
    )


def _check_step(place: str, earlier: Adjustment, later: Adjustment) -> None:
    in_order = later.height > earlier.height and later.time > earlier.time
    if not in_order or later.height % BLOCKS_PER_RETARGET:
        raise BadInputError(
            place,
            f"block {later.height:,} at {later.time} s after block {earlier.height:,} at {earlier.time} s",
            "later ones at multiples of 2,016",
            _REMEDY,
        )
    ratio = later.difficulty / earlier.difficulty
    # The list leaves out periods that changed nothing, so that between two rows there may be any number of them.
    limit = RETARGET_LIMIT_FACTOR * (1 + RATIO_TOLERANCE)
    if not (1 / limit <= ratio <= limit and abs(later.ratio / ratio - 1) <= RATIO_TOLERANCE):
        raise BadInputError(
            place,
            f"a difficulty {ratio:.6f} times the one before at block {later.height:,}, stated as {later.ratio}",
            "the ratio that is stated, from 1/4 to 4",
            _REMEDY,
        )


def _means(steps: Sequence[Adjustment], since: date | None, through: date) -> tuple[list[date], list[float]]:
    first_at = datetime.fromtimestamp(steps[0].time, UTC)
    # The chain begins with the first block; a list that begins later begins amid a day.
    day = first_at.date() if steps[0].height == 0 else first_at.date() + timedelta(days=1)
    day = max(day, since) if since else day
    days, means, at = [], [], 0
    while day <= through:
        begins = int(datetime.combine(day, time(), UTC).timestamp())
        ends = begins + _SECONDS_A_DAY
        while at + 1 < len(steps) and steps[at + 1].time <= begins:
            at += 1
        value, rest, until = 0.0, at, begins
        while rest + 1 < len(steps) and steps[rest + 1].time < ends:
            value += steps[rest].difficulty * (steps[rest + 1].time - until)
            until, rest = steps[rest + 1].time, rest + 1
        days.append(day)
        # Without a step inside there is nothing to weigh, and nothing to round.
        means.append(
            steps[at].difficulty if rest == at else (value + steps[rest].difficulty * (ends - until)) / _SECONDS_A_DAY
        )
        day += timedelta(days=1)
    return days, means
