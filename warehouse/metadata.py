"""What the working database knows about runs, suppliers and revisions, as rows of the meta schema."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import duckdb
import polars as pl

from schemas.suppliers import REGISTRY, Supplier
from schemas.table import Origin
from warehouse.statements import frame, statement, without_zone


def run_history(connection: duckdb.DuckDBPyConnection, publishing: str = "") -> pl.DataFrame:
    """Every run so far, the oldest first: rows of `meta.runs`; last, whenever it was, the one that is `publishing`."""
    return without_zone(frame(connection.sql(statement("run_history"), params=[publishing])))


def revisions(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every observation that a source changed later: rows of `meta.revisions`."""
    return without_zone(frame(connection.sql(statement("revisions"))))


def notices_of(connection: duckdb.DuckDBPyConnection, run_id: str) -> list[tuple[str, str, str]]:
    """What sources left out in this run: (source, origin, message)."""
    return connection.execute(statement("notices"), [run_id]).fetchall()


_OBSERVED: Final[dict[str, pl.DataType]] = {
    "row_count": pl.Int64(),
    "first_day": pl.Date(),
    "last_day": pl.Date(),
    "last_observed_at": pl.Datetime("us"),
}
_COSTS: Final[dict[str, pl.DataType]] = {
    "request_count": pl.Int64(),
    "received_bytes": pl.Int64(),
    "waited_seconds": pl.Float64(),
}
_USES: Final = (Origin.BLOCKS, Origin.FLOWS, Origin.REGISTRY)
"""Origins that are listed as a use of their supplier; series are listed by name."""


def source_facts(
    connection: duckdb.DuckDBPyConnection,
    supplier_named: Callable[[str], Supplier | None],
    chosen: Mapping[str, str],
    origins: Mapping[Origin, str],
    now: datetime,
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> pl.DataFrame:
    """One row a supplier that has stated anything, and the registry: rows of `meta.sources`.

    `chosen`: the supplier of each series; `origins`: that of each origin, without those that have none. What is
    dated after `now` (UTC) is left out, as only a clock that was ahead can have stored it. `costs`: by
    hosted source of this run, its `request_count`, `received_bytes` and `waited_seconds`.
    """
    stated = frame(connection.sql(statement("source_facts"), params={"now": now.replace(tzinfo=None)}))
    observed = {row["source"]: row for row in without_zone(stated).iter_rows(named=True)}
    uses: dict[str, list[str]] = {}
    for series, source in chosen.items():
        uses.setdefault(source, []).append(series)
    for origin in _USES:
        if origin in origins:
            uses.setdefault(origins[origin], []).append(origin.label)
    rows = [
        {
            "source": supplier.name,
            "title": supplier.title,
            "licence": supplier.licence,
            "terms": supplier.terms.label,
            "delay": supplier.delay,
            "trust": supplier.trust,
            "address": supplier.address,
            "used_for": ", ".join(uses.get(supplier.name, ())),
            **{key: observed.get(supplier.name, {}).get(key) for key in _OBSERVED},
            **{key: (costs or {}).get(supplier.name, {}).get(key) for key in _COSTS},
        }
        for supplier in (*map(supplier_named, sorted(observed)), REGISTRY)
        if supplier is not None
    ]
    return pl.DataFrame(rows, schema_overrides={**_OBSERVED, **_COSTS}, infer_schema_length=None)
