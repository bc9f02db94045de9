"""Every figure leads to something observed: a series, a column of the registry or a column that a source yields."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import transforms.checks
import transforms.inputs
from schemas.metric import Metric
from schemas.observations import OBSERVED
from schemas.registry import REGISTRY
from schemas.series import SERIES
from schemas.table import Origin, Table
from tests.house.columns import of_every_column
from transforms.catalog import TABLES
from transforms.metrics.conversion import SUMS

MODULES = [import_module(f"transforms.inputs.{found.name}") for found in iter_modules(transforms.inputs.__path__)]
LAID_OUT = (
    *(getattr(module, "RESTS_ON", {}) for module in MODULES),
    *(table.lineage.rests_on for table in TABLES.values() if table.lineage),
)
RESTS_ON = {name: origins for rests_on in LAID_OUT for name, origins in rests_on.items()}
MARKS = {"day", "is_final", "sources"}
"""What a row is, not what is observed."""

REGISTRY_COLUMNS = {f"{table}.{name}" for table, schema in REGISTRY.items() for name in schema.columns}
RAW_COLUMNS = {f"raw.{table.value}.{name}" for table, schema in OBSERVED.items() for name in schema.columns}
DERIVED_COLUMNS = {f"{table.name}.{m.name}" for table in TABLES.values() for m in table.metrics}
QUALIFIED = REGISTRY_COLUMNS | RAW_COLUMNS | DERIVED_COLUMNS
OBSERVED_NAMES = set(SERIES) | {name.rsplit(".", 1)[-1] for name in REGISTRY_COLUMNS | RAW_COLUMNS}

PUBLISHED = {m.name for table in TABLES.values() for m in table.metrics}


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_column_that_passes_through_is_observed_or_laid_out_or_of_a_table_that_is_read(table: Table) -> None:
    known = OBSERVED_NAMES | MARKS | set(RESTS_ON) | {m.name for read in table.reads for m in read.metrics}
    assert [m.name for m in table.metrics if m.is_given and m.name not in known] == []


@of_every_column
def test_every_input_of_a_column_is_published_observed_or_laid_out_from_what_is(m: Metric) -> None:
    known = QUALIFIED if m.rows else PUBLISHED | OBSERVED_NAMES | MARKS
    assert [name for name in m.inputs if name not in known | set(RESTS_ON)] == []


@of_every_column
def test_every_derived_column_has_a_worked_example(m: Metric) -> None:
    assert m.is_given or m.examples


def test_what_is_laid_out_rests_on_known_columns() -> None:
    """Those that rest on other rows lead on, and none leads back to itself."""
    for name in RESTS_ON:
        pending, seen = list(RESTS_ON[name]), set()
        while pending:
            origin = pending.pop()
            assert origin != name
            if origin in RESTS_ON and origin not in seen:
                pending.extend(RESTS_ON[origin])
            elif not isinstance(origin, Origin):
                assert origin in QUALIFIED | set(SERIES) | PUBLISHED, name
            seen.add(origin)


def test_every_series_is_published_or_checked() -> None:
    """What nobody reads need not be fetched nor kept."""
    read = {name for table in TABLES.values() for m in table.metrics for name in m.reads}
    folders = (Path(module.__path__[0]) for module in (transforms.inputs, transforms.checks))
    code = "".join(file.read_text(encoding="utf-8") for folder in folders for file in folder.glob("*.py"))
    assert [name for name in SERIES if name not in read and f'"{name}"' not in code] == []


def test_every_sum_over_rows_that_is_not_published_is_read() -> None:
    read = {name for table in TABLES.values() for m in table.metrics for name in m.reads}
    assert [name for sums in SUMS.values() for name in sums if name not in read] == []
