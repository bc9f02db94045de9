"""On a test chain nothing that only holds on the main network stops a publication; on the main network it does."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from schemas.observations import BLOCK
from schemas.series import Group
from tests.warehouse.warehouse_rows import flows
from transforms.build import build
from transforms.checks.catalogue import CATALOGUE
from transforms.checks.other_chains import LEFT_OUT, NOT_JUDGED, ONLY_WARNING
from transforms.prepare import Inputs
from warehouse.registry import load_registry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = datetime(2026, 2, 20, tzinfo=UTC)


def storms(days: int = 6, a_day: int = 600) -> pl.DataFrame:
    """Hundreds of blocks a day, every other one at the least difficulty, then two days with a single block."""
    times = [FIRST + timedelta(days=day, seconds=second) for day in range(days) for second in range(a_day)]
    times += [FIRST + timedelta(days=days + 1), FIRST + timedelta(days=days + 2)]
    types = {name: column.dtype.type for name, column in BLOCK.columns.items()} | {"block_at": pl.Datetime("us", "UTC")}
    rows = [
        (height, at, 1.0 if (height // a_day) % 2 else 4e8, 5_000_000_000, 0, "unknown")
        for height, at in enumerate(times)
    ]
    return pl.DataFrame(rows, schema=types, orient="row")


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return Inputs(
        blocks=storms(),
        block_source="node",
        values=pl.DataFrame(schema={"source": pl.String, "series": pl.String, "day": pl.Date, "value": pl.Float64}),
        flows=flows().rows,
        flow_source=None,
        reference=load_registry(),
        precedence={group: ["node"] for group in Group},
        through=date(2026, 2, 28),
        now=NOW,
        is_main_network=False,
        is_test_chain=True,
    )


def test_storms_of_a_test_chain_stop_nothing_and_warn_of_nothing_that_it_need_not_keep(inputs: Inputs) -> None:
    checks = build(inputs).checks
    assert [check.name for check in checks if check.stops] == []
    assert not [check for check in checks if check.check_name.endswith(NOT_JUDGED)]
    (left_out,) = [check for check in checks if check.check_name == LEFT_OUT.name]
    assert left_out.value is not None
    assert left_out.value > 5


def test_the_same_blocks_stop_on_the_main_network(inputs: Inputs) -> None:
    checks = build(replace(inputs, is_main_network=True, is_test_chain=False)).checks
    stopping = {check.check_name for check in checks if check.stops}
    assert {"blocks of a day", "difficulty moves within one retarget a day"} <= stopping
    assert LEFT_OUT.name not in {check.check_name for check in checks}


def test_a_history_that_a_deep_reorganisation_rewrote_warns_on_a_test_chain_and_stops_on_the_main_network(
    inputs: Inputs,
) -> None:
    published = build(inputs).tables["capitulation_daily"]
    fewer = replace(inputs, blocks=storms(a_day=100), published=published)
    rescaled = "no published history becomes one of another scale"
    assert [(each.severity, each.passed) for each in build(fewer).checks if each.check_name == rescaled] == [
        ("warning", False)
    ]
    on_main = build(replace(fewer, is_test_chain=False)).checks
    assert [each.stops for each in on_main if each.check_name == rescaled] == [True]


def test_every_name_that_is_left_out_is_that_of_a_check() -> None:
    names = [facts.name for facts in CATALOGUE]
    assert [name for name in (*NOT_JUDGED, *ONLY_WARNING) if not any(each.endswith(name) for each in names)] == []
