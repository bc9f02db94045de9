"""Hypothesis profiles, the folder of real data, and builders that fill in the rest of a valid row."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from flows.run import pipeline, plan
from flows.settings import Settings, read_profile
from schemas.observations import BLOCK, EXCHANGE_FLOW, UTC_TIME
from schemas.registry import REGISTRY
from schemas.series import Group
from tests.invocation import Hashpivot, invoke, made_once
from transforms.prepare import Inputs

# How fast examples are made says how busy the machine is.
settings.register_profile(
    "ci", derandomize=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("night", max_examples=2_000, deadline=None)
settings.load_profile("ci")
"""`pytest --hypothesis-profile=night` looks longer, and elsewhere each time."""

WAITING = ("scheduled", "live")
"""Folders whose tests wait for servers and limits of time most of their time, and need a third of a core."""
LONGEST_FIRST = ("docs", "node", "warehouse", "run", "command", "lake", "reports", "transforms")
"""Folders whose files take minutes; started last, one of them would run while the other processes have no work."""
WAITING_UNTIL = 0.6
"""The part of all files by which those that wait are started."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait over those that compute, so that the cores always have work; keep the order within."""
    here = Path(__file__).parent

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(here).parts[0]

    def rank(item: pytest.Item) -> int:
        return LONGEST_FIRST.index(folder(item)) if folder(item) in LONGEST_FIRST else len(LONGEST_FIRST)

    waiting = {_together(item.nodeid): 0.0 for item in items if folder(item) in WAITING}
    computing = {_together(item.nodeid): 0.0 for item in sorted(items, key=rank) if folder(item) not in WAITING}
    for group, until in ((waiting, WAITING_UNTIL), (computing, 1.0)):
        for place, name in enumerate(group):
            group[name] = until * place / len(group)
    places = waiting | computing
    items.sort(key=lambda item: places[_together(item.nodeid)])


BY_FIRST_PARAMETER = ("/test_fault_matrix.py", "/test_page_commands.py")
"""Files whose tests of one source or page share nothing slow with those of another."""


def _together(nodeid: str) -> str:
    """What the tests of one process share: their file, of `BY_FIRST_PARAMETER` a part of it."""
    file, _, test = nodeid.partition("::")
    if not file.endswith(BY_FIRST_PARAMETER) or "[" not in test:
        return file
    first = test.partition("[")[2].rstrip("]")
    return f"{file} {first if '/' in first else first.partition('-')[0]}"


class FileAtATime(LoadFileScheduling):
    """Gives a process whole files, whose tests share what is slow to make."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileAtATime | None:
    """Give tests to processes in our way where the command line names the nearest."""
    return FileAtATime(config, log) if config.getvalue("dist") == "loadfile" else None


SOURCE = "simulated"

Times = Sequence[datetime]
Builder = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of third-party data sets, which the project holds no copy of."""
    folder = Path(os.environ.get("HASHPIVOT_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("shared data not present")
    return folder


def _blocks_of(times: Times, *, height: int | Sequence[int] = 100, **columns: Any) -> pl.DataFrame:
    heights = range(height, height + len(times)) if isinstance(height, int) else height
    given = {"difficulty": 1e14, "subsidy_claimed_sat": 312_500_000, "fees_sat": 2_000_000, "pool": "A"} | columns
    types = {name: column.dtype.type for name, column in BLOCK.columns.items()}
    rows = {"height": list(heights), "block_at": list(times)} | {
        name: list(cells) if isinstance(cells, (list, tuple)) else [cells] * len(times) for name, cells in given.items()
    }
    return pl.DataFrame(rows, schema=types | {"block_at": UTC_TIME}).select(list(types))


def _times_of(first: date, per_day: Sequence[int]) -> list[datetime]:
    """Header times spread evenly over each day, as many as `per_day` says, from the `first` day on."""
    return [
        datetime.combine(first + timedelta(days=n), time(), tzinfo=UTC) + (i + 0.5) * timedelta(days=1) / count
        for n, count in enumerate(per_day)
        for i in range(count)
    ]


def _values_of(first: date, series: Mapping[str, Sequence[float | None] | float], days: int = 1) -> pl.DataFrame:
    lengths = {len(cells) for cells in series.values() if isinstance(cells, Sequence)} or {days}
    (days,) = lengths
    wide = pl.DataFrame(
        {name: cells if isinstance(cells, Sequence) else [cells] * days for name, cells in series.items()},
        schema=dict.fromkeys(series, pl.Float64),
    )
    return (
        wide.select(pl.Series("day", [first + timedelta(days=n) for n in range(days)], dtype=pl.Date), pl.all())
        .unpivot(index="day", variable_name="series")
        .drop_nulls("value")
        .select(pl.lit(SOURCE).alias("source"), "series", "day", "value")
    )


def _registry_table(name: str, rows: Sequence[Mapping[str, Any]] = ()) -> pl.DataFrame:
    types = {column: schema.dtype.type for column, schema in REGISTRY[name].columns.items()}
    return pl.DataFrame([dict.fromkeys(types) | dict(row) for row in rows], schema=types)


ASSUMED = {
    "guaranteed_discount_pct": 8.0,
    "unguaranteed_discount_pct": 10.0,
    "energise_lag_years": 1.5,
    **dict.fromkeys(("new_building_low_usd_per_mw", "converted_low_usd_per_mw"), 4_000_000.0),
    **dict.fromkeys(("new_building_usd_per_mw", "converted_usd_per_mw"), 10_000_000.0),
    **dict.fromkeys(("new_building_high_usd_per_mw", "converted_high_usd_per_mw"), 15_000_000.0),
    "noi_margin_ratio": 0.85,
    "escalator_pct": 0.0,
    "gross_to_critical_ratio": 1.35,
    "mining_uptime_ratio": 0.95,
    "relocated_ratio": 0.5,
}


def _reference() -> dict[str, pl.DataFrame]:
    """A registry with one efficiency of each fleet, one survey of costs, one set of assumptions and no deals."""
    known = {"as_of": date(2009, 1, 3), "known_at": date(2009, 1, 3)}
    surveyed = {"as_of": date(2023, 1, 1), "known_at": date(2023, 1, 1)}
    fleets = {"network": 40.0, "new": 18.0, "old": 30.0}
    return {name: _registry_table(name) for name in REGISTRY} | {
        "fleet_efficiency": _registry_table(
            "fleet_efficiency",
            [surveyed | {"fleet": f, "efficiency_j_per_th": j, "pue_ratio": 1.0} for f, j in fleets.items()],
        ),
        "power_price": _registry_table(
            "power_price", [surveyed | {"scope": "network", "power_usd_per_mwh": 45.0, "all_in_usd_per_mwh": 55.0}]
        ),
        "asic_price": _registry_table("asic_price", [known | {"machine_usd_per_th": 15.0, "machine_j_per_th": 18.0}]),
        "lease_assumption": _registry_table("lease_assumption", [known | ASSUMED]),
        "company": _registry_table("company", [{"company": "riot", "name": "Riot Platforms", "role": "miner"}]),
    }


def _inputs_of(**changes: Any) -> Inputs:
    nothing = {
        "blocks": _blocks_of([]),
        "block_source": None,
        "values": _values_of(date(2024, 1, 1), {"price_usd": []}),
        "flows": pl.DataFrame(schema={name: column.dtype.type for name, column in EXCHANGE_FLOW.columns.items()}),
        "flow_source": None,
        "reference": _reference(),
        "precedence": {group: [SOURCE] for group in Group},
        "through": date(2049, 12, 31),
        "now": datetime(2049, 12, 31, tzinfo=UTC),
    }
    if "through" not in changes and not changes.get("values", nothing["values"]).is_empty():
        changes["through"] = changes["values"]["day"].max()
    return Inputs(**(nothing | changes))


@pytest.fixture(scope="session")
def blocks_of() -> Builder:
    """Builder: one block a header time, heights counting up from `height` unless they are listed."""
    return _blocks_of


@pytest.fixture(scope="session")
def times_of() -> Callable[[date, Sequence[int]], list[datetime]]:
    """Builder: header times spread evenly over days of the given block counts."""
    return _times_of


@pytest.fixture(scope="session")
def values_of() -> Builder:
    """Builder: daily values of one source from lists with one cell a day, a missing cell giving no row."""
    return _values_of


@pytest.fixture(scope="session")
def registry_table() -> Builder:
    """Builder: rows of a registry table, every cell that is not given NULL."""
    return _registry_table


@pytest.fixture(scope="session")
def inputs_of() -> Callable[..., Inputs]:
    """Builder: inputs of a whole computation, empty except for the registry and what is given."""
    return _inputs_of


def _market(days: int, *, seed: int = 1) -> dict[str, list[float]]:
    """Daily values of an invented market in which every metric of the daily table has a value."""
    state = list(accumulate(range(days), lambda s, _: (s * 1_103_515_245 + 12_345) % 2**31, initial=seed))
    noise = [s / 2**31 for s in state[1:]]
    blocks = [float(130 + int(30 * x)) for x in noise]
    sent = [0.0 if n % 11 == 0 else 1e10 * (1 + noise[-n]) * (9 if n % 97 == 0 else 1) for n in range(days)]
    left = [2e10 * (1 + 5 * x * x) + s for x, s in zip(noise, sent, strict=True)]
    deposited = [4e12 + s for s in sent]
    return {
        "price_usd": [60_000.0 * (1 + 0.3 * x) for x in noise],
        "block_count": blocks,
        "issuance_sat": [312_500_000.0 * b for b in blocks],
        "fees_sat": [2_000_000.0 * b * (1 + x) for b, x in zip(blocks, noise, strict=True)],
        "difficulty": [1e14 * (1 + n // 14 % 5 / 20) for n in range(days)],
        "miner_outflow_sat": left,
        "miner_outflow_mean_sat": [each / 100 for each in left],
        "miner_outflow_top10_sat": [each / 2 for each in left],
        "miner_inflow_sat": [2e10 * (1 + 5 * x * x) for x in noise],
        "miner_reserve_sat": [1.9e14] * days,
        "miner_to_exchange_sat": sent,
        "miner_to_exchange_count": [0.0 if s == 0 else 12.0 for s in sent],
        "exchange_to_miner_sat": [1e10] * days,
        "coinbase_to_known_ratio": [0.975] * days,
        "exchange_inflow_sat": deposited,
        "exchange_inflow_mean_sat": [8e7] * days,
        "exchange_inflow_top10_sat": [each / 8 for each in deposited],
        "exchange_outflow_sat": deposited,
        "exchange_reserve_sat": [2.7e14] * days,
    }


@pytest.fixture(scope="session")
def market() -> Callable[..., dict[str, list[float]]]:
    """Builder: daily values of an invented market, one list a series."""
    return _market


@pytest.fixture
def hashpivot(tmp_path: Path) -> Hashpivot:
    """Run the installed command in a folder of its own and return its output and exit code."""
    return partial(invoke, tmp_path)


@pytest.fixture(scope="session")
def published_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a demo publication whose last day is a squeeze, with a burst."""

    def publish(home: Path) -> None:
        pipeline.run_all(plan.plan(Settings(home=home), read_profile("demo"), day=date(2026, 11, 7)))

    return Settings(home=made_once(tmp_path_factory, "demo", publish)).published
