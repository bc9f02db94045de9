"""Every figure is the formula that is shown, on the values that are shown, and those lead to what was observed."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows.run import pipeline
from flows.run.plan import plan
from flows.run.publish import observed
from flows.run.trace import trace
from flows.settings import Settings, read_profile, read_settings
from schemas.errors import TerminalError
from transforms.build import frames
from transforms.catalog import TABLES
from transforms.derivation import Frames, figure, figures, same
from transforms.prepare import Inputs
from warehouse.working import open_working

DEMO_DAY = date(2026, 11, 7)
NEVER_BUILT_HERE = {"miner_flow_daily", "miner_transfer", "filing_candidate"}
"""Tables without a row where no source has blocks with flows, or filings."""


def inputs_of(home: Path, profile: str, day: date) -> Inputs:
    run = plan(Settings(home=home), read_profile(profile), day=day)
    with open_working(run.settings.working_database) as connection:
        return observed(run, connection)[0]


@pytest.fixture(scope="module")
def inputs(published_demo: Path) -> Inputs:
    return inputs_of(published_demo.parent, "demo", DEMO_DAY)


@pytest.fixture(scope="module")
def computed(inputs: Inputs) -> Frames:
    return frames(inputs)


def keys(computed: Frames, table: str, count: int, seed: str) -> Iterator[dict[str, object]]:
    """Keys of `count` rows at random, the same each time."""
    frame = computed.derived[table]
    chosen = random.Random(seed).sample(range(frame.height), min(count, frame.height))
    yield from frame[chosen].select(TABLES[table].key).iter_rows(named=True) if TABLES[table].key else [{}]


def check_reproduced(computed: Frames, published: Path, table: str, count: int) -> int:
    """Take `count` rows a column; each is published, and the formula gives it from what is shown of the row."""
    checked = 0
    with duckdb.connect(published / "hashpivot.duckdb", read_only=True) as connection:
        shown = connection.sql(f"from main.{table}").pl()
    for metric in TABLES[table].metrics:
        for key in keys(computed, table, count, f"{table} {metric.name}"):
            found = figure(computed, TABLES[table], metric.name, key)
            row = shown.filter(pl.all_horizontal(pl.lit(True), *(pl.col(name) == value for name, value in key.items())))
            assert same(row[metric.name].item(), found.value), (found.name, key)
            assert found.is_reproduced, (found.name, key, found.value, found.again)
            checked += 1
    return checked


@pytest.mark.parametrize("table", TABLES)
def test_each_figure_of_invented_data_is_its_formula_on_what_is_shown(
    computed: Frames, published_demo: Path, table: str
) -> None:
    checked = check_reproduced(computed, published_demo, table, 2)
    assert checked > 0 or table in NEVER_BUILT_HERE


@pytest.mark.long
def test_each_figure_of_real_data_is_its_formula_on_what_is_shown_on_200_days(
    shared_data: Path, tmp_path: Path
) -> None:
    day = date(2026, 3, 22)
    settings = read_settings(home=tmp_path, files_dir=shared_data)
    pipeline.run_all(plan(settings, read_profile("files"), day=day))
    run = plan(settings, read_profile("files"), day=day)
    with open_working(settings.working_database) as connection:
        everything = frames(observed(run, connection)[0])
    checked = {table: check_reproduced(everything, settings.published, table, 200) for table in TABLES}
    assert checked["capitulation_daily"] == 200 * len(TABLES["capitulation_daily"].metrics)
    assert sum(checked.values()) > 40_000


def test_formula_that_reads_more_than_is_shown_would_be_noticed(computed: Frames) -> None:
    table = TABLES["capitulation_daily"]
    found = figure(computed, table, "puell_issuance_ratio", {"day": DEMO_DAY})
    assert found.metric is not None
    assert found.read is not None
    assert found.read.height == 365
    again = found.read.tail(364).select(found.metric.expr).to_series()[-1]
    assert not same(again, found.value)
    assert not replace(found, again=again).is_reproduced


def test_other_keys_of_the_day_are_shown_where_the_formula_reads_them(computed: Frames) -> None:
    table, frame = TABLES["pool_daily"], computed.derived["pool_daily"]
    key = frame.filter(pl.col("day") == DEMO_DAY).select(table.key).row(0, named=True)
    found = figure(computed, table, "pool_share_4320_pct", key)
    assert found.is_reproduced
    assert found.read is not None
    assert set(found.read["day"]) == {DEMO_DAY}


@pytest.mark.parametrize(
    ("series", "least_count"), [("price_usd", 20), ("miner_outflow_sat", 3), ("exchange_inflow_sat", 1)]
)
def test_a_changed_input_changes_only_what_rests_on_it(
    inputs: Inputs, computed: Frames, series: str, least_count: int
) -> None:
    table, day = TABLES["capitulation_daily"], DEMO_DAY - timedelta(days=40)
    is_it = (pl.col("series") == series) & (pl.col("day") == day)
    changed = inputs.values.with_columns(pl.when(is_it).then(pl.col("value") * 1.5).otherwise("value").alias("value"))
    assert not changed.equals(inputs.values), series
    other = frames(replace(inputs, values=changed)).derived[table.name]
    before = computed.derived[table.name]
    differing = {m.name for m in table.metrics if not other[m.name].equals(before[m.name], null_equal=True)}
    resting = {
        m.name
        for m in table.metrics
        if any(each.series == series for each in figures(computed, table, m.name, {"day": day}))
    }
    assert differing <= resting
    assert len(differing) >= least_count
    # What rests on it and does not move is a label, a flag, points at a limit, or unknown on the day.
    on_day = before.filter(pl.col("day") == day)
    still = {
        name for name in resting - differing if before[name].dtype.is_numeric() and on_day[name].item() is not None
    }
    assert {name for name in still if not name.startswith(("score_", "capitulation_score"))} <= {
        "halving_count",
        "sustainability_zone",
        "income_per_hash_of_year_ratio",
    }


def test_observations_are_those_of_the_working_database_and_every_vintage_is_shown(
    published_demo: Path, tmp_path: Path
) -> None:
    profile = read_profile("demo")
    settings = Settings(home=shutil.copytree(published_demo.parent, tmp_path / "home", symlinks=True))
    with duckdb.connect(settings.working_database) as connection:
        connection.execute(
            "insert into raw.batch select 900, run_id, source, observed_table, 'revised by the source', "
            "repeat('a', 64), observed_at + interval 1 hour, 1, 0, 1 "
            "from raw.batch where observed_table = 'daily_value' limit 1"
        )
        connection.execute(
            "insert into raw.daily_value select source, series, day, value * 2, 1, 900, false from raw.daily_value "
            "where series = 'price_usd' and day = ?",
            [DEMO_DAY],
        )
        (first,) = connection.execute(
            "select value from raw.daily_value where series = 'price_usd' and day = ? and revision = 0", [DEMO_DAY]
        ).fetchone() or (0.0,)
    key = {"day": DEMO_DAY}
    found = trace(settings, profile, DEMO_DAY, datetime.now(UTC), TABLES["capitulation_daily"], "issuance_usd", key)
    (price,) = [each for each in found.observations if each.series == "price_usd"]
    assert (price.value, price.how, price.is_used) == (2 * first, "stated", True)
    assert [(row["value"], row["revision"]) for row in price.batches] == [(first, 0), (2 * first, 1)]
    assert price.batches[1]["origin"] == "revised by the source"
    (issuance,) = [each for each in found.observations if each.series == "issuance_sat"]
    assert issuance.how.startswith("a sum over ")
    assert sum(row["block_count"] for row in issuance.batches) == int(issuance.how.split()[3])


def test_row_that_is_not_there_and_home_without_observations_are_one_line(published_demo: Path, tmp_path: Path) -> None:
    table, moment = TABLES["capitulation_daily"], datetime.now(UTC)
    with pytest.raises(TerminalError, match=r"^[^\n]*found 0 rows with .*, expected one; name another row"):
        trace(
            Settings(home=published_demo.parent),
            read_profile("demo"),
            DEMO_DAY,
            moment,
            table,
            "price_usd",
            {"day": date(2008, 1, 1)},
        )
    with pytest.raises(TerminalError, match=r"^[^\n]*found nothing, expected the observations behind"):
        trace(Settings(home=tmp_path), read_profile("demo"), DEMO_DAY, moment, table, "price_usd", {"day": DEMO_DAY})
