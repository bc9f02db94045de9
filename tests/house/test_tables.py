"""A table states its sources and their terms, or it is not published; build orders tables by what they read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from flows.run.tables import tables_frame
from flows.sources.kinds import supplier_named
from schemas.errors import LicenceError
from schemas.metric import metric
from schemas.suppliers import REGISTRY
from schemas.table import Lineage, Origin, Table, Tables
from schemas.units import Unit
from transforms import build as building
from transforms.catalog import PUBLISHED, TABLES
from transforms.lineage import column_sources
from transforms.metrics import day
from transforms.prepare import Inputs, Prepared
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY

DAY = date(2024, 6, 1)


@metric(unit=Unit.USD, error="As good as the price.", null_rule="NULL where the price is.")
def price_usd() -> pl.Expr:
    """Price of the first day of the month."""
    return pl.col("price_usd")


def first_days(_: Prepared, tables: Tables) -> pl.DataFrame:
    return tables[CAPITULATION_DAILY.name].filter(pl.col("day").dt.day() == 1)


MONTHLY = Table(
    name="price_monthly",
    description="Price on the first day of each month.",
    key=("day",),
    metrics=(day.day, price_usd, day.is_final, day.sources),
    frame=first_days,
    reads=(CAPITULATION_DAILY,),
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True),
)


def rows_of(table: Table, frame: pl.DataFrame, chosen: dict[str, str]) -> pl.DataFrame:
    sources = column_sources([table], chosen, {Origin.REGISTRY: REGISTRY.name})
    return tables_frame([table], {table.name: frame}, sources, supplier_named, {table.name: DAY})


ONE_DAY = pl.DataFrame({"day": [DAY], "price_usd": [66_000.0]})


def test_table_inherits_the_licence_of_its_supplier() -> None:
    row = rows_of(MONTHLY, ONE_DAY, {"price_usd": "coinbase"}).row(0, named=True)
    licence = supplier_named("coinbase").licence
    assert (row["sources"], row["licence"]) == ("coinbase", f"coinbase: {licence}")
    assert (row["row_count"], row["first_day"], row["last_day"], row["described_until"]) == (1, DAY, DAY, DAY)


@pytest.mark.parametrize(
    ("table", "chosen", "found"),
    [
        (replace(MONTHLY, lineage=None), {"price_usd": "coinbase"}, "no source"),
        (MONTHLY, {}, "no source"),
        (MONTHLY, {"price_usd": "somebody"}, "source 'somebody' without a licence"),
    ],
    ids=["no lineage", "no supplier of its rows", "supplier without facts"],
)
def test_table_without_source_or_licence_is_refused_in_one_line(
    table: Table, chosen: dict[str, str], found: str
) -> None:
    with pytest.raises(LicenceError) as refused:
        rows_of(table, ONE_DAY, chosen)
    assert str(refused.value).startswith(f"table price_monthly: found {found}, expected a supplier and its licence; ")
    assert "\n" not in str(refused.value)


def test_supplier_with_a_blank_licence_is_refused() -> None:
    sources = {("price_monthly", "price_usd"): "registry"}
    with pytest.raises(LicenceError, match="source 'registry' without a licence"):
        tables_frame([MONTHLY], {"price_monthly": ONE_DAY}, sources, lambda _: replace(REGISTRY, licence=" "), {})


def test_empty_table_needs_its_lineage_and_no_supplier_yet() -> None:
    assert rows_of(MONTHLY, ONE_DAY.clear(), {}).row(0, named=True)["licence"] == ""
    with pytest.raises(LicenceError):
        rows_of(replace(MONTHLY, lineage=None), ONE_DAY.clear(), {})


def test_new_table_is_built_after_the_one_it_reads_wherever_it_is_listed(
    inputs_of: Callable[..., Inputs],
    values_of: Callable[..., pl.DataFrame],
    market: Callable[..., dict[str, list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = inputs_of(values=values_of(DAY, market(40)))
    monkeypatch.setattr(building, "TABLES", {MONTHLY.name: MONTHLY, **TABLES})
    built = building.build(inputs)
    days = built.tables[CAPITULATION_DAILY.name]
    assert built.tables[MONTHLY.name]["day"].to_list() == [DAY, date(2024, 7, 1)]
    expected = days.filter(pl.col("day").is_in([DAY, date(2024, 7, 1)]))["price_usd"]
    assert built.tables[MONTHLY.name]["price_usd"].to_list() == expected.to_list()
    assert set(built.tables) == {MONTHLY.name, *TABLES}


def test_every_published_table_states_its_lineage_and_has_a_name_of_its_own() -> None:
    assert [table.name for table in PUBLISHED if table.lineage is None] == []
    assert len({table.name for table in PUBLISHED}) == len(PUBLISHED)


def test_module_of_a_table_has_its_name() -> None:
    assert {name: table.name for name, table in TABLES.items()} == {name: name for name in TABLES}
