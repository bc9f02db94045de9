"""What an article of February 2026 states about miners, judged by the other tables of the same publication."""

from typing import Final

import polars as pl

from schemas.table import Lineage, Origin, Table, Tables
from transforms.claims import conversion, miners
from transforms.claims.evidence import NOT_MEASURABLE, judged
from transforms.lineage import column_sources
from transforms.metrics import claims, day
from transforms.prepare import Prepared
from transforms.tables import capitulation_daily, conversion_daily, rule_comparison, security_daily

READ: Final = (capitulation_daily.TABLE, conversion_daily.TABLE, security_daily.TABLE, rule_comparison.TABLE)
CLAIMS: Final = (*miners.CLAIMS, *conversion.CLAIMS)
COLUMNS: Final = tuple(dict.fromkeys(column for each in CLAIMS for column in each.columns))
"""Every column that is read, as table.column."""
_JUDGED: Final = (claims.figure, claims.verdict, claims.finding, claims.left_out)


def frame(given: Prepared, tables: Tables) -> pl.DataFrame:
    """The claims with their verdicts, in the order of the article."""
    traced = column_sources(READ, given.resolved.chosen, given.origins)
    return judged(
        CLAIMS,
        tables,
        units={f"{table.name}.{column.name}": column.unit for table in READ for column in table.columns},
        sources={f"{table}.{column}": suppliers for (table, column), suppliers in traced.items()},
        is_main_network=given.inputs.is_main_network,
    )


TABLE: Final = Table(
    name="claim",
    description=(
        "What an article of February 2026 states about miners, and what the tables of this publication hold: one row a "
        "statement."
    ),
    key=("claim",),
    metrics=(*claims.METRICS, day.sources),
    frame=frame,
    reads=READ,
    truths={
        "a figure is there exactly where the statement is measurable": (
            pl.col("figure").is_null() == (pl.col("verdict") == NOT_MEASURABLE)
        )
    },
    lineage=Lineage(
        origin=Origin.REGISTRY,
        by_column=True,
        rests_on={m.name: ("day",) for m in claims.METRICS if m not in _JUDGED}
        | {m.name: tuple(column.split(".")[1] for column in COLUMNS) for m in _JUDGED},
    ),
)
