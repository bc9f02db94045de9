"""The part of the back-test on figures as first published: for how many days there are any, and what they say."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from flows.reports.layout import lines_of
from transforms.inputs.signals import ENTRY_START, OURS

COUNTS: Final = ("differing_day_count", "entry_count", "entry_now_count", "entry_same_count")


def lines(found: pl.DataFrame, horizon_days: int, width: int) -> Iterator[str]:
    """What is printed of `signal_first_published`, at most `width` columns wide."""
    facts = found.row(0, named=True)
    count = facts["covered_day_count"]
    if not count:
        yield "As first published: 0 days were published by the end of the day after them, so"
        yield "that all above is as known now. Every daily run adds a day."
        return
    span = f"{facts['first_covered_on']} to {facts['last_covered_on']}"
    yield f"As first published: {count} day{'s were' if count > 1 else ' was'} published by the end of the day after,"
    yield f"{span}. differs: those on which the rule is another now;"
    yield "then, now, same: first days of its episodes as published, as known, as both:"
    yield ""
    rules = found.filter(entry=ENTRY_START, horizon_days=horizon_days)
    rows = [(row["rule"], *(row[name] for name in COUNTS), _price(row)) for row in rules.iter_rows(named=True)]
    yield from lines_of(["rule", "differs", "then", "now", "same", f"rose_in_{horizon_days}_days"], rows, width)
    yield ""
    entries = found.filter(pl.col("observation_count") > 0, rule=OURS[0])
    if entries.is_empty():
        yield "No signal of our rule as first published is long enough ago to judge it."
        return
    yield "Price after the signals of our rule as first published:"
    yield ""
    yield from lines_of(
        ["entry", "days", "rose", "median_%", "lowest_%", "all_days_%"],
        [
            (
                row["entry"],
                row["horizon_days"],
                _price(row),
                *(round(row[name], 1) for name in ("return_median_pct", "low_worst_pct", "all_return_median_pct")),
            )
            for row in entries.iter_rows(named=True)
        ],
        width,
    )


def _price(row: dict[str, Any]) -> str:
    return f"{row['rose_count']} of {row['observation_count']}"
