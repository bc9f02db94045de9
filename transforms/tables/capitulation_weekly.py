"""The squeeze of the miners by week; the table by month is built here as well."""

from typing import Final

import polars as pl

from schemas.metric import Metric
from schemas.table import Lineage, Origin, Table, Tables
from transforms.inputs.periods import RESTS_ON, periods
from transforms.metrics import day
from transforms.metrics import periods as metrics
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily


def period_table(name: str, description: str, start: Metric, every: str) -> Table:
    """The daily table folded to periods of `every`, each of which begins on the day `start`."""

    def frame(_: Prepared, tables: Tables) -> pl.DataFrame:
        """The periods, the last one as far as it has come."""
        return periods(tables[capitulation_daily.TABLE.name], start.name, every)

    return Table(
        name=name,
        description=description,
        key=(start.name,),
        metrics=(start, *metrics.OF_A_PERIOD, day.is_final, day.sources),
        truths={
            "days by state are days with a state": (
                pl.col("capitulation_day_count") + pl.col("squeeze_day_count") <= pl.col("state_day_count")
            ),
            "days with a state are days": pl.col("state_day_count") <= pl.col("day_count"),
        },
        frame=frame,
        reads=(capitulation_daily.TABLE,),
        lineage=Lineage(origin=Origin.REGISTRY, by_column=True, rests_on=RESTS_ON),
    )


TABLE: Final = period_table(
    "capitulation_weekly",
    "How hard Bitcoin's miners are being squeezed: one row a week from Monday to Sunday, UTC.",
    metrics.week_start,
    "1w",
)
