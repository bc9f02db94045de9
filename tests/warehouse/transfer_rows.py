"""A publication with a table in parts."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from schemas.metric import Metric
from schemas.partition import Partitions
from schemas.table import Table
from schemas.units import Unit
from tests.warehouse.warehouse_rows import _column, publication
from warehouse.dictionary import columns_frame
from warehouse.targets.protocol import Publication

NAME = "transfer"
METRICS: tuple[Metric, ...] = (
    _column("day", Unit.DAY),
    _column("txid", Unit.LABEL),
    _column("transfer_sat", Unit.SAT),
)
TRANSFER = Table(name=NAME, description="One row a transfer.", key=("day", "txid"), metrics=METRICS, is_by_year=True)


def transfers(counts: dict[int, int], amount: int = 5) -> pl.DataFrame:
    """So many transfers in each year, each of `amount` in the last of them and of 5 before."""
    years = [
        pl.DataFrame(
            {
                "day": [date(year, 1, 1) + timedelta(days=i % 360) for i in range(count)],
                "txid": [f"{year}-{i:07d}" for i in range(count)],
                "transfer_sat": [amount if year == max(counts) else 5] * count,
            },
            schema={"day": pl.Date, "txid": pl.String, "transfer_sat": pl.Int64},
        ).sort("day", maintain_order=True)
        for year, count in sorted(counts.items())
    ]
    return pl.concat([pl.DataFrame(schema={"day": pl.Date, "txid": pl.String, "transfer_sat": pl.Int64}), *years])


def with_transfers(version: str, rows: Partitions | pl.DataFrame, table: Table = TRANSFER) -> Publication:
    usual = publication(version, rows=5)
    facts = (*usual.facts, table)
    types = {name: frame.schema for name, frame in usual.tables.items()} | {NAME: rows.schema}
    return replace(
        usual,
        tables={**usual.tables, NAME: rows},
        facts=facts,
        meta={**usual.meta, "columns": columns_frame(facts, types, {})},
    )
