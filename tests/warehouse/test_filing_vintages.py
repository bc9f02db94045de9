"""What companies file is kept as stated, revision by revision, and read back from the source that is preferred."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.sources.edgar.kind import EDGAR
from flows.sources.kinds import supplier_named
from flows.sources.simulated.kind import SIMULATED
from schemas.errors import ContractError
from schemas.observations import OBSERVED, Batch, ObservedTable
from tests.warehouse.warehouse_rows import NOW
from warehouse import vintages
from warehouse.metadata import source_facts
from warehouse.vintages import Appended
from warehouse.working import open_working

FACT = {
    "cik": 1_652_044,
    "tag": "PaymentsToAcquirePropertyPlantAndEquipment",
    "period_start": date(2025, 1, 1),
    "period_end": date(2025, 3, 31),
    "value_usd": 17_197_000_000,
    "form": "10-Q",
    "filed_on": date(2025, 4, 25),
    "accession": "0001652044-25-000043",
}
FILED = {
    "cik": 1_964_789,
    "accession": "0001964789-25-000123",
    "company": "Hut 8 Corp.",
    "form": "8-K",
    "filed_on": date(2025, 12, 17),
    "items": None,
    "document_url": "https://www.sec.gov/Archives/edgar/data/1964789/a.htm",
    "keywords": "lease,megawatt",
    "excerpt": "a lease of 245 MW",
}
ROWS = {ObservedTable.FILING_FACT: FACT, ObservedTable.FILING: FILED}


def stated(table: ObservedTable, *rows: dict[str, Any], source: str = EDGAR.name) -> Batch:
    types = {name: column.dtype.type for name, column in OBSERVED[table].columns.items()}
    frame = pl.DataFrame(list(rows), schema=types)
    return Batch(source=source, table=table, origin="a.json", sha256="0" * 64, observed_at=NOW, rows=frame)


@pytest.mark.parametrize("table", ROWS)
def test_what_was_filed_is_read_back_and_kept_once(tmp_path: Path, table: ObservedTable) -> None:
    batch = stated(table, ROWS[table])
    with open_working(tmp_path / "w.duckdb") as connection:
        assert vintages.append(connection, batch, "run-1") == Appended(row_count=1, new_count=1, revised_count=0)
        assert vintages.append(connection, batch, "run-2") == Appended(row_count=1, new_count=0, revised_count=0)
        source, rows = vintages.latest(connection, table, [SIMULATED.name, EDGAR.name])
        assert vintages.latest(connection, table, [])[1].is_empty()
    assert source == EDGAR.name
    assert_frame_equal(rows, batch.rows)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (ObservedTable.FILING_FACT, {"value_usd": 17_200_000_000}),
        (ObservedTable.FILING, {"keywords": "lease", "excerpt": "a lease"}),
        (ObservedTable.FILING, {"items": "1.01"}),
    ],
)
def test_changed_statement_is_a_revision_and_the_newest_counts(
    tmp_path: Path, table: ObservedTable, change: dict[str, Any]
) -> None:
    first, second = stated(table, ROWS[table]), stated(table, ROWS[table] | change)
    with open_working(tmp_path / "w.duckdb") as connection:
        vintages.append(connection, first, "run-1")
        assert vintages.append(connection, second, "run-2").revised_count == 1
        assert_frame_equal(vintages.latest(connection, table, [EDGAR.name])[1], second.rows)
        kept = connection.execute(f"select count(*) from raw.{table}").fetchone()
    assert kept == (2,)


def test_facts_of_a_supplier_count_what_was_filed(tmp_path: Path) -> None:
    with open_working(tmp_path / "w.duckdb") as connection:
        for table, row in ROWS.items():
            vintages.append(connection, stated(table, row), "run-1")
        facts = source_facts(connection, supplier_named, {}, {}, datetime(2026, 1, 1, tzinfo=UTC))
    edgar = facts.row(by_predicate=pl.col("source") == EDGAR.name, named=True)
    assert (edgar["row_count"], edgar["first_day"], edgar["last_day"]) == (2, date(2025, 3, 31), date(2025, 12, 17))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (ObservedTable.FILING_FACT, {"period_start": date(2025, 4, 1)}),
        (ObservedTable.FILING_FACT, {"filed_on": date(2025, 3, 30)}),
        (ObservedTable.FILING_FACT, {"accession": "000165204425000043"}),
        (ObservedTable.FILING, {"keywords": ""}),
        (ObservedTable.FILING, {"excerpt": None}),
        (ObservedTable.FILING, {"document_url": "a.htm"}),
        (ObservedTable.FILING, {"excerpt": "x" * 401}),
    ],
)
def test_statement_that_cannot_be_is_refused(table: ObservedTable, change: dict[str, Any]) -> None:
    sound = stated(table, ROWS[table])
    broken = sound.rows.with_columns(
        pl.lit(value).cast(sound.rows.schema[name]).alias(name) for name, value in change.items()
    )
    with pytest.raises(ContractError, match=rf"^{table}: "):
        replace(sound, rows=broken)
