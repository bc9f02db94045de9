"""The domain imports and runs without Prefect; only `flows.scheduled` needs it."""

import subprocess
from pathlib import Path

import pytest

from tests.invocation import PYTHON, REPOSITORY

WITHOUT_PREFECT = "import sys; sys.modules['prefect'] = None\n"
"""A module that is None in `sys.modules` cannot be imported."""

DOMAIN = (
    "flows.run.pipeline",
    "flows.sources.files",
    "flows.sources.simulated",
    "transforms.catalog",
    "warehouse.publish",
)

ONE_DAY = """
from datetime import date, datetime, UTC
import polars as pl
from schemas.observations import BLOCK, EXCHANGE_FLOW, UTC_TIME
from schemas.registry import REGISTRY
from schemas.series import Group
from transforms.build import build
from transforms.prepare import Inputs

def empty(schema):
    return pl.DataFrame(schema={name: column.dtype.type for name, column in schema.columns.items()})

built = build(Inputs(
    blocks=empty(BLOCK), block_source=None, flows=empty(EXCHANGE_FLOW), flow_source=None,
    values=pl.DataFrame({"source": "simulated", "series": "price_usd", "day": [date(2024, 6, 1)], "value": 66000.0}),
    reference={name: empty(schema) for name, schema in REGISTRY.items()},
    precedence={group: ["simulated"] for group in Group},
    through=date(2024, 6, 1), now=datetime(2024, 6, 3, tzinfo=UTC),
))
print(built.tables["capitulation_daily"]["price_usd"].to_list())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-c", WITHOUT_PREFECT + code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", DOMAIN)
def test_module_is_imported_without_prefect(module: str) -> None:
    done = run(f"import {module}; print('imported')")
    assert done.stdout == "imported\n", done.stderr


def test_tables_are_computed_without_prefect() -> None:
    done = run(ONE_DAY)
    assert done.stdout == "[66000.0]\n", done.stderr


def test_scheduling_does_need_prefect() -> None:
    """Or the tests above would pass whatever is imported."""
    done = run("import flows.scheduled.flows")
    assert done.returncode != 0
    assert "import of prefect halted" in done.stderr


def test_profile_without_a_hosted_source_loads_nothing_of_the_web(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from flows.run import ingest, plan\nfrom flows.settings import read_profile, read_settings\n"
        f"settings = read_settings(home=Path({str(tmp_path)!r}), profile=sys.argv[1])\n"
        "run = plan.plan(settings, read_profile(settings.profile))\n"
        "plan.record_start(run)\ningest.estimate(run)\n"
        "print([name for name in ('requests', 'pyrate_limiter', 'flows.sources.web') if name in sys.modules])"
    )
    loaded = {}
    for profile in ("demo", "live"):
        command = [PYTHON, "-c", WITHOUT_PREFECT + code, profile]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        loaded[profile] = done.stdout
    assert loaded == {"demo": "[]\n", "live": "['requests', 'pyrate_limiter', 'flows.sources.web']\n"}
