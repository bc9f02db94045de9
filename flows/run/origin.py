"""Where a published figure comes from: the figures it rests on, computed anew, and the observations behind them."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from flows.run.plan import plan
from flows.run.publish import observed
from flows.settings import Profile, Settings
from schemas.errors import TerminalError
from schemas.table import Table
from transforms.build import frames
from transforms.derivation import Figure, Frames, Observation, Traced, figures, same
from transforms.inputs.implied import RULES
from warehouse.observed_behind import stated_blocks, stated_values
from warehouse.working import Connection, open_working

STATED: Final = "stated"


def trace(
    settings: Settings, profile: Profile, day: date, moment: datetime, table: Table, column: str, key: Mapping[str, Any]
) -> Traced:
    """Compute the tables up to `day` anew, as they were computed at `moment`, and follow one figure to its sources.

    Raises `TerminalError` without a working database, or where there is no such row, and as `build`.
    """
    if not settings.working_database.exists():
        raise TerminalError(
            f"{settings.working_database}: found nothing, expected the observations behind {table.name}.{column}; "
            "run this where runs are"
        )
    with open_working(settings.working_database) as connection:
        inputs, _ = observed(plan(settings, profile, day=day, now=moment), connection)
        computed = frames(inputs)
        try:
            found = tuple(figures(computed, table, column, key))
        except LookupError as error:
            raise TerminalError(
                f"{table.name}.{column}: {error.args[0]}; name another row, or `hashpivot daily` publishes what was "
                "observed since"
            ) from error
        observations = tuple(_observations(connection, computed, found))
    return Traced(figures=found, observations=observations)


def _observations(connection: Connection, computed: Frames, found: tuple[Figure, ...]) -> Iterator[Observation]:
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
