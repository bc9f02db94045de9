"""Builders of batches and publications: what a test does not mention gets a valid value."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from flows.sources.files.kind import COINMETRICS_EXPORT
from flows.sources.simulated.kind import SIMULATED
from schemas.metric import Metric, metric
from schemas.observations import OBSERVED, UTC_TIME, Batch, ObservedTable
from schemas.table import Table
from schemas.units import Unit
from warehouse.dictionary import columns_frame
from warehouse.journal import RunStart
from warehouse.targets.protocol import Publication

ONE, OTHER = SIMULATED.name, COINMETRICS_EXPORT.name
DAY = date(2024, 6, 1)
NOW = datetime(2024, 6, 10, 3, 4, 5, 678901, tzinfo=UTC)
PRICE = "price_usd"


def batch(table: ObservedTable, rows: pl.DataFrame, *, source: str = ONE, observed_at: datetime = NOW) -> Batch:
    return Batch(source=source, table=table, origin="a/file.csv", sha256="0" * 64, observed_at=observed_at, rows=rows)


def _frame(table: ObservedTable, rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema = {name: column.dtype.type for name, column in OBSERVED[table].columns.items()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def values(stated: dict[tuple[str, date], float], *, source: str = ONE, observed_at: datetime = NOW) -> Batch:
    """Daily values by series and day."""
    rows = [{"series": series, "day": day, "value": value} for (series, day), value in stated.items()]
    table = ObservedTable.DAILY_VALUE
    return batch(table, _frame(table, rows), source=source, observed_at=observed_at)


def price(*usd: float, source: str = ONE, observed_at: datetime = NOW) -> Batch:
    """Prices of consecutive days."""
    days = {(PRICE, DAY + timedelta(days=i)): value for i, value in enumerate(usd)}
    return values(days, source=source, observed_at=observed_at)


def block(height: int, **cells: Any) -> dict[str, Any]:
    """One block; a cell given as None is NULL."""
    usual = {
        "height": height,
        "block_at": datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=10 * height, microseconds=height),
        "difficulty": 8.4e13,
        "subsidy_claimed_sat": 312_500_000,
        "fees_sat": 21_000_000,
        "pool": "F2Pool",
    }
    return usual | cells


def blocks(*rows: dict[str, Any], source: str = ONE, observed_at: datetime = NOW) -> Batch:
    table = ObservedTable.BLOCK
    frame = pl.DataFrame(list(rows), schema=_frame(table, []).schema | {"block_at": UTC_TIME}, orient="row")
    return batch(table, frame, source=source, observed_at=observed_at)


def flow(pool: str = "F2Pool", **cells: Any) -> dict[str, Any]:
    usual = {
        "day": DAY,
        "exchange": "binance",
        "pool": pool,
        "transfer_sat": 5_000,
        "transfer_count": 12,
        "top10_sat": 4_000,
    }
    return usual | cells


def flows(*rows: dict[str, Any], source: str = ONE, observed_at: datetime = NOW) -> Batch:
    table = ObservedTable.EXCHANGE_FLOW
    return batch(table, _frame(table, list(rows)), source=source, observed_at=observed_at)


def transfer(height: int, **cells: Any) -> dict[str, Any]:
    usual = {
        "height": height,
        "block_hash": f"{height:064x}",
        "txid": f"{height:064x}",
        "exchange": "binance",
        "pool": "f2pool",
        "hop": 0,
        "transfer_sat": 5_000,
        "fresh_sat": None,
        "miner_input_sat": 6_000,
        "total_input_sat": 6_000,
        "quality": "A",
        "label_set": "abc",
    }
    return usual | cells


def transfers(*rows: dict[str, Any], source: str = ONE, observed_at: datetime = NOW) -> Batch:
    table = ObservedTable.MINER_TRANSFER
    return batch(table, _frame(table, list(rows)), source=source, observed_at=observed_at)


def block_flow(height: int, **cells: Any) -> dict[str, Any]:
    usual = {
        "height": height,
        "block_hash": f"{height:064x}",
        "pool": "f2pool",
        "outflow_sat": 7_000,
        "outflow_tx_count": 2,
        "largest_outflows_sat": [5_000, 2_000],
        "inflow_sat": 0,
        "fee_sat": 10,
        "one_hop_outflow_sat": 0,
        "coinbase_direct_to_exchange_sat": 0,
        "label_set": "abc",
    }
    return usual | cells


def block_flows(*rows: dict[str, Any], source: str = ONE, observed_at: datetime = NOW) -> Batch:
    table = ObservedTable.MINER_BLOCK_FLOW
    schema = _frame(table, []).schema | {"largest_outflows_sat": pl.List(pl.Int64)}
    return batch(table, pl.DataFrame(list(rows), schema=schema, orient="row"), source=source, observed_at=observed_at)


def run(run_id: str = "run-1", **facts: Any) -> RunStart:
    usual = {
        "run_id": run_id,
        "profile": "demo",
        "day": DAY,
        "fetched_until": DAY,
        "version": "2024.6.1",
        "started_at": NOW,
    }
    return RunStart(**usual | facts)


def _column(name: str, unit: Unit, null_rule: str | None = None) -> Metric:
    def column() -> pl.Expr:
        return pl.col(name)

    column.__name__, column.__doc__ = name, f'What\'s {name}; "quoted".'
    return metric(unit=unit, error="Exact.", null_rule=null_rule)(column)


FACTS = (
    Table(
        name="price_daily",
        description="One row a day: the miner's price.",
        key=("day",),
        starter_count=2,
        metrics=(
            _column("day", Unit.DAY),
            _column("price_usd", Unit.USD, "NULL on every seventh day."),
            _column("is_final", Unit.YES_NO),
            _column("version", Unit.LABEL),
        ),
    ),
    Table(
        name="deal",
        description="One row a deal.",
        key=("deal_id",),
        metrics=(
            _column("deal_id", Unit.LABEL),
            _column("power_mw", Unit.MEGAWATT),
            _column("version", Unit.LABEL),
        ),
    ),
)


def publication(version: str, *, rows: int = 30, noise: int | None = None) -> Publication:
    """Two tables of `rows` and `rows` + 7 rows, stamped with their version.

    `noise`: seed of one more column that no compression makes small, for tests that fill a disk.
    """
    price_daily = pl.DataFrame({"day": [DAY + timedelta(days=i) for i in range(rows)]}).with_columns(
        pl.when(pl.int_range(pl.len()) % 7 != 0).then(pl.int_range(pl.len()) * 1.5).alias("price_usd"),
        (pl.int_range(pl.len()) < rows - 1).alias("is_final"),
        pl.lit(version).alias("version"),
    )
    if noise is not None:
        price_daily = price_daily.with_columns(pl.col("day").hash(noise).cast(pl.Float64).alias("price_usd"))
    deal = pl.DataFrame({"deal_id": [f"d-{i:05d}" for i in range(rows + 7)]}).with_columns(
        (pl.int_range(pl.len()) / 3).alias("power_mw"), pl.lit(version).alias("version")
    )
    tables = {"price_daily": price_daily, "deal": deal}
    return Publication(
        version=version,
        created_at=NOW,
        tables=tables,
        facts=FACTS,
        meta={
            "columns": columns_frame(FACTS, {name: frame.schema for name, frame in tables.items()}, {}),
            "tables": pl.DataFrame(
                {
                    "table_name": [facts.name for facts in FACTS],
                    "description": [facts.description for facts in FACTS],
                    "row_count": [tables[facts.name].height for facts in FACTS],
                }
            ),
        },
        about={"profile": "demo", "simulated": True},
        pages=lambda: {"index.html": f"<!DOCTYPE html><title>{version}</title>".encode()},
    )
