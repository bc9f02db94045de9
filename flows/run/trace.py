"""One figure of any table, computed anew from the working database and followed to its sources."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from flows.run.origin import observations
from flows.run.plan import plan
from flows.run.publish import observed
from flows.settings import Profile, Settings
from schemas.errors import TerminalError
from schemas.table import Table
from transforms.build import frames
from transforms.derivation import Traced, figures
from warehouse.working import open_working


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
        computed = frames(inputs, [table])
        try:
            found = tuple(figures(computed, table, column, key))
        except LookupError as error:
            raise TerminalError(
                f"{table.name}.{column}: {error.args[0]}; name another row, or `hashpivot daily` publishes what was "
                "observed since"
            ) from error
        return Traced(figures=found, observations=tuple(observations(connection, computed, found)))
