"""Which dated outage covers a day, as it was known then."""

from typing import Final

import polars as pl

from transforms.capitulation import RULE

RESTS_ON: Final = {
    "covering_event": tuple(f"outage_event.{name}" for name in ("event", "start_on", "end_on", "known_at")),
}
"""What the column that is laid out here rests on."""


def covering_event(events: pl.DataFrame) -> pl.Expr:
    """Name of the event of the registry table `outage_event` that covers `day`, '' where none does.

    It covers its days and as many after them as the slow window of the hash ribbon has, but no day before it was
    known. Of several the one that began last counts.
    """
    day = pl.col("day")
    latest_first = events.sort("start_on", "event", descending=True)
    names = (
        pl.when(day.is_between(max(start, known), pl.lit(end).dt.offset_by(f"{RULE.slow_days}d"))).then(pl.lit(name))
        for name, start, end, known in latest_first.select("event", "start_on", "end_on", "known_at").iter_rows()
    )
    return pl.coalesce(*names, pl.lit("")).alias("covering_event")
