"""What holds for every published column, checked a table at a time."""

from collections.abc import Callable

import pytest

from schemas.metric import Metric
from schemas.table import Table
from transforms.catalog import TABLES


def of_every_column(check: Callable[[Metric], None]) -> Callable[[Table], None]:
    """One test a table that checks each of its columns: a test a column cost more than what it checked."""

    @pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
    def checked(table: Table) -> None:
        for metric in table.metrics:
            try:
                check(metric)
            except AssertionError as error:
                raise AssertionError(f"{table.name}.{metric.name}: {error}") from error

    checked.__name__, checked.__module__, checked.__doc__ = check.__name__, check.__module__, check.__doc__
    return checked
