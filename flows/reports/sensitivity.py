"""How much of the comparison of rules rests on the numbers of ours, and on which half of the days."""

from pathlib import Path
from typing import Final

import polars as pl

from schemas.errors import WarehouseError
from transforms.variants import sensitivity, split
from warehouse import publication_queries
from warehouse.reading import Rows, open_publication

DECIMALS: Final = 1


def tables(published: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The variants of the rule and the halves of the days, as `transforms.variants` states them, shares rounded.

    Computed from `capitulation_daily` and `stress_episode` of the publication, on the days of its `rule_comparison`.
    Raises `WarehouseError` where that has no row.
    """
    with open_publication(published) as publication:
        days, episodes, comparison = (
            _frame(publication_queries.whole_table(publication, name))
            for name in ("capitulation_daily", "stress_episode", "rule_comparison")
        )
    if comparison.is_empty():
        raise WarehouseError(
            f"{published}: rule_comparison has no row, expected days with a state; publish more than a year of days"
        )
    first, last = comparison.select("first_day", "last_day").row(0)
    found = (sensitivity(days, episodes, first, last), split(days, episodes, first, last))
    variants, halves = (table.with_columns(pl.selectors.float().round(DECIMALS)) for table in found)
    return variants, halves


def _frame(rows: Rows) -> pl.DataFrame:
    names, values = rows
    return pl.DataFrame(values, schema=names, orient="row", infer_schema_length=None)
