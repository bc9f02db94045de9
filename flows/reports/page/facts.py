"""What is published about a column, ready to be shown beside any figure of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """Definition, unit, error, rule of NULL and sources of one column; `key` is `table.column`."""

    key: str
    unit: str
    description: str
    error: str
    null_rule: str
    sources: str

    @property
    def name(self) -> str:
        """The name of the column alone."""
        return self.key.partition(".")[2]


FactsByKey = Mapping[str, ColumnFacts]


def column_facts(columns: pl.DataFrame, keys: Iterable[str]) -> dict[str, ColumnFacts]:
    """Facts by `table.column` from rows of `meta.columns`. Raises `KeyError` for a column that is not there."""
    wanted = dict.fromkeys(keys)
    rows = columns.with_columns(key=pl.concat_str("table_name", pl.lit("."), "column_name"))
    found = {
        row["key"]: ColumnFacts(
            key=row["key"],
            unit=row["unit"],
            description=row["description"],
            error=row["error"],
            null_rule=row["null_rule"],
            sources=row["sources"] or "",
        )
        for row in rows.filter(pl.col("key").is_in(list(wanted))).iter_rows(named=True)
    }
    return {key: found[key] for key in wanted}
