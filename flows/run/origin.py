"""Where a published figure comes from: the figures it rests on, computed anew, and the observations behind them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any, Final

import polars as pl

from transforms.catalog import TABLES
from transforms.derivation import Figure, Frames, Observation, Traced, figures, same
from transforms.inputs.implied import RULES
from warehouse.observed_behind import stated_blocks, stated_values
from warehouse.working import Connection

STATED: Final = "stated"


def trace_days(connection: Connection, computed: Frames, names: Iterable[str], day: date) -> Traced:
    """Follow figures of one day, each named as TABLE.COLUMN, to their sources; what several rest on is there once.

    Those of tables with another key than the day, and of days that a table does not have, are left out.
    """
    found: list[Figure] = []
    seen: set[tuple[str, str]] = set()
    for name in names:
        table, _, column = name.partition(".")
        if table in computed.derived:
            with suppress(LookupError):
                found.extend(figures(computed, TABLES[table], column, {"day": day}, seen))
    return Traced(figures=tuple(found), observations=tuple(observations(connection, computed, found)))


def observations(connection: Connection, computed: Frames, found: Iterable[Figure]) -> Iterator[Observation]:
    """What sources give for the series among the figures, on their days: what was used, and what was not chosen."""
    given = computed.given
    for figure in found:
        day = figure.key.get("day")
        if figure.series is None or day is None:
            continue
        values = given.values.filter(series=figure.series, day=day).select("source", "value")
        stated = stated_values(connection, figure.series, day)
        is_found = False
        chosen = given.resolved.chosen.get(figure.series)
        for source, value in sorted(values.iter_rows(), key=lambda row: (row[0] != chosen, row[0])):
            is_used = not is_found and same(value, figure.value)
            is_found |= is_used
            batches = tuple(row for row in stated if row["source"] == source)
            how = STATED
            if not batches:
                how, batches = _summed(connection, computed, source, day)
            yield Observation(
                series=figure.series, source=source, value=value, how=how, is_used=is_used, batches=batches
            )
        if not is_found and figure.value is not None and chosen is not None:
            rule = given.resolved.computed.get(figure.series, "other series of the source")
            read = next((each.of for each in RULES if each.series == figure.series and each.how == rule), ())
            yield Observation(
                series=figure.series,
                source=chosen,
                value=figure.value,
                how=f"computed from {rule}",
                is_used=True,
                batches=tuple(
                    row for name in read for row in stated_values(connection, name, day) if row["source"] == chosen
                ),
            )


def _summed(connection: Connection, computed: Frames, source: str, day: date) -> tuple[str, tuple[dict[str, Any], ...]]:
    """How a value that no source states as such follows from blocks, and the batches of these."""
    given = computed.given
    heights = given.blocks.filter(pl.col("day") == day)["height"]
    if source != given.inputs.block_source or heights.is_empty():
        return "a sum over the blocks of the day, as attributed", ()
    first, last = int(heights[0]), int(heights[-1])
    batches = tuple(stated_blocks(connection, source, first, last))
    return f"a sum over {heights.len():,} blocks, heights {first:,} to {last:,}", batches
