"""The back-test on the figures of each day as they were first published, beside those that are known now."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.first_published import FIRST_PUBLISHED, KEPT, PUBLISHED_AT
from transforms.inputs.backtest import ROWS, backtest
from transforms.inputs.signals import Held, Places, held_by_rule, signals

TIMELY_DAYS: Final = 2
"""Midnights from the start of a day to the end of the next: a signal is measured from the price of that moment."""

VINTAGE_ROWS: Final = pl.Schema(
    {
        **ROWS,
        "first_covered_on": pl.Date(),
        "last_covered_on": pl.Date(),
        "covered_day_count": pl.Int64(),
        "differing_day_count": pl.Int64(),
        "entry_now_count": pl.Int64(),
        "entry_same_count": pl.Int64(),
    }
)
"""What `backtest_of_vintage` lays out."""


def first_vintage(days: pl.DataFrame, kept: pl.DataFrame, *, publishing_at: datetime | None) -> pl.DataFrame:
    """Each of the `days`, rows of `capitulation_daily`, with the figures that were published of it first, NULL if none.

    `kept`: what is kept of earlier publications. Days that have a state now for the first time are first published by
    the run that is `publishing_at` a moment (UTC); None where these rows are not to be published. Shape: `KEPT`, and
    `is_timely`: whether the row was published before the price was known that a signal of the day is measured from.
    """
    rows = kept.select(KEPT.names())
    if publishing_at is not None:
        stated = days.drop_nulls("capitulation_state").select(FIRST_PUBLISHED.names())
        at = pl.lit(publishing_at.replace(tzinfo=None), KEPT[PUBLISHED_AT]).alias(PUBLISHED_AT)
        rows = pl.concat([rows, stated.join(rows, on="day", how="anti").with_columns(at)])
    found = days.select("day").join(rows, on="day", how="left", validate="1:1", maintain_order="left")
    until = pl.col("day").cast(KEPT[PUBLISHED_AT]) + timedelta(days=TIMELY_DAYS)
    return found.with_columns((pl.col(PUBLISHED_AT) < until).fill_null(False).alias("is_timely"))


def backtest_of_vintage(days: pl.DataFrame, first: pl.DataFrame) -> pl.DataFrame:
    """What followed the signals of timely days in the vintage `first`, whose rows are those of `first_vintage(days)`.

    Shape: one row a rule, entry and horizon, with `VINTAGE_ROWS`. Signals of other days count for nothing, and nothing
    is filled: without a timely day all counts are zero.
    """
    timely = first["is_timely"].to_numpy()
    covered = np.flatnonzero(timely)
    begin, end = (int(covered[0]), int(covered[-1])) if covered.size else (0, 0)
    dates = days["day"]
    if not covered.size:
        unknown = (pl.lit(None, dtype).alias(name) for name, dtype in FIRST_PUBLISHED.items() if name != "day")
        first = first.with_columns(unknown)
    held_then, held_now = held_by_rule(first), held_by_rule(days)
    rows = backtest(first, held_then, dates[begin], dates[end], only=timely)
    then, now = (_entries(held, begin, end, timely) for held in (held_then, held_now))
    compared = pl.DataFrame(
        [
            {
                "rule": rule,
                "entry": entry,
                "differing_day_count": int((held_then[rule].on != held_now[rule].on)[timely].sum()),
                "entry_now_count": now[rule, entry].size,
                "entry_same_count": np.intersect1d(places, now[rule, entry]).size,
            }
            for (rule, entry), places in then.items()
        ]
    )
    return (
        rows.join(compared, on=["rule", "entry"], how="left", validate="m:1", maintain_order="left")
        .with_columns(
            pl.lit(dates[begin] if covered.size else None, pl.Date).alias("first_covered_on"),
            pl.lit(dates[end] if covered.size else None, pl.Date).alias("last_covered_on"),
            pl.lit(covered.size, pl.Int64).alias("covered_day_count"),
        )
        .select(VINTAGE_ROWS.names())
    )


def _entries(
    held: Mapping[str, Held], first: int, last: int, timely: NDArray[np.bool_]
) -> dict[tuple[str, str], Places]:
    return {(each.rule, each.entry): each.places[timely[each.places]] for each in signals(held, first, last)}
