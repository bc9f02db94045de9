"""A contract as one expression refuses exactly what Pandera refuses, cell by cell, for each schema that has both."""

from datetime import UTC, date, datetime
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.errors import SchemaErrors

from schemas.enforce import HOLDS, keeps
from schemas.observations import OBSERVED, UTC_TIME
from schemas.registry import REGISTRY
from warehouse.registry import load_registry

HASH = "00" * 32
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    name: (row, row | other)
    for name, row, other in [
        (
            "block",
            {
                "height": 1,
                "block_at": datetime(2024, 6, 1, tzinfo=UTC),
                "difficulty": 1e14,
                "subsidy_claimed_sat": 312_500_000,
                "fees_sat": 0,
                "pool": "F2Pool",
            },
            {"height": 2, "pool": None, "fees_sat": None, "subsidy_claimed_sat": None, "difficulty": None},
        ),
        ("daily_value", {"series": "price_usd", "day": date(2024, 6, 1), "value": 1.0}, {"day": date(2024, 6, 2)}),
        (
            "exchange_flow",
            {
                "day": date(2024, 6, 1),
                "exchange": "binance",
                "pool": "all",
                "transfer_sat": 5,
                "transfer_count": 1,
                "top10_sat": 5,
            },
            {"pool": "F2Pool", "transfer_count": None, "top10_sat": None},
        ),
        (
            "miner_transfer",
            {
                "height": 1,
                "block_hash": HASH,
                "txid": HASH,
                "exchange": "binance",
                "pool": "F2Pool",
                "hop": 0,
                "transfer_sat": 1,
                "fresh_sat": 0,
                "miner_input_sat": 1,
                "total_input_sat": 1,
                "quality": "A",
                "label_set": "a",
            },
            {"height": 2, "hop": 1, "fresh_sat": None, "quality": "C"},
        ),
        (
            "miner_block_flow",
            {
                "height": 1,
                "block_hash": HASH,
                "pool": "unknown",
                "outflow_sat": 0,
                "outflow_tx_count": 0,
                "largest_outflows_sat": [3, 1],
                "inflow_sat": 0,
                "fee_sat": 0,
                "one_hop_outflow_sat": 0,
                "coinbase_direct_to_exchange_sat": 0,
                "label_set": "a",
            },
            {"height": 2, "largest_outflows_sat": []},
        ),
        (
            "filing_fact",
            {
                "cik": 1,
                "tag": "Revenues",
                "period_start": date(2024, 1, 1),
                "period_end": date(2024, 3, 31),
                "value_usd": -1,
                "form": "10-Q",
                "filed_on": date(2024, 5, 1),
                "accession": "0000000001-24-000001",
            },
            {"tag": "Assets"},
        ),
        (
            "filing",
            {
                "cik": 1,
                "accession": "0000000001-24-000001",
                "company": "A",
                "form": "8-K",
                "filed_on": date(2024, 5, 1),
                "items": None,
                "document_url": "https://www.sec.gov/a",
                "keywords": "",
                "excerpt": None,
            },
            {"cik": 2, "items": "1.01", "keywords": "lease", "excerpt": "a lease"},
        ),
    ]
}
SCHEMAS: dict[str, pa.DataFrameSchema] = {str(name): schema for name, schema in OBSERVED.items()} | REGISTRY
HOSTILE: dict[type[pl.DataType], tuple[Any, ...]] = {
    pl.Int64: (None, -1, 0, 1, 2, 10_000_000_000, 2**62),
    pl.Float64: (None, -1.0, 0.0, 1e-9, 1.0, 1e30, float("nan"), float("inf"), -float("inf")),
    pl.String: (None, "", " ", "A", "all", "lease", "price_usd", "\x1b[2J", "a\u202eb", "x" * 500, "http://a b"),
    pl.Date: (None, date(1, 1, 1), date(2024, 1, 1), date(2024, 4, 1), date(2024, 5, 1), date(9999, 12, 31)),
    pl.Datetime: (None, datetime(2024, 6, 1, tzinfo=UTC)),
    pl.List: (None, [], [None], [1]),
    pl.Boolean: (None, True, False),
}  # fmt: skip


def spoiled(row: pl.DataFrame) -> pl.DataFrame:
    """The row as it is, and once for each hostile value of each of its columns."""
    changed = (
        row.with_columns(pl.Series(name, [cell], dtype))
        for name, dtype in row.schema.items()
        for cell in HOSTILE[dtype.base_type()]
    )
    return pl.concat([row, *changed])


def refused_by_pandera(rows: pl.DataFrame, schema: pa.DataFrameSchema) -> list[bool]:
    """By row whether Pandera names it; the rows are alike on purpose, so that keys do not count."""
    with pytest.raises(SchemaErrors) as raised:
        schema.validate(rows, lazy=True)
    failures = raised.value.failure_cases.filter(~pl.col("check").str.contains("unique"))
    assert failures["index"].null_count() == 0
    refused = set(failures["index"])
    return [n in refused for n in range(rows.height)]


def refused_by_expression(rows: pl.DataFrame, schema: pa.DataFrameSchema) -> list[bool]:
    return (~rows.select(schema.metadata[HOLDS]).to_series()).to_list()


def sound_rows(table: str) -> pl.DataFrame:
    if table in REGISTRY:
        return load_registry()[table].head(2)
    types = {name: column.dtype.type for name, column in SCHEMAS[table].columns.items()}
    return pl.DataFrame(ROWS[table], schema=types | ({"block_at": UTC_TIME} if "block_at" in types else {}))


@pytest.mark.parametrize("table", [name for name in SCHEMAS if sound_rows(name).height])
def test_rows_are_judged_alike(table: str) -> None:
    schema, rows = SCHEMAS[table], sound_rows(table)
    assert keeps(rows, schema)
    assert schema.validate(rows, lazy=True).equals(rows)
    hostile = spoiled(rows.head(1))
    refused = refused_by_expression(hostile, schema)
    assert not refused[0]
    assert any(refused)
    assert refused == refused_by_pandera(hostile, schema)


@pytest.mark.parametrize("table", SCHEMAS)
def test_what_is_not_about_values_is_left_to_pandera(table: str) -> None:
    schema, rows = SCHEMAS[table], sound_rows(table).head(1)
    assert keeps(rows.clear(), schema)
    assert not keeps(rows[:, ::-1], schema)
    assert not keeps(rows.drop(rows.columns[-1]), schema)
    assert not keeps(rows.with_columns(pl.lit(1, pl.Int8).alias(rows.columns[0])), schema)
    if rows.height:
        assert keeps(rows, schema)
        assert not keeps(pl.concat([rows, rows]), schema)
